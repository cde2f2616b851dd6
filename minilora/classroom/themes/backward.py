"""LoRA's backward pass, line by line; the forward pass that each gradient is held against stands in its place."""

import numpy as np

from minilora.classroom.exercise import R, S, exercise, gradient, normal, sizes
from minilora.gradcheck import numeric_grad


def draw(rng):
    """A layer with a pair, all that its forward pass makes, and the gradients that come from above."""
    N, d, k = sizes(rng, 3)
    arrays = normal(rng, x=(N, d), W=(d, k), A=(d, R), B=(R, k), dy=(N, k), dz=(N, R), G=(d, k))
    return arrays | {"z": arrays["x"] @ arrays["A"], "s": S}  # (N, r)


def draw_masked(rng):
    drawn = draw(rng)
    keep = 0.6
    return drawn | {"mask": (rng.random(drawn["x"].shape) < keep) / keep}  # (N, d)


def draw_scale(rng):
    return draw(rng) | {"s": np.array(S)}  # an array, for the differences to move


def draw_accumulating(rng):
    drawn = draw(rng)
    return drawn | normal(rng, dx=drawn["x"].shape)


def draw_embedding(rng):
    V, d, N = 6, *sizes(rng, 2)
    tokens = np.concatenate([[2, 2], rng.integers(0, V - 1, N - 2)])  # (N,)   one occurs twice, the last never
    return normal(rng, E=(V, d), A=(V, R), B=(R, d), dx=(N, d)) | {"tokens": tokens, "s": S}


def draw_function(rng):
    (n,) = sizes(rng, 1)
    c = rng.standard_normal((n, R))
    return {"f": lambda x: float(np.sum(c * np.sin(x) + np.exp(x) / 4)), "x": rng.standard_normal((n, R)), "h": 0.1}


def both_paths(dy, dz, x, W, A, **_):
    return float(np.sum(dy * (x @ W)) + np.sum(dz * (x @ A)))


def layer(x, W, A, B, s, mask=1, **_):
    return x @ W + s * ((x * mask) @ A) @ B  # (N, k)


EXERCISES = {
    "lora_dz": gradient(
        "dy B s",
        "dz",
        draw,
        lambda z, B, s, **_: s * (z @ B),
        "y = x W + s z B: which factors does z meet on its way to y? dz has z's shape, (N, r)",
    ),
    "lora_dB": gradient(
        "dy z s",
        "dB",
        draw,
        lambda z, B, s, **_: s * (z @ B),
        "y = x W + s z B: every token adds its z times its dy; dB has B's shape, (r, k)",
    ),
    "lora_dA": gradient("dz x", "dA", draw, lambda x, A, **_: x @ A, "z = x A, and dz has the scale in it already", upstream="dz"),
    "lora_dx": gradient(
        "dy dz W A", "dx", draw, both_paths, "x goes into two products, x W and x A: one gradient comes back from each", upstream=""
    ),
    "lora_backward": gradient(
        "dy x W A B s", "dx dA dB", draw, layer, "first z and dz, then the three gradients; the scale belongs into dz and dB, once each"
    ),
    "pair_gradient": gradient(
        "G A B s",
        "dA dB",
        draw,
        lambda A, B, s, **_: s * (A @ B),
        "W' = W + s A B is a product like any other: G stands where dy stood, and A where z stood",
        upstream="G",
    ),
    "scale_gradient": gradient(
        "dy z B",
        "ds",
        draw_scale,
        lambda z, B, s, **_: s * (z @ B),
        "s is one number that touches every entry of y: its gradient is one number, a sum over all of them",
    ),
    "dropout_backward": gradient(
        "dy x mask W A B s",
        "dx dA dB",
        draw_masked,
        layer,
        "the mask stands between x and A alone: where does it come into dA, and where into dx?",
    ),
    "accumulate_dx": gradient(
        "dx dy W", "dx", draw_accumulating, lambda x, W, **_: x @ W, "what others have put into dx stays in it", changes="dx"
    ),
    "embedding_pair_backward": gradient(
        "dx tokens A B s",
        "dA dB",
        draw_embedding,
        lambda E, A, B, s, tokens, **_: E[tokens] + s * A[tokens] @ B,
        "z = A[tokens]: a token that occurs twice sends two gradients to one row of A",
        upstream="dx",
    ),
    "central_difference": exercise(
        "f x h",
        "gradient",
        draw_function,
        lambda f, x, h: numeric_grad(lambda: f(x), x, h),
        "one entry at a time: h up, h down, the difference divided by the whole way between the two; then put back",
    ),
}
