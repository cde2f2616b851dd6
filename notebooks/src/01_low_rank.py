# %% [markdown]
# # 1. Can 26 numbers stand for 40?
#
# **You will be able to** multiply two thin matrices in your head, read their product as a sum of layers, say what a
# product of rank 2 can and cannot be, and tell at which rank the trick stops paying.
#
# **Run time:** about 15 s on two cores. **You need:** what a matrix is.

# %%
import numpy as np

from minilora import counting, lowrank
from minilora.analysis.spectrum import approximate
from minilora.pictures import draw_film, film
from minilora.pictures.lessons import bars, matrices, sheet
from minilora.pictures.notebook import dials, show
from minilora.pictures.player import player

# %% [markdown]
# ## Two thin matrices
#
# Here are the two matrices that this whole course is about, in their smallest form. `A` is tall and thin: 5 rows, 2
# columns. `B` is short and wide: 2 rows, 8 columns.

# %%
A, B = film.A, film.B  # (5, 2), (2, 8)
show(
    matrices({"A": A, "B": B}, "purple is above zero, orange below", digits=0),
    "Two matrices as coloured cells with whole numbers from -2 to 3: A has 5 rows and 2 columns, B has 2 rows and 8 columns.",
)

# %% [markdown]
# **Predict.** Their product `A @ B` takes the rows of `A` against the columns of `B`. What shape has it? How many
# numbers is that, and how many are there in `A` and `B` together?

# %%
product = A @ B  # (5, 8)
print(f"A B has shape {product.shape}: {product.size} numbers")
print(f"A has {A.size} and B has {B.size}: {A.size + B.size} numbers")

# %% [markdown]
# The inner 2 of both shapes has to match, and then it vanishes: (5, **2**) times (**2**, 8) is (5, 8). That 2 is called
# the **rank** and written `r`. Forty numbers came out, and only 26 went in. So if you want to store or train those
# forty, you may store or train the 26.
#
# That is the trick. What is left to find out is what it costs.

# %% [markdown]
# ## One cell, slowly
#
# **Predict.** The number in row 1, column 1 of the product comes from row 1 of `A` and column 1 of `B`. Do it in your
# head before you run the cell: first times first, second times second, added up.

# %%
row, column = A[0], B[:, 0]  # (2,), (2,)
print(f"row 1 of A: {row}   column 1 of B: {column}")
print(f"{row[0]} x {column[0]} + {row[1]} x {column[1]} = {row[0] * column[0] + row[1] * column[1]}")

# %% [markdown]
# Every one of the forty cells is made in this way, from one row and one column. Spelled out, a matrix product is three
# nested loops and nothing else:

# %%
slowly = np.zeros((5, 8), int)  # (5, 8)
for i in range(5):
    for j in range(8):
        for n in range(2):  # the rank: how many products a cell is the sum of
            slowly[i, j] += A[i, n] * B[n, j]
print("the same as A @ B:", np.array_equal(slowly, A @ B))

# %% [markdown]
# ## The film
#
# The same in motion: the shapes, one cell slowly, the walk over all the cells, and then two scenes that the rest of
# this notebook explains.
#
# ![Film in five scenes: a 5 by 2 matrix and a 2 by 8 matrix fill a 5 by 8 product, cell by cell and then as a sum of two layers; at the end, what each rank misses of a random matrix.](../figures/film.gif)
#
# Run the next cell for a player that you can stop. Its slider listens to the arrow keys, `Home` and `End`.

# %%
player(draw_film.animation())

# %% [markdown]
# On paper, or if you would rather see it at a glance: the last frame of each scene.
#
# ![Five panels: A and B have 26 numbers for 40; one cell is a sum of two products; all cells are filled in the same way; the product is a sum of two layers of 13 numbers; a random matrix needs rank 5.](../figures/film-storyboard.png)

# %% [markdown]
# ## The same product, layer by layer
#
# Look at the loops once more and put the one over `n` on the outside. Now each turn of it fills the whole grid once,
# from one *column* of `A` and one *row* of `B`.
#
# **Predict.** What does such a layer look like? Will its rows resemble one another?

# %% tags=["thumbnail"]
first, second = np.outer(A[:, 0], B[0]), np.outer(A[:, 1], B[1])  # (5, 8) each
show(
    matrices({"layer 1": first, "layer 2": second, "their sum": first + second}, digits=0, cell=0.36),
    "Three 5 by 8 matrices. In layer 1 every row is a multiple of row 1 of B, in layer 2 of row 2 of B; the third is their sum.",
)

# %% [markdown]
# Each row of layer 1 is a multiple of one and the same row, the first of `B`. The multiples stand in the first column
# of `A`: 1, 2, 0, -1, 3. So a layer is as simple as a 5 x 8 matrix can be without being zero: it takes 5 + 8 = 13
# numbers, and we say that it has **rank 1**.

# %%
for name, M in {"layer 1": first, "layer 2": second, "their sum": first + second}.items():
    print(f"{name:<10} rank {np.linalg.matrix_rank(M)}")
