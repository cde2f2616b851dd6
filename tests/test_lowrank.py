"""The low-rank pair: gradients, initialisation, merging."""

import numpy as np
import pytest

from minilora import gradcheck, lowrank

N, D, K, R, S = 6, 5, 8, 2, 2.0  # all different, so that a transposed factor cannot fit; s != 1


def draw():
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape) for name, shape in {"x": (N, D), "W": (D, K), "A": (D, R), "B": (R, K)}.items()}


@pytest.mark.parametrize("p", [0.0, 0.5])
def test_backward_agrees_with_central_differences(p):
    arrays, rng = draw(), np.random.default_rng(1)
    dy = rng.normal(size=(N, K))
    mask = lowrank.dropout_mask((N, D), p, rng, np.float64) if p else None

    def loss():
        return np.sum(dy * lowrank.lowrank_forward(**arrays, s=S, mask=mask)[0])

    dx, dA, dB = lowrank.lowrank_backward(dy, lowrank.lowrank_forward(**arrays, s=S, mask=mask)[1])
    trainable = {name: arrays[name] for name in "xAB"}
    rows = gradcheck.check(loss, trainable, {"x": dx, "A": dA, "B": dB})
    assert all(row["ok"] for row in rows), gradcheck.table(rows)


def test_dx_is_added_to_what_is_there_and_left_out_where_nothing_below_trains():
    rng = np.random.default_rng(1)
    dy, into = rng.normal(size=(N, K)), rng.normal(size=(N, D))
    _, cache = lowrank.lowrank_forward(**draw(), s=S)
    dx, dA, dB = lowrank.lowrank_backward(dy, cache)
    kept = into.copy()
    added, *_ = lowrank.lowrank_backward(dy, cache, into)
    assert added is into and np.allclose(added, kept + dx, atol=1e-14)
    nothing, *pair = lowrank.lowrank_backward(dy, cache, need_dx=False)
    assert nothing is None and np.array_equal(pair[0], dA) and np.array_equal(pair[1], dB)


def test_starts_as_the_base_bit_for_bit():
    arrays = draw()
    A, B = lowrank.init(D, K, R, np.random.default_rng(0), dtype=np.float64)
    y, _ = lowrank.lowrank_forward(arrays["x"], arrays["W"], A, B, S)
    assert np.array_equal(y, arrays["x"] @ arrays["W"])


def test_uniform_initialisation_fills_its_interval():
    A, B = lowrank.init(400, 300, 50, np.random.default_rng(0))
    bound = 1 / np.sqrt(400)
    assert np.abs(A).max() <= bound and not B.any()
    # The standard deviation of U(-b, b) is b / sqrt(3); that of an estimate from n draws is below b / sqrt(3 n): five of them.
    assert abs(A.std() - bound / np.sqrt(3)) < 5 * bound / np.sqrt(3 * A.size)


def test_gaussian_initialisation_has_deviation_one_over_r():
    A, _ = lowrank.init(400, 300, 50, np.random.default_rng(0), "gaussian")
    assert abs(A.std() * 50 - 1) < 5 / np.sqrt(2 * A.size)


def test_scale():
    assert lowrank.scale(16, 8) == 2.0 and lowrank.scale(16, 16, rslora=True) == 4.0


def test_merged_equals_unmerged_and_has_rank_r():
    x, W, A, B = draw().values()
    y, _ = lowrank.lowrank_forward(x, W, A, B, S)
    assert np.allclose(x @ lowrank.merge(W, A, B, S), y, rtol=1e-12, atol=1e-12)
    assert np.linalg.matrix_rank(lowrank.delta(A, B, S)) == R


def test_unmerging_drifts_and_keeping_the_base_does_not():
    rng = np.random.default_rng(0)
    W = rng.normal(size=(64, 48)).astype(np.float32)
    A, B = (rng.normal(size=shape).astype(np.float32) for shape in ((64, 4), (4, 48)))
    kept = W.copy()
    back = lowrank.unmerge(lowrank.merge(W, A, B, 2.0), A, B, 2.0)
    assert np.array_equal(W, kept), "merge must not touch its argument"
    assert not np.array_equal(back, W), "float32 has no room for an exact way back"
    # Two roundings of at most half a unit in the last place of the larger of W and W + s A B.
    largest = np.abs(W).max() + np.abs(lowrank.delta(A, B, 2.0)).max()
    assert np.abs(back - W).max() <= 2 * np.finfo(np.float32).eps * largest


@pytest.mark.parametrize("r", [0, -1, 6])
def test_a_rank_outside_its_range_is_refused(r):
    with pytest.raises(ValueError, match=rf"rank {r} is outside 1..5"):
        lowrank.init(D, K, r, np.random.default_rng(0))


def test_dropout_keeps_the_mean_and_leaves_the_frozen_path_alone():
    mask = lowrank.dropout_mask((200, 300), 0.25, np.random.default_rng(0))
    assert set(np.unique(mask)) == {np.float32(0), np.float32(1) / np.float32(0.75)}
    assert abs(mask.mean() - 1) < 5 * np.sqrt(0.25 / 0.75 / mask.size)
    x, W, A, B = draw().values()
    nothing = np.zeros((N, D))
    assert np.array_equal(lowrank.lowrank_forward(x, W, A, B, S, nothing)[0], x @ W)
