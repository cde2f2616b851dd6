"""Subspaces compared, beside what chance gives: section 7 of the LoRA paper, and intruder dimensions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilora.analysis import subspaces
from minilora.analysis.spectrum import truncated_svd

examples = settings(max_examples=40, deadline=None, derandomize=True)


def random_basis(rng, d, i):
    return np.linalg.qr(rng.standard_normal((d, i)))[0]  # (d, i)


@st.composite
def pairs_of_bases(draw):
    d = draw(st.integers(1, 10))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return tuple(random_basis(rng, d, draw(st.integers(1, d))) for _ in range(2))


@given(bases=pairs_of_bases())
@examples
def test_phi_lies_between_nought_and_one_and_the_grid_holds_it_for_all_sizes(bases):
    U, V = bases
    grid = subspaces.similarity_grid(U, V)
    assert grid.shape == (U.shape[1], V.shape[1]) and grid.min() >= 0 and grid.max() <= 1 + 1e-12
    for i, j in np.ndindex(grid.shape):
        assert grid[i, j] == pytest.approx(subspaces.similarity(U[:, : i + 1], V[:, : j + 1]), abs=1e-12)


@given(bases=pairs_of_bases())
@examples
def test_phi_is_one_less_the_mean_square_of_the_distance_and_not_what_appendix_g_prints(bases):
    U, V = bases
    p, phi, squared = min(U.shape[1], V.shape[1]), subspaces.similarity(U, V), subspaces.distance(U, V) ** 2
    assert phi == pytest.approx(1 - squared / p, abs=1e-12)
    assert p == 1 or phi - (1 - squared) / p == pytest.approx((p - 1) / p, abs=1e-12)


def test_one_subspace_within_another_and_two_at_right_angles():
    U = random_basis(np.random.default_rng(0), 9, 7)
    rotation = random_basis(np.random.default_rng(1), 3, 3)
    assert subspaces.similarity(U[:, :3] @ rotation, U[:, :5]) == pytest.approx(1, rel=1e-12)
    assert subspaces.similarity(U[:, :3], U[:, 3:5]) == pytest.approx(0, abs=1e-12)


def test_random_subspaces_share_what_chance_gives_them():
    rng = np.random.default_rng(0)
    for d, i, j in ((128, 8, 32), (64, 16, 16), (20, 5, 1)):
        drawn = [subspaces.similarity(random_basis(rng, d, i), random_basis(rng, d, j)) for _ in range(200)]
        error = np.std(drawn) / np.sqrt(len(drawn))
        assert abs(np.mean(drawn) - subspaces.similarity_by_chance(d, i, j)) < 4 * error


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-3, 1.0, np.pi / 2 - 1e-12, np.pi / 2])
def test_a_plane_turned_by_an_angle_is_found_at_that_angle(angle):
    Q = random_basis(np.random.default_rng(0), 6, 4)
    turned = Q[:, :2] * [np.cos(angle), 1] + np.outer(Q[:, 2], [np.sin(angle), 0])  # (6, 2)
    for one, other in ((Q[:, :2], turned), (turned, Q[:, :2]), (Q[:, [0, 1, 3]], turned)):
        assert np.allclose(np.sort(subspaces.principal_angles(one, other)), [0, angle], rtol=0, atol=1e-14)


def test_angles_come_smallest_first():
    rng = np.random.default_rng(0)
    angles = subspaces.principal_angles(random_basis(rng, 9, 4), random_basis(rng, 9, 3))
    assert angles.shape == (3,) and np.all(np.diff(angles) > 0) and 0 < angles[0] < angles[-1] < np.pi / 2


def test_the_random_column_of_the_papers_table_7_needs_no_experiment():
    # |Wq| = 61.95 in GPT-3, d = 12,288; printed are 0.02 and 0.33.
    assert subspaces.strength_by_chance(61.95, 12288, 12288, 4) == pytest.approx(0.02, abs=0.005)
    assert subspaces.strength_by_chance(61.95, 12288, 12288, 64) == pytest.approx(0.33, abs=0.01)


def test_random_directions_have_the_strength_that_chance_gives_them():
    rng = np.random.default_rng(0)
    W, r = rng.standard_normal((30, 20)) * np.arange(1, 21), 4
    squares = [subspaces.strength(W, random_basis(rng, 30, r), random_basis(rng, 20, r).T) ** 2 for _ in range(400)]
    error = np.std(squares) / np.sqrt(len(squares))
    assert abs(np.mean(squares) - subspaces.strength_by_chance(np.linalg.norm(W), 30, 20, r) ** 2) < 4 * error


def test_an_update_along_weak_directions_of_the_weight_amplifies_them():
    rng = np.random.default_rng(0)
    U, V = random_basis(rng, 12, 9), random_basis(rng, 9, 9)
    sigma = np.arange(9, 0, -1.0)  # 9, 8, ..., 1
    W = U * sigma @ V.T
    update = 5 * np.outer(U[:, 7], V[:, 7]) + 3 * np.outer(U[:, 8], V[:, 8])  # where W has 2 and 1
    assert subspaces.amplification(W, update, 2) == pytest.approx(np.sqrt(25 + 9) / np.sqrt(4 + 1), rel=1e-12)
    assert subspaces.amplification(W, update, 1) == pytest.approx(5 / 2, rel=1e-12)
    top, own = truncated_svd(W, 2), truncated_svd(update, 2)
    assert subspaces.strength(W, top[0], top[2]) == pytest.approx(np.sqrt(81 + 64), rel=1e-12)
    chance = subspaces.strength_by_chance(np.linalg.norm(W), 12, 9, 2)
    assert subspaces.strength(W, own[0], own[2]) < chance < subspaces.strength(W, top[0], top[2])


N, DRAWS = 400, 4


@pytest.mark.parametrize("theta", [1.5, 3.0])
def test_above_the_threshold_a_spike_stands_out_by_the_law_and_is_an_intruder(theta):
    values, cosines = [], []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        W = rng.standard_normal((N, N)) / np.sqrt(N)
        u, v = random_basis(rng, N, 1), random_basis(rng, N, 1)  # (N, 1) each
        tuned = W + theta * u @ v.T
        U, sigma, _ = truncated_svd(tuned, 1)
        values.append(sigma[0])
        cosines.append((U[:, 0] @ u[:, 0]) ** 2)
        if seed == 0:
            assert subspaces.intruders(W, tuned).tolist() == [0]
            assert len(subspaces.intruders(tuned, tuned)) == 0
    value, cosine = subspaces.spike_law(theta)
    # What W already has along the spike, u.T W v, adds to theta: standard deviation 1 / sqrt(N). Four deviations of the mean.
    assert abs(np.mean(values) - value) < 4 / np.sqrt(N * DRAWS)
    assert abs(np.mean(cosines) - cosine) < 0.08


def test_below_the_threshold_a_spike_drowns():
    rng = np.random.default_rng(0)
    W = rng.standard_normal((N, N)) / np.sqrt(N)
    u, v = random_basis(rng, N, 1), random_basis(rng, N, 1)
    U, sigma, _ = truncated_svd(W + 0.5 * u @ v.T, 1)
    value, cosine = subspaces.spike_law(0.5)
    assert abs(sigma[0] - value) < 0.05 and abs((U[:, 0] @ u[:, 0]) ** 2 - cosine) < 0.08
    assert len(subspaces.intruders(W, W + 0.5 * u @ v.T)) == 0


def test_intruders_are_directions_of_the_output_and_the_sign_of_a_vector_says_nothing():
    eye = np.eye(6)
    W = np.diag([6.0, 5, 4, 3, 2, 1])
    new_output = 9 * np.outer(eye[5], np.ones(6) / np.sqrt(6))  # an old input, an output like none of the old: cosines 1 / sqrt(6)
    assert subspaces.intruders(W, W + new_output, top=1).tolist() == [0]
    assert subspaces.intruders(W, (W + new_output).T, top=1).tolist() == []
    assert np.allclose(subspaces.familiarity(W, -W, 6), 1)


def test_where_singular_values_nearly_coincide_a_faint_change_passes_for_an_intruder():
    W = np.diag(np.linspace(1.001, 1, 50))
    change = np.random.default_rng(0).standard_normal((50, 50)) / np.sqrt(50)  # of spectral norm 2
    assert len(subspaces.intruders(W, W + 0.01 * change)) > 5
    assert len(subspaces.intruders(np.diag(np.linspace(50, 1, 50)), np.diag(np.linspace(50, 1, 50)) + 0.01 * change)) == 0
