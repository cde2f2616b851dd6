"""Structures of 32 numbers: each is nearest to what it claims, and fits its own kind of target alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilora.analysis import structured
from minilora.analysis.spectrum import tail

examples = settings(max_examples=40, deadline=None, derandomize=True)
small = st.integers(1, 5)
seeds = st.integers(0, 99)


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def test_each_structure_fits_its_own_target_and_no_other():
    for seed in range(5):
        rows = structured.which_fits(np.random.default_rng(seed))
        names = [row["target"] for row in rows]
        table = np.array([[row[name] for name in names] for row in rows])  # (4, 4)
        assert names == list(structured.STRUCTURES) and table.shape == (4, 4)
        assert table.diagonal().max() < 1e-10
        assert table[~np.eye(4, dtype=bool)].min() > 0.1 and table.max() < 1, "a share of the target, of which zero loses 1"


@pytest.mark.parametrize("name", structured.STRUCTURES)
def test_each_structure_has_thirty_two_numbers_and_no_random_member_is_nearer_than_its_fit(name):
    structure, rng = structured.STRUCTURES[name], np.random.default_rng(0)
    W = rng.standard_normal((16, 16))
    arrays = structure.fit(W)
    assert sum(array.size for array in arrays) == sum(array.size for array in structure.draw(rng)) == 32
    least = np.linalg.norm(W - structure.build(*arrays))
    for _ in range(200):
        other = structure.build(*structure.draw(rng))
        other *= np.sum(other * W) / np.sum(other * other)  # at its best length
        assert np.linalg.norm(W - other) > least


def test_one_number_a_row_is_best_spent_on_the_largest():
    values, places = structured.fit_rows(np.array([[1.0, -3, 2] + [0] * 13, [5, 4, -5.5] + [0] * 13] + [[0.5] + [0] * 15] * 14))
    assert values.tolist() == [-3, -5.5] + [0.5] * 14 and places.tolist() == [1, 2] + [0] * 14


def test_the_identity_is_all_of_them_but_low_rank():
    eye = np.eye(16)
    errors = {name: np.linalg.norm(eye - structure.build(*structure.fit(eye))) for name, structure in structured.STRUCTURES.items()}
    assert errors.pop("low rank") == pytest.approx(np.sqrt(15))
    assert max(errors.values()) < 1e-12


def test_thirty_two_numbers_make_a_full_rank_by_kronecker_and_rank_one_as_a_pair():
    P, Q = draw(0, 2, 4, 4)
    assert P.size + Q.size == 32 and np.linalg.matrix_rank(np.kron(P, Q)) == 16
    assert np.linalg.matrix_rank(structured.STRUCTURES["low rank"].build(draw(0, 16, 1), draw(1, 1, 16))) == 1


@given(p=small, q=small, s=small, t=small, seed=seeds, data=st.data())
@examples
def test_ranks_multiply_in_a_kronecker_product(p, q, s, t, seed, data):
    left, right = data.draw(st.integers(1, min(p, q))), data.draw(st.integers(1, min(s, t)))
    P, Q = draw(seed, p, left) @ draw(seed + 1, left, q), draw(seed + 2, s, right) @ draw(seed + 3, right, t)
    assert np.linalg.matrix_rank(np.kron(P, Q)) == left * right


@given(p=small, q=small, s=small, t=small, seed=seeds)
@examples
def test_a_kronecker_product_is_an_outer_product_rearranged_and_is_found_again(p, q, s, t, seed):
    P, Q = draw(seed, p, q), draw(seed + 1, s, t)
    W = np.kron(P, Q)
    assert np.array_equal(structured.rearrange(W, (p, q)), np.outer(P, Q))
    values = np.linalg.svd(structured.rearrange(W, (p, q)), compute_uv=False)
    assert np.all(values[1:] < 1e-14 * values[0])
    found = structured.nearest_kronecker(W, (p, q))
    assert found[0].shape == (p, q) and found[1].shape == (s, t)
    assert np.allclose(np.kron(*found), W, rtol=0, atol=1e-13 * np.abs(W).max())


@given(p=small, q=small, s=small, t=small, seed=seeds)
@examples
def test_the_nearest_kronecker_product_loses_the_tail_of_the_rearranged_matrix(p, q, s, t, seed):
    W = draw(seed, p * s, q * t)
    lost = np.linalg.norm(W - np.kron(*structured.nearest_kronecker(W, (p, q))))
    values = np.linalg.svd(structured.rearrange(W, (p, q)), compute_uv=False)
    assert lost == pytest.approx(tail(values, 1), rel=1e-12, abs=1e-12)


def test_blocks_that_do_not_divide_the_matrix_are_refused():
    with pytest.raises(ValueError, match="a 6 x 9 matrix cannot be cut into 2 x 2 equal blocks: choose divisors of its sides"):
        structured.nearest_kronecker(np.ones((6, 9)), (2, 2))


def test_a_circulant_by_hand():
    assert structured.circulant(np.array([1, 2, 3])).tolist() == [[1, 2, 3], [3, 1, 2], [2, 3, 1]]
    W = np.array([[1, 2, 3], [4, 5, 6], [7, 5, 12]])
    assert structured.nearest_circulant(W).tolist() == [(1 + 5 + 12) / 3, (2 + 6 + 7) / 3, (3 + 4 + 5) / 3]


@given(n=st.integers(1, 9), rows=small, seed=seeds)
@examples
def test_a_circulant_product_by_the_fourier_transform(n, rows, seed):
    x, c = draw(seed, rows, n), draw(seed + 1, n)
    C = structured.circulant(c)
    assert np.allclose(structured.circulant_product(x, c), x @ C, rtol=0, atol=1e-13 * n)
    eigenvalues = np.fft.fft(c)
    F = np.fft.fft(np.eye(n))  # F diag(eigenvalues) F^-1
    assert np.allclose(F * eigenvalues @ np.linalg.inv(F), C, rtol=0, atol=1e-12)
    assert n > 1 or C == c


@given(n=st.integers(1, 9), seed=seeds)
@examples
def test_what_the_nearest_circulant_leaves_is_orthogonal_to_every_circulant(n, seed):
    W = draw(seed, 3, n, n)
    left = W - structured.circulant(structured.nearest_circulant(W))  # (3, n, n)
    for c in np.eye(n):
        assert np.allclose(np.sum(left * structured.circulant(c), axis=(1, 2)), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("permutation", "rank"),
    [
        ([1, 0, *range(2, 26)], 1),
        ([1, 0, 3, 2, 5, 4, 7, 6, *range(8, 26)], 4),
        ([(i + 13) % 26 for i in range(26)], 13),
        (range(25, -1, -1), 13),
        ([(i + 1) % 26 for i in range(26)], 25),
        (range(26), 0),
    ],
    ids=["one swap", "four swaps", "ROT13", "atbash", "moved on by one", "nothing"],
)
def test_the_update_of_a_cipher_has_a_rank_that_can_be_counted(permutation, rank):
    eye = np.eye(26)
    assert structured.update_rank(permutation) == rank == np.linalg.matrix_rank(eye[list(permutation)] - eye)


@given(permutation=st.integers(1, 20).flatmap(lambda n: st.permutations(range(n))))
@examples
def test_the_rank_of_any_permutations_update(permutation):
    eye = np.eye(len(permutation))
    assert structured.update_rank(permutation) == np.linalg.matrix_rank(eye[permutation] - eye)
