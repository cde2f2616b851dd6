"""Intruders: the table has what check and draw need, and a law that does not hold, or counts that are alike, are found out."""

import numpy as np
import pytest

from minilora.lab import intruders, table
from minilora.lab.fit import base, fit
from minilora.lab.updates import updates
from minilora.methods import Full, LoRA
from minilora.methods.targets import resolve


@pytest.fixture(scope="module")
def stored():
    return table.stored("intruders", "class")


def test_the_smoke_run_has_the_columns_of_the_stored_table_and_can_be_judged_and_drawn(stored, monkeypatch):
    monkeypatch.setattr(intruders, "RECIPE", {"batch": 2, "length": 64, "warmup": 1, "held_out": 2})
    rows = intruders.run("smoke", seeds=(0,), jobs=1)
    assert {name for row in rows for name in row} == set(stored[0])
    assert len(rows) == 2 + 4 * 28
    assert {type(finding.holds) for finding in intruders.check(rows)} == {bool}
    assert intruders.draw(rows).axes


def test_the_stored_table_holds_and_can_be_drawn(stored):
    assert all(finding.holds for finding in intruders.check(stored))
    assert len(intruders.draw(stored).axes) == 2


def failing(rows):
    return [finding.says for finding in intruders.check(rows) if not finding.holds]


def test_a_spike_without_its_law_is_found_out(stored):
    spoiled = [{**row, "largest": row["theta"]} if row["part"] == "law" else row for row in stored]
    assert [says.split(":")[0] for says in failing(spoiled)] == ["theta > 1"]


def test_counts_that_are_the_same_for_all_are_found_out(stored):
    spoiled = [{**row, "intruders": 1} if row["part"] == "trained" else row for row in stored]
    assert len(failing(spoiled)) == 4


def test_the_update_of_lora_is_s_a_b_and_has_its_rank():
    adapter = fit(LoRA(rank=2, alpha=6, targets="q_proj,v_proj"), "pirate", steps=2, batch=2, length=64, held_out=2)
    found = updates(base(), adapter)
    assert list(found) == list(resolve("all-linear", base().config))
    for name, dW in found.items():
        if name.endswith(("q_proj", "v_proj")):
            A, B = (adapter.arrays[f"{name}.lora_{part}"].astype(np.float64) for part in "AB")  # (d, r), (r, k)
            assert np.allclose(dW, 3 * A @ B, rtol=0, atol=1e-12) and np.linalg.matrix_rank(dW, tol=1e-12) == 2
        else:
            assert not dW.any()


def test_the_update_of_full_fine_tuning_is_the_difference_to_the_base():
    adapter = fit(Full(), "pirate", steps=2, batch=2, length=64, held_out=2)
    for name, dW in updates(base(), adapter).items():
        assert np.array_equal((base().weights[f"{name}.weight"] + dW).astype(np.float32), adapter.arrays[f"{name}.weight"])
