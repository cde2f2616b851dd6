"""Compiled twins of the hot functions of minilora/layers.py: each loop does in one pass what NumPy does in several.

Shapes, sources and derivations stand there. Products of whole matrices stay with BLAS, and are called from here; what is compiled is
everything around them.
"""

import numpy as np

from minilora.kernels.compile import compiled, exp
from minilora.layers import IGNORED

QUERIES = 64  # of a head at a time: they see the keys up to the last of them, so that much of the hidden half is never computed


@compiled
def rmsnorm_rows(x, gain, eps, y, rstd):
    n, d = x.shape
    one = x.dtype.type(1)
    for i in range(n):
        total = x.dtype.type(0)
        for p in range(d):
            total += x[i, p] * x[i, p]
        rstd[i] = one / np.sqrt(total / x.dtype.type(d) + x.dtype.type(eps))
        for p in range(d):
            y[i, p] = x[i, p] * rstd[i] * gain[p]


def rmsnorm_forward(x, gain, eps):
    rows = x.reshape(-1, x.shape[-1])  # (n, d)
    y, rstd = np.empty_like(rows), np.empty(len(rows), x.dtype)  # (n, d), (n,)
    rmsnorm_rows(rows, gain, eps, y, rstd)
    return y.reshape(x.shape), (x, gain, rstd)


@compiled
def rmsnorm_backward_rows(dy, x, gain, rstd, dx):
    """dx += rstd (dn - n mean(dn n))."""
    n, d = x.shape
    for i in range(n):
        total = x.dtype.type(0)
        for p in range(d):
            total += dy[i, p] * gain[p] * x[i, p]
        shrink = total / x.dtype.type(d) * rstd[i] * rstd[i]
        for p in range(d):
            dx[i, p] += rstd[i] * (dy[i, p] * gain[p] - x[i, p] * shrink)


def rmsnorm_backward(dy, cache, into=None):
    x, gain, rstd = cache
    dx, d = np.zeros_like(x) if into is None else into, x.shape[-1]  # (..., d)
    rmsnorm_backward_rows(dy.reshape(-1, d), x.reshape(-1, d), gain, rstd, dx.reshape(-1, d))
    return dx


@compiled
def rmsnorm_gain_rows(dy, x, rstd, dgain):
    n, d = x.shape
    for i in range(n):
        for p in range(d):
            dgain[p] += dy[i, p] * x[i, p] * rstd[i]


def rmsnorm_gain_backward(dy, cache):
    x, gain, rstd = cache
    dgain, d = np.zeros(gain.shape, dy.dtype), x.shape[-1]  # (d,)
    rmsnorm_gain_rows(dy.reshape(-1, d), x.reshape(-1, d), rstd, dgain)
    return dgain


@compiled
def rotate_split(x, cos, sin, y):
    """x (batch, T, heads, c), as split_heads leaves it in memory -> y (batch, heads, T, c): feature i turns with feature i + c/2."""
    batch, T, heads, width = x.shape
    half = width // 2
    for b in range(batch):
        for h in range(heads):
            for t in range(T):
                for i in range(half):
                    first, second = x[b, t, h, i], x[b, t, h, i + half]
                    y[b, h, t, i] = first * cos[t, i] - second * sin[t, i]
                    y[b, h, t, i + half] = second * cos[t, i] + first * sin[t, i]


@compiled
def rotate_back_joined(y, cos, sin, x):
    """y (batch, heads, T, c) -> x (batch, T, heads, c), by the negative angle: join_heads need not copy it."""
    batch, heads, T, width = y.shape
    half = width // 2
    for b in range(batch):
        for t in range(T):
            for h in range(heads):
                for i in range(half):
                    first, second = y[b, h, t, i], y[b, h, t, i + half]
                    x[b, t, h, i] = first * cos[t, i] + second * sin[t, i]
                    x[b, t, h, i + half] = second * cos[t, i] - first * sin[t, i]


def rope_forward(x, cos, sin):
    y = np.empty(x.shape, x.dtype)  # (batch, heads, T, c)
    rotate_split(np.ascontiguousarray(x.transpose(0, 2, 1, 3)), cos, sin, y)
    return y


def rope_backward(dy, cos, sin):
    dx = _empty_heads(*dy.shape, dy.dtype)  # (batch, heads, T, c)
    rotate_back_joined(np.ascontiguousarray(dy), cos, sin, dx.transpose(0, 2, 1, 3))
    return dx


