"""The sum of two adapters is exact, the judge of both voices judges, and a table that says otherwise is noticed."""

import numpy as np
import pytest

from minilora.lab import modular
from minilora.lab.fit import base
from minilora.lab.modular import JUDGES, NAMES, adapter, added, weaker
from minilora.training.voices import VOICES

STORY = 'once upon a time pip the brave fox found a tiny key by the road. "hello, my friend, you are lucky," said the owl.'


@pytest.fixture(scope="module")
def rows():
    return modular.run("smoke", seeds=(0,), jobs=1)


def test_columns_and_figure(rows):
    assert {row["speaker"] for row in rows} == {"base", *NAMES, "pirate + shout", "rot13 + rot13"}
    assert all({*JUDGES, "excess on stories", "strength"} <= row.keys() for row in rows)
    assert modular.draw(rows).axes


def test_the_base_is_untouched_and_a_spoiled_table_is_noticed(rows):
    assert modular.check(rows)[0].holds
    assert not modular.check([{**row, "base_untouched": False} for row in rows])[0].holds
    assert not modular.check([{**row, **dict.fromkeys(JUDGES, 1.0)} for row in rows])[2].holds


def test_a_sum_is_the_sum_and_strength_is_linear():
    one, other = adapter("pirate", "smoke", 0), adapter("shout", "smoke", 0)
    name, W = "model.layers.1.mlp.up_proj.weight", base().weights["model.layers.1.mlp.up_proj.weight"]
    first, second, both, half = (each.merge(base()).weights[name] - W for each in (one, other, added(one, other), weaker(one, 0.5)))
    np.testing.assert_allclose(both, first + second, rtol=0, atol=1e-6)
    np.testing.assert_allclose(half, first / 2, rtol=0, atol=1e-6)
    assert np.abs(first).max() > 1e-4


def test_both_is_pirate_in_upper_case_and_neither_alone():
    loud = VOICES["pirate"].encode(STORY).upper()
    assert JUDGES["both"].score(loud) == 1
    assert JUDGES["both"].encode(STORY) == loud
    assert [JUDGES[name].score(loud) for name in ("pirate", "shout", "stories")] == [0, 0, 0]
