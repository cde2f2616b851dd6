"""The compiled twin of minilora/counting/sweep.py."""

import numpy as np

from minilora.kernels.compile import compiled

LIMIT = np.iinfo(np.int64).max


@compiled
def count_pairs(d, k, r, full, lora):
    for i in range(len(d)):
        di, ki, ri = d[i], k[i], r[i]
        if di < 1 or ki < 1 or ri < 1:
            return i
        if di > LIMIT // ki or di > LIMIT - ki or ri > LIMIT // (di + ki):  # 64 bits wrap round: asked before, not after
            return i
        full[i] = di * ki
        lora[i] = ri * (di + ki)
    return -1
