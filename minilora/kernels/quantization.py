"""The compiled twin of minilora/quantization.py: numbers are spelled out without an index array for each."""

import numpy as np

from minilora.kernels.compile import compiled
from minilora.quantization import BLOCK, NF4

# Unsigned: of an index with a sign each access would ask whether it counts from the end, which takes as long as all the rest.
ONE, FOUR, LOW_HALF, WIDTH = np.uint64(1), np.uint64(4), np.uint64(15), np.uint64(BLOCK)


@compiled
def dequantize_tile(codes, scales, width, row, column, tile):
    m, n = tile.shape
    for i in range(m):
        first = np.uint64((row + i) * width + column)
        for j in range(n):
            at = first + np.uint64(j)
            code = np.uint64(codes[at >> ONE]) >> (FOUR - FOUR * (at & ONE)) & LOW_HALF
            tile[i, j] = NF4[code] * scales[at // WIDTH]
