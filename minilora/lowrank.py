"""The low-rank update, all of it: y = x W + s (x A) B.

A frozen matrix W (d, k) is adapted by the product of two thin matrices, A (d, r) and B (r, k). A reads x and starts
random; B writes y and starts at zero, so that the adapted layer begins as the base, bit for bit. Only A and B train:
r (d + k) numbers in place of d k.

Source: Hu et al. 2021, "LoRA", arXiv 2106.09685, section 4.1. The paper writes h = W x + B A x with column vectors; here
rows are tokens, so that the paper's A is our A transposed. The roles survive the transpose, the shapes do not.

Left out: nothing of the maths. A production kernel differs in speed only (see minilora/kernels/lowrank.py).
"""

import numpy as np


def init(d, k, r, rng, scheme="uniform", dtype=np.float32):
    """A (d, r) random and B (r, k) zero.

    "uniform" is the default of PEFT and loralib, U(-1/sqrt(d), 1/sqrt(d)); "gaussian" is N(0, 1/r^2), that is standard
    deviation 1/r. `rng` is a numpy.random.Generator. Raises ValueError for a rank outside 1..min(d, k).
    """
    if not 1 <= r <= min(d, k):
        raise ValueError(f"rank {r} is outside 1..{min(d, k)}: a {d} x {k} matrix has no more than {min(d, k)} directions")
    if scheme == "uniform":
        A = rng.uniform(-1, 1, (d, r)) / np.sqrt(d)  # (d, r)
    elif scheme == "gaussian":
        A = rng.normal(0, 1 / r, (d, r))  # (d, r)
    else:
        raise ValueError(f"unknown initialisation {scheme!r}: use 'uniform' or 'gaussian'")
    return A.astype(dtype), np.zeros((r, k), dtype)  # (d, r), (r, k)


def scale(alpha, r, rslora=False):
    """The factor s: alpha / r (Hu et al. 2021, section 4.1), or alpha / sqrt(r) (rsLoRA, arXiv 2312.03732). ValueError unless s > 0."""
    if not 0 < alpha < np.inf:
        raise ValueError(f"alpha {alpha} must be above 0 and finite: the update is scaled by alpha / r, and 1 or 2 is usual for that")
    return float(alpha / np.sqrt(r) if rslora else alpha / r)


def dropout_mask(shape, p, rng, dtype=np.float32):
    """An array of 0 (with probability p) and 1 / (1 - p), to be multiplied into the input of the low-rank path."""
    if not 0 <= p < 1:
        raise ValueError(f"dropout {p} is outside 0 <= p < 1")
    return (rng.random(shape) >= p).astype(dtype) / np.asarray(1 - p, dtype)


def lowrank_forward(x, W, A, B, s, mask=None):
    """y = x W + s (x A) B.  x (N, d), W (d, k), A (d, r), B (r, k), s a number -> y (N, k), cache.

    `mask` (N, d), from dropout_mask, acts on the input of the low-rank path alone: the frozen path sees all of x.
    """
    xm = x if mask is None else x * mask  # (N, d)
    z = xm @ A  # (N, r)
    y = x @ W + s * (z @ B)  # (N, k)
    return y, (xm, W, A, B, s, mask, z)


def lowrank_backward(dy, cache, into=None, need_dx=True):
    """dy (N, k) -> dx (N, d), dA (d, r), dB (r, k). There is no dW: W is frozen, and that is the work that is saved.

    y = x W + s z B:  a small dB changes the loss by <dy, s z dB> = <s z.T dy, dB>, so dB = s z.T dy;
                      a small dz changes it by <dy, s dz B> = <s dy B.T, dz>, so dz = s dy B.T.
    z = x A:          the same rule gives dA = x.T dz, and x receives dz A.T on top of dy W.T from the frozen path.
    While B = 0, dz = 0 and hence dA = 0: at the first step only B moves.
    `into` (N, d) is added to in place and returned as dx; with need_dx false nothing below trains and dx is `into` as it came.
    """
    xm, W, A, B, s, mask, z = cache
    dz = s * (dy @ B.T)  # (N, r)      y = x W + s (z @ B)
    dB = s * (z.T @ dy)  # (r, k)
    dA = xm.T @ dz  # (d, r)           z = xm @ A
    if not need_dx:
        return into, dA, dB
    dxm = dz @ A.T  # (N, d)
    dx = dy @ W.T + (dxm if mask is None else dxm * mask)  # (N, d)
    if into is not None:
        into += dx
        dx = into
    return dx, dA, dB


def lowrank_gathered(x, which, A, B, s, y):
    """Every row of a batch has a pair of its own: y[i] += s[j] (x[i] A[j]) B[j] with j = which[i], in place; nothing where j < 0.

    x (batch, T, d), which (batch,), A (n, d, r), B (n, r, k), s (n,), y (batch, T, k).
    """
    for i, j in enumerate(which):
        if j >= 0:
            y[i] += s[j] * (x[i] @ A[j]) @ B[j]  # (T, k)


def delta(A, B, s):
    """The update itself, s A B (d, k): dense, and of rank r at the most."""
    return s * (A @ B)  # (d, k)


def merge(W, A, B, s):
    """W + s A B (d, k), as a new array: afterwards a forward pass costs what the base costs."""
    return W + delta(A, B, s)  # (d, k)


def unmerge(W, A, B, s):
    """W - s A B (d, k). Rounding makes this differ from the W before merge: to restore exactly, keep the base."""
    return W - delta(A, B, s)  # (d, k)
