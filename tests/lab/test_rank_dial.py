"""The rank dial: ciphers whose solution is known exactly, a smoke test that runs, and a table that can fail."""

import codecs

import numpy as np
import pytest

from minilora.lab import ciphers, rank_dial, table
from minilora.training import stories


@pytest.fixture(scope="module")
def stored():
    return table.stored("rank_dial", "class")


def test_the_cipher_of_thirteen_swaps_is_rot13():
    story, _ = stories.draw(np.random.default_rng(0), upper_share=0)
    assert ciphers.write(story, ciphers.meaning(ciphers.CIPHERS["rot13"])) == codecs.encode(story, "rot13") != story


@pytest.mark.parametrize("name", ciphers.CIPHERS)
def test_the_rank_of_the_permutation_is_letters_that_move_minus_cycles(name):
    meant = ciphers.meaning(ciphers.CIPHERS[name])
    assert (meant[meant] == np.arange(256)).all()
    assert (
        np.linalg.matrix_rank(np.eye(256)[meant] - np.eye(256))
        == (meant != np.arange(256)).sum() / 2
        == ciphers.rank(ciphers.CIPHERS[name])
    )


def test_the_smoke_test_runs_and_the_exact_update_is_exact():
    rows = rank_dial.run("smoke", seeds=(0,), jobs=1)
    exact = [row for row in rows if row["kind"] == "cut" and row["rank"] == row["needed"]]
    assert len(exact) == 3 and max(abs(row["excess"]) for row in exact) < 1e-6
    assert {row["rank"] for row in rows if row["kind"] == "trained"} == {1, 2, 4, rank_dial.FULL}
    assert all(row["embedding_rank"] <= row["rank"] for row in rows if row["kind"] == "trained" and row["rank"] != rank_dial.FULL)


def test_the_stored_table_holds_and_can_be_drawn(stored):
    assert all(finding.holds for finding in rank_dial.check(stored))
    assert len(rank_dial.draw(stored).axes) == 3


def test_a_full_update_of_low_rank_would_be_found(stored):
    spoiled = [row | {"embedding_rank": 1} for row in stored]
    assert [finding.holds for finding in rank_dial.check(spoiled)].count(False) == 2
