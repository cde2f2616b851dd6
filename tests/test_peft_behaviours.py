"""The behaviours that PEFT's own tests demand of an adapter: the table is complete, and the tests that it names are there."""

import ast
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from minilora.methods import DoRA, LoRA, VeRA
from minilora.methods.check import midway, tiny_model
from minilora.transformer import loss
from minilora.transformer.model import loss_backward

FOLDER = Path(__file__).parent


def rows():
    """The table -> area, behaviour, where, for each line of it."""
    area = 0
    for line in (FOLDER / "peft_behaviours.md").read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"## (\d+)\. ", line):
            area = int(heading[1])
        elif line.startswith("| ") and line != "| behaviour | where |":
            behaviour, where = line.strip("| ").split(" | ")
            yield area, behaviour, where


def test_every_behaviour_is_covered_by_tests_that_exist_or_does_not_apply_for_a_reason():
    for _, behaviour, where in rows():
        if where.startswith("does not apply: "):
            assert len(where) > 50, behaviour
            continue
        tests = re.findall(r"`([\w/]+)::(\w+)`", where)
        assert tests and len(tests) == where.count("`") // 2, behaviour
        for file, name in tests:
            tree = ast.parse((FOLDER / f"{file}.py").read_text(encoding="utf-8"))
            functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            assert name in functions, f"{behaviour}: there is no {file}::{name}"


def test_every_area_is_there_and_no_behaviour_twice():
    assert list(dict.fromkeys(area for area, _, _ in rows())) == list(range(1, 18))
    assert set(Counter(behaviour for _, behaviour, _ in rows()).values()) == {1}


@pytest.mark.parametrize("method", [LoRA(2, 6, "q_proj,up_proj"), DoRA(2, 6, "q_proj"), VeRA(4, "q_proj")], ids=lambda method: method.name)
def test_three_steps_change_every_array_that_trains_and_nothing_else(method):
    config, weights, tokens, targets = tiny_model()
    for array in weights.values():
        array.setflags(write=False)
    arrays = method.init(config, weights, np.random.default_rng(0))
    start = {name: array.copy() for name, array in arrays.items()}
    for _ in range(3):
        grads = loss_backward(loss(config, weights, tokens, targets, method.sites(config, arrays))[1])
        assert grads.keys() == set(method.trainable(arrays))
        for name, grad in grads.items():
            arrays[name] -= 0.5 * grad
    for name, array in arrays.items():
        assert np.array_equal(array, start[name]) == (name not in method.trainable(arrays)), name


def test_the_first_of_two_patterns_that_match_counts():
    config, weights, _, _ = tiny_model()
    method = LoRA(2, 6, "q_proj", rank_pattern={"layers.1.*": 3, ".*q_proj": 4}, alpha_pattern={"q_proj": 9.0, "layers.1.*": 5.0})
    assert list(method.ranks(config).values()) == [4, 3] and list(method.scales(config).values()) == [9 / 4, 3.0]
    assert [array.shape for array in midway(method, config, weights).values()] == [(12, 4), (4, 24), (12, 3), (3, 24)]
