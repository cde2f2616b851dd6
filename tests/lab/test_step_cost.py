"""Arrays are found and counted once, and a table that says otherwise is noticed. Nothing here rests on a clock."""

import numpy as np
import pytest

from minilora.lab import step_cost
from minilora.lab.step_cost import METHODS, size_of

NO_CLOCK = slice(0, 10)  # the findings that rest on FLOPs and bytes


@pytest.fixture(scope="module")
def rows():
    return step_cost.run("smoke", seeds=(0,), jobs=1)


def test_columns_and_figure(rows):
    assert {row["method"] for row in rows if row["part"] == "step"} == set(METHODS)
    assert len([row for row in rows if row["part"] == "forward"]) == 6
    assert step_cost.draw(rows).axes


def test_a_view_is_counted_with_its_owner_once_and_what_is_known_not_at_all():
    owner, other = np.zeros((4, 6), np.float32), np.zeros(3)
    assert size_of(({"a": owner[1:], "b": [owner.T, other]}, 5, None)) == owner.nbytes + other.nbytes
    assert size_of([owner.reshape(-1), other], but=[{"known": owner[2]}]) == other.nbytes


def test_the_ledger_is_the_one_of_the_arrays(rows):
    """Weights, gradients and moments follow from the counts: float32, two moments a gradient."""
    for row in rows:
        if row["part"] == "step":
            assert row["bytes of moments"] == 2 * row["bytes of gradients"]
    full, lora = ([row for row in rows if row.get("method") == name][0] for name in ("full", "LoRA, r = 8"))
    config = step_cost.SIZES["S"].config()
    assert full["bytes of gradients"] == full["bytes of weights"] == 4 * METHODS["full"].count(config)
    assert lora["bytes of gradients"] == 4 * METHODS["LoRA, r = 8"].count(config)
    assert lora["bytes of weights"] == full["bytes of weights"] + lora["bytes of gradients"]


def test_what_rests_on_no_clock_holds_and_a_spoiled_table_is_noticed(rows):
    assert all(finding.holds for finding in step_cost.check(rows)[NO_CLOCK])
    spoiled = [{**row, "bytes of activations": 1} if row.get("method") == "LoRA, r = 8" else row for row in rows]
    assert not step_cost.check(spoiled)[5].holds
