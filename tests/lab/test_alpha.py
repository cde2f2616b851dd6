"""What alpha does, at the size of a smoke test: what is exact is exact, and a table that was spoiled is found out."""

import numpy as np
import pytest

from minilora.lab import alpha


@pytest.fixture(scope="module")
def rows():
    return alpha.run("smoke", seeds=(0,), jobs=1)


def test_twins_by_powers_of_two_lose_the_same_to_the_bit(rows):
    assert alpha.apart(rows, "the reference", "its twin by 2 and 4") == [0.0]
    assert alpha.apart(rows, "alpha doubled", "B's rate doubled") == [0.0]


def test_alpha_alone_changes_the_training_and_other_factors_round(rows):
    assert 0 < alpha.apart(rows, "the reference", "its twin by 3 and 1.7")[0] < 1e-4
    assert alpha.apart(rows, "the reference", "alpha doubled")[0] > 1e-2


def test_one_bit_is_found(rows):
    spoiled = [dict(row) for row in rows]
    spoiled[0]["excess"] += 1e-7
    assert alpha.check(rows)[0].holds and not alpha.check(spoiled)[0].holds


def test_the_best_rate_is_the_bottom_of_a_parabola_or_an_end_of_the_grid():
    rates = np.array([1e-3, 1e-2, 1e-1])
    assert alpha.best_rate(rates, np.array([1.0, 0.5, 1.0])) == pytest.approx(1e-2)
    assert alpha.best_rate(rates, np.array([0.5, 1.0, 2.0])) == 1e-3


def test_of_two_rates_the_best_lies_at_the_edge(rows):
    (edge,) = (finding for finding in alpha.check(rows) if "the lowest or the highest" in finding.says)
    assert edge.value == len({row["alpha"] for row in rows if row["part"] == "grid"}) and not edge.holds


def test_it_is_drawn(rows):
    assert len(alpha.draw(rows).axes) == 2
