# %% [markdown]
# # 12. What else can be said with few numbers, and what does each way of saying leave out?
#
# **You will be able to** recognise "a sum of few outer products" in separable filters, depthwise convolutions and Winograd's trick, say
# which of them lose something and which do not, and choose a structure for a target instead of assuming one.
#
# **Run time:** about 10 s on two cores. **You need:** notebooks 1 and 3 (outer products, the best rank r).

# %%
import numpy as np

import minilora as ml
from minilora.analysis import convolution, structured, winograd
from minilora.analysis.spectrum import approximate
from minilora.counting import break_even_rank, lora_params
from minilora.pictures.lessons import bars, curves, matrices, matrix, sheet
from minilora.pictures.notebook import show

# %% [markdown]
# ## One idea, several tensors
#
# LoRA says: this matrix of $d \times k$ numbers is a column times a row, and perhaps another column times another row. The same sentence
# was said long before, about other things: image filters, layers of a convolution, even the *multiplication table* of an algorithm. We go
# through four of them, always with the same three questions: what is written as few outer products? What is saved? What is lost?
#
# ## 1. A filter that is a column times a row
#
# An edge detector of 3 x 3 numbers slides over an image. Sobel's is an outer product: smooth downwards, differentiate sideways.

# %%
smooth, difference = np.array([[1.0], [2.0], [1.0]]), np.array([[1.0, 0.0, -1.0]])  # (3, 1), (1, 3)
sobel = smooth @ difference  # (3, 3)
print(sobel, "rank", np.linalg.matrix_rank(sobel))

# %% [markdown]
# So the filter can be applied in two passes, first the column and then the row: 3 + 3 multiplications a pixel in place of 9. **Predict:**
# is the result the same, or nearly the same?

# %%
yy, xx = np.mgrid[-1:1:64j, -1:1:64j]
image = (np.hypot(xx, yy) < 0.7).astype(float) + 0.5 * (np.abs(xx + yy) < 0.15) + 0.3 * (yy > 0.5)  # (64, 64)
once = convolution.filter_image(image, sobel)  # (62, 62)
twice = convolution.filter_image(convolution.filter_image(image, smooth), difference)  # (62, 62)
print(f"largest difference {np.abs(once - twice).max():.0e}")

# %%
figure, axes = sheet(3, "a drawn image of 64 x 64; values from orange (negative) to purple", 8.4, 3.1)
for one, (title, picture) in zip(axes, {"image": image, "9 multiplications": once, "3 + 3": twice}.items(), strict=True):
    matrix(one, picture, title, numbers=False)
    one.set_aspect("equal")
show(figure, "A disc with a bar; the edges found by the 3 by 3 filter; the same picture from the two passes.")

# %% [markdown]
# The same: matrix products may be bracketed as one likes, and this filter *is* rank 1. Others are not. The nearest separable filter is
# then the best rank-1 matrix, and its error is the tail of the spectrum.

# %%
g = np.exp(-(np.linspace(-2, 2, 7) ** 2))
filters = {
    "Sobel, 3 x 3": sobel,
    "Gauss, 7 x 7": np.outer(g, g),
    "Laplace, 3 x 3": np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]),
    "diagonal, 3 x 3": np.eye(3),
}
for name, kernel in filters.items():
    column, row = convolution.separate_filter(kernel)
    lost = np.linalg.norm(kernel - column @ row) / np.linalg.norm(kernel)
    rank, fewer = np.linalg.matrix_rank(kernel), column.size + row.size
    print(f"{name:<16} {kernel.size:>2} -> {fewer:>2} multiplications, rank {rank}, lost {lost:.0%}")

# %% [markdown]
# The last one is instructive: a line along the diagonal looks simple, and is the *worst* case for a column times a row. Simple to the eye
# is not low in rank.
#
# ## 2. A convolution layer, channel by channel
#
# A layer from $C$ input channels to $F$ output channels holds $C F \cdot 3 \cdot 3$ numbers. Look at one input channel: what it has is a
# matrix of $F \times 9$, a 3 x 3 filter for each output. MobileNet's **depthwise-separable** layer keeps *one* filter for the channel and
# a weight for each output: that matrix is then a column times a row, rank 1. With $m$ filters a channel it is rank $m$.

# %%
C, F, size = 8, 12, 3
rng = np.random.default_rng(12)
layer = rng.normal(size=(C, F, size, size))
pixels = rng.normal(size=(C, 10, 10))
depthwise, pointwise = convolution.separate(layer, 4)  # (C, 4, 3, 3), (C, 4, F)
joined = convolution.join(depthwise, pointwise)  # (C, F, 3, 3)
same = convolution.convolve(pixels, joined) - convolution.convolve_separable(pixels, depthwise, pointwise)
print(f"the separable layer is an ordinary layer of rank 4 a channel: largest difference {np.abs(same).max():.0e}")

