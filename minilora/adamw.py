"""AdamW, written out, over one flat array of parameters.

Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", arXiv 1711.05101, algorithm 2; the moments and their bias
correction are Adam's (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1). The compiled twin is minilora/kernels/adamw.py.
"""

import numpy as np


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
