"""Voyages are what they say, levels are found by interpolation, and a table that says otherwise is noticed."""

import math

import numpy as np
import pytest

from minilora.lab import forgetting, voyages
from minilora.lab.fit import base
from minilora.layers import IGNORED
from minilora.training import stories


@pytest.fixture(scope="module")
def rows():
    return forgetting.run("smoke", seeds=(0,), jobs=1)


def test_columns_and_figure(rows):
    assert {row["method"] for row in rows} == set(forgetting.METHODS)
    assert {row["strength"] for row in rows} == {0.5, 1.0}
    assert forgetting.draw(rows).axes


def test_a_voyage_has_one_way_to_be_made_and_the_bytes_of_the_stories():
    rng = np.random.default_rng(0)
    drawn = [voyages.draw(rng) for _ in range(300)]
    assert len({text for text, _ in drawn}) >= 299 and {log_p for _, log_p in drawn} == {-math.log(voyages.COUNT)}
    known = set("".join(text + text.upper() for text, _ in (stories.draw(rng, upper_share=0) for _ in range(300))))
    assert set("".join(text for text, _ in drawn)) <= known
    assert not {word for slot in voyages.SLOTS.values() for word in slot} & set(stories.WORDS)


def test_the_rest_of_a_story_is_what_follows_its_first_full_stop():
    inputs, wanted = forgetting.texts(2)["stories"]
    for row, targets in zip(inputs, wanted["rest of stories"], strict=True):
        text = bytes(row[row > 0].astype(np.uint8)).decode()
        assert bytes(targets[targets != IGNORED].astype(np.uint8)).decode().strip() == text.partition(".")[2].strip()


def test_without_the_adapter_the_base_is_the_base_and_a_spoiled_table_is_noticed(rows):
    assert forgetting.check(rows)[0].holds
    assert not forgetting.check([{**row, "detached": 1e-9} for row in rows])[0].holds
    assert all(not array.flags.writeable for array in base().weights.values())
