"""Directions of two matrices compared: do two adapters learn the same ones, and does an update use those of the weight?

Section 7 of the LoRA paper (Hu et al. 2021, arXiv 2106.09685), and the intruder dimensions of Shuttleworth et al. 2024 (arXiv 2410.21228).
Every measure stands beside the value that chance alone gives it: in a space of 64 directions two random subspaces share a quarter, in the
paper's 12,288 next to nothing.

Here y = x W, so that the columns of U in W = U diag(sigma) Vt are directions of the input, and the rows of Vt directions of the output.
The paper's A is our A transposed: its right-singular vectors are our left ones.
"""

import numpy as np

from minilora.analysis.spectrum import truncated_svd


def similarity(U, V):
    """phi(i, j) = |U.T V|_F^2 / min(i, j) of orthonormal columns U (d, i), V (d, j): 0 for orthogonal subspaces, 1 if one contains the
    other. Equation 4 of the paper.
    """
    return float(np.sum((U.T @ V) ** 2) / min(U.shape[1], V.shape[1]))


def similarity_grid(U, V):
    """phi of the first i columns of U (d, m) and the first j of V (d, n), for all i and j at once -> (m, n): figure 3 of the paper."""
    m, n = U.shape[1], V.shape[1]
    smaller = np.minimum(np.arange(1, m + 1)[:, None], np.arange(1, n + 1))  # (m, n)
    return np.cumsum(np.cumsum((U.T @ V) ** 2, axis=0), axis=1) / smaller  # (m, n)


def similarity_by_chance(d, i, j):
    """The mean of phi for random subspaces of i and j of d directions, max(i, j) / d: a random unit vector has j / d of its square in
    a subspace of j directions, so that |U.T V|^2 is i j / d in the mean.
    """
    return max(i, j) / d


def principal_angles(U, V):
    """The angles between the spans of orthonormal columns U (d, i) and V (d, j), smallest first -> (min(i, j),), in radians.

    The singular values of U.T V are their cosines, and those of V - U U.T V their sines. Both are used, since the cosine alone cannot tell
    an angle below 1e-8 from zero, nor the sine one from a right angle (Bjorck and Golub 1973).
    """
    if U.shape[1] < V.shape[1]:
        U, V = V, U
    cosines = np.linalg.svd(U.T @ V, compute_uv=False)  # (j,), largest first
    sines = np.linalg.svd(V - U @ (U.T @ V), compute_uv=False)  # (j,), largest first
    return np.arctan2(sines[::-1], cosines)  # (j,)


def distance(U, V):
    """d = sqrt(p - |U.T V|_F^2) with p = min(i, j), the norm of the sines of the principal angles.

    phi = 1 - d^2 / p. The paper's appendix G prints (1 - d^2) / p, which does not give phi unless p = 1.
    """
    return float(np.linalg.norm(np.sin(principal_angles(U, V))))


def strength(W, U, Vt):
    """|U.T W V|_F: how much of W (d, k) goes from the directions U (d, r) to the directions Vt (r, k). Table 7 of the paper."""
    return float(np.linalg.norm(U.T @ W @ Vt.T))


def strength_by_chance(norm, d, k, r):
    """The root mean square of the strength along r random directions on both sides, |W|_F r / sqrt(d k), where `norm` is |W|_F."""
    return norm * r / np.sqrt(d * k)


def amplification(W, update, r):
    """How many times stronger than W (d, k) the update (d, k) is along its own first r directions: |[update]_r| / |U.T W V|. Section 7.3.

    Large where the update uses directions that W hardly has. At a fixed alpha the update shrinks as r grows, because s = alpha / r does:
    compare ranks at alpha in proportion to r. ValueError as in truncated_svd.
    """
    U, sigma, Vt = truncated_svd(update, r)
    return float(np.linalg.norm(sigma)) / strength(W, U, Vt)


def familiarity(W, tuned, top):
    """For each of the `top` largest output directions of `tuned` (d, k): its largest |cosine| with any one of W's (d, k) -> (top,)."""
    _, _, old = np.linalg.svd(W, full_matrices=False)  # (m, k) with m = min(d, k)
    _, _, new = truncated_svd(tuned, top)  # (top, k)
    return np.abs(new @ old.T).max(axis=1)  # (top,)


def intruders(W, tuned, top=10, threshold=0.5):
    """Which of the `top` largest directions of `tuned` are like none of W's: all cosines below the threshold -> indices, from 0.

    Where singular values nearly coincide, directions mix under a change of the whole matrix and may be reported although none is new: a
    count means something for directions that stand out. ValueError as in truncated_svd.
    """
    return np.flatnonzero(familiarity(W, tuned, top) < threshold)


def spike_law(theta):
    """What adding theta u v to a square matrix of random entries of variance 1 / n does, as n grows -> top singular value, squared cosine.

    Below theta = 1 the update drowns: the largest singular value stays at 2, where the noise ends, and its direction knows nothing of u.
    Above, it is theta + 1 / theta, and the squared cosine of its direction with u is 1 - 1 / theta^2 (Benaych-Georges and Nadakuditi 2012).
    """
    return (theta + 1 / theta, 1 - 1 / theta**2) if theta > 1 else (2.0, 0.0)
