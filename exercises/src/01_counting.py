# %% [markdown]
# # Exercises 1. Counting: numbers, operations, bytes
#
# A low-rank pair is a bargain, and a bargain can be counted. Six short functions, each of one or two lines; together they say what LoRA
# saves, and when it saves nothing.
#
# **How to work.** Write the lines that are missing, run the cell, run the check below it. A check says what came, what was wanted and one
# thing to look at; it uses numbers of its own, and you may ask as often as you like. `example("lora_params")` shows what it hands to your
# function. The notation is that of [NOTATION.md](../NOTATION.md): W (d, k) is frozen, A (d, r) reads, B (r, k) writes.
#
# *6 exercises, about 23 minutes.*

# %%
import numpy as np

from minilora.classroom import checker, example

check = checker(seed=0)  # another seed draws other numbers and sizes
example("lora_params")  # what the first check hands to your function

# %% [markdown]
# ## 1. Numbers in a pair
#
# *Difficulty 1 of 5, about 2 minutes.* **Why it matters:** this one product is the reason why an adapter is megabytes and the model
# gigabytes.
#
# A matrix W has d rows and k columns. In its place train A (d, r) and B (r, k). How many numbers do A and B have together?
#
# <details><summary>Hint</summary>
#
# For d = 5, k = 8, r = 2 draw both rectangles: one has 10 numbers, the other 16.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "lora_params", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lora_params(d, k, r):
    """d, k, r: whole numbers -> how many numbers A (d, r) and B (r, k) hold together."""
    ### BEGIN SOLUTION
    return r * (d + k)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-lora_params", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("lora_params", lora_params)
### BEGIN HIDDEN TESTS
check("lora_params", lora_params, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Alpha is not the scale
#
# *Difficulty 1 of 5, about 2 minutes.* **Why it matters:** a common mistake in LoRA code is to multiply by alpha where alpha / r is meant.
# Nothing stops, and it trains badly.
#
# The update is s A B. LoRA sets s from two dials, alpha and the rank, so that a change of rank asks for less tuning anew. Return s.
#
# <details><summary>Hint</summary>
#
# With alpha = 16 and r = 8 the update is doubled.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "lora_scale", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lora_scale(alpha, r):
    """alpha: a number, r: the rank -> s."""
    ### BEGIN SOLUTION
    return alpha / r
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-lora_scale", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("lora_scale", lora_scale)
### BEGIN HIDDEN TESTS
check("lora_scale", lora_scale, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Where the bargain ends
#
# *Difficulty 2 of 5, about 5 minutes.* **Why it matters:** on a small matrix, a head with two outputs for one, a pair of rank 16 is larger
# than what it replaces.
#
# The pair has r (d + k) numbers and the matrix d k. What is the largest whole rank r at which the pair has no more numbers than the matrix?
#
# <details><summary>Hint</summary>
#
# Solve r (d + k) = d k for r, and think about which way to round. A float forgets digits of large products; `//` does not.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "largest_saving_rank", "locked": false, "schema_version": 3, "solution": true, "task": false}
def largest_saving_rank(d, k):
    """d, k: whole numbers -> the largest whole r with r (d + k) <= d k."""
    ### BEGIN SOLUTION
    return d * k // (d + k)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-largest_saving_rank", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("largest_saving_rank", largest_saving_rank)
### BEGIN HIDDEN TESTS
check("largest_saving_rank", largest_saving_rank, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. A whole model
#
# *Difficulty 2 of 5, about 4 minutes.* **Why it matters:** it is the number in the line `trainable params: ...` that every fine-tuning
# script prints.
#
# A model has many matrices of different shapes, and each target gets a pair of its own, all of rank r. How many numbers train?
#
# <details><summary>Hint</summary>
#
# Go over the shapes and add. `lora_params`, which you have written, may do the work.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "adapter_params", "locked": false, "schema_version": 3, "solution": true, "task": false}
def adapter_params(shapes, r):
    """shapes: a list of (d, k), one for each adapted matrix; r: the rank -> how many numbers train."""
    ### BEGIN SOLUTION
    return sum(r * (d + k) for d, k in shapes)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-adapter_params", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("adapter_params", adapter_params)
### BEGIN HIDDEN TESTS
check("adapter_params", adapter_params, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. The cost of the thin path
#
# *Difficulty 2 of 5, about 5 minutes.* **Why it matters:** `(x A) B` and `x (A B)` are the same numbers at a very different price; which
# bracket comes first decides whether LoRA is cheap.
#
# A product of (a, b) with (b, c) takes a b c multiplications and as many additions: 2 a b c operations. How many does `(x A) B` take, in
# this order, for x (N, d), A (d, r), B (r, k)?
#
# <details><summary>Hint</summary>
#
# Two products. What is the shape of x A?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "pair_flops", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pair_flops(N, d, k, r):
    """N tokens, sizes d and k, rank r: whole numbers -> the operations of (x A) B."""
    ### BEGIN SOLUTION
    return 2 * N * d * r + 2 * N * r * k
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-pair_flops", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("pair_flops", pair_flops)
### BEGIN HIDDEN TESTS
check("pair_flops", pair_flops, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 6. What has to fit into memory
#
# *Difficulty 3 of 5, about 5 minutes.* **Why it matters:** in full fine-tuning the gradient and the two moments take three times the memory
# of the weights that train.
#
# The frozen base is held in bfloat16, 2 bytes a number. The adapter's numbers come on top of it; each is held in float32, 4 bytes, and so
# are its gradient and its two moments in AdamW. How many bytes are that? (Activations are left out.)
#
# <details><summary>Hint</summary>
#
# Make a list of the arrays. For a trainable number there are four of them.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "training_bytes", "locked": false, "schema_version": 3, "solution": true, "task": false}
def training_bytes(base, trainable):
    """base: how many frozen numbers; trainable: how many numbers of the adapter -> bytes."""
    ### BEGIN SOLUTION
    return 2 * base + 4 * 4 * trainable
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-training_bytes", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("training_bytes", training_bytes)
### BEGIN HIDDEN TESTS
check("training_bytes", training_bytes, seed=1, strict=True)
### END HIDDEN TESTS
