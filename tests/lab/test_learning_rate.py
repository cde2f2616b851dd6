"""Learning rates: the bottom of a valley is found, the table has what check and draw need, and one rate for all is found out."""

import numpy as np
import pytest

from minilora.lab import learning_rate, table


@pytest.fixture(scope="module")
def stored():
    return table.stored("learning_rate", "class")


def test_the_smoke_run_has_the_columns_of_the_stored_table_and_can_be_judged_and_drawn(stored, monkeypatch):
    monkeypatch.setattr(learning_rate, "RECIPE", {"batch": 2, "length": 64, "warmup": 1, "held_out": 2})
    rows = learning_rate.run("smoke", seeds=(0,), jobs=1)
    assert set(rows[0]) == set(stored[0]) and len(rows) == 4
    assert all(np.isfinite(row["excess"]) for row in rows)
    assert {type(finding.holds) for finding in learning_rate.check(rows)} == {bool}
    assert learning_rate.draw(rows).axes


def test_the_stored_table_holds_and_can_be_drawn(stored):
    assert all(finding.holds for finding in learning_rate.check(stored))
    assert len(learning_rate.draw(stored).axes) == 1


def test_the_bottom_of_a_parabola_is_found_exactly_and_an_end_is_an_end():
    rates, bottom = np.geomspace(1e-3, 1e-1, 5), 7e-3
    rows = [{"method": "full", "seed": 0, "rate": rate, "excess": np.exp(np.log(rate / bottom) ** 2)} for rate in rates]
    assert np.allclose(learning_rate.best(rows, "full"), bottom, rtol=1e-9)
    assert learning_rate.best(rows[3:], "full") == rates[3]


def test_one_best_rate_for_all_is_found_out(stored):
    full = {(row["rate"], row["seed"]): row["excess"] for row in stored if row["method"] == "full"}
    spoiled = [{**row, "excess": full[row["rate"], row["seed"]]} for row in stored]
    failing = [finding.says for finding in learning_rate.check(spoiled) if not finding.holds]
    assert len(failing) == 4 and sum("so many times that of full" in says for says in failing) == 2
