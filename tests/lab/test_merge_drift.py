"""Merging and subtracting: what is exact is so, and a table that says otherwise is noticed."""

import ml_dtypes
import numpy as np
import pytest

from minilora.lab import merge_drift
from minilora.lab.merge_drift import FORMATS, KEPT, WAYS, there_and_back


@pytest.fixture(scope="module")
def rows():
    return merge_drift.run("smoke", seeds=(0,), jobs=1)


def held(rows):
    return [finding.holds for finding in merge_drift.check(rows)]


def test_a_row_for_each_way_format_and_look(rows):
    assert {(row["way"], row["form"]) for row in rows} == {*((way, form) for way in WAYS for form in FORMATS), (KEPT, "float32")}
    assert {row["cycle"] for row in rows} == {1, 3, 10, 30}
    assert merge_drift.draw(rows).axes


def test_the_base_that_is_kept_and_one_adapter_after_its_first_cycle_stay_to_the_bit(rows):
    assert held(rows)[:2] == [True, True]


def test_a_changed_number_in_the_kept_base_is_noticed(rows):
    assert not held([{**row, "changed": 1e-6} if row["way"] == KEPT else row for row in rows])[0]
    assert not held([{**row, "drift": row["drift"] * (1 + (row["cycle"] > 3))} for row in rows])[1]


def test_a_sum_that_needs_a_coarser_step_costs_the_last_bit():
    """Between 1 and 2 bfloat16 has steps of 1/128, between 2 and 4 of 1/64: 1 + 1/128 comes back as 1, and then stays."""
    w, update = np.array([1 + 1 / 128], ml_dtypes.bfloat16), np.array([1.0], np.float32)
    once = there_and_back(w, update, ml_dtypes.bfloat16)
    assert float(once[0]) == 1 and float(there_and_back(once, update, ml_dtypes.bfloat16)[0]) == 1
    assert there_and_back(np.array([1.5], np.float32), np.array([0.25], np.float32), np.float32)[0] == 1.5
