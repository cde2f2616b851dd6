"""Asymmetry: what is frozen stays, the fits are the best ones, and the table has what check and draw need."""

import numpy as np
import pytest

from minilora.lab import asymmetry, table
from minilora.lab.fit import base, fit


@pytest.fixture(scope="module")
def stored():
    return table.stored("asymmetry", "class")


def test_the_smoke_run_has_the_columns_of_the_stored_table_and_can_be_judged_and_drawn(stored, monkeypatch):
    monkeypatch.setattr(asymmetry, "RECIPE", {"batch": 2, "length": 64, "warmup": 1, "held_out": 2})
    rows = asymmetry.run("smoke", seeds=(0,), jobs=1)
    assert {name for row in rows for name in row} == set(stored[0])
    assert {type(finding.holds) for finding in asymmetry.check(rows)} == {bool}
    assert asymmetry.draw(rows).axes


def test_the_stored_table_holds_and_can_be_drawn(stored):
    assert all(finding.holds for finding in asymmetry.check(stored))
    assert len(asymmetry.draw(stored).axes) == 2


def test_b_stays_as_it_was_drawn_and_a_leaves_zero():
    method = asymmetry.LoRAFrozenB(rank=2, alpha=4, targets="q_proj,down_proj")
    start = method.init(base().config, base().weights, np.random.default_rng([3, 0]))
    adapter = fit(method, "pirate", steps=2, batch=2, length=64, held_out=2, seed=3)
    for name, array in adapter.arrays.items():
        if name.endswith("lora_B"):
            assert np.array_equal(array, start[name]) and array.any()
        else:
            assert not start[name].any() and array.any()
    trained = method.trainable(adapter.arrays)
    assert sum(adapter.arrays[name].size for name in trained) == method.count(base().config)


def test_white_inputs_make_no_difference_and_both_are_never_worse_than_one():
    for decay in asymmetry.DECAYS:
        left = asymmetry.least_squares(32, 4, decay, draws=50, seed=0)
        assert left["both"] < min(left["A frozen"], left["B frozen"])
        assert left["B frozen"] == pytest.approx(1 - 4 / 32, abs=0.03)
    assert asymmetry.least_squares(32, 4, 0.0, draws=50, seed=0)["A frozen"] == pytest.approx(1 - 4 / 32, abs=0.03)


def test_a_table_without_asymmetry_is_found_out(stored):
    spoiled = [{**row, "A frozen": row["B frozen"]} if row["part"] == "bare" else {**row, "excess": 1.0} for row in stored]
    assert [finding.holds for finding in asymmetry.check(spoiled)].count(False) >= 4
