"""The course of the learning rate over a run."""

import numpy as np


def warmup_cosine(step, steps, warmup, floor=0.1):
    """The share of the learning rate for step 0 .. steps - 1: a linear rise over `warmup` steps, then half a cosine down to `floor`."""
    if step < warmup:
        return (step + 1) / warmup
    return floor + (1 - floor) * 0.5 * (1 + np.cos(np.pi * (step - warmup) / max(1, steps - warmup)))
