"""The layers of a transformer: their backward passes, with the forward passes that these are held against."""

import numpy as np

from minilora.classroom.exercise import exercise, gradient, normal, sizes

EPS = 0.1  # large, so that forgetting it shows


def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def draw_linear(rng):
    N, d, k = sizes(rng, 3)
    return normal(rng, x=(N, d), W=(d, k), b=(k,), dy=(N, k))


def draw_values(rng):
    return normal(rng, **dict.fromkeys(("x", "dy", "gate", "up", "dh"), tuple(sizes(rng, 2))))


def draw_norm(rng):
    N, d = sizes(rng, 2)
    return normal(rng, x=(N, d), gain=(d,), dy=(N, d)) | {"eps": EPS}


def draw_large_scores(rng):
    """Scores around 1000 and around -1000, row by row in turn."""
    s = rng.standard_normal(tuple(sizes(rng, 2)))
    return {"s": s + np.where(np.arange(len(s)) % 2, 1000, -1000)[:, None]}


def draw_softmax(rng):
    shape = tuple(sizes(rng, 2))
    drawn = normal(rng, s=shape, dp=shape)
    return drawn | {"p": softmax(drawn["s"])}


def draw_targets(rng):
    N, V = sizes(rng, 2)
    return normal(rng, logits=(N, V)) | {"targets": rng.integers(0, V, N)}


def draw_tokens(rng):
    V, d, N = 6, *sizes(rng, 2)
    tokens = np.concatenate([[1, 1], rng.integers(0, V - 1, N - 2)])  # (N,)   one occurs twice, the last never
    return normal(rng, E=(V, d), dx=(N, d)) | {"tokens": tokens, "V": V}


def draw_rope(rng):
    T, c = 5, 2 * next(sizes(rng, 1))
    angles = np.outer(np.arange(1, T + 1), rng.random(c // 2))  # (T, c/2)
    return normal(rng, x=(T, c), dy=(T, c)) | {"cos": np.cos(angles), "sin": np.sin(angles)}


def draw_attention(rng):
    T, S, c = sizes(rng, 3)
    drawn = normal(rng, q=(T, c), k=(S, c), v=(S, c), do=(T, c), ds=(T, S))
    return drawn | {"p": softmax(rng.standard_normal((T, S)))}


def draw_groups(rng):
    H, G, (S, c) = 6, 2, sizes(rng, 2)
    return normal(rng, k=(G, S, c), dheads=(H, S, c)) | {"groups": G}


def cross_entropy(logits, targets):
    return float(np.mean(np.log(np.exp(logits).sum(axis=-1)) - logits[np.arange(len(targets)), targets]))


def rmsnorm(x, gain, eps):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * gain


def rope(x, cos, sin):
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


EXERCISES = {
    "linear_backward": gradient(
        "dy x W",
        "dx dW",
        draw_linear,
        lambda x, W, **_: x @ W,
        "y = x W: dx has x's shape and dW has W's, and there is one way only to make each of dy and the other factor",
    ),
    "bias_backward": gradient(
        "dy", "db", draw_linear, lambda x, W, b, **_: x @ W + b, "one bias is added to every token: all of them answer"
    ),
    "silu_backward": gradient(
        "dy x", "dx", draw_values, lambda x, **_: x * sigmoid(x), "x stands twice in x sigmoid(x): the product rule has two terms"
    ),
    "swiglu_backward": gradient(
        "dh gate up",
        "dgate dup",
        draw_values,
        lambda gate, up, **_: gate * sigmoid(gate) * up,
        "a product of silu(gate) and up: each receives dh times the other factor, and gate goes on through silu",
        upstream="dh",
    ),
    "rmsnorm_backward": gradient(
        "dy x gain eps",
        "dx",
        draw_norm,
        lambda x, gain, eps, **_: rmsnorm(x, gain, eps),
        "x stands twice: as itself, and in the root that all features of its token share",
    ),
    "rmsnorm_gain_backward": gradient(
        "dy x eps",
        "dgain",
        draw_norm,
        lambda x, gain, eps, **_: rmsnorm(x, gain, eps),
        "the gain multiplies what is normalised already, and one gain serves all tokens",
    ),
    "softmax": exercise(
        "s",
        "p",
        draw_large_scores,
        softmax,
        "exp(1000) is too large for a float: what may be taken off all scores of a row without changing p?",
    ),
    "softmax_backward": gradient(
        "dp p",
        "ds",
        draw_softmax,
        lambda s, **_: softmax(s),
        "each p depends on every score of its row: raising one score lowers all the others",
        upstream="dp",
    ),
    "cross_entropy_backward": gradient(
        "logits targets",
        "dlogits",
        draw_targets,
        cross_entropy,
        "the loss is a mean over tokens; at each, what the model says less what is true",
        upstream="",
    ),
    "embedding_backward": gradient(
        "dx tokens V",
        "dE",
        draw_tokens,
        lambda E, tokens, **_: E[tokens],
        "a token that occurs twice sends two gradients to one row, and dE[tokens] += dx keeps only one of them",
        upstream="dx",
    ),
    "rope_backward": gradient(
        "dy cos sin",
        "dx",
        draw_rope,
        lambda x, cos, sin, **_: rope(x, cos, sin),
        "a rotation is undone by the rotation the other way, and its transpose is just that",
    ),
    "attention_values_backward": gradient(
        "do p v",
        "dp dv",
        draw_attention,
        lambda p, v, **_: p @ v,
        "o = p v is a plain product of matrices",
        upstream="do",
    ),
    "attention_scores_backward": gradient(
        "ds q k",
        "dq dk",
        draw_attention,
        lambda q, k, **_: q @ k.T / np.sqrt(q.shape[1]),
        "s = q k.T / sqrt(c), with c the number of features of a head: the root belongs into both gradients",
        upstream="ds",
    ),
    "grouped_backward": gradient(
        "dheads groups",
        "dk",
        draw_groups,
        lambda k, dheads, **_: np.repeat(k, len(dheads) // len(k), axis=0),
        "heads 0, 1, 2 share the first key head and 3, 4, 5 the second: what is used three times receives three gradients",
        upstream="dheads",
    ),
}
