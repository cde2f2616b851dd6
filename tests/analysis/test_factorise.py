"""Gradient descent on a pair finds the truncated SVD, if its inputs are white, and a weighted one if they are not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_spectrum import of_spectrum

from minilora import lowrank
from minilora.analysis import factorise
from minilora.analysis.spectrum import approximate, tail

D_IN, K, R, S = 24, 20, 3, 2.0
SIGMA = np.concatenate([[9, 7, 5, 2, 1.5, 1], np.full(14, 0.3)])


def start(seed=0):
    """W, target and a fresh pair, in float64: A random, B zero."""
    rng = np.random.default_rng(seed)
    W = np.random.default_rng(7).standard_normal((D_IN, K))
    return W, W + of_spectrum(SIGMA, D_IN, K), *lowrank.init(D_IN, K, R, rng, dtype=np.float64)


def coloured_inputs():
    """x (200, 24) that uses its directions very differently, with x.T x of order 1."""
    rng = np.random.default_rng(1)
    mix = np.linspace(0.3, 2, D_IN)[:, None] * np.linalg.qr(rng.standard_normal((D_IN, D_IN)))[0]  # (24, 24)
    return rng.standard_normal((200, D_IN)) @ mix / np.sqrt(200)


def relative(M, N):
    return np.linalg.norm(M - N) / np.linalg.norm(N)


def test_with_white_inputs_descent_from_b_zero_ends_at_the_truncated_svd():
    W, target, A, B = start()
    A, B = factorise.descend(np.eye(D_IN), W, target, A, B, S, rate=0.01, steps=2000)
    assert relative(lowrank.delta(A, B, S), approximate(target - W, R)) < 1e-12
    assert np.linalg.norm(lowrank.merge(W, A, B, S) - target) == pytest.approx(tail(SIGMA, R), rel=1e-12)


def test_larger_singular_values_are_learned_first():
    W, target, A, B = start()
    A, found = A * 1e-3, []  # from near zero the stages stand apart
    U, _, Vt = np.linalg.svd(target - W)
    for _ in range(100):
        A, B = factorise.descend(np.eye(D_IN), W, target, A, B, S, rate=0.002, steps=10)
        found.append(np.diag(U.T @ lowrank.delta(A, B, S) @ Vt.T)[:R] > SIGMA[:R] / 2)  # (3,)
    halfway = np.argmax(found, axis=0)  # (3,)
    assert np.all(found[-1]) and 0 < halfway[0] < halfway[1] < halfway[2]


def test_with_other_inputs_it_ends_at_the_weighted_svd_and_the_plain_one_loses():
    W, target, A, B = start()
    x, D = coloured_inputs(), target - W
    A, B = factorise.descend(x, W, target, A, B, S, rate=0.01, steps=5000)
    best = np.matmul(*factorise.best_pair(D, x.T @ x, R))
    assert relative(lowrank.delta(A, B, S), best) < 1e-12
    trained, plain = (np.linalg.norm(x @ (M - D)) for M in (lowrank.delta(A, B, S), approximate(D, R)))
    assert plain > 1.05 * trained
    assert np.linalg.norm(best - D) > 1.01 * tail(SIGMA, R), "nearer on the inputs, further by all entries"


def test_the_weighted_svd_by_its_definition():
    x, D = coloured_inputs(), of_spectrum(SIGMA, D_IN, K)
    variances, V = np.linalg.eigh(x.T @ x)
    root, inverse = V * np.sqrt(variances) @ V.T, V / np.sqrt(variances) @ V.T  # S^1/2 and S^-1/2 (24, 24)
    best = np.matmul(*factorise.best_pair(D, x.T @ x, R))
    assert relative(best, inverse @ approximate(root @ D, R)) < 1e-12
    assert relative(np.matmul(*factorise.best_pair(D, 1e-20 * x.T @ x, R)), best) < 1e-12
    assert relative(np.matmul(*factorise.best_pair(D, np.eye(D_IN), R)), approximate(D, R)) < 1e-12


@given(d=st.integers(1, 9), k=st.integers(1, 9), n=st.integers(1, 12), seed=st.integers(0, 99), data=st.data())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_loss_of_the_weighted_svd_is_the_tail_of_x_d_also_where_inputs_are_few(d, k, n, seed, data):
    rng = np.random.default_rng(seed)
    x, D = rng.standard_normal((n, d)), rng.standard_normal((d, k))
    r = data.draw(st.integers(1, min(n, d, k)))
    A, B = factorise.best_pair(D, x.T @ x, r)
    assert A.shape == (d, r) and B.shape == (r, k)
    least = tail(np.linalg.svd(x @ D, compute_uv=False), r)
    # S has the squares of x's singular values, so that half of the digits of the smallest are lost.
    assert np.linalg.norm(x @ (A @ B - D)) == pytest.approx(least, abs=1e-7 * np.linalg.norm(x @ D))


def test_a_rank_beyond_the_directions_of_the_inputs_is_refused():
    x = np.eye(4)[:2]
    with pytest.raises(ValueError, match="rank 3 is outside 1..2"):
        factorise.best_pair(np.ones((4, 5)), x.T @ x, 3)


def test_two_starts_find_different_factors_of_one_product():
    pairs = []
    for seed in (0, 1):
        W, target, A, B = start(seed)
        pairs.append(factorise.descend(np.eye(D_IN), W, target, A, B, S, rate=0.01, steps=2000))
    (A, B), (A2, B2) = pairs
    assert relative(A2, A) > 0.1 and relative(B2, B) > 0.1 and relative(A2 @ B2, A @ B) < 1e-12
    M = np.linalg.pinv(A) @ A2  # (3, 3)
    assert relative(A @ M, A2) < 1e-12 and relative(np.linalg.inv(M) @ B, B2) < 1e-12


def test_to_call_it_again_is_to_go_on():
    arguments = (np.eye(D_IN), *start()[:2])
    once = factorise.descend(*arguments, *start()[2:], S, 0.01, 30)
    twice = factorise.descend(*arguments, *factorise.descend(*arguments, *start()[2:], S, 0.01, 10), S, 0.01, 20)
    assert all(np.array_equal(one, other) for one, other in zip(once, twice, strict=True))
