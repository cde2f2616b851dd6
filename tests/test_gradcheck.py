"""The checker itself: a right gradient passes, a wrong one is named."""

import numpy as np
import pytest

from minilora import gradcheck


def test_a_right_gradient_passes_and_a_wrong_one_is_named():
    rng = np.random.default_rng(0)
    arrays = {"u": rng.normal(size=(3, 4)), "v": rng.normal(size=(4, 2))}
    weight = rng.normal(size=(3, 2))
    u, v = arrays.values()
    grads = {"u": weight @ v.T, "v": 1.001 * u.T @ weight}
    rows = gradcheck.check(lambda: np.sum(weight * (u @ v)), arrays, grads)
    assert [row["ok"] for row in rows] == [True, False]
    assert "v" in gradcheck.table(rows).splitlines()[2] and "WRONG" in gradcheck.table(rows)


def test_a_zero_gradient_is_compared_with_the_rounding_floor():
    x, y = np.ones(3), np.ones(3)
    assert gradcheck.check(lambda: float(np.sum(y**2)), {"x": x}, {"x": np.zeros(3)})[0]["ok"]
    assert not gradcheck.check(lambda: float(np.sum(x**2)), {"x": x}, {"x": np.zeros(3)})[0]["ok"]


def test_a_wrong_shape_is_said():
    rows = gradcheck.check(lambda: 0.0, {"x": np.ones((2, 3))}, {"x": np.ones((3, 2))})
    assert not rows[0]["ok"] and "(3, 2)" in rows[0]["note"]


def test_float32_is_refused():
    with pytest.raises(TypeError, match="float64"):
        gradcheck.numeric_grad(lambda: 0.0, np.ones(2, np.float32))