# %%
ms = np.arange(1, min(F, size**2) + 1)
lost = [np.sum((layer - convolution.join(*convolution.separate(layer, m))) ** 2) / np.sum(layer**2) for m in ms]
numbers = [convolution.separable_params(C, F, size, m) for m in ms]
figure, (left, right) = sheet(2, f"a layer of random numbers, C = {C}, F = {F}, 3 x 3; seed 12", 8.6, 3.2)
curves(left, {"lost": (ms, lost)}, "filters a channel, m", "share of |kernel|² lost", marker="o", xticks=ms)
print(f"break-even at m = {convolution.break_even_multiplier(F, size):.2f}; LoRA's of 12 x 9: {break_even_rank(F, size**2):.2f}")
counts = {"separable": (ms, numbers), "whole layer": (ms, [layer.size] * len(ms))}
curves(right, counts, "filters a channel, m", "numbers", xticks=ms, ylim=(0, None))
show(figure, "The error falls to zero at nine filters; the count of numbers crosses that of the whole layer before six.")

# %% [markdown]
# It is LoRA's arithmetic to the letter: $d = F$, $k = 9$, break-even at $dk / (d + k)$. The difference is what is done with it. MobileNet
# *trains* in the structure from the beginning, and the numbers above, of a random layer, say how badly a layer that was not trained so
# fits into it.
#
# At real sizes the saving is large: the share of the numbers that remains is $1/F + 1/9$.

# %%
for F_real in (64, 512):
    share = convolution.separable_params(1, F_real, 3) / (F_real * 9)
    print(f"F = {F_real}: {share:.3f} of the numbers, {1 / share:.1f} times fewer")

# %% [markdown]
# ## 3. Fewer multiplications, and nothing lost
#
# Two outputs of a filter with three taps read four inputs and take six multiplications:
#
# $$ y_0 = g_0 d_0 + g_1 d_1 + g_2 d_2, \qquad y_1 = g_0 d_1 + g_1 d_2 + g_2 d_3 . $$
#
# Winograd needs four. Products with 1, -1 and 1/2 are not counted: they are additions and shifts, or are done once for a filter.

# %%
At, G, Bt = winograd.transforms(2, 3)  # exact fractions: (2, 4), (4, 3), (4, 4)
taps, inputs = np.array([2, 1, -1]), np.array([3, 1, 4, 1])
four = (G @ taps) * (Bt @ inputs)  # (4,)   the only products of data by data
print("four products:", [str(v) for v in four])
print("outputs:", [str(v) for v in At @ four], " by the definition:", [int(taps @ inputs[i : i + 3]) for i in range(2)])

# %% [markdown]
# Exactly equal, in fractions. Where is the low rank? In the *table of products*. Which tap $g_j$ meets which input $d_k$ in which output
# $y_i$ is a box $T$ of zeros and ones, $2 \times 3 \times 4$, with six ones. Doing it by the definition writes $T$ as six outer products
# with a single one each; Winograd writes the same box as **four** outer products of three vectors.

# %%
T = winograd.fir_tensor(2, 3)  # (2, 3, 4)
terms = [np.einsum("i,j,k->ijk", At[:, n], G[n], Bt[n]) for n in range(4)]
total = sum(terms)
print(f"{T.sum()} ones in T; four terms add up to T exactly: {np.array_equal(total, T)}")

# %%
shown = {f"term {n + 1}": term[0].astype(float) for n, term in enumerate(terms)} | {"sum = T": T[0].astype(float)}
show(
    matrices(shown, "the slice of output 0: rows are taps, columns are inputs; the terms cancel but for three ones", cell=0.5),
    "Four 3 by 4 slices with halves and ones that add up to a slice with three ones on a diagonal.",
)

# %% [markdown]
# So here is the exact relation of the two ideas:
#
# | | LoRA | Winograd |
# |---|---|---|
# | what is written as few outer products | a matrix, the update | a tensor of order 3, the algorithm |
# | its rank | chosen, and usually below that of the target | the tensor's own, 4 |
# | what is lost | whatever does not fit | nothing but rounding |
# | what is saved | numbers that train | multiplications |
#
# In two dimensions the saving is squared: do it to rows and to columns.

# %%
for m in (2, 4, 6):
    fewer, plain = winograd.multiplications(m, 3)
    print(f"F({m} x {m}, 3 x 3): {fewer} multiplications in place of {plain}, {plain / fewer:.2f} times fewer")

# %% [markdown]
# Why stop at small tiles? "Nothing but rounding" has a price. **Predict** how the error in float32 goes with the size of the tile.


