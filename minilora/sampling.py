"""From logits to a token that is drawn."""

import numpy as np


def probabilities(logits, temperature):
    """softmax(logits / temperature) (batch, V), in float64."""
    scaled = logits.astype(np.float64) / temperature  # (batch, V)
    p = np.exp(scaled - scaled.max(axis=-1, keepdims=True))  # (batch, V)
    p /= p.sum(axis=-1, keepdims=True)
    return p


def draw(p, u):
    """A column for each row of p (batch, V), which need not sum to one, by a number u (batch,) that is uniform in 0 .. 1 -> (batch,)."""
    cumulative = np.cumsum(p, axis=-1)  # (batch, V)
    return (cumulative <= u[:, None] * cumulative[:, -1:]).sum(axis=-1)


def draw_softmax(logits, temperature, u):
    """A column for each row of logits (batch, V), drawn from softmax(logits / temperature) by u (batch,) as in `draw` -> (batch,)."""
    return draw(probabilities(logits, temperature), u)
