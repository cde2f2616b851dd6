"""Winograd's convolution: the same outputs from fewer multiplications, and why that is not what LoRA does.

m outputs of a filter with r taps read n = m + r - 1 inputs, y_i = sum_j g_j d_(i + j), with m r multiplications. n are enough: read filter
and outputs as polynomials, take their values at n points, multiply point by point and interpolate (Toom and Cook; Winograd 1980). For
images (Lavin and Gray 2015, arXiv 1509.09308) the same is done to rows and columns: F(2x2, 3x3) takes 16 multiplications for 36, and
F(4x4, 3x3) takes 36 for 144.

The link with low rank: all m r products g_j d_(i + j) are a tensor T (m, r, n) of zeros and ones, and each multiplication is one outer
product. The transforms write T as a sum of n outer products (a CP decomposition of rank n) in place of m r. LoRA is a sum of few outer
products too, but of a matrix, and it loses what does not fit; this loses nothing but rounding.

Here r is the number of taps. Left out: cutting an image into tiles, and sharing transforms between channels, which is where time is saved.
"""

from fractions import Fraction

import numpy as np

POINTS = [Fraction(point) for point in (0, 1, -1, 2, -2, "1/2", "-1/2")]  # small numbers, since their powers grow; and infinity


def product(factors):
    """The coefficients of the product of (x - a) over the factors a, lowest power first."""
    coefficients = [Fraction(1)]
    for a in factors:
        coefficients = [low - a * high for low, high in zip([0, *coefficients], [*coefficients, 0], strict=True)]
    return coefficients


def transforms(m, r):
    """At (m, n), G (n, r), Bt (n, n) with n = m + r - 1 and y = At ((G g) * (Bt d)), exact: arrays of Fractions.

    A column of At and a row of G hold the powers of one point, and that row of Bt the polynomial that is zero at all other points, whose
    value at its own point G is divided by. The last point is infinity, where a polynomial is its leading coefficient. Published matrices
    may differ in signs that cancel. Raises ValueError for sizes below 1 or more than 8 inputs.
    """
    n = m + r - 1
    if min(m, r) < 1 or n - 1 > len(POINTS):
        raise ValueError(f"{m} outputs of {r} taps: both must be at least 1, and m + r - 1 inputs at most {len(POINTS) + 1}")
    points = POINTS[: n - 1]
    others = [product(points[:at] + points[at + 1 :]) for at in range(n - 1)]
    values = [sum(c * a**power for power, c in enumerate(polynomial)) for a, polynomial in zip(points, others, strict=True)]
    At = [[*(a**i for a in points), Fraction(i == m - 1)] for i in range(m)]
    G = [[a**j / value for j in range(r)] for a, value in zip(points, values, strict=True)] + [[Fraction(j == r - 1) for j in range(r)]]
    Bt = [[*polynomial, Fraction(0)] for polynomial in others] + [product(points)]
    return tuple(np.array(matrix, dtype=object) for matrix in (At, G, Bt))  # (m, n), (n, r), (n, n)


def fir_tensor(m, r):
    """T (m, r, n), 1 where k = i + j and 0 elsewhere: which filter tap meets which input in which output."""
    i, j, k = np.ogrid[:m, :r, : m + r - 1]
    return (k == i + j).astype(int)  # (m, r, n)


def multiplications(m, r):
    """For a tile of m x m outputs and r x r taps -> Winograd's, those of the definition."""
    return (m + r - 1) ** 2, (m * r) ** 2


def convolve_tile(tile, kernel, At, G, Bt):
    """Y = At ((G kernel G.T) * (Bt tile Bt.T)) At.T: tile (n, n), kernel (r, r) -> (m, m). The star is the only product of data by data."""
    return At @ ((G @ kernel @ G.T) * (Bt @ tile @ Bt.T)) @ At.T  # (m, m)