print("the sum is A @ B:", np.array_equal(first + second, A @ B))

# %% [markdown]
# Two layers of 13 numbers are 26. This is the picture to keep: **a product of rank r is a sum of r layers, each made of
# one column and one row**. A higher rank means more layers, and nothing else.

# %% [markdown]
# ## What rank 2 cannot say
#
# It looked too good: 26 numbers for 40. What did we give away?
#
# Every row of the product is a mixture of the two rows of `B`, and `A` holds the recipe: row 5 is 3 times the first and
# 1 time the second. Then any two rows of which neither is a multiple of the other already tell all the rest.
#
# **Predict.** Rows 1 and 2 of the product are given. Can you find row 5 from them, without looking at `A` and `B`?

# %%
recipe = np.linalg.lstsq(product[:2].T, product[4], rcond=None)[0]  # (2,)
print(f"row 5 = {recipe[0]:.3f} x row 1 + {recipe[1]:.3f} x row 2")
print("found:", np.round(recipe @ product[:2]).astype(int))
print("row 5:", product[4])

# %% [markdown]
# The rows are not free. Now the opposite: take the product and change one single number in it.
#
# **Predict.** Is there still a pair of rank 2 for it? It is only one number in forty.

# %%
broken = product.copy()
broken[0, 0] += 1
print(f"rank {np.linalg.matrix_rank(broken)}, for {counting.lora_params(5, 8, 3)} numbers in place of {A.size + B.size}")

# %% [markdown]
# No. One cell by itself is a layer of its own, and costs a full layer: 13 numbers for a change of one. A pair of
# rank r can change r single weights in rows and columns of their own, and not one scattered weight more. It can do one
# thing very cheaply, and that is to move **many weights in few directions**.
#
# And a matrix without any pattern, one that was drawn at random?

# %%
target = film.TARGET  # (5, 8), whole numbers from -3 to 3, drawn with seed 0
print(f"rank {np.linalg.matrix_rank(target)}: all that a 5 x 8 matrix can have")

# %% [markdown]
# ## The rank slider
#
# What is the *nearest* matrix of rank r to this one? Notebook 3 explains how it is found (by the singular value
# decomposition); here you only look at it. Move the slider and watch the third matrix, what is missed.
#
# **Predict.** At which rank is nothing missed?


# %%
def picture(rank=2):
    best = np.round(approximate(target, rank), 1) + 0.0  # (5, 8), and no cell says -0.0
    missed = np.linalg.norm(target - best) / np.linalg.norm(target)
    named = {"target": target, f"best of rank {rank}": best, f"missed: {missed:.0%}": target - best}
    figure = matrices(named, "missed is ‖target − best‖ / ‖target‖; target drawn with seed 0", cell=0.4, limit=4)
    return show(figure, f"A random 5 by 8 matrix, the nearest of rank {rank}, and their difference, {missed:.0%} of it.")


dials(picture, rank=range(1, 6))

# %% [markdown]
# All ranks at once, for those who cannot move the slider:

# %%
missed = {}
for r in range(1, 6):
    left = np.linalg.norm(target - approximate(target, r)) / np.linalg.norm(target)
    missed[f"r = {r}, {counting.lora_params(5, 8, r)} numbers"] = left
figure, axes = sheet(caption="a random 5 x 8 matrix, whole numbers from -3 to 3, seed 0", width=7, height=2.6)
bars(axes, missed, "share that is missed", write="{:.0%}")
show(figure, "Bars: the best pair of rank 1 misses 80 % of a random matrix, each further rank less, and rank 5 nothing.")

# %% [markdown]
# There is no elbow in these bars. A random matrix has no direction that matters much more than the others, so each
# layer that you leave out hurts. The trick pays for matrices *with* a pattern. Whether the update of a language model
# has one is a question for experiments, and notebook 8 asks it.
#
# Look at the numbers beside the bars, too. Rank 5 needs 65 of them, to say what 40 said before.

# %% [markdown]
# ## When does the trick stop paying?
#
# A matrix of d rows and k columns has `d k` numbers; a pair of rank r has `r (d + k)`.
#
# **Predict.** From which rank on has a pair for 5 x 8 more numbers than the matrix?

# %%
for r in range(1, 6):
    pair, saved = counting.lora_params(5, 8, r), counting.saving(5, 8, r)
    print(f"r = {r}: {r} x (5 + 8) = {pair:>2} numbers for 40, {abs(saved):4.0%} {'saved' if saved > 0 else 'more'}")
print(f"break-even at r* = d k / (d + k) = 40 / 13 = {counting.break_even_rank(5, 8):.2f}")

# %% [markdown]
# At rank 3 one number in forty is saved, at rank 4 the pair is larger than what it replaces. So 5 x 8 is a fine size to
# see the trick, and a poor one to use it. What about a matrix in a language model, 4096 x 4096?

