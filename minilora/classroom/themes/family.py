"""LoRA's family and its rivals: one line of each method that is not LoRA's."""

import numpy as np

from minilora.classroom.exercise import R, S, exercise, gradient, normal, sizes


def draw(rng):
    """A layer, a pair, and the vectors of the methods that have some."""
    N, d, k = sizes(rng, 3)
    drawn = normal(rng, x=(N, d), W=(d, k), A=(d, R), B=(R, k), dy=(N, k), u=(N, k), m=(k,), stretch=(k,), a=(R,), b=(k,)) | {"s": S}
    return drawn | {"z": drawn["x"] @ drawn["A"], "c": 0.5 + rng.random(k)}  # (N, r), (k,)


def draw_scale(rng):
    return {"alpha": float(2 * rng.integers(5, 40) + 1), "r": int(rng.integers(5, 33))}


def draw_vera(rng):
    drawn = draw(rng)
    return drawn | {"u": drawn["z"]}  # (N, r)


def draw_weight(rng):
    d, k = sizes(rng, 2)
    return normal(rng, W=(d, k)) | {"r": R, "s": S}


def best_pair(W, r, s):
    U, sigma, Vt = np.linalg.svd(W, full_matrices=False)
    root = np.sqrt(sigma[:r] / s)
    return U[:, :r] * root, root[:, None] * Vt[:r]


def balanced(drawn, returned):
    """The product and the two factors' sizes: singular vectors are determined but for their signs."""
    A, B = returned["A"], returned["B"]
    return {"s A B": drawn["s"] * (A @ B), "A.T A": A.T @ A, "B B.T": B @ B.T}


def draw_prefix(rng):
    batch, T, c = sizes(rng, 3)
    p = 2
    return normal(rng, K=(p, c), k=(batch, T, c), dkeys=(batch, p + T, c)) | {"p": p}


def with_prefix(K, k, **_):
    return np.concatenate([np.broadcast_to(K, (len(k), *K.shape)), k], axis=1)


def draw_bottleneck(rng):
    """Arrays whose z = h D stays away from zero, where relu has a corner and differences across it mean nothing."""
    while True:
        N, d = sizes(rng, 2)
        drawn = normal(rng, h=(N, d), D=(d, R), U=(R, d), do=(N, d))
        if np.abs(drawn["h"] @ drawn["D"]).min() > 0.01:
            return drawn


EXERCISES = {
    "rslora_scale": exercise("alpha r", "s", draw_scale, lambda alpha, r: alpha / r**0.5, "rsLoRA divides by the root of the rank"),
    "column_norms": exercise(
        "W A B s",
        "c",
        draw,
        lambda W, A, B, s, **_: np.linalg.norm(W + s * (A @ B), axis=0),
        "a length for each column of W + s A B, that is for each output: over which axis are the squares summed?",
    ),
    "dora_backward": gradient(
        "dy u m c",
        "dm du",
        draw,
        lambda u, m, c, **_: m / c * u,
        "y = (m / c) u with c held constant: m (k,) serves every token, u has one row for each",
    ),
    "ia3_backward": gradient(
        "dy u stretch",
        "du dstretch",
        draw,
        lambda u, stretch, **_: u * stretch,
        "y = u l, column by column: l (k,) serves every token, so all of them answer",
    ),
    "vera_backward": gradient(
        "dy u B a b",
        "da db",
        draw_vera,
        lambda u, B, a, b, **_: ((u * a) @ B) * b,
        "from y back to u: b first, then B, then a; each gradient is a sum over tokens, of what it multiplies times what came from above",
    ),
    "lora_fa_backward": gradient(
        "dy z W A B s",
        "dx dB",
        draw,
        lambda x, W, B, s, A, **_: x @ W + s * (x @ A) @ B,
        "LoRA's backward pass without dA: z is all that dB needs, and dx still goes through both paths",
    ),
    "pissa_init": exercise(
        "W r s",
        "A B",
        draw_weight,
        best_pair,
        "s A B must be the best approximation of W of rank r, so divide the scale out; and A and B share each singular value equally",
        view=balanced,
    ),
    "prefix_backward": gradient(
        "dkeys p",
        "dK dk",
        draw_prefix,
        with_prefix,
        "the first p positions are the prefix, the same one in every row of the batch",
        upstream="dkeys",
    ),
    "bottleneck_backward": gradient(
        "do h D U",
        "dh dD dU",
        draw_bottleneck,
        lambda h, D, U, **_: h + np.maximum(h @ D, 0) @ U,
        "o = h + relu(z) U with z = h D: relu passes a gradient on where z was above zero, and h reaches o by two ways",
        upstream="do",
    ),
}
