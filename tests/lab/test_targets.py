"""Targets: no set exceeds its budget, the table has what check and draw need, and sets that are all alike are found out."""

import pytest

from minilora.lab import table, targets
from minilora.lab.fit import base
from minilora.methods import LoRA


@pytest.fixture(scope="module")
def stored():
    return table.stored("targets", "class")


def test_the_smoke_run_has_the_columns_of_the_stored_table_and_can_be_judged_and_drawn(stored, monkeypatch):
    monkeypatch.setattr(targets, "RECIPE", {"batch": 2, "length": 64, "warmup": 1, "held_out": 2})
    rows = targets.run("smoke", seeds=(0,), jobs=1)
    assert [set(row) for row in rows] == [set(stored[0])] * 9
    assert {type(finding.holds) for finding in targets.check(rows)} == {bool}
    assert targets.draw(rows).axes


def test_the_stored_table_holds_and_can_be_drawn(stored):
    assert all(finding.holds for finding in targets.check(stored))
    assert len(targets.draw(stored).axes) == 1


@pytest.mark.parametrize("name", targets.SETS)
def test_the_rank_is_the_largest_that_the_budget_allows(name):
    modules, _ = targets.SETS[name]
    rank = targets.within(13824, modules)
    numbers, more = (LoRA(rank=r, targets=modules).count(base().config) for r in (rank, rank + 1))
    assert numbers <= 13824 < more


def failing(rows):
    return [n for n, finding in enumerate(targets.check(rows)) if not finding.holds]


def test_sets_that_are_all_alike_an_mlp_that_falls_behind_and_a_budget_that_is_exceeded_are_found_out(stored):
    assert failing([{**row, "excess": 0.1} for row in stored]) == [1, 3, 4, 5]
    assert failing([{**row, "excess": 1.0} if row["targets"] == "attention" else row for row in stored]) == [6]
    assert failing([{**row, "excess": 0.1} if row["targets"] == "MLP" else row for row in stored]) == [2]
    assert failing([{**row, "numbers": row["budget"] + 1} for row in stored]) == [0]
