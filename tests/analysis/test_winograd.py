"""Winograd's transforms: exact in rationals, fewest in number, and what float32 makes of them."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilora.analysis import winograd
from minilora.analysis.convolution import filter_image

PUBLISHED = {  # Lavin and Gray 2015: At, 24 G, Bt
    2: (
        [[1, 1, 1, 0], [0, 1, -1, -1]],
        [[24, 0, 0], [12, 12, 12], [12, -12, 12], [0, 0, 24]],
        [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    ),
    4: (
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
        [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]],
        [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]],
    ),
}
sizes = st.sampled_from([(m, r) for m in range(1, 9) for r in range(1, 9) if m + r <= 9])


def terms(At, G, Bt):
    """The outer products (n, m, r, n) whose sum the transforms are."""
    return np.einsum("il,lj,lk->lijk", At, G, Bt)


def rationals(rng, *shape):
    return np.vectorize(Fraction, otypes=[object])(rng.integers(-9, 10, shape), rng.integers(1, 10, shape))


@pytest.mark.parametrize("m", [2, 4])
def test_each_outer_product_is_that_of_the_published_matrices(m):
    At, G, Bt = (np.array(matrix) for matrix in PUBLISHED[m])
    assert np.array_equal(24 * terms(*winograd.transforms(m, 3)), terms(At, G, Bt))


@given(size=sizes)
@settings(max_examples=36, deadline=None, derandomize=True)
def test_the_transforms_are_a_decomposition_of_the_fir_tensor_with_fewest_terms(size):
    m, r = size
    T = winograd.fir_tensor(m, r)
    n = m + r - 1
    assert T.sum() == m * r, "as many products as the definition has"
    assert terms(*winograd.transforms(m, r)).shape[0] == n and np.array_equal(terms(*winograd.transforms(m, r)).sum(axis=0), T)
    assert np.linalg.matrix_rank(T.reshape(m * r, n)) == n, "fewer outer products could not make an unfolding of this rank"


@given(size=sizes, seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_a_tile_is_exact_in_rationals(size, seed):
    m, r = size
    rng = np.random.default_rng(seed)
    tile, kernel = rationals(rng, m + r - 1, m + r - 1), rationals(rng, r, r)
    y = winograd.convolve_tile(tile, kernel, *winograd.transforms(m, r))
    assert y.shape == (m, m)
    for i, j in np.ndindex(m, m):
        assert y[i, j] == np.sum(tile[i : i + r, j : j + r] * kernel)


def test_sixteen_multiplications_for_thirty_six_and_thirty_six_for_a_hundred_and_forty_four():
    assert winograd.multiplications(2, 3) == (16, 36) and winograd.multiplications(4, 3) == (36, 144)
    for m in (2, 4):
        _, G, Bt = winograd.transforms(m, 3)
        transformed = G @ np.ones((3, 3)) @ G.T  # multiplied entry by entry with the transformed tile
        assert transformed.size == (Bt @ np.ones((m + 2, m + 2)) @ Bt.T).size == winograd.multiplications(m, 3)[0]


def test_in_float32_larger_tiles_lose_more_digits():
    errors = {}
    for m in (2, 4, 6):
        rng, exact = np.random.default_rng(0), winograd.transforms(m, 3)
        single = [matrix.astype(np.float32) for matrix in exact]
        lost = []
        for _ in range(200):
            tile, kernel = rng.standard_normal((m + 2, m + 2)).astype(np.float32), rng.standard_normal((3, 3)).astype(np.float32)
            y = winograd.convolve_tile(tile, kernel, *single)
            assert y.dtype == np.float32
            lost.append(np.abs(y - filter_image(tile.astype(float), kernel.astype(float))).max())
        errors[m] = np.mean(lost)
    # Outputs are sums of nine products of order 1: a few units in the last place of 3, and ten times as much for F(4x4, 3x3).
    assert errors[2] < 4 * np.finfo(np.float32).eps * 3
    assert 5 < errors[4] / errors[2] < 20 and errors[6] > errors[4]


@pytest.mark.parametrize(("m", "r"), [(0, 3), (3, 0), (7, 3)])
def test_sizes_without_points_are_refused(m, r):
    with pytest.raises(ValueError, match=rf"{m} outputs of {r} taps: both must be at least 1, and m \+ r - 1 inputs at most 8"):
        winograd.transforms(m, r)
