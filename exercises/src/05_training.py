# %% [markdown]
# # Exercises 5. A step of training: moments, clipping, the rate, shards
#
# A gradient is not yet a step. Between the two stand an average, a limit and a schedule: a line or two each.
#
# *5 exercises, about 34 minutes.*

# %%
import numpy as np

from minilora.classroom import checker, example

check = checker(seed=0)  # another seed draws other numbers and sizes
example("corrected_mean")  # what the first check hands to your function

# %% [markdown]
# ## 1. A mean that forgets
#
# *Difficulty 3 of 5, about 6 minutes.* **Why it matters:** both of Adam's moments are such means, and without the correction the first
# steps are far too short or too long.
#
# m starts at zero, and each gradient g moves it a little: m becomes `beta m + (1 - beta) g`. After all the rows of `gradients` have come
# by, return `m / (1 - beta^t)`, where t is how many there were.
#
# <details><summary>Hint</summary>
#
# Put in equal rows: the correction is what makes the mean of equal numbers that number.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "corrected_mean", "locked": false, "schema_version": 3, "solution": true, "task": false}
def corrected_mean(gradients, beta):
    """gradients (t, P), a row for each step; beta: how much is kept -> (P,)."""
    ### BEGIN SOLUTION
    m = np.zeros(gradients.shape[1])  # (P,)
    for g in gradients:
        m = beta * m + (1 - beta) * g
    return m / (1 - beta ** len(gradients))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-corrected_mean", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("corrected_mean", corrected_mean)
### BEGIN HIDDEN TESTS
check("corrected_mean", corrected_mean, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. One step of AdamW
#
# *Difficulty 4 of 5, about 10 minutes.* **Why it matters:** it is the optimiser behind most fine-tuning runs, and "decoupled" is one line's
# place.
#
# Update the moments, m with g and beta1, v with g^2 and beta2. Correct both by `1 - beta^t`, as before. Then p shrinks by the factor `1 -
# rate decay`, and loses `rate m' / (sqrt(v') + epsilon)`. Return the new p, m, v as new arrays.
#
# <details><summary>Hint</summary>
#
# The decay never enters the moments: that is what AdamW's W stands for. epsilon stands outside of the root.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "adamw_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def adamw_step(p, g, m, v, t, rate, decay, beta1, beta2, epsilon):
    """p, g, m, v (P,); t: the number of this step, from 1 -> new p, m, v (P,) each."""
    ### BEGIN SOLUTION
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    step = (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon)  # (P,)
    return p * (1 - rate * decay) - rate * step, m, v
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-adamw_step", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("adamw_step", adamw_step)
### BEGIN HIDDEN TESTS
check("adamw_step", adamw_step, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Clip a gradient
#
# *Difficulty 2 of 5, about 5 minutes.* **Why it matters:** one strange batch can throw a run off; a limit on the length of a step keeps its
# direction and takes away its force.
#
# Each row of g is the gradient of one step. By which factor is it multiplied, so that none is longer (Euclidean norm) than the limit?
#
# <details><summary>Hint</summary>
#
# A row that is short enough has the factor 1. `np.minimum` works entry by entry.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "clip_factors", "locked": false, "schema_version": 3, "solution": true, "task": false}
def clip_factors(g, limit):
    """g (steps, P), limit: a number -> the factors (steps,)."""
    ### BEGIN SOLUTION
    return np.minimum(1, limit / np.linalg.norm(g, axis=1))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-clip_factors", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("clip_factors", clip_factors)
### BEGIN HIDDEN TESTS
check("clip_factors", clip_factors, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Warm up, then half a cosine
#
# *Difficulty 3 of 5, about 8 minutes.* **Why it matters:** the learning rate is the dial to set first, and this curve is a usual way to
# turn it.
#
# Return the share of the learning rate for the steps 0 to steps - 1. While step < warmup it is `(step + 1) / warmup`. After that it falls
# from 1 along half a cosine towards the floor: with `q = (step - warmup) / (steps - warmup)` it is `floor + (1 - floor) (1 + cos(pi q)) /
# 2`.
#
# <details><summary>Hint</summary>
#
# `np.where` chooses between two arrays, entry by entry.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "learning_rates", "locked": false, "schema_version": 3, "solution": true, "task": false}
def learning_rates(steps, warmup, floor):
    """steps, warmup: whole numbers; floor: a share -> shares (steps,)."""
    ### BEGIN SOLUTION
    step = np.arange(steps)  # (steps,)
    fall = floor + (1 - floor) * (1 + np.cos(np.pi * (step - warmup) / (steps - warmup))) / 2  # (steps,)
    return np.where(step < warmup, (step + 1) / warmup, fall)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-learning_rates", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("learning_rates", learning_rates)
### BEGIN HIDDEN TESTS
check("learning_rates", learning_rates, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. One batch on several workers
#
# *Difficulty 3 of 5, about 5 minutes.* **Why it matters:** with two workers, or with gradient accumulation, the same batch must give the
# same gradient. Averages of averages do not.
#
# A batch is cut into shards. Row i of g is the gradient of the mean loss over the counts[i] tokens of shard i. Return the gradient of the
# mean loss over all tokens.
#
# <details><summary>Hint</summary>
#
# A mean times its count is a sum, and sums add up.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "combine_shards", "locked": false, "schema_version": 3, "solution": true, "task": false}
def combine_shards(g, counts):
    """g (shards, P), counts (shards,) whole numbers -> (P,)."""
    ### BEGIN SOLUTION
    return counts @ g / counts.sum()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-combine_shards", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("combine_shards", combine_shards)
### BEGIN HIDDEN TESTS
check("combine_shards", combine_shards, seed=1, strict=True)
### END HIDDEN TESTS
