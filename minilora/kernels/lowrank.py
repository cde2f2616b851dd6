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
    """z = s x M.T.  x (n, d), M (r, d), z (n, r): four by four dot products at a time, so that a number that is read serves four."""
    n, d = x.shape
    r = len(M)
    zero = x.dtype.type(0)
    for i in range(0, n - 3, 4):
        for j in range(0, r - 3, 4):
            a0, a1, a2, a3 = zero, zero, zero, zero
            b0, b1, b2, b3 = zero, zero, zero, zero
            c0, c1, c2, c3 = zero, zero, zero, zero
            e0, e1, e2, e3 = zero, zero, zero, zero
            for p in range(d):
                m0, m1, m2, m3 = M[j, p], M[j + 1, p], M[j + 2, p], M[j + 3, p]
                a0, a1, a2, a3 = a0 + x[i, p] * m0, a1 + x[i, p] * m1, a2 + x[i, p] * m2, a3 + x[i, p] * m3
                b0, b1, b2, b3 = b0 + x[i + 1, p] * m0, b1 + x[i + 1, p] * m1, b2 + x[i + 1, p] * m2, b3 + x[i + 1, p] * m3
                c0, c1, c2, c3 = c0 + x[i + 2, p] * m0, c1 + x[i + 2, p] * m1, c2 + x[i + 2, p] * m2, c3 + x[i + 2, p] * m3
                e0, e1, e2, e3 = e0 + x[i + 3, p] * m0, e1 + x[i + 3, p] * m1, e2 + x[i + 3, p] * m2, e3 + x[i + 3, p] * m3
            z[i, j], z[i, j + 1], z[i, j + 2], z[i, j + 3] = s * a0, s * a1, s * a2, s * a3
            z[i + 1, j], z[i + 1, j + 1], z[i + 1, j + 2], z[i + 1, j + 3] = s * b0, s * b1, s * b2, s * b3
            z[i + 2, j], z[i + 2, j + 1], z[i + 2, j + 2], z[i + 2, j + 3] = s * c0, s * c1, s * c2, s * c3
            z[i + 3, j], z[i + 3, j + 1], z[i + 3, j + 2], z[i + 3, j + 3] = s * e0, s * e1, s * e2, s * e3
    for i in range(n):
        for j in range(r - r % 4 if i < n - n % 4 else 0, r):  # what fills no block of four by four
            a0 = zero
            for p in range(d):
                a0 += x[i, p] * M[j, p]
            z[i, j] = s * a0


@compiled
def add_product(z, M, s, y):
    """y += s z M.  z (n, r), M (r, k), y (n, k): two rows of y and four of M at a time, for the same reason."""
    n, k = y.shape
    r = len(M)
    for i in range(0, n - 1, 2):
        for j in range(0, r - 3, 4):
            a0, a1, a2, a3 = s * z[i, j], s * z[i, j + 1], s * z[i, j + 2], s * z[i, j + 3]
            b0, b1, b2, b3 = s * z[i + 1, j], s * z[i + 1, j + 1], s * z[i + 1, j + 2], s * z[i + 1, j + 3]
            for p in range(k):
                m0, m1, m2, m3 = M[j, p], M[j + 1, p], M[j + 2, p], M[j + 3, p]
                y[i, p] += a0 * m0 + a1 * m1 + a2 * m2 + a3 * m3
                y[i + 1, p] += b0 * m0 + b1 * m1 + b2 * m2 + b3 * m3
    for i in range(n):
        for j in range(r - r % 4 if i < n - n % 2 else 0, r):  # what fills no block of two by four
            a0 = s * z[i, j]
            for p in range(k):
                y[i, p] += a0 * M[j, p]


@compiled
def forward_rows(x, At, B, s, z, y):
    """z = x A and y += s z B, a few rows at a time."""
    for i in range(0, len(x), ROWS):
        rows = slice(i, i + ROWS)
        dots(x[rows], At, x.dtype.type(1), z[rows])
        add_product(z[rows], B, s, y[rows])


@compiled
def backward_rows(dy, x, A, B, s, dz, dA, dB):
    """z = x A, dz = s dy B.T, dB += s z.T dy and dA += x.T dz, a few rows at a time."""
    one = x.dtype.type(1)
    At = A.T.copy()  # (r, d)
    dAt = np.zeros_like(At)  # (r, d)
    z = np.empty((ROWS, len(B)), x.dtype)  # (ROWS, r)
    for i in range(0, len(x), ROWS):
        rows = slice(i, i + ROWS)
        n = len(x[rows])
        dots(x[rows], At, one, z[:n])
        dots(dy[rows], B, s, dz[rows])
        add_product(z[:n].T, dy[rows], s, dB)
        add_product(dz[rows].T, x[rows], one, dAt)
    for p in range(len(dA)):  # dA[:] = dAt.T, which would compile messages for shapes that differ, for seconds
        for j in range(len(dAt)):
            dA[p, j] = dAt[j, p]


@compiled
def merge_rows(W, A, B, s, merged):
    """merged = W + s A B, a few rows at a time."""
    d, k = W.shape
    for i in range(0, d, ROWS):
        rows = slice(i, i + ROWS)
        for p in range(i, min(i + ROWS, d)):
            for j in range(k):
                merged[p, j] = W[p, j]
        add_product(A[rows], B, s, merged[rows])


def merge(W, A, B, s):
    """In the order in memory that W has: a weight that was read from a file lies as (k, d)."""
    if not W.flags.c_contiguous and W.flags.f_contiguous:
        return merge(W.T, np.ascontiguousarray(B.T), np.ascontiguousarray(A.T), s).T  # (d, k)
    merged = np.empty_like(W)  # (d, k)
    merge_rows(W, A, B, W.dtype.type(s), merged)
    return merged


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
    dz, dA, dB = np.empty((len(dy), len(B)), dy.dtype), np.empty(A.shape, A.dtype), np.zeros_like(B)  # (N, r), (d, r), (r, k)
    backward_rows(dy, xm, A, B, dy.dtype.type(s), dz, dA, dB)
    if not need_dx:
        return into, dA, dB
    if mask is None and _merging_is_cheaper(dy, W):
        dx = dy @ merge(W, A, B, s).T  # (N, d)
    else:
        dx = dy @ W.T  # (N, d)
        if mask is None:
            add_product(dz, np.ascontiguousarray(A.T), dy.dtype.type(1), dx)
        else:
            dx += (dz @ A.T) * mask
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
