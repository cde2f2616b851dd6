"""Singular values: Eckart and Young to the last digits, and what is made of the spectrum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilora.analysis import spectrum

examples = settings(max_examples=40, deadline=None, derandomize=True)
matrices = st.builds(
    lambda d, k, seed: np.random.default_rng(seed).standard_normal((d, k)), st.integers(1, 12), st.integers(1, 12), st.integers(0, 99)
)


def of_spectrum(sigma, d, k, seed=0):
    """A matrix (d, k) with the given singular values and random directions."""
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.standard_normal((n, len(sigma))))[0] for n in (d, k))  # (d, m), (k, m)
    return U * sigma @ V.T


@given(W=matrices, data=st.data())
@examples
def test_what_the_truncated_svd_loses_is_the_tail_of_the_spectrum(W, data):
    r = data.draw(st.integers(1, min(W.shape)))
    sigma = np.linalg.svd(W, compute_uv=False)
    lost = W - spectrum.approximate(W, r)
    assert np.linalg.norm(lost) == pytest.approx(spectrum.tail(sigma, r), rel=1e-12, abs=1e-12)
    assert np.linalg.norm(lost, 2) == pytest.approx(sigma[r] if r < len(sigma) else 0, rel=1e-12, abs=1e-12)
    assert np.linalg.matrix_rank(spectrum.approximate(W, r)) == r


@given(W=matrices, data=st.data(), seed=st.integers(0, 99))
@examples
def test_no_other_matrix_of_the_rank_is_nearer(W, data, seed):
    r = data.draw(st.integers(1, min(W.shape)))
    rng, best = np.random.default_rng(seed), spectrum.approximate(W, r)
    least = np.linalg.norm(W - best)
    U, sigma, Vt = spectrum.truncated_svd(W, r)
    for size in (1e-3, 1e-1, 10):
        A, B = U * sigma + size * rng.standard_normal(U.shape), Vt + size * rng.standard_normal(Vt.shape)
        assert np.linalg.norm(W - A @ B) >= least
        B = np.linalg.lstsq(A, W)[0]  # the best partner of this A
        assert np.linalg.norm(W - A @ B) >= least * (1 - 1e-12) - 1e-12


def test_a_thousand_random_pairs_do_not_reach_the_truncated_svd():
    rng = np.random.default_rng(0)
    W = rng.standard_normal((5, 8))
    A, B = rng.standard_normal((1000, 5, 2)), rng.standard_normal((1000, 2, 8))
    M = A @ B  # (1000, 5, 8), each at its best length
    M *= (np.sum(M * W, axis=(1, 2)) / np.sum(M * M, axis=(1, 2)))[:, None, None]
    assert np.linalg.norm(W - M, axis=(1, 2)).min() > spectrum.tail(np.linalg.svd(W, compute_uv=False), 2)


@given(x=matrices, data=st.data())
@examples
def test_principal_components_are_the_eigenvectors_of_the_covariance(x, data):
    r = data.draw(st.integers(1, min(x.shape)))
    mean, components, variances = spectrum.pca(x + 5, r)
    covariance = np.cov(x.T, bias=True).reshape(x.shape[1], x.shape[1]) if len(x) > 1 else np.zeros((x.shape[1],) * 2)
    assert np.allclose(mean, x.mean(axis=0) + 5, atol=1e-12)
    assert np.allclose(covariance @ components.T, components.T * variances, atol=1e-12)
    assert np.allclose(variances, np.linalg.eigvalsh(covariance)[::-1][:r], atol=1e-12)
    centred = x + 5 - mean
    lost = np.linalg.norm(centred - centred @ components.T @ components)
    assert lost == pytest.approx(spectrum.tail(np.linalg.svd(centred, compute_uv=False), r), abs=1e-12)


def test_the_energy_curve_and_the_rank_that_holds_a_share():
    sigma = [1, 3, 2, 2]  # squares 9, 4, 4, 1 of 18
    assert np.allclose(spectrum.energy(sigma), [9 / 18, 13 / 18, 17 / 18, 1])
    assert [spectrum.rank_holding(sigma, share) for share in (0.4, 0.6, 0.9, 0.95)] == [1, 2, 3, 4]
    assert spectrum.rank_holding([1, 1], 0.5) == 1
    assert spectrum.energy(np.ones(7))[-1] < 1 and spectrum.rank_holding(np.ones(7), 1) == 7, "the whole, but for rounding"
    assert spectrum.tail(sigma, 2) == pytest.approx(np.sqrt(5))


@given(sigma=st.lists(st.floats(0.1, 10), min_size=1, max_size=9))
@examples
def test_all_of_the_energy_needs_the_rank_and_no_more(sigma):
    assert spectrum.rank_holding([*sigma, 0, 0], 1) <= len(sigma)
    assert spectrum.rank_holding([*sigma, 0, 0], 1 - 0.9 * min(sigma) ** 2 / np.sum(np.square(sigma))) == len(sigma)


def test_equal_singular_values_count_fully():
    for r in (1, 3, 8):
        sigma = np.linalg.svd(of_spectrum(np.full(r, 2.5), 12, 9), compute_uv=False)  # r of them, and rounding
        assert spectrum.effective_rank(sigma) == pytest.approx(r, rel=1e-12)
        assert spectrum.stable_rank(sigma) == pytest.approx(r, rel=1e-12)


def test_two_unequal_singular_values_by_hand():
    assert spectrum.stable_rank([4, 3]) == 25 / 16
    assert spectrum.effective_rank([3, 1, 0]) == pytest.approx(4 / 3**0.75)  # exp(ln 4 - (3/4) ln 3)


@given(W=matrices, factor=st.floats(0.01, 100))
@examples
def test_effective_and_stable_rank_lie_between_one_and_the_rank_whatever_the_scale(W, factor):
    sigma = np.linalg.svd(W, compute_uv=False)
    for measure in (spectrum.effective_rank, spectrum.stable_rank):
        assert 1 - 1e-12 <= measure(sigma) <= len(sigma) + 1e-12
        assert measure(factor * sigma) == pytest.approx(measure(sigma), rel=1e-12)


@pytest.mark.parametrize("measure", [spectrum.energy, spectrum.rank_holding, spectrum.effective_rank, spectrum.stable_rank])
def test_an_update_that_has_not_been_trained_has_no_spectrum(measure):
    with pytest.raises(ValueError, match="all singular values are zero, as in an update that has not been trained"):
        measure(np.zeros(4))


@pytest.mark.parametrize("share", [0, -0.5, 90])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(ValueError, match=f"a share of {share} is outside 0 < share <= 1"):
        spectrum.rank_holding([1, 2], share)


@pytest.mark.parametrize("r", [0, 6])
def test_a_rank_outside_its_range_is_refused(r):
    with pytest.raises(ValueError, match=f"rank {r} is outside 1..5: a 5 x 8 matrix has 5 singular values"):
        spectrum.truncated_svd(np.ones((5, 8)), r)
