"""Rank: the table has what check and draw need, and a task that needs no rank, or whose ranks part at once, is found out."""

import pytest

from minilora.lab import rank, table


@pytest.fixture(scope="module")
def stored():
    return table.stored("rank", "class")


def test_the_smoke_run_has_the_columns_of_the_stored_table_and_can_be_judged_and_drawn(stored, monkeypatch):
    monkeypatch.setattr(rank, "RECIPE", {"batch": 2, "length": 64, "warmup": 1, "held_out": 2})
    rows = rank.run("smoke", seeds=(0,), jobs=1)
    assert set(rows[0]) == set(stored[0])
    assert [row["step"] for row in rows] == [0, 1, 2] * 8
    assert len({row["excess"] for row in rows if row["step"] == 0}) == 2  # the base's, for each corpus
    assert {type(finding.holds) for finding in rank.check(rows)} == {bool}
    assert rank.draw(rows).axes


def test_the_stored_table_holds_and_can_be_drawn(stored):
    assert all(finding.holds for finding in rank.check(stored))
    assert len(rank.draw(stored).axes) == 4


def failing(rows):
    return [n for n, finding in enumerate(rank.check(rows)) if not finding.holds]


def test_ranks_that_make_no_difference_or_all_the_difference_are_found_out(stored):
    assert failing([{**row, "excess": 1 / (1 + row["step"])} for row in stored]) == [1, 2]
    assert failing([{**row, "excess": (3 - row["step"] / 100) / row["rank"]} for row in stored]) == [0, 3, 4, 5, 6]
