"""How much an adapter holds: facts that can be counted, a smoke test that runs, and a table that can fail."""

import numpy as np
import pytest

from minilora.lab import capacity, table
from minilora.layers import IGNORED


@pytest.fixture(scope="module")
def stored():
    return table.stored("capacity", "class")


def test_no_fact_contradicts_another_and_only_its_value_is_asked():
    facts = capacity.draw_facts(500, np.random.default_rng(0))
    assert len(np.unique(facts.keys, axis=0)) == 500 and facts.keys.max() < capacity.SYMBOLS
    inputs, targets = facts.train_batch(np.random.default_rng(0), 20, capacity.KEY)
    assert inputs.shape == targets.shape == (20, capacity.KEY)
    assert (targets[:, :-1] == IGNORED).all() and (targets[:, -1] != IGNORED).all()


def test_the_smoke_test_runs_and_counts_what_trains():
    rows = capacity.run("smoke", seeds=(0,), jobs=1)
    for row in rows:
        assert row["bits"] <= 4 * row["facts"] and 0 <= row["recalled"] <= 1
    trained = {row["rank"]: row["trained"] for row in rows}
    assert trained[4] == 4 * trained[1] and trained[capacity.FULL] == sum(map(np.prod, capacity.CONFIG.shapes().values()))


def test_the_stored_table_holds_and_can_be_drawn(stored):
    assert all(finding.holds for finding in capacity.check(stored))
    assert len(capacity.draw(stored).axes) == 2


def test_an_adapter_that_held_all_with_rank_one_would_be_found(stored):
    spoiled = [row | {"recalled": 1.0} for row in stored]
    assert [finding.holds for finding in capacity.check(spoiled)].count(False) == 1
