"""The step of SGD and of Adam at each rank, from the package's own backward pass; a table that says otherwise is noticed."""

import numpy as np
import pytest

from minilora.lab import scale


@pytest.fixture(scope="module")
def rows():
    return scale.run("smoke", seeds=(0, 1), jobs=1)


def test_columns_and_figure(rows):
    assert len(rows) == 2 * 2 * 2 * 2 and scale.draw(rows).axes


def test_sgd_goes_s_times_as_far_for_a_scale_of_s():
    """Twice: the gradient of B carries s, and so does the update; at rank 4 the two scales differ by a factor of 2."""
    steps = {name: scale.first_step(name, "SGD", rank=4, width=8, seed=0)["progress"] for name in scale.SCALES}
    np.testing.assert_allclose(steps["1/sqrt(r)"], 4 * steps["1/r"], rtol=1e-12)


def test_a_spoiled_table_is_noticed(rows):
    spoiled = [{**row, "progress": 1.0} for row in rows]
    assert [finding.holds for finding in scale.check(spoiled)] == [False, True, True, False]