# %%
def rounding(m, tiles=200):
    """The error of float32 tiles of m x m outputs, relative to the outputs, by norms over all tiles."""
    small, wrong, size = [M.astype(np.float32) for M in winograd.transforms(m, 3)], 0.0, 0.0
    for seed in range(tiles):
        rng = np.random.default_rng(seed)
        tile, kernel = rng.normal(size=(m + 2, m + 2)), rng.normal(size=(3, 3))
        exact = convolution.filter_image(tile, kernel)
        found = winograd.convolve_tile(tile.astype(np.float32), kernel.astype(np.float32), *small)
        wrong, size = wrong + np.sum((found - exact) ** 2), size + np.sum(exact**2)
    return np.sqrt(wrong / size)


# %%
sizes = range(1, 7)
figure, axes = sheet(caption="random tiles and kernels of deviation 1, 200 of each size; m = 1 saves nothing", height=2.9)
curves(axes, {"float32": (sizes, [rounding(m) for m in sizes])}, "outputs a side, m", "relative error", marker="o", yscale="log")
show(figure, "The rounding error grows about tenfold from one output a side to six.")

# %% [markdown]
# The transforms hold powers of the points 0, 1, -1, 2, ...; large powers cancel, and cancelling costs digits. That is why libraries keep
# to small tiles, of 2 x 2 to 6 x 6 outputs.
#
# ## 4. Few numbers, full rank
#
# Low rank is *one* way to have few numbers. A **Kronecker product** $P \otimes Q$ replaces each entry of $P$ by that entry times the
# whole of $Q$. Two matrices of 4 x 4, 32 numbers, make a matrix of 16 x 16. LoRA of rank 1 takes 32 numbers as well. **Predict** the rank
# of the Kronecker product.

# %%
P, Q = rng.normal(size=(2, 4, 4))
K = np.kron(P, Q)  # (16, 16)
print(f"{P.size + Q.size} numbers, rank {np.linalg.matrix_rank(K)};  LoRA: {lora_params(16, 16, 1)} numbers, rank 1")

# %%
figure, axes = sheet(4, "32 numbers each (one a row: 16 numbers and 16 places); seed 12", 9, 2.9)
for one, (name, structure) in zip(axes, structured.STRUCTURES.items(), strict=True):
    matrix(one, structure.build(*structure.draw(np.random.default_rng(12))), name, numbers=False)
    one.set_aspect("equal")
show(figure, "Four 16 by 16 matrices: stripes for low rank, repeated blocks for Kronecker, wrapped diagonals, a permutation.")

# %% [markdown]
# Finding the best one of a structure is easier than it looks. The nearest Kronecker product is a rank-1 problem again, of the matrix
# *rearranged* so that each block becomes a row.

# %%
R = structured.rearrange(K, (4, 4))  # (16, 16)
sigma = np.linalg.svd(R, compute_uv=False)
print(f"singular values of the rearranged matrix: {sigma[0]:.2f}, {sigma[1]:.0e}, ...: rank 1")
P_found, Q_found = structured.nearest_kronecker(K, (4, 4))
print(f"found again up to {np.abs(np.kron(P_found, Q_found) - K).max():.0e}")

# %% [markdown]
# A **circulant** matrix repeats its first row, each time moved on by one. Its product with a vector is a convolution that wraps round,
# which the Fourier transform turns into $n$ multiplications.

# %%
c, x = rng.normal(size=16), rng.normal(size=(3, 16))
slow, fast = x @ structured.circulant(c), structured.circulant_product(x, c)
rank = np.linalg.matrix_rank(structured.circulant(c))
print(f"16 numbers, rank {rank}; by Fourier transform the same up to {np.abs(slow - fast).max():.0e}")

# %% [markdown]
# ## Which structure fits which target?
#
# Four kinds of target, four structures of about 32 numbers each, the best member of each in closed form. **Predict** the table before you
# run: where are zeros, and what stands elsewhere?

# %% tags=["thumbnail"]
kinds = list(structured.STRUCTURES)
tables = [structured.which_fits(np.random.default_rng(seed)) for seed in range(20)]
table = np.mean([[[row[kind] for kind in kinds] for row in rows] for rows in tables], axis=0)  # (targets, structures)
print(f"largest on the diagonal {np.diag(table).max():.0e}; smallest off it {table[~np.eye(4, dtype=bool)].min():.2f}")
figure, axes = sheet(caption="what is left, |target - fit| / |target|; 16 x 16, mean of 20 seeds", width=6.4, height=4.8)
matrix(axes, table, digits=2)
axes.set(xticks=range(4), xticklabels=kinds, yticks=range(4), yticklabels=kinds, xlabel="fitted by", ylabel="target made as")
show(figure, "A four by four table of errors: zeros on the diagonal, and most of the norm left everywhere else.")

