# %% [markdown]
# # 3. What is the best that a pair of rank r can do?
#
# **You will be able to** split any matrix into layers ordered by size, predict the error of the best pair from a list
# of numbers, compress a picture, explain PCA by the same theorem, and say what gradient descent on a LoRA ends at,
# which is *not* always the SVD.
#
# **Run time:** about 15 s on two cores. **You need:** notebook 1.

# %%
import numpy as np

from minilora.analysis.factorise import best_pair, descend
from minilora.analysis.spectrum import approximate, energy, pca, rank_holding, tail, truncated_svd
from minilora.counting import break_even_rank, lora_params
from minilora.lowrank import init
from minilora.pictures import descent, film
from minilora.pictures.lessons import INKS, curves, matrices, matrix, sheet
from minilora.pictures.notebook import dials, show
from minilora.pictures.player import player
from minilora.pictures.tables import read

# %% [markdown]
# ## Every matrix is a sum of layers
#
# Notebook 1 built a matrix from layers. This also works backwards: *every* matrix is a sum of layers, and there is a
# way to choose them so that each is as large as it can be and has nothing in common with the others. It is the
# **singular value decomposition**,
#
# $$M = \sigma_1\, u_1 v_1^\top + \sigma_2\, u_2 v_2^\top + \dots, \qquad \sigma_1 \ge \sigma_2 \ge \dots \ge 0 .$$
#
# All $u$ and $v$ have length 1, and are at right angles among themselves. So the **singular value** $\sigma_i$ is the
# size of layer $i$.
#
# **Predict.** How many singular values that are not zero has the product of notebook 1, `A @ B` with rank 2?

# %%
product = film.A @ film.B  # (5, 8)
target = film.TARGET  # (5, 8), drawn at random with seed 0
for name, M in (("A @ B", product), ("random", target)):
    print(f"{name:<7}", np.round(np.linalg.svd(M, compute_uv=False), 3) + 0.0)

# %% [markdown]
# Two, and five for the random one. The rank *is* the number of singular values that are not zero. But the list says
# more than the rank: how much each layer matters.

# %%
U, sigma, Vt = np.linalg.svd(target, full_matrices=False)  # (5, 5), (5,), (5, 8)
layers = [sigma[i] * np.outer(U[:, i], Vt[i]) for i in range(5)]  # (5, 8) each
named = {f"layer {i + 1}, size {sigma[i]:.1f}": layers[i] for i in range(3)}
show(
    matrices(named, "of the random target", cell=0.36, limit=4),
    f"The first three layers of the random matrix, of sizes {sigma[0]:.1f}, {sigma[1]:.1f} and {sigma[2]:.1f}.",
)

# %%
print("all five layers make the matrix:", np.allclose(sum(layers), target))
print("layers 1 and 2, cell times cell, add up to", abs(np.round(np.sum(layers[0] * layers[1]), 12)), ": right angles")
print(f"sizes squared add up: {np.sum(sigma**2):.1f} = {np.sum(target**2):.1f}, the sum of all squared cells")

# %% [markdown]
# ## The best of rank r
#
# Keep the first r layers and drop the rest. That is the nearest matrix of rank r that there is (Eckart and Young 1936).
#
# **Predict.** The squares of the sizes add up. So what is the error if the first two of the five layers are kept? Say
# it as a formula in $\sigma_3, \sigma_4, \sigma_5$.

# %%
for r in range(1, 6):
    error = np.linalg.norm(target - approximate(target, r))
    print(f"r = {r}: error {error:.4f}   the root of the squares that were dropped {np.sqrt(np.sum(sigma[r:] ** 2)):.4f}")

# %% [markdown]
# The error is the **tail** of the spectrum, $\sqrt{\sigma_3^2 + \sigma_4^2 + \sigma_5^2}$ for rank 2. You need not even
# make the approximation to know how good it will be.
#
# "The nearest that there is" is a strong claim. Try to beat it: ten thousand random `A`, and for each of them the best
# `B` that exists.

# %%
rng = np.random.default_rng(0)
errors = []
for _ in range(10_000):
    A = rng.normal(size=(5, 2))
    B = np.linalg.lstsq(A, target, rcond=None)[0]  # (2, 8): the best partner of this A
    errors.append(np.linalg.norm(target - A @ B))
print(f"best of 10,000: {min(errors):.4f}   the SVD: {tail(sigma, 2):.4f}")

# %% [markdown]
# Close, but never below.
#
# ## A picture, rank by rank
#
# A picture is a matrix, too: one number for each point, 0 for black and 1 for white. Here is one with a sky, a sun, a
# mountain, a tower and the sea.


