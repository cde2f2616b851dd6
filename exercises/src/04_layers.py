# %% [markdown]
# # Exercises 4. The backward passes of a transformer's layers
#
# To reach the pairs in the first layer, a gradient has to come down through all the others. Here are the ones that a Llama is made of, each
# backward pass by itself: linear, SiLU, RMSNorm, softmax, attention, rotation, embedding, loss.
#
# All forward passes are given in the text. The two rules again: a gradient has the shape of what it belongs to, and where a value is used
# more than once, its gradients are added.
#
# *14 exercises, about 82 minutes.*

# %%
import numpy as np

from minilora.classroom import checker, example

check = checker(seed=0)  # another seed draws other numbers and sizes
example("linear_backward")  # what the first check hands to your function

# %% [markdown]
# ## 1. A linear layer that trains
#
# *Difficulty 1 of 5, about 4 minutes.* **Why it matters:** of these two lines LoRA keeps the first and drops the second.
#
# `y = x W`. Return dx and dW.
#
# <details><summary>Hint</summary>
#
# x is (N, d), W is (d, k), dy is (N, k): which transpose makes the shapes fit?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "linear_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def linear_backward(dy, x, W):
    """dy (N, k), x (N, d), W (d, k) -> dx (N, d), dW (d, k)."""
    ### BEGIN SOLUTION
    return dy @ W.T, x.T @ dy
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-linear_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("linear_backward", linear_backward)
### BEGIN HIDDEN TESTS
check("linear_backward", linear_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. A bias, and BitFit
#
# *Difficulty 1 of 5, about 2 minutes.* **Why it matters:** BitFit trains biases and nothing else, and this line is its whole backward pass.
#
# `y = x W + b`, where b (k,) is added to every row. Return db.
#
# <details><summary>Hint</summary>
#
# Every token has felt b.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "bias_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bias_backward(dy):
    """dy (N, k) -> db (k,)."""
    ### BEGIN SOLUTION
    return dy.sum(axis=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-bias_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("bias_backward", bias_backward)
### BEGIN HIDDEN TESTS
check("bias_backward", bias_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. SiLU
#
# *Difficulty 2 of 5, about 6 minutes.* **Why it matters:** every Llama, Qwen and Mistral has it in its MLP.
#
# `y = x sigmoid(x)`, entry by entry. Return dx. (`sigmoid(x) = 1 / (1 + exp(-x))`, and its derivative is `sigmoid (1 - sigmoid)`.)
#
# <details><summary>Hint</summary>
#
# Product rule: `sigmoid + x sigmoid (1 - sigmoid)`. Then the chain rule: times dy.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "silu_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def silu_backward(dy, x):
    """dy, x (N, f) -> dx (N, f)."""
    ### BEGIN SOLUTION
    sigmoid = 1 / (1 + np.exp(-x))  # (N, f)
    return dy * sigmoid * (1 + x * (1 - sigmoid))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-silu_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("silu_backward", silu_backward)
### BEGIN HIDDEN TESTS
check("silu_backward", silu_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. SwiGLU
#
# *Difficulty 3 of 5, about 6 minutes.* **Why it matters:** a gate decides how much of `up` passes; both have to learn.
#
# `h = silu(gate) * up`, entry by entry. Return dgate and dup.
#
# <details><summary>Hint</summary>
#
# dup is dh times the other factor. dgate is dh times up, and then back through silu as in the exercise before.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "swiglu_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def swiglu_backward(dh, gate, up):
    """dh, gate, up (N, f) -> dgate, dup (N, f) each."""
    ### BEGIN SOLUTION
    sigmoid = 1 / (1 + np.exp(-gate))  # (N, f)
    return dh * up * sigmoid * (1 + gate * (1 - sigmoid)), dh * gate * sigmoid
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-swiglu_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("swiglu_backward", swiglu_backward)
### BEGIN HIDDEN TESTS
check("swiglu_backward", swiglu_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. RMSNorm
#
# *Difficulty 4 of 5, about 12 minutes.* **Why it matters:** it stands before every attention and every MLP, and one of its two terms is
# easily forgotten.
#
# `y = n * gain` with `n = x * rstd` and `rstd = 1 / sqrt(mean(x^2) + eps)`, the mean over the features of a token. Return dx.
#
# <details><summary>Hint</summary>
#
# First `dn = dy * gain`. If rstd were constant, dx would be `dn * rstd`. It is not: rstd falls as x grows, which takes away n times
# `mean(dn * n)`, per token.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "rmsnorm_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rmsnorm_backward(dy, x, gain, eps):
    """dy, x (N, d), gain (d,), eps: a number -> dx (N, d)."""
    ### BEGIN SOLUTION
    rstd = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)  # (N, 1)
    n, dn = x * rstd, dy * gain  # (N, d) each
    return rstd * (dn - n * np.mean(dn * n, axis=-1, keepdims=True))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-rmsnorm_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("rmsnorm_backward", rmsnorm_backward)
### BEGIN HIDDEN TESTS
check("rmsnorm_backward", rmsnorm_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 6. The gain of a norm
#
# *Difficulty 2 of 5, about 4 minutes.* **Why it matters:** training the gains alone is a method of its own, with fewer numbers than a LoRA
# of rank 1 on all layers.
#
# The same layer: `y = n * gain`. Return dgain (d,).
#
# <details><summary>Hint</summary>
#
# One gain serves all tokens.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "rmsnorm_gain_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rmsnorm_gain_backward(dy, x, eps):
    """dy, x (N, d), eps -> dgain (d,)."""
    ### BEGIN SOLUTION
    n = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)  # (N, d)
    return np.sum(dy * n, axis=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-rmsnorm_gain_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("rmsnorm_gain_backward", rmsnorm_gain_backward)
### BEGIN HIDDEN TESTS
check("rmsnorm_gain_backward", rmsnorm_gain_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 7. A softmax that does not overflow
#
# *Difficulty 2 of 5, about 5 minutes.* **Why it matters:** exp(1000) is infinite in floats, and infinite divided by infinite is not a
# number; one such entry ruins a training run.
#
# `p = exp(s) / sum(exp(s))` for each row. Scores of 1000 and of -1000 must come out right.
#
# <details><summary>Hint</summary>
#
# The same number may be subtracted from all scores of a row. Which one makes the largest exponential 1?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "softmax", "locked": false, "schema_version": 3, "solution": true, "task": false}
def softmax(s):
    """s (N, V) -> p (N, V); each row sums to one."""
    ### BEGIN SOLUTION
    e = np.exp(s - s.max(axis=-1, keepdims=True))  # (N, V)
    return e / e.sum(axis=-1, keepdims=True)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-softmax", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("softmax", softmax)
### BEGIN HIDDEN TESTS
check("softmax", softmax, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 8. Back through the softmax
#
# *Difficulty 3 of 5, about 8 minutes.* **Why it matters:** this is the heart of attention's backward pass.
#
# `p = softmax(s)`, row by row. Given dp and p, return ds.
#
# <details><summary>Hint</summary>
#
# The derivative of p_i by s_j is `p_i ((i = j) - p_j)`. Summed up: p times (dp less the mean of dp under p).
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "softmax_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def softmax_backward(dp, p):
    """dp, p (N, V) -> ds (N, V)."""
    ### BEGIN SOLUTION
    return p * (dp - np.sum(dp * p, axis=-1, keepdims=True))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-softmax_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("softmax_backward", softmax_backward)
### BEGIN HIDDEN TESTS
check("softmax_backward", softmax_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 9. Where every gradient begins
#
# *Difficulty 3 of 5, about 8 minutes.* **Why it matters:** the loss has no dy above it: this is the first gradient of all.
#
# The loss is the mean over N tokens of `-log softmax(logits)[target]`. Return dlogits.
#
# <details><summary>Hint</summary>
#
# For one token: what the model says, softmax(logits), less what is true, a one at the target. Then the mean.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "cross_entropy_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cross_entropy_backward(logits, targets):
    """logits (N, V), targets (N,) whole numbers -> dlogits (N, V)."""
    ### BEGIN SOLUTION
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))  # (N, V)
    dlogits = e / e.sum(axis=-1, keepdims=True)  # (N, V)
    dlogits[np.arange(len(targets)), targets] -= 1
    return dlogits / len(targets)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-cross_entropy_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("cross_entropy_backward", cross_entropy_backward)
### BEGIN HIDDEN TESTS
check("cross_entropy_backward", cross_entropy_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 10. A lookup backwards
#
# *Difficulty 2 of 5, about 5 minutes.* **Why it matters:** words that occur twice in a sentence must learn from both places. NumPy's
# shortest line forgets one of them.
#
# `x = E[tokens]`. Return dE (V, d); V is given.
#
# <details><summary>Hint</summary>
#
# Begin with zeros and add row after row, in a loop or with `np.add.at`.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "embedding_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def embedding_backward(dx, tokens, V):
    """dx (N, d), tokens (N,) whole numbers, V: the size of the vocabulary -> dE (V, d)."""
    ### BEGIN SOLUTION
    dE = np.zeros((V, dx.shape[1]))  # (V, d)
    np.add.at(dE, tokens, dx)
    return dE
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-embedding_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("embedding_backward", embedding_backward)
### BEGIN HIDDEN TESTS
check("embedding_backward", embedding_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 11. A rotation backwards
#
# *Difficulty 3 of 5, about 6 minutes.* **Why it matters:** positions enter a Llama as rotations of q and k; there are two ways to pair the
# features, and mixing them up is a classic.
#
# The first half of a token's features (a) and the second half (b) are rotated together: `y = [a cos - b sin, b cos + a sin]`, with cos and
# sin (T, c/2). Return dx (T, c).
#
# <details><summary>Hint</summary>
#
# The same lines with -sin. Cut dy into halves, not into neighbours.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "rope_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rope_backward(dy, cos, sin):
    """dy (T, c), cos and sin (T, c / 2) -> dx (T, c)."""
    ### BEGIN SOLUTION
    first, second = np.split(dy, 2, axis=-1)  # (T, c/2) each
    return np.concatenate([first * cos + second * sin, second * cos - first * sin], axis=-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-rope_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("rope_backward", rope_backward)
### BEGIN HIDDEN TESTS
check("rope_backward", rope_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 12. Attention: through the values
#
# *Difficulty 2 of 5, about 4 minutes.* **Why it matters:** half of attention's backward pass is an old friend.
#
# `o = p v`, with the attention weights p (T, S) and the values v (S, c). Return dp and dv.
#
# <details><summary>Hint</summary>
#
# It is a linear layer: p is the input, v the weight.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "attention_values_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention_values_backward(do, p, v):
    """do (T, c), p (T, S), v (S, c) -> dp (T, S), dv (S, c)."""
    ### BEGIN SOLUTION
    return do @ v.T, p.T @ do
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-attention_values_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("attention_values_backward", attention_values_backward)
### BEGIN HIDDEN TESTS
check("attention_values_backward", attention_values_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 13. Attention: through the scores
#
# *Difficulty 3 of 5, about 6 minutes.* **Why it matters:** with this, `softmax_backward` and the exercise before, you have written the
# backward pass of attention.
#
# `s = q k.T / sqrt(c)`, with q (T, c) and k (S, c). Given ds (T, S), return dq and dk.
#
# <details><summary>Hint</summary>
#
# Two products, and the root in both. c is the number of columns of q.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "attention_scores_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention_scores_backward(ds, q, k):
    """ds (T, S), q (T, c), k (S, c) -> dq (T, c), dk (S, c)."""
    ### BEGIN SOLUTION
    ds = ds / np.sqrt(q.shape[1])  # (T, S)
    return ds @ k, ds.T @ q
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-attention_scores_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("attention_scores_backward", attention_scores_backward)
### BEGIN HIDDEN TESTS
check("attention_scores_backward", attention_scores_backward, seed=1, strict=True)
### END HIDDEN TESTS

# %% [markdown]
# ## 14. Grouped queries
#
# *Difficulty 3 of 5, about 6 minutes.* **Why it matters:** in today's models several query heads share one key head, and their gradients
# meet in it.
#
# Each key head k[g] (S, c) is used by H / G neighbouring query heads: heads 0, 1, 2 use the first, 3, 4, 5 the second. dheads (H, S, c)
# holds the gradient that each query head sends back. Return dk (G, S, c).
#
# <details><summary>Hint</summary>
#
# `reshape` to (G, H / G, S, c), then one sum.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "grouped_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def grouped_backward(dheads, groups):
    """dheads (H, S, c), groups: G, a divisor of H -> dk (G, S, c)."""
    ### BEGIN SOLUTION
    return dheads.reshape(groups, -1, *dheads.shape[1:]).sum(axis=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-grouped_backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} tags=["check"]
check("grouped_backward", grouped_backward)
### BEGIN HIDDEN TESTS
check("grouped_backward", grouped_backward, seed=1, strict=True)
### END HIDDEN TESTS
