"""The SVD, and other matrices that are made of few numbers: Winograd's products, filters, Kronecker products."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minilora.analysis.spectrum import approximate, rank_holding
from minilora.classroom.exercise import R, exercise, gradient, normal, sizes


def draw_matrix(rng):
    d, k = sizes(rng, 2)
    return normal(rng, W=(d, k)) | {"r": R}


def draw_spectrum(rng):
    m = 4 + next(sizes(rng, 1))
    return {"sigma": np.sort(rng.exponential(size=m))[::-1].copy(), "share": 0.9}


def draw_factors(rng):
    d, k = sizes(rng, 2)
    return normal(rng, A=(d, R), B=(R, k), T=(d, k))


def draw_filter(rng):
    return normal(rng, x=(4,), g=(3,))


def winograd_products(x, g):
    half = (g[0] + g[2]) / 2
    return np.array([(x[0] - x[2]) * g[0], (x[1] + x[2]) * (half + g[1] / 2), (x[2] - x[1]) * (half - g[1] / 2), (x[1] - x[3]) * g[2]])


def filter_image(image, kernel, **_):
    return np.einsum("ijuv,uv->ij", sliding_window_view(image, kernel.shape), kernel)


def draw_image(rng):
    (H, W), kernel = sizes(rng, 2), (2, 3)
    return normal(rng, image=(H, W), kernel=kernel, dy=(H - 1, W - 2))


def draw_kronecker(rng):
    (N, p, q), (s, t) = sizes(rng, 3), (3, 2)
    return normal(rng, x=(N, p * s), P=(p, q), Q=(s, t), G=(p * s, q * t))


EXERCISES = {
    "best_rank": exercise(
        "W r",
        "approximation",
        draw_matrix,
        approximate,
        "keep the r largest singular values, each with its column of U and its row of Vt",
    ),
    "rank_holding": exercise(
        "sigma share",
        "rank",
        draw_spectrum,
        rank_holding,
        "energy is the sum of the squares of the singular values: count how many of the largest are needed to reach the share",
        edges=lambda: [{"sigma": np.array([3.0, 1.0, 1.0, 1.0]), "share": 0.75}],  # the first holds 9 of 12, the share and no more
    ),
    "factor_gradient": gradient(
        "A B T",
        "dA dB",
        draw_factors,
        lambda A, B, T: float(np.sum((A @ B - T) ** 2) / 2),
        "with E = A B - T the loss is half the sum of E squared: E stands where dy stood",
        upstream="",
    ),
    "winograd_products": exercise(
        "x g",
        "m",
        draw_filter,
        winograd_products,
        "write y0 - m[0] and y1 + m[3] out: their sum and their difference are twice m[1] and twice m[2]",
    ),
    "filter_backward": gradient(
        "dy image",
        "dkernel",
        draw_image,
        filter_image,
        "y[i, j] = sum of kernel[u, v] image[i + u, j + v]: which part of the image has kernel[u, v] met, while it slid over all (i, j)?",
    ),
    "kronecker_apply": exercise(
        "x P Q",
        "y",
        draw_kronecker,
        lambda x, P, Q, **_: x @ np.kron(P, Q),
        "a row of x is a p x s matrix, row after row: Q acts on its columns' index s and P on its rows' index p",
    ),
    "kronecker_backward": gradient(
        "G P Q",
        "dP dQ",
        draw_kronecker,
        lambda P, Q, **_: np.kron(P, Q),
        "cut G into p x q blocks of the size of Q: block (i, j) of the product is P[i, j] Q",
        upstream="G",
    ),
}
