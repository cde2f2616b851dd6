"""Sampling, one token at a time, with the keys and values of the past kept.

With a cache a new token costs one pass over one position; without it, over all positions so far. The tokens are the same.
"""

import numpy as np

from minilora.ops import reference
from minilora.sampling import draw, probabilities
from minilora.transformer.model import forward
from minilora.transformer.sites import Sites


class Past:
    """The keys and values of each layer for the S tokens seen so far, in arrays allocated once.

    The position comes first in memory, so that those seen so far lie together.
    """

    def __init__(self, config, batch, capacity, dtype=np.float32):
        shape = (config.num_hidden_layers, capacity, batch, config.num_key_value_heads, config.head_dim)
        self.keys = np.empty(shape, dtype)  # (L, capacity, batch, G, c)
        self.values = np.empty(shape, dtype)  # (L, capacity, batch, G, c)
        self.length = 0

    def append(self, layer, k, v):
        """k, v (batch, G, T, c) of the new tokens -> k, v (batch, G, S + T, c) of all. `length` moves on when the last layer is done."""
        end = self.length + k.shape[2]
        self.keys[layer, self.length : end] = k.transpose(2, 0, 1, 3)
        self.values[layer, self.length : end] = v.transpose(2, 0, 1, 3)
        return self.keys[layer, :end].transpose(1, 2, 0, 3), self.values[layer, :end].transpose(1, 2, 0, 3)


def sample(logits, rng, temperature=1.0, top_k=0, top_p=1.0, ops=None):
    """Draw a token for each row of logits (batch, V) -> (batch,).

    temperature 0 takes the likeliest. top_k keeps the k likeliest (0: all); top_p the likeliest whose probabilities sum to p
    (Holtzman et al. 2020, arXiv 1904.09751). Raises ValueError for values out of range, and for logits that are not finite.
    """
    if not temperature >= 0 or top_k < 0 or not 0 < top_p <= 1:
        raise ValueError(f"temperature {temperature} and top_k {top_k} must be at least 0, and top_p {top_p} in 0 < p <= 1")
    if not np.isfinite(logits).all():
        raise ValueError("the logits are not finite, and no token can be drawn: is alpha too large, or did the training diverge?")
    if temperature == 0:
        return logits.argmax(axis=-1)
    u = rng.random(len(logits))  # (batch,)
    if not top_k and top_p == 1:  # nothing is left out, so nothing need be sorted
        return (ops or reference()).draw_softmax(logits, temperature, u)
    order = np.argsort(-logits, axis=-1, kind="stable")  # (batch, V)     likeliest first
    p = probabilities(np.take_along_axis(logits, order, axis=-1), temperature)  # (batch, V)
    before = np.cumsum(p, axis=-1) - p  # (batch, V)     probability of the likelier ones
    p[before >= top_p] = 0
    if top_k:
        p[:, top_k:] = 0
    return np.take_along_axis(order, draw(p, u)[:, None], axis=-1)[:, 0]


def generate(config, weights, tokens, num_tokens, sites=None, seed=0, temperature=1.0, top_k=0, top_p=1.0, stop=None, cached=True):
    """Continue tokens (batch, T) by at most num_tokens -> (batch, T + at most num_tokens).

    Ends early when every row has produced `stop` (a token or a list of them), and at the end of the context. Raises ValueError if the
    prompt is empty or already longer than the context. `cached=False` recomputes all positions at every step: the same tokens, slowly.
    """
    batch, T = tokens.shape
    sites = Sites() if sites is None else sites
    room = config.max_position_embeddings - sites.positions
    if T == 0:
        raise ValueError("the prompt is empty: give at least one token to begin with")
    if T > room:
        raise ValueError(f"the prompt has {T} tokens and the context {room}: shorten the prompt")
    rng = np.random.default_rng(seed)
    past = Past(config, batch, sites.positions + min(T + num_tokens, room), weights["model.norm.weight"].dtype) if cached else None
    done = np.zeros(batch, bool)  # (batch,)
    new = tokens
    for _ in range(num_tokens):
        logits, _ = forward(config, weights, new if cached else tokens, sites, past)  # (batch * T, V)
        new = sample(logits.reshape(batch, -1, logits.shape[-1])[:, -1], rng, temperature, top_k, top_p, sites.ops)[:, None]  # (batch, 1)
        tokens = np.concatenate([tokens, new], axis=1)  # (batch, T + 1)
        if stop is not None:
            done |= np.isin(new[:, 0], stop)
        if done.all() or tokens.shape[1] >= room:
            break
    return tokens
