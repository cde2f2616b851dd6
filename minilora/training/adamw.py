"""AdamW, written out, over one flat buffer.

Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", arXiv 1711.05101, algorithm 2; the moments and their bias
correction are Adam's (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1). All trainable arrays are views of one flat array, so that a
step is a handful of operations however many arrays there are, and a group's own learning rate is a stretch of an array of rates.
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


def adamw_step(p, g, m, v, t, rate, decay=0.0, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """Step number t (from 1): changes parameters p, first moment m and second moment v (all (P,)) in place, given the gradient g (P,).

    `rate` and `decay` are numbers, or arrays (P,) where groups differ. The decay shrinks p itself and never enters the moments: that is
    what "decoupled" means.
    """
    m += (1 - beta1) * (g - m)
    v += (1 - beta2) * (g * g - v)
    p *= 1 - rate * decay
    p -= rate / (1 - beta1**t) * m / (np.sqrt(v / (1 - beta2**t)) + epsilon)  # both moments started at zero: divide that out


def clip(g, limit):
    """Shrink the gradient g (P,) in place to the Euclidean norm `limit` where it is longer -> the norm that it had."""
    norm = float(np.sqrt(np.dot(g, g)))
    if norm > limit:
        g *= limit / norm
    return norm


def warmup_cosine(step, steps, warmup, floor=0.1):
    """The share of the learning rate for step 0 .. steps - 1: a linear rise over `warmup` steps, then half a cosine down to `floor`."""
    if step < warmup:
        return (step + 1) / warmup
    return floor + (1 - floor) * 0.5 * (1 + np.cos(np.pi * (step - warmup) / max(1, steps - warmup)))
