"""Random projections: what they promise holds exactly, a smoke test runs, and a table can fail."""

import numpy as np
import pytest

from minilora.lab import intrinsic_dimension, table
from minilora.lab.fit import base
from minilora.lab.table import column
from minilora.methods import LoRA


@pytest.fixture(scope="module")
def stored():
    return table.stored("intrinsic_dimension", "class")


def test_the_columns_of_the_projection_are_orthogonal_and_of_length_one():
    columns, entries = intrinsic_dimension.projection(50, 7, np.random.default_rng(0))
    P = np.zeros((50, 7))
    P[np.arange(50), columns] = entries
    assert P.T @ P == pytest.approx(np.eye(7), abs=1e-6)


def test_the_dimensions_are_those_of_lora_and_of_the_base():
    assert intrinsic_dimension.SAME == LoRA(rank=1).count(base().config)
    assert sum(array.size for array in base().weights.values()) == intrinsic_dimension.FULL


def test_the_smoke_test_runs_and_the_pretrained_base_is_ahead_from_the_start():
    rows = intrinsic_dimension.run("smoke", seeds=(0,), jobs=1)
    pretrained, random = (column(rows, "excess", kind="projection", base_is=name, steps=0)[0] for name in ("pretrained", "random"))
    assert pretrained < random == pytest.approx(np.log(256), abs=0.5)
    assert {row["dimension"] for row in rows} == {16, intrinsic_dimension.SAME, intrinsic_dimension.FULL}


def test_the_stored_table_holds_and_can_be_drawn(stored):
    assert all(finding.holds for finding in intrinsic_dimension.check(stored))
    assert intrinsic_dimension.draw(stored).axes


def test_a_random_base_that_is_as_good_would_be_found(stored):
    pretrained = [row for row in stored if row["base_is"] == "pretrained"]
    spoiled = pretrained + [row | {"base_is": "random"} for row in pretrained if row["kind"] == "projection"]
    assert [finding.holds for finding in intrinsic_dimension.check(spoiled)].count(False) == 1