# %%
figure, axes = sheet(caption="r (d + k) / (d k), up to the largest rank that a matrix of this size can have", height=3.8)
for d, k, ink in ((5, 8, "#D55E00"), (64, 64, "#0072B2"), (4096, 4096, "#1b1b1b")):
    ranks = np.arange(1, min(d, k) + 1)  # (min(d, k),)
    axes.loglog(ranks, ranks * (d + k) / (d * k), color=ink)
    axes.annotate(f"{d} x {k}", (1, (d + k) / (d * k)), (14, -8), textcoords="offset points", color=ink)
    axes.plot(counting.break_even_rank(d, k), 1, "o", color=ink)
axes.axhline(1, color="#666666", linewidth=1, linestyle=":")
axes.set(xlabel="rank r", ylabel="size of the pair per size of the matrix")
show(figure, "Three lines, the pair's size per matrix against the rank. They pass 1 at ranks 3, 32 and 2048.")

# %%
d = k = 4096
r = 16
print(f"{counting.lora_params(d, k, r):,} numbers in place of {counting.full_params(d, k):,}: {counting.saving(d, k, r):.1%} saved")
print(f"break-even at r* = {counting.break_even_rank(d, k):.0f}")

# %% [markdown]
# The pair grows with d + k and the matrix with d times k. That is all there is to the famous "less than 1 %": it is a
# statement about **wide** matrices. In a model of width 128 the same rank 16 is no longer small, and notebook 2 counts
# it.

# %% [markdown]
# ## From the trick to LoRA
#
# LoRA (Hu et al. 2021) uses the trick for a *change*. A trained matrix `W` is there already, and stays as it is. What
# training adds to it is a pair:
#
# $$y = x\,W + s\,(x\,A)\,B$$
#
# with a fixed number `s`. The brackets matter. **Predict**: for one row x of 5 numbers, how many multiplications does
# `x @ (A @ B)` take once `A @ B` is known, and how many does `(x @ A) @ B` take?

# %%
rng = np.random.default_rng(1)
x = rng.integers(-3, 4, (3, 5))  # (3, 5): three rows of input
print("the same result:", np.array_equal(x @ (A @ B), (x @ A) @ B))
print(f"multiplications for a row: {product.size} through A B, {A.size} + {B.size} = {A.size + B.size} through A and then B")

# %% [markdown]
# 40 and 26 again: what the pair saves in numbers it saves in work, too, as long as the product is never written out.
#
# One thing is left, the start. A new pair must not disturb a model that works. LoRA starts with `A` random and `B`
# zero.
#
# **Predict.** What does the adapted layer answer before the first step of training?

# %%
W = rng.normal(size=(5, 8))
fresh_A, fresh_B = lowrank.init(5, 8, 2, rng, dtype=np.float64)  # (5, 2), (2, 8)
y, _ = lowrank.lowrank_forward(x, W, fresh_A, fresh_B, s=2.0)  # (3, 8)
print("B is zero:", not fresh_B.any(), "  the layer answers what W answers, bit for bit:", np.array_equal(y, x @ W))

# %% [markdown]
# ## The pair is never unique
#
# **Predict.** Somebody else trains a pair for the same update, and finds other numbers in `A` and `B`. Is one of you
# wrong?

# %%
M = np.array([[2, 1], [1, 1]])  # (2, 2), any matrix that can be inverted
other_A, other_B = A @ M, np.linalg.inv(M) @ B  # (5, 2), (2, 8)
print("row 1 of A:", A[0], "  of the other:", other_A[0])
print("the same product:", np.allclose(other_A @ other_B, product))

# %% [markdown]
# A twist goes into `A` and its inverse into `B`, and nobody outside can tell. So never compare two adapters by their
# `A`, nor by their `B`: compare the products. For the same reason 26 counts too many, strictly speaking. The twist has
# 2 x 2 = 4 free numbers, so a 5 x 8 matrix of rank 2 has only 26 - 4 = 22.

# %% [markdown]
# ## Questions
#
# 1. What shape has the product of a (7, 3) and a (3, 4) matrix? How many numbers does the pair have, how many the product?
# 2. All entries of a 100 x 100 matrix are 7. What is its rank? Give a pair.
# 3. The identity matrix of size 5 has twenty zeros and five ones. What is its rank, and what does this say about "simple" matrices?
# 4. In which of its directions does a LoRA update of rank 2 act on the input: how many numbers of an input x does it see?
# 5. Is the sum of two updates of rank 2 again of rank 2?
# 6. For which rank has a pair for a 128 x 344 matrix as many numbers as the matrix?
# 7. Both `A` and `B` start at zero. What would be wrong with that?
#
# Answers: [docs/answers/01.md](../docs/answers/01.md). To play: open
# [figures/explorable.html](../figures/explorable.html) from your disk and drag the numbers themselves.
#
# ## What was not shown
#
# How the nearest matrix of rank r is found (notebook 3). How `A` and `B` are trained (notebooks 4 and 7). That updates
# of real models have low rank: this is a claim about training and not about matrices, and it is tested in notebook 8.
# And other ways to make a matrix of few numbers, as sparse or blockwise ones, to which many scattered weights
# come cheaply (notebook 12).
