"""Ranks and bytes that are exact are so after two steps as well, and a table that says otherwise is noticed."""

import numpy as np
import pytest

from minilora.lab import parameters_and_rank
from minilora.lab.parameters_and_rank import METHODS, rank


@pytest.fixture(scope="module")
def rows():
    return parameters_and_rank.run("smoke", seeds=(0,), jobs=1)


def test_columns_and_figure(rows):
    assert {row["part"] for row in rows} == {"update", "structure", "5 x 8"}
    assert {row["method"] for row in rows if row["part"] == "update"} == set(METHODS)
    assert parameters_and_rank.draw(rows).axes


def test_everything_but_how_far_training_goes_holds_at_once(rows):
    assert [finding.says for finding in parameters_and_rank.check(rows) if not finding.holds] == []


@pytest.mark.parametrize("column, found", [("rank", 0), ("full_rank", 1), ("merged_bytes", 4), ("merged_rank", 5)])
def test_a_spoiled_table_is_noticed(rows, column, found):
    spoiled = [{**row, column: row[column] + (1 if column != "merged_rank" else -1)} if row["part"] == "update" else row for row in rows]
    assert not parameters_and_rank.check(spoiled)[found].holds


def test_rounding_is_no_rank():
    rng = np.random.default_rng(0)
    W, update = rng.standard_normal((40, 30)), rng.standard_normal((40, 3)) @ rng.standard_normal((3, 30)) / 100
    assert rank((W + update) - W)[0] == 3 and rank(W)[0] == 30
