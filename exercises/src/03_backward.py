# %% [markdown]
# # Exercises 3. LoRA's backward pass, line by line
#
# There is no autograd here: you write it. The forward pass has two lines,
#
#     z = x A                         (N, r)
#     y = x W + s z B                 (N, k)
#
# and a loss hands you dy (N, k), its gradient with respect to y. Each exercise brings one gradient back through one line. The check knows
# no formula: it nudges every number of the input up and down, looks how the loss moves (central differences), and compares.
#
# **Two rules are enough.** A gradient has the shape of what it belongs to; and for y = a b (matrices), `da = dy b.T` and `db = a.T dy`. If
# the shapes fit in one way only, that way is right.
#
# *11 exercises, about 67 minutes.*

# %%
import numpy as np

from minilora.classroom import checker, example

check = checker(seed=0)  # another seed draws other numbers and sizes
example("lora_dz")  # what the first check hands to your function

# %% [markdown]
# ## 1. Back through B
#
# *Difficulty 2 of 5, about 5 minutes.* **Why it matters:** dz is the narrow bridge: all that A and the layers below will learn of the loss
# by the low-rank path passes through these r numbers a token.
#
# `y = x W + s z B`. Given dy (N, k), return dz, the gradient with respect to z (N, r).
#
# <details><summary>Hint</summary>
#
# Of the two terms only s z B has z in it. The rule for a product, and the factor s.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "lora_dz", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lora_dz(dy, B, s):
    """dy (N, k), B (r, k), s -> dz (N, r)."""
    ### BEGIN SOLUTION
    return s * (dy @ B.T)  # (N, r)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-lora_dz", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("lora_dz", lora_dz)
