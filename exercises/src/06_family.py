# %% [markdown]
# # Exercises 6. The family and the rivals
#
# Most methods that came after LoRA change one line of it, and each rival puts its few numbers somewhere else. Here is that one line of
# each, mostly backwards.
#
# *9 exercises, about 61 minutes.*

# %%
import numpy as np

from minilora.classroom import checker, example

check = checker(seed=0)  # another seed draws other numbers and sizes
example("rslora_scale")  # what the first check hands to your function

# %% [markdown]
# ## 1. rsLoRA
#
# *Difficulty 1 of 5, about 2 minutes.* **Why it matters:** with alpha / r the update shrinks as the rank grows, and high ranks, its author
# says, learn more slowly than they could.
#
# rsLoRA divides alpha by something that grows more slowly: the square root of the rank. Return its scale.
#
# <details><summary>Hint</summary>
#
# For alpha = 16 and r = 16 LoRA has 1 and rsLoRA 4.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "rslora_scale", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rslora_scale(alpha, r):
    """alpha: a number, r: the rank -> s."""
    ### BEGIN SOLUTION
    return alpha / np.sqrt(r)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-rslora_scale", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("rslora_scale", rslora_scale)
### BEGIN HIDDEN TESTS
check("rslora_scale", rslora_scale, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. DoRA: the lengths
#
# *Difficulty 2 of 5, about 5 minutes.* **Why it matters:** DoRA keeps the direction of each column of the weight apart from its length, and
# needs the lengths for it.
#
# Return the Euclidean length of every column of W + s A B; column j is what makes output j.
#
# <details><summary>Hint</summary>
#
# `np.linalg.norm` has an `axis`. The result has as many numbers as there are outputs.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "column_norms", "locked": false, "schema_version": 3, "solution": true, "task": false}
def column_norms(W, A, B, s):
    """W (d, k), A (d, r), B (r, k), s -> c (k,)."""
    ### BEGIN SOLUTION
    return np.linalg.norm(W + s * (A @ B), axis=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-column_norms", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("column_norms", column_norms)
### BEGIN HIDDEN TESTS
check("column_norms", column_norms, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. DoRA: the magnitudes
#
# *Difficulty 3 of 5, about 8 minutes.* **Why it matters:** DoRA's authors hold the lengths c constant in the backward pass to save memory;
# what remains is this.
#
# `y = (m / c) u`, where u (N, k) is what LoRA would give, m (k,) the trained magnitudes and c (k,) the lengths, held constant. Return dm
# and du.
#
# <details><summary>Hint</summary>
#
# m and c serve all tokens: dm is a sum over them.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "dora_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dora_backward(dy, u, m, c):
    """dy, u (N, k), m, c (k,) -> dm (k,), du (N, k)."""
    ### BEGIN SOLUTION
    return np.sum(dy * u, axis=0) / c, m / c * dy
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-dora_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("dora_backward", dora_backward)
### BEGIN HIDDEN TESTS
check("dora_backward", dora_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. (IA)3
#
# *Difficulty 2 of 5, about 5 minutes.* **Why it matters:** one number a feature, and the whole method is a multiplication.
#
# `y = u l`, where l (k,), here `stretch`, multiplies the columns of `u = x W`. Return du and the gradient of the stretch.
#
# <details><summary>Hint</summary>
#
# Two factors, and each receives dy times the other; one of them is shared by all tokens.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ia3_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ia3_backward(dy, u, stretch):
    """dy, u (N, k), stretch (k,) -> du (N, k), dstretch (k,)."""
    ### BEGIN SOLUTION
    return dy * stretch, np.sum(dy * u, axis=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-ia3_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("ia3_backward", ia3_backward)
### BEGIN HIDDEN TESTS
check("ia3_backward", ia3_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. VeRA
#
# *Difficulty 4 of 5, about 10 minutes.* **Why it matters:** the pair is random, frozen, and shared by all layers; only two vectors a layer
# learn.
#
# The low-rank path is `y = ((u a) B) b` with `u = x A` (N, r), where a (r,) and b (k,) multiply columns. Return da and db.
#
# <details><summary>Hint</summary>
#
# Name what stands in the middle: `v = u a` (N, r) and `w = v B` (N, k), so `y = w b`. Then go back one line at a time.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "vera_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def vera_backward(dy, u, B, a, b):
    """dy (N, k), u (N, r), B (r, k), a (r,), b (k,) -> da (r,), db (k,)."""
    ### BEGIN SOLUTION
    db = np.sum(dy * ((u * a) @ B), axis=0)  # (k,)
    dv = (dy * b) @ B.T  # (N, r)
    return np.sum(dv * u, axis=0), db
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-vera_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("vera_backward", vera_backward)
### BEGIN HIDDEN TESTS
check("vera_backward", vera_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 6. LoRA-FA
#
# *Difficulty 2 of 5, about 5 minutes.* **Why it matters:** with A frozen nobody needs x after the forward pass, and activations are where
# the memory goes.
#
# LoRA's layer with A frozen. From dy and `z = x A`, without x, return dx and dB.
#
# <details><summary>Hint</summary>
#
# What you wrote for `lora_backward`, without dA.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "lora_fa_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lora_fa_backward(dy, z, W, A, B, s):
    """dy (N, k), z (N, r), W (d, k), A (d, r), B (r, k), s -> dx (N, d), dB (r, k)."""
    ### BEGIN SOLUTION
    dz = s * (dy @ B.T)  # (N, r)
    return dy @ W.T + dz @ A.T, s * (z.T @ dy)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-lora_fa_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("lora_fa_backward", lora_fa_backward)
### BEGIN HIDDEN TESTS
check("lora_fa_backward", lora_fa_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 7. PiSSA
#
# *Difficulty 4 of 5, about 10 minutes.* **Why it matters:** LoRA starts from nothing; PiSSA starts from the strongest directions of the
# weight and trains those.
#
# Return A and B such that s A B is the best approximation of W of rank r. Each singular value is shared equally between the two: its square
# root goes to A and its square root to B, the largest first. (Signs of singular vectors may come out either way.)
#
# <details><summary>Hint</summary>
#
# `np.linalg.svd(W, full_matrices=False)` gives U, sigma, Vt. Divide sigma by s before you take the root.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "pissa_init", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pissa_init(W, r, s):
    """W (d, k), r, s -> A (d, r), B (r, k)."""
    ### BEGIN SOLUTION
    U, sigma, Vt = np.linalg.svd(W, full_matrices=False)
    root = np.sqrt(sigma[:r] / s)  # (r,)
    return U[:, :r] * root, root[:, None] * Vt[:r]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-pissa_init", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("pissa_init", pissa_init)
### BEGIN HIDDEN TESTS
check("pissa_init", pissa_init, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 8. Prefix tuning
#
# *Difficulty 3 of 5, about 6 minutes.* **Why it matters:** a prefix is learned keys and values that every text sees before its own; no
# weight changes at all.
#
# `keys = [K; k]`: the learned K (p, c) stands before the text's own k in each row of the batch. Given dkeys (batch, p + T, c), return dK
# (p, c) and dk (batch, T, c).
#
# <details><summary>Hint</summary>
#
# Cut along the positions. K is the same for all rows of the batch.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "prefix_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def prefix_backward(dkeys, p):
    """dkeys (batch, p + T, c), p: the length of the prefix -> dK (p, c), dk (batch, T, c)."""
    ### BEGIN SOLUTION
    return dkeys[:, :p].sum(axis=0), dkeys[:, p:]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-prefix_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("prefix_backward", prefix_backward)
### BEGIN HIDDEN TESTS
check("prefix_backward", prefix_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 9. The bottleneck adapter
#
# *Difficulty 4 of 5, about 10 minutes.* **Why it matters:** the oldest of them, of 2019. The relu between its matrices is why it cannot be
# merged.
#
# `o = h + relu(z) U` with `z = h D`, D (d, m), U (m, d). Return dh, dD and dU.
#
# <details><summary>Hint</summary>
#
# Backwards: dU and the gradient of relu(z); then dz, which is that where z > 0 and zero elsewhere; then dD and dh. h reaches o directly as
# well.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "bottleneck_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bottleneck_backward(do, h, D, U):
    """do, h (N, d), D (d, m), U (m, d) -> dh (N, d), dD (d, m), dU (m, d)."""
    ### BEGIN SOLUTION
    z = h @ D  # (N, m)
    dz = (do @ U.T) * (z > 0)  # (N, m)
    return do + dz @ D.T, h.T @ dz, np.maximum(z, 0).T @ do
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-bottleneck_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("bottleneck_backward", bottleneck_backward)
### BEGIN HIDDEN TESTS
check("bottleneck_backward", bottleneck_backward, seed=1, strict=True)
### END HIDDEN TESTS
