"""The optimiser, clipping, the learning rate, and a batch that is cut into shards."""

import numpy as np

from minilora.adamw import adamw_step
from minilora.classroom.exercise import exercise, normal, sizes
from minilora.training.schedule import warmup_cosine


def draw_history(rng):
    steps, P = sizes(rng, 2)
    return normal(rng, gradients=(steps, P)) | {"beta": 0.9}


def corrected_mean(gradients, beta):
    m = np.zeros(gradients.shape[1])
    for g in gradients:
        m += (1 - beta) * (g - m)
    return m / (1 - beta ** len(gradients))


def draw_step(rng):
    (P,) = sizes(rng, 1)
    drawn = normal(rng, p=(P,), g=(P,), m=(P,)) | {"v": rng.random(P), "t": int(rng.integers(2, 9))}
    return drawn | {"rate": 0.1, "decay": 0.3, "beta1": 0.8, "beta2": 0.95, "epsilon": 0.05}  # large, so that each shows


def stepped(p, g, m, v, **dials):
    p, m, v = p.copy(), m.copy(), v.copy()
    adamw_step(p, g, m, v, **dials)
    return p, m, v


def draw_gradients(rng):
    """A gradient in each row, some shorter than the limit and some longer."""
    n, P = sizes(rng, 2)
    g = rng.standard_normal((n, P))
    lengths = np.where(np.arange(n) % 2, 2.5, 0.4) + rng.random(n)
    return {"g": g / np.linalg.norm(g, axis=1, keepdims=True) * lengths[:, None], "limit": 2.0}


def draw_schedule(rng):
    steps, warmup = 10 + next(sizes(rng, 1)), next(sizes(rng, 1))
    return {"steps": steps, "warmup": warmup, "floor": 0.1}


def draw_shards(rng):
    shards, P = sizes(rng, 2)
    return normal(rng, g=(shards, P)) | {"counts": rng.integers(1, 40, shards)}


EXERCISES = {
    "corrected_mean": exercise(
        "gradients beta",
        "mean",
        draw_history,
        corrected_mean,
        "try it on gradients that are all the same: the corrected mean of equal numbers is that number, after any number of steps",
    ),
    "adamw_step": exercise(
        "p g m v t rate decay beta1 beta2 epsilon",
        "p m v",
        draw_step,
        stepped,
        "the moments first, then their corrections; the decay acts on p alone, scaled by the rate, and never enters the moments",
    ),
    "clip_factors": exercise(
        "g limit",
        "factors",
        draw_gradients,
        lambda g, limit: np.minimum(1, limit / np.linalg.norm(g, axis=1)),
        "a gradient that is longer than the limit becomes as long as the limit; a shorter one stays as it is",
    ),
    "learning_rates": exercise(
        "steps warmup floor",
        "shares",
        draw_schedule,
        lambda steps, warmup, floor: np.array([warmup_cosine(step, steps, warmup, floor) for step in range(steps)]),
        "draw it: the first step has a share of 1 / warmup, step number `warmup` (from 0) has 1, and half a cosine leads on to the floor",
    ),
    "combine_shards": exercise(
        "g counts",
        "gradient",
        draw_shards,
        lambda g, counts: counts @ g / counts.sum(),
        "each row is a mean over its own tokens: what is the mean over all tokens, where the rows have different numbers of them?",
    ),
}