### BEGIN HIDDEN TESTS
check("lora_dz", lora_dz, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. The gradient of B
#
# *Difficulty 2 of 5, about 5 minutes.* **Why it matters:** B starts at zero and A at random, so at the first step dB is the only gradient
# that is not zero.
#
# `y = x W + s z B`. Given dy and `z = x A`, return dB (r, k).
#
# <details><summary>Hint</summary>
#
# The rule for the other factor: what stood to the left comes back transposed. The scale is there once.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "lora_dB", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lora_dB(dy, z, s):
    """dy (N, k), z (N, r), s -> dB (r, k)."""
    ### BEGIN SOLUTION
    return s * (z.T @ dy)  # (r, k)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-lora_dB", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("lora_dB", lora_dB)
### BEGIN HIDDEN TESTS
check("lora_dB", lora_dB, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. The gradient of A
#
# *Difficulty 2 of 5, about 5 minutes.* **Why it matters:** here x is needed again, and that is why a forward pass has to keep its inputs in
# memory.
#
# `z = x A`, and you have dz. Return dA (d, r).
#
# <details><summary>Hint</summary>
#
# No scale in this line: it came with dz.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "lora_dA", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lora_dA(dz, x):
    """dz (N, r), x (N, d) -> dA (d, r)."""
    ### BEGIN SOLUTION
    return x.T @ dz  # (d, r)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-lora_dA", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("lora_dA", lora_dA)
### BEGIN HIDDEN TESTS
check("lora_dA", lora_dA, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Two ways back to x
#
# *Difficulty 3 of 5, about 6 minutes.* **Why it matters:** the layers below learn through dx. Forget one of the two paths and they learn
# something else, without any error message.
#
# x goes into y by x W, and into z by `z = x A`. Given dy and dz, return dx (N, d).
#
# <details><summary>Hint</summary>
#
# Where a value is used twice, its gradients are added.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "lora_dx", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lora_dx(dy, dz, W, A):
    """dy (N, k), dz (N, r), W (d, k), A (d, r) -> dx (N, d)."""
    ### BEGIN SOLUTION
    return dy @ W.T + dz @ A.T  # (N, d)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-lora_dx", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("lora_dx", lora_dx)
### BEGIN HIDDEN TESTS
check("lora_dx", lora_dx, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. All of it
#
# *Difficulty 3 of 5, about 8 minutes.* **Why it matters:** these four lines are the whole of LoRA's backward pass. There is no dW among
# them: W is frozen, and that third of the work is saved.
#
# From dy and what the forward pass was given, return dx, dA and dB, in this order.
#
# <details><summary>Hint</summary>
#
# First z and dz. Then one line for each gradient; you have written them all above.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "lora_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lora_backward(dy, x, W, A, B, s):
    """dy (N, k), x (N, d), W (d, k), A (d, r), B (r, k), s -> dx (N, d), dA (d, r), dB (r, k)."""
    ### BEGIN SOLUTION
    z = x @ A  # (N, r)
    dz = s * (dy @ B.T)  # (N, r)
    return dy @ W.T + dz @ A.T, x.T @ dz, s * (z.T @ dy)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-lora_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("lora_backward", lora_backward)
### BEGIN HIDDEN TESTS
check("lora_backward", lora_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 6. From the full gradient to the pair's
#
# *Difficulty 3 of 5, about 6 minutes.* **Why it matters:** it shows what LoRA sees of the gradient that full fine-tuning would use: its
# shadow on B's rows and on A's columns.
#
# Merge first: `W' = W + s A B`, and suppose that G (d, k), the gradient with respect to W', is known. Return dA and dB.
#
# <details><summary>Hint</summary>
#
# s A B is a product of two matrices, with G in the place of dy.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "pair_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pair_gradient(G, A, B, s):
    """G (d, k), A (d, r), B (r, k), s -> dA (d, r), dB (r, k)."""
    ### BEGIN SOLUTION
    return s * (G @ B.T), s * (A.T @ G)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-pair_gradient", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("pair_gradient", pair_gradient)
### BEGIN HIDDEN TESTS
check("pair_gradient", pair_gradient, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 7. The gradient of a single number
#
# *Difficulty 2 of 5, about 4 minutes.* **Why it matters:** methods that learn a strength for each layer need it, and it is the same thought
# as for a bias or a gain.
#
# `y = x W + s z B`. Suppose that s could be trained: return ds, one number.
#
# <details><summary>Hint</summary>
#
# s multiplies every entry of z B, so every entry answers: a sum over all tokens and all outputs.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "scale_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
def scale_gradient(dy, z, B):
    """dy (N, k), z (N, r), B (r, k) -> ds, a number."""
    ### BEGIN SOLUTION
    return np.sum(dy * (z @ B))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-scale_gradient", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("scale_gradient", scale_gradient)
### BEGIN HIDDEN TESTS
check("scale_gradient", scale_gradient, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 8. With dropout on the low-rank path
#
# *Difficulty 4 of 5, about 8 minutes.* **Why it matters:** the mask must be the same one in both passes, and on the same path: drop parts
# of the frozen path and the base is damaged.
#
# Now `z = (x * mask) A`, where mask (N, d) holds 0 or 1 / (1 - p); the frozen path sees all of x. Return dx, dA, dB.
#
# <details><summary>Hint</summary>
#
# Call the masked input xm. It takes x's place in z and in dA. On the way back to x the low-rank part is multiplied by the mask once more.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "dropout_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dropout_backward(dy, x, mask, W, A, B, s):
    """dy (N, k), x and mask (N, d), W (d, k), A (d, r), B (r, k), s -> dx (N, d), dA (d, r), dB (r, k)."""
    ### BEGIN SOLUTION
    xm = x * mask  # (N, d)
    dz = s * (dy @ B.T)  # (N, r)
    return dy @ W.T + (dz @ A.T) * mask, xm.T @ dz, s * ((xm @ A).T @ dy)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-dropout_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("dropout_backward", dropout_backward)
### BEGIN HIDDEN TESTS
check("dropout_backward", dropout_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 9. Add into what is there
#
# *Difficulty 2 of 5, about 4 minutes.* **Why it matters:** q, k and v read the same x, so three gradients meet in one array. To add in
# place saves an array and a pass through memory.
#
# dx already holds what other layers have sent back. Add the part of `y = x W` to it, in place; return nothing.
#
# <details><summary>Hint</summary>
#
# `dx = dx + ...` makes a new array under the old name, and the caller never sees it.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "accumulate_dx", "locked": false, "schema_version": 3, "solution": true, "task": false}
def accumulate_dx(dx, dy, W):
    """dx (N, d), which is changed; dy (N, k), W (d, k)."""
    ### BEGIN SOLUTION
    dx += dy @ W.T
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-accumulate_dx", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("accumulate_dx", accumulate_dx)
### BEGIN HIDDEN TESTS
check("accumulate_dx", accumulate_dx, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 10. A pair on the embedding
#
# *Difficulty 4 of 5, about 8 minutes.* **Why it matters:** it is how a model learns new letters or words. The lookup is a product with
# one-hot rows that nobody writes out.
#
# `x = E[tokens] + s A[tokens] B`, with A (V, r) and B (r, d): a row of A for each token of the vocabulary. Given dx (N, d), return dA and
# dB.
#
# <details><summary>Hint</summary>
#
# With `z = A[tokens]` (N, r) this is the old backward pass. On the last way, from dz to dA, row i of dz goes to row tokens[i] of dA, and
# rows of the same token are added: `np.add.at`.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "embedding_pair_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def embedding_pair_backward(dx, tokens, A, B, s):
    """dx (N, d), tokens (N,) whole numbers, A (V, r), B (r, d), s -> dA (V, r), dB (r, d)."""
    ### BEGIN SOLUTION
    dA = np.zeros_like(A)  # (V, r)
    np.add.at(dA, tokens, s * (dx @ B.T))
    return dA, s * (A[tokens].T @ dx)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-embedding_pair_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("embedding_pair_backward", embedding_pair_backward)
### BEGIN HIDDEN TESTS
check("embedding_pair_backward", embedding_pair_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 11. Be the judge yourself
#
# *Difficulty 3 of 5, about 8 minutes.* **Why it matters:** with this function you never have to believe a gradient again, your own or
# anybody's.
#
# f takes an array and returns a number. For each entry of x: the difference of f with that entry h higher and h lower, divided by the
# distance between the two. Return an array of x's shape; x itself is left as it was.
#
# <details><summary>Hint</summary>
#
# Loop over `np.ndindex(x.shape)`; an array that is h at one entry and zero elsewhere can be added and subtracted. The distance between x +
# h and x - h is not h.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "central_difference", "locked": false, "schema_version": 3, "solution": true, "task": false}
def central_difference(f, x, h):
    """f: a function of an array, x (any shape), h: the step -> the numeric gradient, of x's shape."""
    ### BEGIN SOLUTION
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = h
        gradient[index] = (f(x + step) - f(x - step)) / (2 * h)
    return gradient
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-central_difference", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("central_difference", central_difference)
### BEGIN HIDDEN TESTS
check("central_difference", central_difference, seed=1, strict=True)
### END HIDDEN TESTS
