"""The low-rank pair: its product, its forward pass, merging, how it starts."""

import numpy as np

from minilora.classroom.exercise import R, S, exercise, normal, sizes


def draw_pair(rng):
    d, k = sizes(rng, 2)
    return normal(rng, A=(d, R), B=(R, k))


def draw_layer(rng):
    N, d, k = sizes(rng, 3)
    return normal(rng, x=(N, d), W=(d, k), A=(d, R), B=(R, k)) | {"s": S}


def draw_start(rng):
    d, k = sizes(rng, 2)
    return {"u": rng.random((d, R)), "k": k}


EXERCISES = {
    "rank_one_term": exercise(
        "A B i",
        "term",
        lambda rng: draw_pair(rng) | {"i": int(rng.integers(1, R))},
        lambda A, B, i: np.outer(A[:, i], B[i]),
        "one column of A meets one row of B, each entry with each",
    ),
    "delta": exercise(
        "A B alpha",
        "update",
        lambda rng: draw_pair(rng) | {"alpha": S * R},
        lambda A, B, alpha: alpha / A.shape[1] * (A @ B),
        "the scale is alpha / r: which axis of A is r?",
    ),
    "lora_forward": exercise(
        "x W A B s",
        "y",
        draw_layer,
        lambda x, W, A, B, s: x @ W + s * (x @ A) @ B,
        "two paths that are added: the frozen one is not scaled, the low-rank one is",
    ),
    "merge": exercise(
        "W A B s",
        "merged",
        draw_layer,
        lambda W, A, B, s, **_: W + s * (A @ B),
        "x times the merged matrix must be what the two paths give together",
    ),
    "init_pair": exercise(
        "u k",
        "A B",
        draw_start,
        lambda u, k: ((2 * u - 1) / np.sqrt(len(u)), np.zeros((u.shape[1], k))),
        "u lies between 0 and 1, A between -1 / sqrt(d) and 1 / sqrt(d), with d the size of what A reads; and which of the two is zero?",
    ),
}