def _empty_heads(batch, heads, T, width, dtype):
    """An array (batch, heads, T, c) in which a token's heads lie side by side, so that join_heads need not copy it."""
    return np.empty((batch, T, heads, width), dtype).transpose(0, 2, 1, 3)


@compiled
def softmax_rows(scores, scale, first):
    """In place, scores (heads, T, S) -> softmax(scale scores) over the keys 0 .. first + t that query t sees, zero over the others."""
    heads, T, S = scores.shape
    zero = scores.dtype.type(0)
    for h in range(heads):
        for t in range(T):
            seen, hidden = scores[h, t, : first + t + 1], scores[h, t, first + t + 1 :]
            highest = seen[0]
            for j in range(1, len(seen)):
                highest = max(highest, seen[j])
            total = zero
            for j in range(len(seen)):
                seen[j] = exp(scale * (seen[j] - highest))
                total += seen[j]
            share = scores.dtype.type(1) / total
            for j in range(len(seen)):
                seen[j] *= share
            for j in range(len(hidden)):
                hidden[j] = zero


@compiled
def softmax_backward_rows(dp, p, scale):
    """In place, dp (n, S) -> ds = scale p (dp - sum(dp p)): the hidden keys have p = 0."""
    n, S = p.shape
    for i in range(n):
        total = p.dtype.type(0)
        for j in range(S):
            total += dp[i, j] * p[i, j]
        for j in range(S):
            dp[i, j] = scale * p[i, j] * (dp[i, j] - total)


@compiled
def attend_one(q, k, v, scale, p, o):
    """One query a head, as in decoding: p = softmax(scale q k.T), o = p v.  q, o (batch, H, c), k, v (S, batch, G, c), p (batch, H, S)."""
    batch, heads, width = q.shape
    shared = heads // k.shape[2]
    for b in range(batch):
        for h in range(heads):
            g, weight = h // shared, p[b, h]
            highest = q.dtype.type(-np.inf)
            for j in range(len(weight)):
                weight[j] = 0
                for i in range(width):
                    weight[j] += q[b, h, i] * k[j, b, g, i]
                weight[j] *= scale
                highest = max(highest, weight[j])
            total = q.dtype.type(0)
            for j in range(len(weight)):
                weight[j] = exp(weight[j] - highest)
                total += weight[j]
            o[b, h] = 0
            for j in range(len(weight)):
                weight[j] /= total
                for i in range(width):
                    o[b, h, i] += weight[j] * v[j, b, g, i]


