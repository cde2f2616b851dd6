"""The start of a LoRA, at the size of a smoke test: what is zero is exactly zero, and what has to move moves."""

import pytest

from minilora.lab import initialisation
from minilora.lab.table import column


@pytest.fixture(scope="module")
def rows():
    return initialisation.run("smoke", seeds=(0,), jobs=1)


def test_a_zero_leaves_the_base_as_it_is_to_the_bit(rows):
    for start in ("B zero", "A zero", "both zero"):
        assert set(column(rows, "jump", part="before", start=start)) == {0.0}
    assert all(column(rows, "jump", part="before", start="both random"))


def test_the_gradient_of_what_multiplies_a_zero_is_zero_and_the_other_is_not(rows):
    before = {
        start: (column(rows, "dA", part="before", start=start)[0], column(rows, "dB", part="before", start=start)[0])
        for start in initialisation.STARTS
    }
    assert before["B zero"][0] == 0 < before["B zero"][1]
    assert before["A zero"][1] == 0 < before["A zero"][0]
    assert before["both zero"] == (0, 0)


def test_both_zero_is_dead_and_one_zero_is_not(rows):
    for part in "AB":
        assert column(rows, part, part="after", start="both zero") == [0.0]
        assert min(column(rows, part, part="after", start="B zero")) > 0


def test_a_zero_that_is_none_is_found(rows):
    spoiled = [dict(row) for row in rows]
    spoiled[0]["jump"] = 1e-9
    assert initialisation.check(rows)[0].holds and not initialisation.check(spoiled)[0].holds


def test_it_is_drawn(rows):
    assert len(initialisation.draw(rows).axes) == 2