# %% [markdown]
# Each structure is perfect for its own kind and nearly useless for the others. **A structure is a guess about the target.** "Few numbers"
# is not a property of the target alone.
#
# ## So what does fine-tuning want?
#
# Now a real target: what full fine-tuning changes in the shipped base when it learns to talk like a pirate. Train a little, and fit the
# change of each 96 x 96 matrix by each structure, at 192 numbers each.

# %%
base = ml.load("stories-base")
tuned = ml.finetune(base, ml.Full(), "pirate", steps=40, batch=8, length=128, progress=False)
squares = [name for name, W in base.weights.items() if W.shape == (96, 96)]
updates = {name: (tuned.arrays[name] - base.weights[name]).astype(float) for name in squares}
print(f"{len(updates)} square matrices; above the best by {tuned.log[-1]['excess']:.3f} nats a letter after {tuned.log[-1]['step']} steps")


# %%
def blocks(W):
    return W.reshape(2, 48, 2, 48).swapaxes(1, 2)  # (2, 2, 48, 48)


FITS = {  # 192 numbers each
    "low rank, r = 1": lambda W: approximate(W, 1),
    "Kronecker 8x12, 12x8": lambda W: np.kron(*structured.nearest_kronecker(W, (8, 12))),
    "circulant blocks of 48": lambda W: structured.circulant(structured.nearest_circulant(blocks(W))).swapaxes(1, 2).reshape(96, 96),
    "one number a row": lambda W: np.where(np.abs(W) == np.abs(W).max(axis=1, keepdims=True), W, 0),
}


def held(W, fit):
    """The share of |W|² that the fit holds."""
    return 1 - np.sum((W - fit(W)) ** 2) / np.sum(W**2)


# %%
noise = [np.random.default_rng(seed).normal(size=(96, 96)) for seed in range(8)]
shares = {}
for name, fit in FITS.items():
    shares[f"{name}: updates"] = np.mean([held(W, fit) for W in updates.values()])
    shares[f"{name}: noise"] = np.mean([held(W, fit) for W in noise])
figure, axes = sheet(caption=f"{len(updates)} updates of q_proj and o_proj (pirate, 40 steps, seed 0), and 8 random matrices", height=3.8)
bars(axes, shares, "share of |W|² held by 192 of 9,216 numbers", inks=("#D55E00", "#d4d4d4"), write="{:.2f}")
show(figure, "Pairs of bars: for the real updates rank 1 holds far more than the other structures, and far more than it holds of noise.")

# %% [markdown]
# Compare each orange bar with the grey one below it: what the structure holds of *nothing in particular*. Only low rank holds much more
# of the updates than of noise. There is a reason. A gradient is `x.T @ dy`, a sum over tokens of outer products, so an update tends to be
# made of a few directions that many tokens share; nothing in it makes blocks repeat or diagonals wrap.
#
# And the honest half: of the update that *full* fine-tuning makes, rank 1 does not hold all. How much do a few more ranks hold?

# %%
ranks = (1, 2, 4, 8, 16, 32)
curve = [np.mean([held(W, lambda W, r=r: approximate(W, r)) for W in updates.values()]) for r in ranks]
flat = [np.mean([held(W, lambda W, r=r: approximate(W, r)) for W in noise]) for r in ranks]
figure, axes = sheet(caption="the same updates and the same random matrices", height=3)
held_by_rank = {"updates": (ranks, curve), "noise": (ranks, flat)}
curves(axes, held_by_rank, "rank r", "share of |W|² held", marker="o", xscale="log", xticks=ranks, ylim=(0, 1))
axes.set_xticklabels(ranks)
axes.minorticks_off()
show(figure, "The share of the updates that rank r holds rises well above that of noise.")

# %% [markdown]
# That a *small* part of what full fine-tuning does is missing does not say that the task needs it: notebook 8 asks whether training
# *inside* rank r does as well.
#
# ## Questions
#
# 1. The filter `[[1, 0, -1], [2, 0, -2], [1, 0, -1]]` and its transpose: is their *sum* separable?
# 2. Winograd writes two outputs of three taps as a sum of 4 terms, the definition as one of 6. What would a sum of 3 terms mean?
# 3. Depthwise-separable layers and LoRA have the same break-even. Why is the one used from the start of training and the other at the
#    end?
# 4. IA3 multiplies each output by a number: `W diag(l)`. How many numbers, and what rank has the update?
# 5. You are told that a target has 32 degrees of freedom. Which structure do you choose?
# 6. Rank 1 holds a certain share of a random 96 x 96 matrix. Would the share be larger or smaller for 960 x 960?
#
# Answers: [docs/answers/12.md](../docs/answers/12.md).
#
# ## What was not shown
#
# Butterfly and Monarch matrices, products of sparse factors that contain the Fourier transform. Sums of structures, such as sparse plus
# low rank. Tensor-train and Tucker forms of larger tensors. What a structure does to the *speed* on real hardware, which often decides
# against the one with the fewest multiplications.
