"""Updates of rank r in L layers reach a change of rank L r, and no more; a table that says otherwise is noticed."""

import numpy as np
import pytest

from minilora.lab import depth


@pytest.fixture(scope="module")
def rows():
    return depth.run("smoke", seeds=(0, 1), jobs=1)


def test_columns_and_figure(rows):
    assert {(row["layers"], row["r"]) for row in rows} == {(1, 1), (1, 2), (2, 1)}
    assert depth.draw(rows).axes


@pytest.mark.parametrize("layers, r", [(1, 6), (2, 3), (3, 2), (4, 2)])
def test_updates_that_are_written_down_are_of_rank_r_and_exact(layers, r):
    matrices, D = depth.layers_and_change(10, layers, 6, seed=3)
    updates = depth.construct(matrices, D, r)
    assert all(np.linalg.matrix_rank(update, tol=1e-9) <= r for update in updates)
    adapted = depth.product([W + update for W, update in zip(matrices, updates, strict=True)])
    np.testing.assert_allclose(adapted, depth.product(matrices) + D, rtol=0, atol=1e-10)


def test_training_has_the_right_gradient():
    """Two layers of rank 1 reach a change of rank 2."""
    matrices, D = depth.layers_and_change(4, 2, 2, seed=0)
    updates = depth.train(matrices, D, 1, 2000, np.random.default_rng(0))
    adapted = depth.product([W + update for W, update in zip(matrices, updates, strict=True)])
    assert np.linalg.norm(adapted - depth.product(matrices) - D) < 1e-3


def test_a_spoiled_table_is_noticed(rows):
    assert all(finding.holds for finding in depth.check(rows)[:2])
    assert not depth.check([{**row, "constructed": row["constructed"] + 1e-6} for row in rows])[0].holds
    assert not depth.check([{**row, "trained": row["bound"] - 1e-6} for row in rows])[1].holds
