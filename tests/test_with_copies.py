"""A method with whole modules beside it: it trains, counts, merges and starts as it should, and what makes no sense is refused."""

import numpy as np
import pytest

from minilora import gradcheck
from minilora.methods import AdaLoRA, DoRA, LoRA, LoRAPlus, Prompt, VeRA
from minilora.methods.check import check_method, midway, tiny_model
from minilora.methods.with_copies import WithCopies, saved_modules
from minilora.transformer import forward

CONFIG, WEIGHTS, TOKENS, _ = tiny_model()
COPIED = ("model.embed_tokens", "model.norm", "model.layers.1.self_attn.k_proj", "lm_head")
METHODS = [LoRA(2, 6, "q_proj"), DoRA(2, 6, "q_proj"), VeRA(4, "q_proj"), AdaLoRA(2, None, 6, "q_proj"), Prompt(3)]
every = pytest.mark.parametrize("method", [WithCopies(method, COPIED) for method in METHODS], ids=lambda method: method.name)


@every
def test_gradients_in_the_whole_model(method):
    rows = check_method(method)
    assert all(row["ok"] for row in rows), "\n" + gradcheck.table(rows)


@every
def test_it_starts_as_the_method_does_and_counts_its_copies(method):
    arrays, own = (each.init(CONFIG, WEIGHTS, np.random.default_rng(0)) for each in (method, method.method))
    logits, expected = (
        forward(CONFIG, WEIGHTS, TOKENS, each.sites(CONFIG, part))[0] for each, part in ((method, arrays), (method.method, own))
    )
    assert np.array_equal(logits, expected)
    assert method.count(CONFIG) == sum(arrays[name].size for name in method.trainable(arrays))
    assert method.count(CONFIG) - method.method.count(CONFIG) == 2 * 13 * 12 + 12 + 12 * 12
    assert method.learning_rates(arrays).keys() == arrays.keys()
    assert not any(np.shares_memory(arrays[name], WEIGHTS[name]) for name in method.copies(CONFIG))


def test_merging_equals_the_adapted_model():
    method = WithCopies(METHODS[0], COPIED)
    arrays = midway(method, CONFIG, WEIGHTS)
    adapted = forward(CONFIG, WEIGHTS, TOKENS, method.sites(CONFIG, arrays))[0]
    merged = forward(CONFIG, method.merge(CONFIG, WEIGHTS, arrays), TOKENS)[0]
    assert np.allclose(merged, adapted, rtol=0, atol=1e-12 * np.abs(adapted).max())


def test_the_method_s_own_rates_penalty_and_step_are_kept():
    method = WithCopies(LoRAPlus(2, 6, "q_proj"), COPIED)
    rates = method.learning_rates(method.init(CONFIG, WEIGHTS, np.random.default_rng(0)))
    assert rates["model.layers.0.self_attn.q_proj.lora_B"] == 16 and rates["lm_head.weight"] == 1
    method = WithCopies(METHODS[3], COPIED)
    arrays = midway(method, CONFIG, WEIGHTS)
    grads, own = {}, {}
    assert method.penalty(arrays, grads) == method.method.penalty(method.own(arrays), own) > 0
    assert grads.keys() == own.keys()
    before = arrays["model.layers.0.self_attn.q_proj.lora_A.sensitivity"].copy()
    method.after_step(arrays, {name: np.ones_like(array) for name, array in arrays.items()}, 0, 10)
    assert not np.array_equal(arrays["model.layers.0.self_attn.q_proj.lora_A.sensitivity"], before)


def test_modules_to_save_are_matched_as_PEFT_matches_them():
    assert saved_modules(["lm_head", "norm"], CONFIG) == (
        *("model.layers.0.input_layernorm", "model.layers.0.post_attention_layernorm"),
        *("model.layers.1.input_layernorm", "model.layers.1.post_attention_layernorm", "model.norm", "lm_head"),
    )


@pytest.mark.parametrize(
    ("modules", "tied", "message"),
    [
        (("score",), False, "there is no module 'score' to copy$"),
        (("lm_head",), True, "there is no module 'lm_head' to copy: this model's head is its embedding"),
        (("model.embed_tokens",), True, "a copy of model.embed_tokens would untie it from the head of this model: leave it out"),
        (("model.layers.1.self_attn.q_proj",), False, "layers.1.self_attn.q_proj is copied and adapted by lora: choose one of the two"),
    ],
)
def test_what_makes_no_sense_is_refused(modules, tied, message):
    config, weights, _, _ = tiny_model(tied)
    with pytest.raises(ValueError, match=message):
        WithCopies(METHODS[0], modules).init(config, weights, np.random.default_rng(0))
