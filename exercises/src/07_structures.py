# %% [markdown]
# # Exercises 7. The SVD, and kindred ways to say much with few numbers
#
# Low rank is one guess about a matrix among several. What it can do at best is told by the SVD; Winograd, filters and Kronecker products
# are its relatives.
#
# *7 exercises, about 61 minutes.*

# %%
import numpy as np

from minilora.classroom import checker, example

check = checker(seed=0)  # another seed draws other numbers and sizes
example("best_rank")  # what the first check hands to your function

# %% [markdown]
# ## 1. The best matrix of rank r
#
# *Difficulty 2 of 5, about 5 minutes.* **Why it matters:** no pair of rank r, however trained, comes closer to W than this.
#
# Return the matrix of rank r that is nearest to W (in the sum of squares).
#
# <details><summary>Hint</summary>
#
# `np.linalg.svd(W, full_matrices=False)` gives U, sigma, Vt, largest first: W is `(U * sigma) @ Vt`.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "best_rank", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_rank(W, r):
    """W (d, k), r -> (d, k), of rank r."""
    ### BEGIN SOLUTION
    U, sigma, Vt = np.linalg.svd(W, full_matrices=False)
    return (U[:, :r] * sigma[:r]) @ Vt[:r]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-best_rank", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("best_rank", best_rank)
