"""The compiled twin of minilora/lowrank.py: the products that involve A or B, as hand-written loops.

y = x W + s (x A) B can be taken in two orders. With few rows x the low-rank path is the cheaper one: x A, then times B. With many rows,
as in training, it costs less to add s A B to W once and to multiply x by the sum: then no second pass over y, nor over dx, is made at
all. Either way the gradients of A and B need thin products only, and one pass over a few rows of x and dy does them together, while
those rows are in the cache. The wide product stays with BLAS.

A is kept turned round, At (r, d), so that every innermost loop runs along memory.
"""

import numpy as np

from minilora.kernels.compile import compiled

ROWS = 16  # of x at a time: with them, A and B, everything that the inner loops touch stays in the first-level cache


@compiled
def dots(x, M, s, z):
    """z = s x M.T.  x (n, d), M (r, d), z (n, r): four dot products at a time, so that a number of x is read once for four."""
    n, d = x.shape
    r = len(M)
    zero = x.dtype.type(0)
    for i in range(n):
        j = 0
        while j + 4 <= r:
            a0, a1, a2, a3 = zero, zero, zero, zero
            for p in range(d):
                a0 += x[i, p] * M[j, p]
                a1 += x[i, p] * M[j + 1, p]
                a2 += x[i, p] * M[j + 2, p]
                a3 += x[i, p] * M[j + 3, p]
            z[i, j], z[i, j + 1], z[i, j + 2], z[i, j + 3] = s * a0, s * a1, s * a2, s * a3
            j += 4
        while j < r:
            a0 = zero
            for p in range(d):
                a0 += x[i, p] * M[j, p]
            z[i, j] = s * a0
            j += 1


@compiled
def add_mixed_rows(z, M, s, y):
    """y += s z M.  z (n, r), M (r, k), y (n, k): four rows of M at a time, so that a number of y is read once for four."""
    n, k = y.shape
    r = len(M)
    for i in range(n):
        j = 0
        while j + 4 <= r:
            a0, a1, a2, a3 = s * z[i, j], s * z[i, j + 1], s * z[i, j + 2], s * z[i, j + 3]
            for p in range(k):
                y[i, p] += a0 * M[j, p] + a1 * M[j + 1, p] + a2 * M[j + 2, p] + a3 * M[j + 3, p]
            j += 4
        while j < r:
            a0 = s * z[i, j]
            for p in range(k):
                y[i, p] += a0 * M[j, p]
            j += 1


@compiled
def add_outer(z, x, s, G):
    """G += s z.T x.  z (n, r), x (n, d), G (r, d): four rows of x at a time, so that a number of G is read once for four."""
    n, d = x.shape
    r = len(G)
    i = 0
    while i + 4 <= n:
        for j in range(r):
            a0, a1, a2, a3 = s * z[i, j], s * z[i + 1, j], s * z[i + 2, j], s * z[i + 3, j]
            for p in range(d):
                G[j, p] += a0 * x[i, p] + a1 * x[i + 1, p] + a2 * x[i + 2, p] + a3 * x[i + 3, p]
        i += 4
    while i < n:
        for j in range(r):
            a0 = s * z[i, j]
            for p in range(d):
                G[j, p] += a0 * x[i, p]
        i += 1


@compiled
def forward_rows(x, At, B, s, z, y):
    """z = x A and y += s z B, a few rows at a time."""
    for i in range(0, len(x), ROWS):
        rows = slice(i, i + ROWS)
        dots(x[rows], At, x.dtype.type(1), z[rows])
        add_mixed_rows(z[rows], B, s, y[rows])


@compiled
def backward_rows(dy, x, At, B, s, dz, dAt, dB):
    """z = x A, dz = s dy B.T, dB += s z.T dy and dA += x.T dz, a few rows at a time."""
    one = x.dtype.type(1)
    z = np.empty((ROWS, len(B)), x.dtype)  # (ROWS, r)
    for i in range(0, len(x), ROWS):
        rows = slice(i, i + ROWS)
        n = len(x[rows])
        dots(x[rows], At, one, z[:n])
        dots(dy[rows], B, s, dz[rows])
        add_outer(z[:n], dy[rows], s, dB)
        add_outer(dz[rows], x[rows], one, dAt)


def merge(W, A, B, s):
    """Along memory, whichever way round W lies: a weight that was read from a file lies as (k, d)."""
    if W.flags.c_contiguous:
        merged = W.copy()  # (d, k)
        add_mixed_rows(np.ascontiguousarray(A), B, W.dtype.type(s), merged)
        return merged
    merged = W.T.copy()  # (k, d)
    add_mixed_rows(np.ascontiguousarray(B.T), np.ascontiguousarray(A.T), W.dtype.type(s), merged)
    return merged.T  # (d, k)


def _merging_is_cheaper(x, W):
    """n rows cost n r (d + k) multiplications in the thin products, and the sum W + s A B costs r d k however many they are.

    A quantised W is no array: to add to it would spell it out whole.
    """
    n, (d, k) = len(x), W.shape
    return isinstance(W, np.ndarray) and n * (d + k) > d * k


def lowrank_forward(x, W, A, B, s, mask=None):
    if mask is None and _merging_is_cheaper(x, W):
        return x @ merge(W, A, B, s), (x, W, A, B, s, mask)  # (N, k)
    xm = x if mask is None else x * mask  # (N, d)
    y, z = x @ W, np.empty((len(x), len(B)), x.dtype)  # (N, k), (N, r)
    forward_rows(xm, np.ascontiguousarray(A.T), B, x.dtype.type(s), z, y)
    return y, (xm, W, A, B, s, mask)


def lowrank_backward(dy, cache, into=None, need_dx=True):
    xm, W, A, B, s, mask = cache
    At = np.ascontiguousarray(A.T)  # (r, d)
    dz, dAt, dB = np.empty((len(dy), len(B)), dy.dtype), np.zeros_like(At), np.zeros_like(B)  # (N, r), (r, d), (r, k)
    backward_rows(dy, xm, At, B, dy.dtype.type(s), dz, dAt, dB)
    dA = np.ascontiguousarray(dAt.T)  # (d, r)
    if not need_dx:
        return into, dA, dB
    if mask is None and _merging_is_cheaper(dy, W):
        dx = dy @ merge(W, A, B, s).T  # (N, d)
    else:
        dx = dy @ W.T  # (N, d)
        if mask is None:
            add_mixed_rows(dz, At, dy.dtype.type(1), dx)
        else:
            dx += (dz @ At) * mask
    if into is not None:
        into += dx
        dx = into
    return dx, dA, dB


@compiled
def gathered_rows(x, which, At, B, s, y):
    """y[i] += s[j] (x[i] A[j]) B[j] with j = which[i], for all rows in one pass."""
    batch, T, _ = x.shape
    z = np.empty((T, At.shape[1]), x.dtype)  # (T, r)
    for i in range(batch):
        j = which[i]
        if j >= 0:
            forward_rows(x[i], At[j], B[j], s[j], z, y[i])


def lowrank_gathered(x, which, A, B, s, y):
    gathered_rows(x, which, np.ascontiguousarray(A.transpose(0, 2, 1)), B, s, y)
