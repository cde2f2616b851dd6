"""Does a higher alpha overfit: the few texts are few, the smoke test runs, and a table without overfitting is found out."""

import numpy as np
import pytest

from minilora.lab import overfitting, table


@pytest.fixture(scope="module")
def stored():
    return table.stored("overfitting", "class")


def test_the_few_texts_are_few_and_the_others_are_not_among_them():
    corpus, texts = overfitting.few(3, seed=0)
    rng = np.random.default_rng(0)
    assert {corpus.draw(rng, False)[0] for _ in range(30)} == set(texts) and len(set(texts)) == 3
    assert not {corpus.draw(rng, True)[0] for _ in range(30)} & set(texts)


def test_the_smoke_test_runs():
    rows = overfitting.run("smoke", seeds=(0,), jobs=1)
    assert {row["way"] for row in rows} == set(overfitting.RUNS) and {row["step"] for row in rows} == {1, 2}
    assert np.isfinite([row[what] for row in rows for what in ("shown", "others")]).all()


def test_the_stored_table_holds_and_can_be_drawn(stored):
    assert all(finding.holds for finding in overfitting.check(stored))
    assert len(overfitting.draw(stored).axes) == 2


def test_a_table_in_which_every_run_ends_alike_is_found_out(stored):
    found = overfitting.check([row | {"others": 0.2, "shown": 0.1} for row in stored])
    assert [finding.holds for finding in found] == [False, False, True, False, True]
