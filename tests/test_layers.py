"""Every pair of layers.py against central differences: float64, random dy, no zeros, all sizes different."""

import numpy as np
import pytest

from minilora import gradcheck, layers

BATCH, TIME, HEADS, GROUPS, WIDTH = 2, 5, 4, 2, 6
N, D, K, V = BATCH * TIME, 7, 9, 11


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def assert_gradients(forward, arrays, grads, weight):
    """Differences of <weight, forward()> against grads; weight stands for dL/dy."""
    rows = gradcheck.check(lambda: float(np.sum(weight * forward())), arrays, grads)
    assert all(row["ok"] for row in rows), "\n" + gradcheck.table(rows)


def test_embedding_adds_the_rows_of_a_repeated_token():
    tokens, E, dx = np.array([3, 1, 3, 0, 3]), draw(V, D), draw(5, D)
    _, cache = layers.embedding_forward(tokens, E)
    start = draw(V, D, seed=1)
    added = layers.embedding_backward(dx, cache, into=start.copy()) - start
    assert np.allclose(added, layers.embedding_backward(dx, cache), atol=1e-14)
    assert_gradients(lambda: layers.embedding_forward(tokens, E)[0], {"E": E}, {"E": layers.embedding_backward(dx, cache)}, dx)


def test_linear():
    x, W, bias, dy = draw(N, D), draw(D, K), draw(K), draw(N, K)
    grads = {"x": layers.linear_backward(dy, W), "W": layers.linear_weight_backward(dy, x), "bias": dy.sum(axis=0)}
    assert_gradients(lambda: layers.linear_forward(x, W, bias), {"x": x, "W": W, "bias": bias}, grads, dy)
    into = draw(N, D, seed=1)
    assert np.allclose(layers.linear_backward(dy, W, into=into.copy()), into + grads["x"], atol=1e-14)


def test_rmsnorm():
    x, gain, dy = draw(N, D), draw(D), draw(N, D, seed=1)
    _, cache = layers.rmsnorm_forward(x, gain, 1e-2)
    grads = {"x": layers.rmsnorm_backward(dy, cache), "gain": layers.rmsnorm_gain_backward(dy, cache)}
    assert_gradients(lambda: layers.rmsnorm_forward(x, gain, 1e-2)[0], {"x": x, "gain": gain}, grads, dy)
    into = draw(N, D, seed=2)
    assert np.allclose(layers.rmsnorm_backward(dy, cache, into=into.copy()), into + grads["x"], atol=1e-14)


def test_splitting_and_joining_heads_are_inverse():
    x = draw(N, HEADS * WIDTH)
    parts = layers.split_heads(x, BATCH, HEADS)
    assert parts.shape == (BATCH, HEADS, TIME, WIDTH) and parts[1, 2, 3, 4] == x[TIME + 3, 2 * WIDTH + 4]
    assert np.array_equal(layers.join_heads(parts), x)


def test_rope():
    x, dy = draw(BATCH, HEADS, TIME, WIDTH), draw(BATCH, HEADS, TIME, WIDTH, seed=1)
    cos, sin = layers.rope_tables(np.arange(3, 3 + TIME), draw(WIDTH // 2), np.float64)
    assert_gradients(lambda: layers.rope_forward(x, cos, sin), {"x": x}, {"x": layers.rope_backward(dy, cos, sin)}, dy)


def test_rope_makes_scores_depend_on_the_distance_alone():
    q, k, frequencies = draw(1, 1, 1, WIDTH), draw(1, 1, 1, WIDTH, seed=1), np.array([1.0, 0.3, 0.1])

    def score(i, j):
        tables = [layers.rope_tables(np.array([position]), frequencies, np.float64) for position in (i, j)]
        return np.sum(layers.rope_forward(q, *tables[0]) * layers.rope_forward(k, *tables[1]))

    assert np.isclose(score(7, 4), score(12, 9), rtol=1e-12) and not np.isclose(score(7, 4), score(7, 5), rtol=1e-3)


@pytest.mark.parametrize("extra", [0, 3], ids=["training", "with earlier keys"])
def test_attention(extra):
    q, do = draw(BATCH, HEADS, TIME, WIDTH), draw(BATCH, HEADS, TIME, WIDTH, seed=1)
    k, v = (draw(BATCH, GROUPS, TIME + extra, WIDTH, seed=seed) for seed in (2, 3))
    grads = dict(zip("qkv", layers.attention_backward(do, layers.attention_forward(q, k, v)[1]), strict=True))
    assert_gradients(lambda: layers.attention_forward(q, k, v)[0], {"q": q, "k": k, "v": v}, grads, do)


def test_attention_sees_no_later_key_and_shares_keys_within_a_group():
    q, k, v = draw(BATCH, HEADS, TIME, WIDTH), draw(BATCH, GROUPS, TIME, WIDTH, seed=2), draw(BATCH, GROUPS, TIME, WIDTH, seed=3)
    o, _ = layers.attention_forward(q, k, v)
    assert np.allclose(o[:, :2, 0], v[:, :1, 0]) and np.allclose(o[:, 2:, 0], v[:, 1:, 0])
    later = k.copy()
    later[:, :, 3:] += 1
    assert np.array_equal(layers.attention_forward(q, later, v)[0][:, :, :3], o[:, :, :3])
    assert np.allclose(layers.attention_forward(q[:, :, 3:], k, v)[0], o[:, :, 3:], atol=1e-14), "the last queries alone"


def test_swiglu():
    gate, up, dh = 3 * draw(N, K), draw(N, K, seed=1), draw(N, K, seed=2)
    grads = dict(zip(("gate", "up"), layers.swiglu_backward(dh, layers.swiglu_forward(gate, up)[1]), strict=True))
    assert_gradients(lambda: layers.swiglu_forward(gate, up)[0], {"gate": gate, "up": up}, grads, dh)


def test_swiglu_is_finite_far_out():
    gate = np.array([[-1e4, 1e4]], np.float32)
    assert np.array_equal(layers.swiglu_forward(gate, np.ones_like(gate))[0], [[0, 1e4]])


def test_cross_entropy():
    logits, targets = 2 * draw(N, V), np.random.default_rng(0).integers(0, V, N)
    targets[[2, 5]] = layers.IGNORED
    for count in (None, 17):
        grads = {"logits": layers.cross_entropy_backward(layers.cross_entropy_forward(logits, targets, count)[1])}
        assert_gradients(lambda: layers.cross_entropy_forward(logits, targets, count)[0], {"logits": logits}, grads, 1.0)  # noqa: B023
    assert not grads["logits"][[2, 5]].any()


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_the_vocabulary():
    assert np.isclose(layers.cross_entropy_forward(np.full((4, V), 1e4), np.arange(4))[0], np.log(V), rtol=1e-12)