### BEGIN HIDDEN TESTS
check("best_rank", best_rank, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. How many directions matter?
#
# *Difficulty 3 of 5, about 6 minutes.* **Why it matters:** it is how one asks of an update whether it is low-rank.
#
# The energy of a matrix is the sum of the squares of its singular values. How many of the largest are needed to hold a given share of it,
# or more?
#
# <details><summary>Hint</summary>
#
# `np.cumsum` of the squares, and the first place at which it reaches the share of the total.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "rank_holding", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rank_holding(sigma, share):
    """sigma (m,), largest first; share: 0 to 1 -> a whole number."""
    ### BEGIN SOLUTION
    energy = np.cumsum(sigma**2)  # (m,)
    return int(np.argmax(energy >= share * energy[-1])) + 1
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-rank_holding", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("rank_holding", rank_holding)
### BEGIN HIDDEN TESTS
check("rank_holding", rank_holding, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Learn a factorisation
#
# *Difficulty 3 of 5, about 6 minutes.* **Why it matters:** from a small start, gradient descent along these two lines finds
# the truncated SVD, one singular direction after the other.
#
# The loss is half the sum of the squares of A B - T. Return dA and dB.
#
# <details><summary>Hint</summary>
#
# The gradient of the loss with respect to the product A B is `E = A B - T`.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "factor_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
def factor_gradient(A, B, T):
    """A (d, r), B (r, k), T (d, k) -> dA (d, r), dB (r, k)."""
    ### BEGIN SOLUTION
    E = A @ B - T  # (d, k)
    return E @ B.T, A.T @ E
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-factor_gradient", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("factor_gradient", factor_gradient)
### BEGIN HIDDEN TESTS
check("factor_gradient", factor_gradient, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Winograd: four products in place of six
#
# *Difficulty 4 of 5, about 12 minutes.* **Why it matters:** it is how small filters are made fast. Like LoRA it is a sum of few products,
# but an exact one.
#
# A filter g of 3 taps over 4 inputs x gives two outputs, `y0 = x0 g0 + x1 g1 + x2 g2` and `y1 = x1 g0 + x2 g1 + x3 g2`: six products.
# Winograd takes four, m, from which `y0 = m0 + m1 + m2` and `y1 = m1 - m2 - m3`. Two are `m0 = (x0 - x2) g0` and `m3 = (x1 - x3) g2`. Find
# m1 and m2, each a sum of inputs times a sum of taps; return all four.
#
# <details><summary>Hint</summary>
#
# `y0 - m0 = x1 g1 + x2 (g0 + g2)`. Work out y1 + m3 likewise. Their sum is 2 m1, and it factors.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "winograd_products", "locked": false, "schema_version": 3, "solution": true, "task": false}
def winograd_products(x, g):
    """x (4,), g (3,) -> m (4,)."""
    ### BEGIN SOLUTION
    plus, minus = (g[0] + g[1] + g[2]) / 2, (g[0] - g[1] + g[2]) / 2
    return np.array([(x[0] - x[2]) * g[0], (x[1] + x[2]) * plus, (x[2] - x[1]) * minus, (x[1] - x[3]) * g[2]])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-winograd_products", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("winograd_products", winograd_products)
### BEGIN HIDDEN TESTS
check("winograd_products", winograd_products, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. The gradient of a filter
#
# *Difficulty 4 of 5, about 10 minutes.* **Why it matters:** the weights of every convolution are trained by this line.
#
# A filter (a, b) slides inside an image (H, W): y[i, j] is the sum of kernel[u, v] image[i + u, j + v] over u and v, so that y is (H - a +
# 1, W - b + 1). Given dy and the image, return dkernel.
#
# <details><summary>Hint</summary>
#
# dkernel[u, v] is a sum over all (i, j) of dy[i, j] times what kernel[u, v] stood on: the part of the image of dy's size that begins at (u,
# v).
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "filter_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def filter_backward(dy, image):
    """dy (H - a + 1, W - b + 1), image (H, W) -> dkernel (a, b)."""
    ### BEGIN SOLUTION
    rows, columns = dy.shape
    a, b = image.shape[0] - rows + 1, image.shape[1] - columns + 1
    return np.array([[np.sum(dy * image[u : u + rows, v : v + columns]) for v in range(b)] for u in range(a)])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-filter_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("filter_backward", filter_backward)
### BEGIN HIDDEN TESTS
check("filter_backward", filter_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 6. A product that is never formed
#
# *Difficulty 4 of 5, about 10 minutes.* **Why it matters:** LoKr trains two small matrices whose Kronecker product is large and of full
# rank: few numbers need not mean low rank.
#
# The Kronecker product of P (p, q) and Q (s, t) is the (p s, q t) matrix of the blocks P[i, j] Q. Return x times it, for x (N, p s),
# without forming it. (The check sees the result and not the way to it.)
#
# <details><summary>Hint</summary>
#
# Reshape a row of x to (p, s). Then Q acts from the right and P.T from the left, and the result (q, t) is laid out as a row again.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "kronecker_apply", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kronecker_apply(x, P, Q):
    """x (N, p s), P (p, q), Q (s, t) -> (N, q t)."""
    ### BEGIN SOLUTION
    rows = x.reshape(-1, len(P), len(Q))  # (N, p, s)
    return (P.T @ rows @ Q).reshape(len(x), -1)  # (N, q, t), then (N, q t)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-kronecker_apply", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("kronecker_apply", kronecker_apply)
### BEGIN HIDDEN TESTS
check("kronecker_apply", kronecker_apply, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 7. Its gradient
#
# *Difficulty 5 of 5, about 12 minutes.* **Why it matters:** this trains LoKr. After it no product will frighten you.
#
# Let G (p s, q t) be the gradient with respect to the Kronecker product of P and Q. Return dP and dQ.
#
# <details><summary>Hint</summary>
#
# Reshape G to (p, s, q, t): its entry [i, a, j, b] belongs to P[i, j] Q[a, b]. Then `np.einsum`.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "kronecker_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kronecker_backward(G, P, Q):
    """G (p s, q t), P (p, q), Q (s, t) -> dP (p, q), dQ (s, t)."""
    ### BEGIN SOLUTION
    blocks = G.reshape(P.shape[0], Q.shape[0], P.shape[1], Q.shape[1])  # (p, s, q, t)
    return np.einsum("iajb,ab->ij", blocks, Q), np.einsum("iajb,ij->ab", blocks, P)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-kronecker_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("kronecker_backward", kronecker_backward)
### BEGIN HIDDEN TESTS
check("kronecker_backward", kronecker_backward, seed=1, strict=True)
### END HIDDEN TESTS
