"""What the loop keeps around AdamW: one flat buffer for all trainable arrays, and the course of the learning rate.

All trainable arrays are views of one flat array, so that a step of minilora/adamw.py is one call however many arrays there are, and a
group's own learning rate is a stretch of an array of rates.
"""

import numpy as np

from minilora.adamw import adamw_step, clip  # noqa: F401


def flatten(arrays, names):
    """Copy the named arrays into one buffer -> flat (P,), name -> view of it. The arrays must share a dtype."""
    flat = np.concatenate([arrays[name].ravel() for name in names])  # (P,)
    return flat, views(flat, {name: arrays[name].shape for name in names})


def views(flat, shapes):
    """Name -> view of the flat array (P,), in the order of `shapes`."""
    split = np.split(flat, np.cumsum([int(np.prod(shape)) for shape in shapes.values()])[:-1])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), split, strict=True)}


def warmup_cosine(step, steps, warmup, floor=0.1):
    """The share of the learning rate for step 0 .. steps - 1: a linear rise over `warmup` steps, then half a cosine down to `floor`."""
    if step < warmup:
        return (step + 1) / warmup
    return floor + (1 - floor) * 0.5 * (1 + np.cos(np.pi * (step - warmup) / max(1, steps - warmup)))
