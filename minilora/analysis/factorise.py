"""Where gradient descent on a low-rank pair ends, when the target is known: at an SVD, but which one depends on the inputs.

With W frozen and inputs x (N, d), the pair is trained to bring x (W + s A B) near x target. What is missing is D = target - W (d, k).

* White inputs, x.T x = I: the best s A B is [D]_r, the truncated SVD. Every local minimum of this loss is global (Baldi and Hornik 1989)
  and gradient descent from a random A and B = 0 finds it, larger singular values first.
* Any other inputs: an error counts as much as the inputs use its direction. With S = x.T x the loss is |S^1/2 (s A B - D)|^2 / 2, so that
  the best s A B is S^-1/2 [S^1/2 D]_r, a weighted SVD. For column vectors that is [D S^1/2]_r S^-1/2.

So LoRA does not find the SVD of the full update unless its inputs are white. A and B are never unique: A M and M^-1 B have the same
product for every invertible M (r, r). Compare products or subspaces, not factors.
"""

import numpy as np

from minilora.analysis.spectrum import truncated_svd
from minilora.lowrank import lowrank_backward, lowrank_forward


def descend(x, W, target, A, B, s, rate, steps):
    """Gradient descent on L = |x (W + s A B) - x target|_F^2 / 2 -> A, B. To go on, call it again with what it returned.

    x (N, d), W and target (d, k), A (d, r), B (r, k). L is a sum over the rows of x, so that a safe rate falls as N grows.
    """
    wanted = x @ target  # (N, k)
    for _ in range(steps):
        y, cache = lowrank_forward(x, W, A, B, s)  # (N, k)
        _, dA, dB = lowrank_backward(y - wanted, cache, need_dx=False)  # L = |y - wanted|^2 / 2, so dy = y - wanted
        A, B = A - rate * dA, B - rate * dB  # (d, r), (r, k)
    return A, B


def best_pair(D, S, r):
    """A (d, r), B (r, k) whose product is nearest to D (d, k) under inputs with S = x.T x (d, d): S^-1/2 [S^1/2 D]_r.

    S may be divided by N or any other number. Directions that the inputs never take are left at zero. ValueError as in truncated_svd.
    """
    variances, V = np.linalg.eigh(S)  # (d,), (d, d): S = V diag(variances) V.T
    seen = variances > len(S) * np.finfo(S.dtype).eps * variances[-1]  # the rest is rounding
    root = np.sqrt(variances[seen])[:, None]  # (m, 1)
    V = V[:, seen]  # (d, m)
    U, sigma, Vt = truncated_svd(root * (V.T @ D), r)  # (m, r), (r,), (r, k): S^1/2 D but for a rotation
    return V @ (U / root), sigma[:, None] * Vt  # (d, r), (r, k)
