"""The layers of a Llama-style transformer, forward and backward, as you would write them on a board.

Each `<layer>_forward` returns its output and a cache; `<layer>_backward` stands right below and takes dL/d(output) and that cache.
Nothing is kept anywhere else, so two threads may use one layer at once. A cache holds what the backward pass reads and no more.

Shapes: N = batch * time tokens, d features, H query heads, G key/value heads, c = features of a head, V vocabulary.
Compiled twins of the hot ones, with the same names and results, are in minilora/kernels/layers.py.
"""

import numpy as np

IGNORED = -100  # a target with this value is not counted, as in PyTorch and transformers


def add(result, into):
    """`result`, or `into + result` in place where there is something to accumulate into."""
    if into is None:
        return result
    into += result
    return into


def embedding_forward(tokens, E):
    """x = E[tokens].  tokens (N,) integers, E (V, d) -> x (N, d), cache."""
    return E[tokens], (tokens, E.shape)  # (N, d)


def embedding_backward(dx, cache, into=None):
    """dx (N, d) -> dE (V, d): a token that occurs twice receives both rows, so the rows are added, never assigned."""
    tokens, shape = cache
    dE = np.zeros(shape, dx.dtype) if into is None else into  # (V, d)
    np.add.at(dE, tokens, dx)
    return dE


def linear_forward(x, W, bias=None):
    """y = x W + bias.  x (N, d), W (d, k) -> y (N, k). The caller keeps x if W is to be trained: a frozen W needs no cache."""
    y = x @ W  # (N, k)
    return y if bias is None else y + bias


def linear_backward(dy, W, into=None):
    """dy (N, k) -> dx (N, d) = dy W.T."""
    return add(dy @ W.T, into)  # (N, d)


def linear_weight_backward(dy, x):
    """dy (N, k), x (N, d) -> dW (d, k) = x.T dy: computed only where W trains."""
    return x.T @ dy  # (d, k)


def rmsnorm_forward(x, gain, eps):
    """y = x / sqrt(mean(x^2) + eps) * gain, over the last axis.  x (..., d), gain (d,).  Zhang and Sennrich 2019, arXiv 1910.07467."""
    rstd = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)  # (..., 1)
    return x * rstd * gain, (x, gain, rstd)  # (..., d)


def rmsnorm_backward(dy, cache, into=None):
    """dy (..., d) -> dx (..., d).

    With n = x rstd the forward is y = n gain, so dn = dy gain; and rstd falls as x grows, which takes away dn's part along n.
    """
    x, gain, rstd = cache
    n = x * rstd  # (..., d)
    dn = dy * gain  # (..., d)                              y = n * gain
    dx = rstd * (dn - n * np.mean(dn * n, axis=-1, keepdims=True))  # (..., d)    n = x * rstd(x)
    return add(dx, into)


def rmsnorm_gain_backward(dy, cache):
    """dy (..., d) -> dgain (d,) = sum over tokens of dy n."""
    x, _, rstd = cache
    return np.sum((dy * x * rstd).reshape(-1, x.shape[-1]), axis=0)  # (d,)


def split_heads(x, batch, heads):
    """(N, heads * c) -> (batch, heads, time, c), a view: in memory a token's heads stay side by side."""
    return x.reshape(batch, x.shape[0] // batch, heads, -1).transpose(0, 2, 1, 3)


def join_heads(x):
    """(batch, heads, time, c) -> (N, heads * c): the way back, and the backward pass of split_heads."""
    batch, heads, time, width = x.shape
    return x.transpose(0, 2, 1, 3).reshape(batch * time, heads * width)


def rope_tables(positions, frequencies, dtype=np.float32):
    """cos and sin (T, c / 2) of position times frequency.  positions (T,), frequencies (c / 2,).  Su et al. 2021, arXiv 2104.09864."""
    angles = np.outer(positions, frequencies)  # (T, c/2)
    return np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)


def rope_forward(x, cos, sin):
    """Rotate feature i with feature i + c/2 (the "rotate half" pairing of Hugging Face, not Meta's neighbours).

    x (batch, heads, T, c), cos and sin (T, c / 2). A rotation has no cache: its backward is the rotation by the negative angle.
    """
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]  # (batch, heads, T, c/2) each
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)  # (batch, heads, T, c)


def rope_backward(dy, cos, sin):
    """dy -> dx, both (batch, heads, T, c): the transpose of a rotation is the rotation back."""
    return rope_forward(dy, cos, -sin)