def _grouped(x, groups, rows):
    """x (batch, H, T, c), some rows of every head -> (batch, G, H/G * rows, c): the heads that share keys, one below the other."""
    batch, heads, _, width = x.shape
    return x.reshape(batch, groups, heads // groups, -1, width)[..., rows, :].reshape(batch, groups, -1, width)


def attention_forward(q, k, v):
    batch, heads, T, width = q.shape
    groups, S = k.shape[1], k.shape[2]
    o = _empty_heads(batch, heads, T, width, q.dtype)  # (batch, H, T, c)
    if T == 1:
        p = np.empty((batch, groups, heads // groups, S), q.dtype)  # (batch, G, H/G, S)
        kt, vt = k.transpose(2, 0, 1, 3), v.transpose(2, 0, 1, 3)  # (S, batch, G, c) each: as a cache has them in memory
        attend_one(q[:, :, 0], kt, vt, q.dtype.type(width**-0.5), p.reshape(batch, heads, S), o[:, :, 0])
        return o, (q, k, v, [(slice(0, 1), S, p)])
    # Every block reads them: turned round once, and a head's rows side by side, they come faster from main memory.
    kt, v, parts = np.ascontiguousarray(k.swapaxes(-1, -2)), np.ascontiguousarray(v), []  # (batch, G, c, S), (batch, G, S, c)
    for start in range(0, T, QUERIES):
        rows = slice(start, min(start + QUERIES, T))
        n = rows.stop - start
        seen = S - T + rows.stop  # keys that the last of these queries sees
        p = _grouped(q, groups, rows) @ kt[..., :seen]  # (batch, G, H/G * n, seen)
        softmax_rows(p.reshape(-1, n, seen), q.dtype.type(width**-0.5), seen - n)
        o[..., rows, :] = (p @ v[..., :seen, :]).reshape(batch, heads, n, width)
        parts.append((rows, seen, p))
    return o, (q, k, v, parts)


def attention_backward(do, cache):
    q, k, v, parts = cache
    batch, groups, S, width = k.shape
    do, vt = np.ascontiguousarray(do), np.ascontiguousarray(v.swapaxes(-1, -2))  # (batch, H, T, c), (batch, G, c, S)
    dq, dk, dv = np.empty_like(do), None, None  # (batch, H, T, c)
    for rows, seen, p in reversed(parts):  # the last queries see all keys, so that the first dk and dv are whole
        dob = _grouped(do, groups, rows)  # (batch, G, H/G * n, c)
        dp = dob @ vt[..., :seen]  # (batch, G, H/G * n, seen)
        dv = _add_seen(p.swapaxes(-1, -2) @ dob, dv)  # (batch, G, S, c)
        softmax_backward_rows(dp.reshape(-1, seen), p.reshape(-1, seen), q.dtype.type(width**-0.5))
        dq[..., rows, :] = (dp @ k[..., :seen, :]).reshape(batch, q.shape[1], -1, width)
        dk = _add_seen(dp.swapaxes(-1, -2) @ _grouped(q, groups, rows), dk)  # (batch, G, S, c)
    return dq, dk, dv


def _add_seen(part, total):
    """part (batch, G, seen, c) of the keys' or values' gradient, added to the total (batch, G, S, c): the first part is the total."""
    if total is None:
        return part
    total[..., : part.shape[2], :] += part
    return total


@compiled
def swiglu_elements(gate, up, h):
    one = h.dtype.type(1)
    for i in range(h.size):
        h[i] = gate[i] * up[i] / (one + exp(-gate[i]))


def swiglu_forward(gate, up):
    h = np.empty_like(gate)  # (N, f)
    swiglu_elements(gate.reshape(-1), up.reshape(-1), h.reshape(-1))
    return h, (gate, up)


@compiled
def swiglu_backward_elements(dh, gate, up, dgate, dup):
    one = dh.dtype.type(1)
    for i in range(dh.size):
        sigmoid = one / (one + exp(-gate[i]))
        dup[i] = dh[i] * gate[i] * sigmoid
        dgate[i] = dh[i] * up[i] * sigmoid * (one + gate[i] * (one - sigmoid))


def swiglu_backward(dh, cache):
    gate, up = cache
    dgate, dup = np.empty_like(gate), np.empty_like(up)  # (N, f) each
    swiglu_backward_elements(dh.reshape(-1), gate.reshape(-1), up.reshape(-1), dgate.reshape(-1), dup.reshape(-1))
    return dgate, dup


@compiled
def cross_entropy_rows(logits, targets, weight, dlogits):
    """dlogits = weight (softmax(logits) - onehot(target)) where the target counts, zero elsewhere -> the sum of -log p(target)."""
    n, V = logits.shape
    nll = 0.0
    for i in range(n):
        if targets[i] == IGNORED:
            dlogits[i] = 0
            continue
        highest = logits[i, 0]
        for j in range(1, V):
            highest = max(highest, logits[i, j])
        total = logits.dtype.type(0)
        for j in range(V):
            dlogits[i, j] = exp(logits[i, j] - highest)
            total += dlogits[i, j]
        nll += np.log(total) - (logits[i, targets[i]] - highest)
        share = weight / total
        for j in range(V):
            dlogits[i, j] *= share
        dlogits[i, targets[i]] -= weight
    return nll


def cross_entropy_forward(logits, targets, count=None):
    count = max(1, int((targets != IGNORED).sum()) if count is None else count)
    dlogits = np.empty_like(logits)  # (N, V)
    nll = cross_entropy_rows(logits, targets, logits.dtype.type(1 / count), dlogits)
    return nll / count, dlogits


def cross_entropy_backward(cache):
    return cache


@compiled
def scatter_rows(tokens, dx, dE):
    for i in range(len(tokens)):
        for p in range(dx.shape[1]):
            dE[tokens[i], p] += dx[i, p]


def embedding_backward(dx, cache, into=None):
    tokens, shape = cache
    dE = np.zeros(shape, dx.dtype) if into is None else into  # (V, d)
    scatter_rows(tokens, dx, dE)
    return dE
