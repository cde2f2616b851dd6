"""The compiled twin of minilora/sampling.py: a token of decoding is drawn in one call in place of a dozen."""

import numpy as np

from minilora.kernels.compile import compiled


@compiled
def draw_rows(logits, temperature, u, drawn):
    batch, V = logits.shape
    cumulative = np.empty(V)  # (V,)
    for i in range(batch):
        highest, total = np.float64(logits[i].max()), 0.0
        for j in range(V):
            total += np.exp((logits[i, j] - highest) / temperature)
            cumulative[j] = total
        while drawn[i] < V and cumulative[drawn[i]] <= u[i] * total:
            drawn[i] += 1


def draw_softmax(logits, temperature, u):
    drawn = np.zeros(len(logits), np.int64)  # (batch,)
    draw_rows(logits, float(temperature), u, drawn)
    return drawn
