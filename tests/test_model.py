"""The whole model, end to end, against central differences."""

from dataclasses import replace

import numpy as np
import pytest

from minilora import gradcheck
from minilora.methods.check import tiny_model
from minilora.transformer import Config, Sites, init, loss
from minilora.transformer.config import Llama3Scaling
from minilora.transformer.model import frequencies, loss_backward
from minilora.transformer.sites import lowest_layer


def test_gradients_of_biases_norms_of_queries_and_keys_and_a_scaled_rotation():
    config, weights, tokens, targets = tiny_model()
    config = replace(config, attention_bias=True, qk_norm=True, rope_scaling=Llama3Scaling(8.0, 1.0, 4.0, 16))
    rng = np.random.default_rng(4)
    added = {name: rng.normal(1, 0.2, shape) for name, shape in config.shapes().items() if name not in weights}
    weights |= added
    grads = loss_backward(loss(config, weights, tokens, targets, Sites(weights))[1])
    assert grads.keys() == weights.keys() and "model.layers.0.self_attn.q_norm.weight" in grads
    # The way down to the embedding leads through all of them.
    arrays = added | {"model.embed_tokens.weight": weights["model.embed_tokens.weight"]}
    rows = gradcheck.check(lambda: loss(config, weights, tokens, targets)[0], arrays, grads)
    assert all(row["ok"] for row in rows), "\n" + gradcheck.table(rows)


@pytest.mark.parametrize("tied", [True, False])
def test_gradients_of_full_fine_tuning(tied):
    config, weights, tokens, targets = tiny_model(tied)
    value, cache = loss(config, weights, tokens, targets, Sites(weights))
    grads = loss_backward(cache)
    assert grads.keys() == weights.keys()
    rows = gradcheck.check(lambda: loss(config, weights, tokens, targets)[0], weights, grads)
    assert all(row["ok"] for row in rows), "\n" + gradcheck.table(rows)


def test_only_what_trains_has_a_gradient_and_it_is_the_same():
    config, weights, tokens, targets = tiny_model()
    full = loss_backward(loss(config, weights, tokens, targets, Sites(weights))[1])
    for name, array in weights.items():
        grads = loss_backward(loss(config, weights, tokens, targets, Sites({name: array}))[1])
        assert list(grads) == [name] and np.allclose(grads[name], full[name], rtol=1e-12, atol=1e-14)


def test_a_bias_that_the_base_lacks_can_be_added_and_trained():
    config, weights, tokens, targets = tiny_model()
    rng = np.random.default_rng(3)
    biases = {f"model.layers.1.{name}.bias": rng.normal(size=k) for name, k in (("self_attn.q_proj", 24), ("mlp.down_proj", 12))}
    grads = loss_backward(loss(config, weights, tokens, targets, Sites(biases))[1])
    rows = gradcheck.check(lambda: loss(config, weights, tokens, targets, Sites(biases))[0], biases, grads)
    assert all(row["ok"] for row in rows), "\n" + gradcheck.table(rows)


def test_the_scaled_rotation_slows_the_slow_ones_and_keeps_the_fast_ones():
    config = Config(head_dim=64, rope_theta=5e5)
    plain, scaled = frequencies(config), frequencies(replace(config, rope_scaling=Llama3Scaling(8.0, 1.0, 4.0, 8192)))
    turns = 8192 * plain / (2 * np.pi)
    assert np.array_equal(scaled[turns > 4], plain[turns > 4]) and np.allclose(scaled[turns < 1], plain[turns < 1] / 8, rtol=1e-15)
    (between,) = np.flatnonzero((turns > 1) & (turns < 4))[:1]
    kept = (turns[between] - 1) / 3
    assert scaled[between] == pytest.approx(kept * plain[between] + (1 - kept) * plain[between] / 8)


@pytest.mark.parametrize("values", [(0.5,), (8.0, 4.0, 4.0), (8.0, 0.0), (8.0, 1.0, 4.0, 0), (float("nan"),)])
def test_a_scaling_that_makes_no_sense_is_refused(values):
    with pytest.raises(ValueError, match="makes no sense: factor is at least 1"):
        Llama3Scaling(*values)


def test_initial_loss_is_that_of_equal_logits():
    config = Config()
    tokens = np.random.default_rng(0).integers(0, 256, (2, 32))
    value, _ = loss(config, init(config, np.random.default_rng(0)), tokens, tokens)
    assert abs(value - np.log(256)) < 0.1  # logits of deviation 0.02 sqrt(96) = 0.2 add 0.02 in the mean


def test_lowest_layer():
    assert lowest_layer(("model.layers.11.mlp.up_proj.lora_A", "model.layers.3.x"), 12) == 3
    assert lowest_layer(("model.norm.weight", "lm_head.weight"), 12) == 12
    assert lowest_layer(("model.embed_tokens.weight",), 12) == -1


def test_a_text_longer_than_the_context_is_refused():
    config, weights, _, _ = tiny_model()
    tokens = np.zeros((1, 17), int)
    with pytest.raises(ValueError, match="17 positions do not fit the context of 16"):
        loss(config, weights, tokens, tokens)


@pytest.mark.parametrize(("change", "message"), [({"num_key_value_heads": 3}, "must divide"), ({"head_dim": 5}, "even")])
def test_dimensions_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Config(**change)
