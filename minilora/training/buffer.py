"""One flat buffer for all trainable arrays.

They are views of one array, so that a step of minilora/adamw.py is one call however many arrays there are, and a
group's own learning rate is a stretch of an array of rates.
"""

import numpy as np


def flatten(arrays, names):
    """Copy the named arrays into one buffer -> flat (P,), name -> view of it. The arrays must share a dtype."""
    flat = np.concatenate([arrays[name].ravel() for name in names])  # (P,)
    return flat, views(flat, {name: arrays[name].shape for name in names})


def views(flat, shapes):
    """Name -> view of the flat array (P,), in the order of `shapes`."""
    split = np.split(flat, np.cumsum([int(np.prod(shape)) for shape in shapes.values()])[:-1])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), split, strict=True)}