# %%
def landscape(height=96, width=128):
    y, x = np.mgrid[:height, :width]
    scene = 0.95 - 0.5 * y / height  # the sky: darker further down
    scene[(x - 98) ** 2 + (y - 22) ** 2 < 13**2] = 1.0  # the sun
    scene[y > 22 + 0.8 * np.abs(x - 50)] = 0.3  # the mountain
    tower = (np.abs(x - 108) < 9) & (y > 42)
    scene[tower] = np.where((x // 3 + y // 3) % 2, 0.1, 0.8)[tower]  # its stones
    sea = y > 68
    scene[sea] = 0.45 + 0.15 * np.sin(0.9 * y[sea])  # waves that run from left to right
    return scene


scene = landscape()


# %%
def show_picture(axes, M, title):
    axes.imshow(M, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title, loc="left")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


figure, axes = sheet(caption=f"{scene.shape[0]} x {scene.shape[1]} points: {scene.size:,} numbers", width=4.6, height=3.6)
show_picture(axes, scene, "drawn by the cell above")
show(figure, "A grey landscape: a sky, darker downwards, a round sun, a pointed mountain, a chequered tower, level waves.")

# %% [markdown]
# **Predict.** Which parts will appear first, at rank 1 or 2: the sky, the sun, the mountain, the tower or the sea?
# Which will be the last to be sharp? (A layer is one column times one row.)

# %%
figure, axes = sheet(6, f"the best approximations of a {scene.shape[0]} x {scene.shape[1]} picture", width=9.6, height=2.2)
for one, r in zip(axes, (1, 2, 4, 8, 16, 32), strict=True):
    show_picture(one, approximate(scene, r), f"rank {r}\n{lora_params(*scene.shape, r):,}")
    one.title.set_fontsize(9)
show(figure, "The landscape at ranks 1 to 32: first bands and blocks, at rank 8 all parts, at 32 hardly a difference.")

# %% [markdown]
# The sea and the sky are there at once: all their rows are alike, so they are one column times a constant row. The
# tower is next, since its edges run along rows and columns. The sun's rim and the mountain's slopes come last, and they
# ripple: a slope changes a little in every row, and so it needs many layers.
#
# So "simple" means something peculiar to a low-rank pair: **simple along rows and columns**. The same picture, turned
# by some degrees, would be much harder.


# %% tags=["thumbnail"]
def picture(rank=8):
    best = approximate(scene, rank)
    error = np.linalg.norm(scene - best) / np.linalg.norm(scene)
    figure, axes = sheet(2, "right: the picture minus its approximation; purple: too dark, orange: too bright", height=3.8)
    show_picture(axes[0], best, f"rank {rank}: {lora_params(*scene.shape, rank):,} numbers of {scene.size:,}")
    matrix(axes[1], scene - best, f"missed: {error:.1%}", limit=0.4, numbers=False)
    axes[1].set_aspect("equal")
    return show(figure, f"The landscape at rank {rank}, and what is missed, {error:.1%}: mostly slopes and the sun's rim.")


dials(picture, rank=(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96))

# %% [markdown]
# Which part is easy and which is hard can be read from singular values alone. Five pictures of the same size, each with
# one thing in it:

# %%
y, x = np.mgrid[:96, :96] / 96
alone = {
    "waves": np.sin(40 * y),
    "stones": np.where((8 * x).astype(int) + (8 * y).astype(int) & 1, 1.0, 0.0),
    "disc": ((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.1).astype(float),
    "slope": (x >= y).astype(float),
    "noise": np.random.default_rng(0).normal(size=(96, 96)),
}
spectra = {name: np.linalg.svd(M, compute_uv=False) for name, M in alone.items()}  # (96,) each
for name, values in spectra.items():
    print(f"{name:<8} rank {np.linalg.matrix_rank(alone[name]):>3}; 99 % of the squares are in the first {rank_holding(values, 0.99)}")

# %%
figure, axes = sheet(caption="five pictures of 96 x 96 points; noise drawn with seed 0; values below 1e-3 are not drawn")
for (name, values), ink, place in zip(spectra.items(), INKS, (0, 1, 12, 60, 60), strict=False):
    share = values / np.linalg.norm(values)  # (96,)
    share = share[share > 1e-3]
    axes.semilogy(np.arange(1, len(share) + 1), share, ".-", color=ink, linewidth=1, markersize=5)
    axes.annotate(name, (place + 1, share[place]), (8, 6), textcoords="offset points", color=ink)
axes.set(xlabel="singular value, from the largest", ylabel="share of the size", ylim=(1e-3, 1.5))
show(figure, "Spectra: waves have one value and stones two; disc and slope fall off quickly, noise begins low and hardly falls.")

# %% [markdown]
# The slope has full rank, like noise. Yet its singular values fall quickly, and noise's do not. The rank alone says
# little about a real matrix, as everything real has full rank. **How fast the values fall** says how well a pair will
# do.
#
# ## PCA is the same theorem
#
# Principal component analysis asks for the few directions along which points differ most. Subtract the mean of the
# points, take the SVD, and there they are.
#
# **Predict.** What goes wrong if the mean is *not* subtracted, and the points are far from the origin?

# %%
rng = np.random.default_rng(2)
cloud = rng.normal(size=(200, 2)) * (2.0, 0.5)  # (200, 2): long and thin
points = np.array([6.0, 3.0]) + cloud @ np.array([[0.6, 0.8], [0.8, -0.6]])  # (200, 2): turned, and moved away
mean, components, variances = pca(points, 2)  # (2,), (2, 2), (2,)
_, _, raw = truncated_svd(points, 1)  # (1, 2): without the mean taken off
print(f"variances along the components: {np.round(variances, 2)} (drawn with {2.0**2} and {0.5**2})")

# %%
figure, axes = sheet(caption="200 points, seed 2", width=6.4, height=4)
axes.plot(*points.T, ".", color="#666666", markersize=4)
for start, direction, ink, name in (
    (mean, 4 * components[0], "#0072B2", "PCA"),
    (np.zeros(2), 11 * raw[0], "#D55E00", "SVD of the raw points"),
):
    end = start + direction * np.sign(direction[0])
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": ink, "linewidth": 2})
    axes.annotate(name, end, (6, 0), textcoords="offset points", color=ink)
axes.set(aspect="equal", xlim=(-0.5, 14), ylim=(-2, 9))
show(figure, "A long cloud of points. PCA's arrow lies along it; the raw SVD's arrow points from the origin to it.")

# %% [markdown]
# Without the mean, the largest direction is the one that points at the cloud, and not the one in which the points
# differ. With it, PCA is the theorem above, applied to centred data: what is lost is again the tail.
#
# ## What does gradient descent find?
#
# LoRA does not compute an SVD. It starts with a random `A` and `B = 0`, and follows gradients. Where does it end? To
# find out, take a problem whose answer is known: a frozen `W`, and a target that differs from it by our random 5 x 8
# matrix. The inputs are the simplest possible: each direction once.
#
# **Predict.** Will a pair of rank 2 end at the best approximation of rank 2, at a worse one, or where chance takes it?

# %%
W = np.random.default_rng(7).normal(size=(5, 8))
wanted = W + target  # (5, 8)
A, B = init(5, 8, 2, np.random.default_rng(0), dtype=np.float64)  # (5, 2), (2, 8)
A, B = descend(np.eye(5), W, wanted, A, B, s=1.0, rate=0.01, steps=4_000)
print(f"gradient descent ends at an error of {np.linalg.norm(W + A @ B - wanted):.10f}")
print(f"the tail of the spectrum is          {tail(sigma, 2):.10f}")
print(f"and A B is the truncated SVD, up to  {np.abs(A @ B - approximate(target, 2)).max():.0e}")

# %% [markdown]
# To ten digits. This loss has no bad valleys: every minimum of it is the global one (Baldi and Hornik 1989). And there
# is an order in how it gets there. The film shows a target with four directions of sizes 12, 6, 3 and 1.5, and a pair
# of rank 3.
#
# **Predict.** Which direction will be learned first?
#
# ![Singular values of A B during gradient descent: three curves climb one after the other to 12, 6 and 3, the sizes of the target's directions; the fourth is out of reach of rank 3.](../figures/descent.gif)

# %%
player(descent.animation())

# %% [markdown]
# The largest first. A direction grows at a rate in proportion to its size, and so the small ones wait. This is one
# reason why training with a low rank, stopped in time, tends to keep what matters.
#
# Is the answer unique? Two seeds:

# %%
found = []
for seed in (0, 1):
    start = init(5, 8, 2, np.random.default_rng(seed), dtype=np.float64)
    found.append(descend(np.eye(5), W, wanted, *start, 1.0, 0.01, 4_000))
(A, B), (other_A, other_B) = found
print("row 1 of A:", np.round(A[0], 3), " and of the other A:", np.round(other_A[0], 3))
print(f"the products differ by {np.abs(A @ B - other_A @ other_B).max():.0e}")

# %% [markdown]
# Other factors, the same product, as notebook 1 said.
#
# ## ... but the inputs of a real layer are not like that
#
# We cheated: the inputs were `np.eye(5)`, every direction equally often. The inputs of a layer in a language model are
# nothing of the kind: a few directions are large, most are small. What is trained is the error of the *outputs*,
# $\|x\,AB - x\,D\|$ with the wanted change $D$. An error in a direction that the inputs hardly use costs hardly
# anything.
#
# **Predict.** Will gradient descent still end at the SVD of D?

# %%
rng = np.random.default_rng(3)
x = rng.normal(size=(200, 5)) * (2.0, 1.0, 1.0, 0.5, 0.25) / np.sqrt(200)  # (200, 5): some directions larger than others
start = init(5, 8, 2, np.random.default_rng(0), dtype=np.float64)
A, B = descend(x, W, wanted, *start, s=1.0, rate=0.02, steps=10_000)
weighted = np.matmul(*best_pair(target, x.T @ x, 2))  # (5, 8)
pairs = {"trained": A @ B, "SVD of D": approximate(target, 2), "weighted SVD": weighted}
print(f"{'':<14}{'error of outputs':>18}{'error of the matrix':>22}")
for name, M in pairs.items():
    print(f"{name:<14}{np.linalg.norm(x @ (M - target)):>18.4f}{np.linalg.norm(M - target):>22.4f}")

# %% [markdown]
# No. The trained pair beats the SVD where it counts, on the outputs, and is the worse one cell by cell. It ends exactly
# at a **weighted** SVD: scale every direction by how much the inputs use it, take the SVD of that, scale back. With $S
# = x^\top x$,
#
# $$A B = S^{-1/2}\,\big[S^{1/2} D\big]_r .$$

# %%
figure, axes = sheet(caption="rank 2; inputs: 200 rows, seed 3; target: random 5 x 8 matrix, seed 0", width=7, height=3)
n, used = np.arange(1, 6), np.linalg.norm(x, axis=0)  # (5,), (5,)
lines = {name: (n, np.linalg.norm(pairs[name] - target, axis=1)) for name in ("trained", "SVD of D")}  # (5,) each
curves(axes, lines, "input direction (row of D)", "error in that row", marker="o", ylim=(0, None))
axes.set(xticks=n, xticklabels=[f"{i}\nused {u:.1f}" for i, u in zip(n, used, strict=True)])
show(figure, "Error row by row. The trained pair is nearly right in row 1, which is used most, and worst in rows 4 and 5.")

# %% [markdown]
# So two sentences that one often reads are wrong. "LoRA finds the SVD of the full update": only for white inputs. And
# "to get a small adapter, train in full and truncate": the truncated SVD minimises the error of the *matrix*, and
# training that of the *outputs*. Methods that start LoRA from an SVD of the activations (EVA, CorDA) use just this.
#
# ## And a real update?
#
# While this course was made, one layer of the base was fine-tuned to speak like a pirate, in full, and the singular
# values of its update were kept.

# %%
table = read("training.json")
full = np.array([row for row in table["rows"] if row["method"] == "full"][-1]["singular_values"])  # (96,)
print(f"{table['matrix']}, {' x '.join(map(str, table['shape']))}: {len(full)} directions")
print(f"half of the squares are in {rank_holding(full, 0.5)}, 90 % in {rank_holding(full, 0.9)}; the first 8 hold {energy(full)[7]:.0%}")
print(f"break-even for this matrix: rank {break_even_rank(*table['shape']):.0f}")

# %% [markdown]
# It has no exact low rank, and no flat spectrum either: some directions matter more. A LoRA of rank 8 does the same
# task about as well. That is no contradiction, and notebook 8 shows why: a task may *have* a solution of low rank
# without full fine-tuning finding that one.
#
# ## Questions
#
# 1. A matrix has singular values 5, 4, 3, 0. What is its rank? What is the error of the best approximation of rank 1? Of rank 3?
# 2. What are the singular values of the identity matrix of size 100, and how good is its best approximation of rank 50?
# 3. Why are the mountain's slopes harder than the tower, although the tower has more edges?
# 4. You transpose a picture, or shuffle its rows. What happens to its singular values?
# 5. Gradient descent on a pair of rank 2 starts with `A = 0` and `B = 0`. Where does it end?
# 6. In the film, what would the fourth singular value do if the pair had rank 4?
# 7. All inputs of a layer lie in a plane. Which rank does the best update of this layer need, at the most?
#
# Answers: [docs/answers/03.md](../docs/answers/03.md).
#
# ## What was not shown
#
# How an SVD is computed, and how it is approximated for matrices with many thousand rows (randomised methods need a few
# products with the matrix only). Adam, which does not follow the gradient's own direction and learns the directions
# less strictly in order. Losses other than squares: for a language model's the best pair has no closed form, and nobody
# promises that all minima are global.
