"""The spectrum of a matrix: how much of it a few directions hold.

Every matrix W (d, k) is a sum of outer products, W = sum_i sigma_i u_i v_i, with orthonormal u_i (d,) and v_i (k,) and sigma_1 >= sigma_2
>= ... >= 0. The first r terms, [W]_r, are the best matrix of rank r in the Frobenius norm and in the spectral norm (Eckart and Young
1936; Mirsky 1960). That is what a low-rank pair can do at best for a fixed target; factorise.py says when training does as well.

Functions of `sigma` take the singular values in any order, as np.linalg.svd(W, compute_uv=False) gives them, so that one decomposition
serves all of them. Left out: iterative and randomised methods, which need only a few products with W and are used for matrices of many
thousand rows.
"""

import numpy as np


def truncated_svd(W, r):
    """The first r terms of W (d, k): U (d, r), sigma (r,), Vt (r, k), so that [W]_r = (U * sigma) @ Vt.

    Raises ValueError for a rank outside 1..min(d, k).
    """
    if not 1 <= r <= min(W.shape):
        raise ValueError(f"rank {r} is outside 1..{min(W.shape)}: a {W.shape[0]} x {W.shape[1]} matrix has {min(W.shape)} singular values")
    U, sigma, Vt = np.linalg.svd(W, full_matrices=False)  # (d, m), (m,), (m, k) with m = min(d, k)
    return U[:, :r], sigma[:r], Vt[:r]  # (d, r), (r,), (r, k)


def approximate(W, r):
    """[W]_r (d, k), the best approximation of rank r. Raises ValueError as truncated_svd."""
    U, sigma, Vt = truncated_svd(W, r)
    return (U * sigma) @ Vt  # (d, k)


def tail(sigma, r):
    """|W - [W]_r| by Frobenius norms: the root of the sum of sigma_i^2 over i > r. By spectral norms it is sigma_(r+1)."""
    return float(np.linalg.norm(np.sort(sigma)[::-1][r:]))


def pca(x, r):
    """Principal components of the rows of x (N, d) -> mean (d,), components (r, d), variances (r,).

    PCA is the same theorem on centred data: mean + (x - mean) @ components.T @ components is the best approximation of the rows by a
    point and r directions, and the squares of what is lost sum up to the tail of the spectrum of x - mean. A variance is divided by N, as
    in np.var. Raises ValueError as truncated_svd.
    """
    mean = x.mean(axis=0)  # (d,)
    _, sigma, components = truncated_svd(x - mean, r)  # (r,), (r, d)
    return mean, components, sigma**2 / len(x)  # (d,), (r, d), (r,)


def shares(sigma):
    """The singular values as parts of their sum, largest first. Raises ValueError where all are zero."""
    if not np.any(sigma):
        raise ValueError("all singular values are zero, as in an update that has not been trained: a zero matrix has no spectrum")
    return np.sort(sigma)[::-1] / np.sum(sigma)  # (m,)


def energy(sigma):
    """The energy curve (m,): entry r - 1 is the share of |W|^2 that the r largest singular values hold. ValueError as in shares."""
    return np.cumsum(shares(np.square(sigma)))  # (m,)


def rank_holding(sigma, share=0.9):
    """The least rank that holds a share of the energy, 0 < share <= 1. ValueError as in shares, and for another share.

    A curve that sums up to the whole only but for rounding has reached it.
    """
    if not 0 < share <= 1:
        raise ValueError(f"a share of {share} is outside 0 < share <= 1")
    curve = energy(sigma)
    return int(np.argmax(curve >= min(share, curve[-1]))) + 1


def effective_rank(sigma):
    """exp of the entropy of the shares of the singular values (Roy and Vetterli 2007): r for r equal ones, between 1 and rank(W).

    It counts small singular values in part, where the rank counts them whole or, below some threshold, not at all. ValueError as in shares.
    """
    p = shares(sigma)
    p = p[p > 0]
    return float(np.exp(-np.sum(p * np.log(p))))


def stable_rank(sigma):
    """|W|_F^2 / sigma_1^2 (Rudelson and Vershynin 2007): between 1 and rank(W), moved little by small singular values."""
    return float(1 / shares(np.square(sigma))[0])
