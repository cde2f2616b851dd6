# %% [markdown]
# # Exercises 8. Many adapters on one base, and other people's files
#
# An adapter is a few arrays beside a base. So they can be mixed in one batch, joined, made smaller, and read from the files that PEFT
# writes.
#
# *6 exercises, about 36 minutes.*

# %%
import numpy as np

from minilora.classroom import checker, example

check = checker(seed=0)  # another seed draws other numbers and sizes
example("mixed_forward")  # what the first check hands to your function

# %% [markdown]
# ## 1. Every row its own adapter
#
# *Difficulty 3 of 5, about 8 minutes.* **Why it matters:** this is how one server answers for a hundred fine-tuned models with one base in
# memory.
#
# Row i of x uses the pair of number which[i], with scale s[which[i]]; where which[i] is -1 it uses the base alone. Take x W once for all.
#
# <details><summary>Hint</summary>
#
# A loop over the rows is fine. Mind the -1: A[-1] is the last pair, without an error.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "mixed_forward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mixed_forward(x, W, A, B, s, which):
    """x (N, d), W (d, k), A (n, d, r), B (n, r, k), s (n,), which (N,) whole numbers -> y (N, k)."""
    ### BEGIN SOLUTION
    y = x @ W  # (N, k)
    for i, j in enumerate(which):
        if j >= 0:
            y[i] += s[j] * (x[i] @ A[j]) @ B[j]
    return y
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-mixed_forward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("mixed_forward", mixed_forward)
### BEGIN HIDDEN TESTS
check("mixed_forward", mixed_forward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Two adapters in one
#
# *Difficulty 3 of 5, about 6 minutes.* **Why it matters:** it is the exact way to add adapters; the rank is the sum of the ranks.
#
# Return one pair A, B with `A B = s1 A1 B1 + s2 A2 B2`, of rank r1 + r2.
#
# <details><summary>Hint</summary>
#
# `np.concatenate` along one axis for A and along the other for B. Where do the scales go? Into one of the two, once.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "join_pairs", "locked": false, "schema_version": 3, "solution": true, "task": false}
def join_pairs(A1, B1, s1, A2, B2, s2):
    """A1, A2 (d, r), B1, B2 (r, k), s1, s2: numbers -> A (d, 2 r), B (2 r, k)."""
    ### BEGIN SOLUTION
    return np.concatenate([A1, A2], axis=1), np.concatenate([s1 * B1, s2 * B2])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-join_pairs", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("join_pairs", join_pairs)
### BEGIN HIDDEN TESTS
check("join_pairs", join_pairs, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. What goes wrong if factors are added
#
# *Difficulty 2 of 5, about 5 minutes.* **Why it matters:** to average two adapters file by file, array by array, looks like adding them and
# is not.
#
# `(A1 + A2) (B1 + B2)` is not `A1 B1 + A2 B2`. Return what it has too much.
#
# <details><summary>Hint</summary>
#
# Multiply out.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "cross_terms", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cross_terms(A1, B1, A2, B2):
    """A1, A2 (d, r), B1, B2 (r, k) -> (A1 + A2) (B1 + B2) - (A1 B1 + A2 B2), (d, k)."""
    ### BEGIN SOLUTION
    return A1 @ B2 + A2 @ B1
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-cross_terms", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("cross_terms", cross_terms)
### BEGIN HIDDEN TESTS
check("cross_terms", cross_terms, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Make an adapter smaller
#
# *Difficulty 4 of 5, about 8 minutes.* **Why it matters:** joining adapters makes the rank grow, and this is the best way back to a smaller
# one.
#
# Return a pair of rank r whose product is nearest to A B.
#
# <details><summary>Hint</summary>
#
# The SVD of A B, cut off after r. Put the singular values into either factor. (For large matrices one would take the SVD of two small ones;
# here the product is small.)
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "compress", "locked": false, "schema_version": 3, "solution": true, "task": false}
def compress(A, B, r):
    """A (d, R), B (R, k), r below R -> A (d, r), B (r, k)."""
    ### BEGIN SOLUTION
    U, sigma, Vt = np.linalg.svd(A @ B, full_matrices=False)
    return U[:, :r] * sigma[:r], Vt[:r]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-compress", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("compress", compress)
### BEGIN HIDDEN TESTS
check("compress", compress, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Read a file of PEFT's
#
# *Difficulty 3 of 5, about 6 minutes.* **Why it matters:** thousands of adapters are on the web in this form, and a wrong transpose is
# silent wherever the sides are equal.
#
# PEFT keeps lora_A (r, d) and lora_B (k, r): its vectors are columns, ours are rows. Return our update s A B (d, k). The file's settings
# hold alpha.
#
# <details><summary>Hint</summary>
#
# lora_A.T is our A. The rank is the number of rows of lora_A.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "update_from_peft", "locked": false, "schema_version": 3, "solution": true, "task": false}
def update_from_peft(lora_A, lora_B, alpha):
    """lora_A (r, d), lora_B (k, r), alpha -> the update (d, k)."""
    ### BEGIN SOLUTION
    return alpha / len(lora_A) * (lora_A.T @ lora_B.T)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-update_from_peft", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("update_from_peft", update_from_peft)
### BEGIN HIDDEN TESTS
check("update_from_peft", update_from_peft, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 6. What the tensors are called
#
# *Difficulty 1 of 5, about 3 minutes.* **Why it matters:** one letter wrong and a loader that is not strict passes over the tensor: the
# adapter does nothing, without a word.
#
# The tensors of the module `model.layers.0.self_attn.q_proj` are called `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`,
# and the same with `lora_B`. Return both names for any module.
#
# <details><summary>Hint</summary>
#
# The prefix is `base_model.model.`, with the dot, before the whole name of the module.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "peft_names", "locked": false, "schema_version": 3, "solution": true, "task": false}
def peft_names(module):
    """module: its name in the model -> the names of its A and its B in PEFT's file."""
    ### BEGIN SOLUTION
    return tuple(f"base_model.model.{module}.lora_{part}.weight" for part in "AB")
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-peft_names", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("peft_names", peft_names)
### BEGIN HIDDEN TESTS
check("peft_names", peft_names, seed=1, strict=True)
### END HIDDEN TESTS
