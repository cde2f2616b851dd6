# %% [markdown]
# # Exercises 2. The low-rank pair: product and merge
#
# `W' = W + s A B`, in five short functions: what a product of thin matrices is made of, the forward pass, the merge, and the way a pair
# starts so that the model begins as the base.
#
# Rows are tokens, `y = x W`. W (d, k), A (d, r), B (r, k), s = alpha / r.
#
# *5 exercises, about 24 minutes.*

# %%
import numpy as np

from minilora.classroom import checker, example

check = checker(seed=0)  # another seed draws other numbers and sizes
example("rank_one_term")  # what the first check hands to your function

# %% [markdown]
# ## 1. A product is a sum of layers
#
# *Difficulty 2 of 5, about 5 minutes.* **Why it matters:** "rank r" means: a sum of r such layers and no more. It is the picture to have in
# mind for everything that follows.
#
# A B is the sum of r matrices (d, k), each of which is one column of A times one row of B. Return the layer number i, counted from 0.
#
# <details><summary>Hint</summary>
#
# Entry (row, column) of the layer is A[row, i] B[i, column]. NumPy has a function for the outer product of two vectors, or turn a column
# into (d, 1) and a row into (1, k).
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "rank_one_term", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rank_one_term(A, B, i):
    """A (d, r), B (r, k), i: which of the r layers -> (d, k)."""
    ### BEGIN SOLUTION
    return np.outer(A[:, i], B[i])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-rank_one_term", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("rank_one_term", rank_one_term)
### BEGIN HIDDEN TESTS
check("rank_one_term", rank_one_term, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. The update itself
#
# *Difficulty 2 of 5, about 4 minutes.* **Why it matters:** this matrix is what fine-tuning has learned, all of it.
#
# Given A, B and alpha, return the update s A B. The rank is not given: read it off.
#
# <details><summary>Hint</summary>
#
# r is the size that A and B share.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "delta", "locked": false, "schema_version": 3, "solution": true, "task": false}
def delta(A, B, alpha):
    """A (d, r), B (r, k), alpha: a number -> the update (d, k)."""
    ### BEGIN SOLUTION
    return alpha / A.shape[1] * (A @ B)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-delta", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("delta", delta)
### BEGIN HIDDEN TESTS
check("delta", delta, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. The forward pass
#
# *Difficulty 2 of 5, about 5 minutes.* **Why it matters:** this line runs in every adapted layer of every LoRA.
#
# Return `y = x W + s (x A) B`. Take the products in the order that the brackets ask for: A B is never formed.
# (The check sees the result and not the way to it.)
#
# <details><summary>Hint</summary>
#
# `@` works from left to right; where a plain number stands matters little.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "lora_forward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lora_forward(x, W, A, B, s):
    """x (N, d), W (d, k), A (d, r), B (r, k), s: the scale -> y (N, k)."""
    ### BEGIN SOLUTION
    z = x @ A  # (N, r)
    return x @ W + s * (z @ B)  # (N, k)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-lora_forward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("lora_forward", lora_forward)
### BEGIN HIDDEN TESTS
check("lora_forward", lora_forward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Merge the pair into the weight
#
# *Difficulty 2 of 5, about 4 minutes.* **Why it matters:** a merged model costs what the base costs, to the last operation: LoRA adds no
# latency.
#
# Return one matrix W' such that x W' is what the two paths give together. The base must stay as it is: somebody else may be using it.
#
# <details><summary>Hint</summary>
#
# `x W + s x A B`: take x out of the bracket. `W += ...` changes the base.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "merge", "locked": false, "schema_version": 3, "solution": true, "task": false}
def merge(W, A, B, s):
    """W (d, k), A (d, r), B (r, k), s -> W' (d, k), a new array."""
    ### BEGIN SOLUTION
    return W + s * (A @ B)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-merge", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("merge", merge)
### BEGIN HIDDEN TESTS
check("merge", merge, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. How a pair starts
#
# *Difficulty 3 of 5, about 6 minutes.* **Why it matters:** if both start at zero, no gradient ever moves them; if neither does, the model
# does not begin as the base.
#
# From random numbers u (d, r), each between 0 and 1, make A evenly distributed between -1 / sqrt(d), where u is 0, and 1 / sqrt(d), where
# u is 1, and B (r, k) zero. Return both.
#
# <details><summary>Hint</summary>
#
# 2 u - 1 lies between -1 and 1. `len(u)` is d.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "init_pair", "locked": false, "schema_version": 3, "solution": true, "task": false}
def init_pair(u, k):
    """u (d, r) of numbers in 0..1, k: the outputs of the layer -> A (d, r), B (r, k)."""
    ### BEGIN SOLUTION
    d, r = u.shape
    return (2 * u - 1) / np.sqrt(d), np.zeros((r, k))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-init_pair", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("init_pair", init_pair)
### BEGIN HIDDEN TESTS
check("init_pair", init_pair, seed=1, strict=True)
### END HIDDEN TESTS
