"""What quantising a weight loses, and how much of that a low-rank pair brings back.

LoftQ (Li et al. 2023, arXiv 2310.08659, algorithm 1) looks for a quantised Q and a pair of rank r with Q + A B near W, in turns: quantise
what the pair leaves of W, then give the pair the best rank-r part of what quantising lost. What is lost looks like noise, whose spectrum
is nearly flat, so that a small rank brings back little; and a weight of full rank is not served by a pair alone.
"""

import numpy as np

from minilora.analysis.spectrum import approximate
from minilora.quantization import nf4


def loftq(W, r, iterations, double=True):
    """W (d, k) -> Q, an NF4Weight, and the pair's product (d, k), of rank r."""
    product = np.zeros_like(W)  # (d, k)
    for _ in range(iterations):
        Q = nf4(W - product, double)
        product = approximate(W - np.asarray(Q), r)  # (d, k)
    return Q, product


def compare(W, r):
    """Rows {what, bits, error}: bits a number of W (d, k), counted from arrays, and the error |W - its stand-in| / |W|, Frobenius norms.

    The numbers of a pair count 32 bits each.
    """
    pair = 32 * r * sum(W.shape) / W.size
    single, double = nf4(W, double=False), nf4(W)
    once, often = loftq(W, r, 1), loftq(W, r, 5)

    def row(what, bits, stand_in):
        return {"what": what, "bits": bits, "error": float(np.linalg.norm(W - stand_in) / np.linalg.norm(W))}

    return [
        row(f"SVD, rank {r}", pair, approximate(W, r)),
        row("NF4", 8 * single.nbytes / W.size, np.asarray(single)),
        row("NF4, double", 8 * double.nbytes / W.size, np.asarray(double)),
        row(f"LoftQ, rank {r}, 1 turn", 8 * once[0].nbytes / W.size + pair, np.asarray(once[0]) + once[1]),
        row(f"LoftQ, rank {r}, 5 turns", 8 * often[0].nbytes / W.size + pair, np.asarray(often[0]) + often[1]),
    ]