def attention_forward(q, k, v):
    """Causal attention with grouped queries: softmax(q k.T / sqrt(c)) v.

    q (batch, H, T, c); k, v (batch, G, S, c) with G a divisor of H and S >= T: the queries are the last T of S positions, so
    query t sees the keys 0 .. S - T + t. That serves training (S = T), decoding with a cache, and a learned prefix alike.
    Returns o (batch, H, T, c) and a cache.  Vaswani et al. 2017, eq. 1; Ainslie et al. 2023 (grouped queries), arXiv 2305.13245.
    """
    batch, heads, T, width = q.shape
    groups, S = k.shape[1], k.shape[2]
    qg = q.reshape(batch, groups, heads // groups * T, width)  # (batch, G, H/G * T, c)   heads of a group share k and v
    scores = (qg @ k.swapaxes(-1, -2)).reshape(batch, heads, T, S) * width**-0.5  # (batch, H, T, S)
    hidden = np.arange(S) > np.arange(T)[:, None] + (S - T)  # (T, S)
    scores = np.where(hidden, -np.inf, scores).astype(q.dtype, copy=False)
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))  # (batch, H, T, S)
    p /= p.sum(axis=-1, keepdims=True)
    o = (p.reshape(batch, groups, -1, S) @ v).reshape(q.shape)  # (batch, H, T, c)
    return o, (q, k, v, p)


def attention_backward(do, cache):
    """do (batch, H, T, c) -> dq (batch, H, T, c), dk, dv (batch, G, S, c): k and v collect from every query head of their group."""
    q, k, v, p = cache
    batch, groups, S, width = k.shape
    dog = do.reshape(batch, groups, -1, width)  # (batch, G, H/G * T, c)
    qg = q.reshape(dog.shape)  # (batch, G, H/G * T, c)
    pg = p.reshape(batch, groups, -1, S)  # (batch, G, H/G * T, S)
    dv = pg.swapaxes(-1, -2) @ dog  # (batch, G, S, c)                  o = p v
    dp = dog @ v.swapaxes(-1, -2)  # (batch, G, H/G * T, S)
    ds = pg * (dp - np.sum(dp * pg, axis=-1, keepdims=True))  # (batch, G, H/G * T, S)    p = softmax(s): a hidden key has p = 0
    ds *= width**-0.5  #                                            s = q k.T / sqrt(c)
    dq = (ds @ k).reshape(q.shape)  # (batch, H, T, c)
    dk = ds.swapaxes(-1, -2) @ qg  # (batch, G, S, c)
    return dq, dk, dv


def swiglu_forward(gate, up):
    """h = silu(gate) * up, silu(g) = g sigmoid(g).  gate, up (N, f) -> h (N, f), cache.  Shazeer 2020, arXiv 2002.05202."""
    # The exponential of a negative number never overflows, so that each half of the line uses its own form of the sigmoid.
    e = np.exp(-np.abs(gate))  # (N, f)
    sigmoid = np.where(gate >= 0, 1, e) / (1 + e)  # (N, f)
    return gate * sigmoid * up, (gate, up, sigmoid)  # (N, f)


def swiglu_backward(dh, cache):
    """dh (N, f) -> dgate, dup (N, f) each.  silu'(g) = sigmoid (1 + g (1 - sigmoid))."""
    gate, up, sigmoid = cache
    dup = dh * gate * sigmoid  # (N, f)                                 h = silu(gate) * up
    dgate = dh * up * sigmoid * (1 + gate * (1 - sigmoid))  # (N, f)
    return dgate, dup


def cross_entropy_forward(logits, targets, count=None):
    """The mean negative log-likelihood, in nats a token, over the targets that are not IGNORED.

    logits (N, V), targets (N,) -> loss (a number), cache. `count` is what the sum is divided by, the number of counted targets
    if not given: a shard of a batch passes the whole step's count, so that the shards' losses and gradients simply add up.
    """
    counted = targets != IGNORED  # (N,)
    count = int(counted.sum()) if count is None else count
    shifted = logits - logits.max(axis=-1, keepdims=True)  # (N, V)
    e = np.exp(shifted)  # (N, V)
    total = e.sum(axis=-1, keepdims=True)  # (N, 1)
    rows = np.flatnonzero(counted)  # (number of counted,)
    nll = np.log(total[rows, 0]) - shifted[rows, targets[rows]]  # (number of counted,)
    return float(nll.sum(dtype=np.float64)) / max(count, 1), (e / total, targets, rows, count)


def cross_entropy_backward(cache):
    """-> dlogits (N, V) = (softmax(logits) - onehot(target)) / count, and zero where the target is ignored."""
    p, targets, rows, count = cache
    dlogits = np.zeros_like(p)  # (N, V)
    dlogits[rows] = p[rows]
    dlogits[rows, targets[rows]] -= 1
    dlogits /= max(count, 1)
    return dlogits
