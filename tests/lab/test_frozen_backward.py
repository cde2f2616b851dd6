"""What goes wrong without dy W.T, and where it may be left out, exactly."""

import numpy as np
import pytest

from minilora import ops
from minilora.lab import frozen_backward
from minilora.lab.frozen_backward import METHODS, NOTHING, PAST, WHOLE
from minilora.methods.check import midway, tiny_model
from minilora.transformer import model


@pytest.fixture(scope="module")
def rows():
    return frozen_backward.run("smoke", seeds=(0,), jobs=1)


def test_columns_and_figure(rows):
    assert {row["part"] for row in rows} == {"gradient", "training", "cut"}
    assert {row["way"] for row in rows if row["part"] == "training"} == set(METHODS)
    assert frozen_backward.draw(rows).axes


def test_what_is_exact_holds_after_two_steps_and_a_spoiled_table_is_noticed(rows):
    findings = frozen_backward.check(rows)
    assert [findings[i].holds for i in (0, 1, 5, 6)] == [True] * 4
    assert not frozen_backward.check([{**row, "norm": 1e-9} if row.get("way") == NOTHING else row for row in rows])[0].holds
    assert not frozen_backward.check([{**row, "difference": 1e-9} for row in rows])[5].holds


def test_only_what_stands_right_below_the_head_still_has_its_right_gradient():
    config, weights, tokens, targets = tiny_model()
    arrays = midway(METHODS[WHOLE], config, weights)

    def grads(method):
        return model.loss_backward(model.loss(config, weights, tokens, targets, method.sites(config, arrays, ops.reference()))[1])

    right, past = grads(METHODS[WHOLE]), grads(METHODS[PAST])
    top = f"model.layers.{config.num_hidden_layers - 1}.mlp.down_proj.lora_"
    assert {name for name in right if np.array_equal(right[name], past[name])} == {f"{top}A", f"{top}B"}
    assert not any(grad.any() for grad in grads(METHODS[NOTHING]).values())
