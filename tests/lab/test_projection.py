"""A frozen A is a projection of the gradient, exactly; the table that says otherwise is noticed."""

import numpy as np
import pytest

from minilora.lab import projection
from minilora.lab.projection import WAYS, draw_A, matrix_step, pair_step


@pytest.fixture(scope="module")
def rows():
    return projection.run("smoke", seeds=(0, 1), jobs=1)


def test_columns_and_figure(rows):
    assert {row["part"] for row in rows} == {"training", "mean"}
    assert all({*WAYS, "step", "apart"} <= row.keys() for row in rows if row["part"] == "training")
    assert projection.draw(rows).axes


def test_one_step_of_B_is_a_projected_step_of_W():
    rng = np.random.default_rng(0)
    W, target, A = rng.standard_normal((5, 7)), rng.standard_normal((5, 7)), draw_A(5, 2, rng)
    x, B = rng.standard_normal((11, 5)), rng.standard_normal((2, 7))
    _, after = pair_step(x, W, x @ target, A, B, 0.01)
    np.testing.assert_allclose(W + A @ after, matrix_step(x, W + A @ B, x @ target, A, 0.01), rtol=0, atol=1e-12)


def test_what_is_exact_holds_at_any_size_and_a_spoiled_table_is_noticed(rows):
    findings = projection.check(rows)
    assert findings[0].holds and findings[5].holds
    spoiled = [{**row, "apart": 1e-6} if row["part"] == "training" else row for row in rows]
    assert not projection.check(spoiled)[0].holds
    spoiled = [{**row, WAYS[3]: row[WAYS[0]]} if row["part"] == "training" else row for row in rows]
    assert not projection.check(spoiled)[4].holds
