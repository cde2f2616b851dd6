"""What holds for every method: gradients at its sites and in the model, count, start, merge, decoding, files; the base is only read."""

from dataclasses import replace

import numpy as np
import pytest

import minilora
from minilora import gradcheck, ops
from minilora.files.peft import load_adapter, save_adapter
from minilora.methods import (
    IA3,
    METHODS,
    AdaLoRA,
    BitFit,
    DoRA,
    Full,
    GatedPrefix,
    Houlsby,
    LastLayers,
    LoftQ,
    LoRA,
    LoRAFA,
    LoRAPlus,
    LoRAXS,
    Method,
    Norms,
    OLoRA,
    Pfeiffer,
    PiSSA,
    Prefix,
    PrefixNetwork,
    Prompt,
    RsLoRA,
    VeRA,
)
from minilora.methods.check import bind, check_method, midway, tiny_model
from minilora.transformer import forward, loss
from minilora.transformer.generate import generate
from minilora.transformer.model import loss_backward

WHERE = ("q_proj", "k_proj", "down_proj", "lm_head")  # d < k, d = k, d > k, and the one that stands outside the blocks
EXAMPLES = [
    Full(),
    LoRA(2, 6, WHERE, dropout=0.3),
    RsLoRA(2, 6, WHERE),
    LoRAPlus(2, 6, WHERE),
    LoRAFA(2, 6, WHERE),
    DoRA(2, 6, WHERE),
    DoRA(2, 6, WHERE, exact=True),
    PiSSA(2, 6, WHERE, rank_pattern={"k_proj": 3}, dropout=0.3),
    OLoRA(2, 6, WHERE, rslora=True),
    VeRA(14, WHERE),
    LoRAXS(3, 6, WHERE),
    AdaLoRA(2, None, 6, WHERE),
    Houlsby(3),
    Pfeiffer(3),
    Prefix(3),
    PrefixNetwork(3, 5),
    GatedPrefix(3),
    Prompt(3),
    IA3(("k_proj", "v_proj", "lm_head"), ("down_proj", "q_proj")),
    BitFit(("all-linear", "lm_head")),
    Norms(),
    LastLayers(),
]
EXACT = (Full, LoRA, RsLoRA, LoRAPlus, LoRAFA, DoRA, VeRA, AdaLoRA, GatedPrefix, IA3, BitFit, Norms, LastLayers)
ROUNDING = (PiSSA, OLoRA)
NEAR = (LoRAXS, Houlsby, Pfeiffer)
ELSEWHERE = (Prefix, PrefixNetwork, Prompt)
UNMERGEABLE = (Houlsby, Pfeiffer, Prefix, PrefixNetwork, GatedPrefix, Prompt, BitFit)
WITHOUT_A_FILE = (Full, Houlsby, Pfeiffer, GatedPrefix, BitFit, LastLayers)

every = pytest.mark.parametrize("method", EXAMPLES, ids=lambda method: method.name + ("-exact" if getattr(method, "exact", False) else ""))

readable_or_compiled = pytest.mark.parametrize("chosen", [ops.reference(), ops.compiled()], ids=["readable", "compiled"])


def frozen_model(tied=False):
    """The tiny model with its weights read-only: a method that writes to the base fails."""
    config, weights, tokens, targets = tiny_model(tied)
    for array in weights.values():
        array.setflags(write=False)
    return config, weights, tokens, targets


def logits(config, weights, tokens, method, arrays, ops=None):
    return forward(config, weights, tokens, method.sites(config, arrays, ops))[0]


def test_every_method_has_an_example():
    assert {type(method) for method in EXAMPLES} == {*EXACT, *ROUNDING, *NEAR, *ELSEWHERE}
    assert set(METHODS) == {*EXACT, *ROUNDING, *NEAR, *ELSEWHERE, LoftQ}  # which needs a quantised base: test_quantization.py


@every
def test_gradients_in_the_whole_model(method):
    rows = check_method(method)
    assert all(row["ok"] for row in rows), "\n" + gradcheck.table(rows)


@pytest.mark.parametrize("method", [Norms(), Prompt(3), Prefix(3), BitFit()], ids=lambda method: method.name)
def test_gradients_in_a_model_whose_head_is_its_embedding(method):
    rows = check_method(method, tied=True)
    assert all(row["ok"] for row in rows), "\n" + gradcheck.table(rows)


@every
def test_only_what_trains_has_a_gradient_and_the_compiled_functions_give_the_same(method):
    config, weights, tokens, targets = frozen_model()
    arrays = midway(method, config, weights)
    readable, compiled = (
        loss_backward(loss(config, weights, tokens, targets, bind(method, config, arrays, chosen))[1])
        for chosen in (ops.reference(), ops.compiled())
    )
    assert readable.keys() == compiled.keys() == set(method.trainable(arrays))
    for name, grad in readable.items():
        assert grad.shape == arrays[name].shape
        assert np.allclose(compiled[name], grad, rtol=0, atol=1e-12 * max(1, np.abs(grad).max())), name


def assert_right(dx, f, x):
    rows = gradcheck.check(f, {"x": x}, {"x": dx})
    assert rows[0]["ok"], "\n" + gradcheck.table(rows)


@every
@pytest.mark.parametrize("module", ["self_attn.q_proj", "self_attn.k_proj", "mlp.down_proj"])
def test_dx_of_a_linear_layer(method, module):
    """Against central differences, then added to what is there, and left out where nothing below trains."""
    config, weights, _, _ = frozen_model()
    arrays, rng = midway(method, config, weights), np.random.default_rng(3)
    name = f"model.layers.1.{module}"
    W = weights[f"{name}.weight"]  # (d, k)
    x, dy, into = (rng.normal(size=(6, size)) for size in (*W.shape, W.shape[0]))  # (6, d), (6, k), (6, d)

    def run():
        return bind(method, config, arrays).linear_forward(name, x, W)

    def back(into=None, need_dx=True):
        return bind(method, config, arrays).linear_backward(name, dy, W, run()[1], {}, into, need_dx)

    dx = back()
    assert_right(dx, lambda: np.sum(dy * run()[0]), x)
    kept = into.copy()
    assert back(into, need_dx=False) is into and np.array_equal(into, kept)
    assert back(need_dx=False) is None
    assert back(into) is into and np.allclose(into, kept + dx, rtol=0, atol=1e-12)


@every
def test_dx_behind_a_sub_layer_of_an_attention_and_at_the_input(method):
    config, weights, _, _ = frozen_model()
    arrays, rng = midway(method, config, weights), np.random.default_rng(3)
    sites = bind(method, config, arrays)
    h, dh = rng.normal(size=(2, 6, 12))  # (6, d) each
    for place in ("self_attn", "mlp"):
        name = f"model.layers.1.{place}"
        _, cache = sites.sublayer_forward(name, h)
        assert_right(sites.sublayer_backward(name, dh, cache, {}), lambda name=name: np.sum(dh * sites.sublayer_forward(name, h)[0]), h)

    q, do = rng.normal(size=(2, 2, 4, 5, 6))  # (batch, H, T, c) each
    k, v = rng.normal(size=(2, 2, 2, 7, 6))  # (batch, G, S, c) each
    _, cache = sites.attention_forward(1, q, k, v)
    for dx, x in zip(sites.attention_backward(1, do, cache, {}), (q, k, v), strict=True):
        assert_right(dx, lambda: np.sum(do * sites.attention_forward(1, q, k, v)[0]), x)

    x = rng.normal(size=(2, 5, 12))  # (batch, T, d)
    dy = rng.normal(size=sites.input_forward(x).shape)  # (batch, P + T, d)
    grads = {"prefix": np.zeros_like(sites.P)} if hasattr(sites, "P") else {}  # what the layers above would have left
    assert_right(sites.input_backward(dy, grads), lambda: np.sum(dy * sites.input_forward(x)), x)


@every
def test_the_count_is_that_of_the_arrays(method):
    config, weights, _, _ = frozen_model()
    arrays = method.init(config, weights, np.random.default_rng(0))
    assert method.count(config) == sum(arrays[name].size for name in method.trainable(arrays))
    assert all(arrays[name].shape == shape for name, shape in method.shapes(config).items())
    assert all(array.dtype == np.float64 for array in arrays.values()), "the base's dtype"
    assert method.learning_rates(arrays).keys() == arrays.keys()


@every
def test_the_arrays_share_no_memory_with_the_base_or_each_other(method):
    config, weights, _, _ = frozen_model()
    arrays = list(method.init(config, weights, np.random.default_rng(0)).values())
    for i, array in enumerate(arrays):
        assert not any(np.shares_memory(array, other) for other in (*arrays[:i], *weights.values()))


@every
@readable_or_compiled
def test_starts_as_the_base_where_it_promises_to_and_not_where_it_does_not(method, chosen):
    config, weights, tokens, _ = frozen_model()
    arrays = method.init(config, weights, np.random.default_rng(0))
    found, base = (
        logits(config, weights, tokens, method, arrays, chosen),
        forward(config, weights, tokens, Method().sites(config, {}, chosen))[0],
    )
    distance = np.abs(found - base).max() / np.abs(base).max()
    if isinstance(method, ROUNDING):
        assert 0 < distance < 1e-14
    elif isinstance(method, NEAR):
        assert 1e-6 < distance < 1e-2
    elif isinstance(method, ELSEWHERE):
        assert distance > 0.1
    else:
        assert np.array_equal(found, base)


@every
def test_merging_equals_the_adapted_model_or_is_refused(method):
    config, weights, tokens, _ = frozen_model()
    arrays = midway(method, config, weights)
    if isinstance(method, UNMERGEABLE):
        with pytest.raises(ValueError, match=f"{method.name} cannot be merged into the weights of the base"):
            method.merge(config, weights, arrays)
        return
    adapted, merged = logits(config, weights, tokens, method, arrays), forward(config, method.merge(config, weights, arrays), tokens)[0]
    assert np.allclose(merged, adapted, rtol=0, atol=1e-12 * np.abs(adapted).max())
    assert not np.allclose(merged, forward(config, weights, tokens)[0])


@every
def test_a_base_with_biases_keeps_them(method):
    config, weights, tokens, _ = tiny_model()
    config, rng = replace(config, attention_bias=True), np.random.default_rng(4)
    weights |= {name: rng.normal(size=shape) for name, shape in config.shapes().items() if name.endswith(".bias")}
    if isinstance(method, IA3):
        with pytest.raises(ValueError, match="k_proj has a bias, which ia3 would have to stretch as well and does not"):
            method.init(config, weights, rng)
        return
    start = logits(config, weights, tokens, method, method.init(config, weights, rng))
    assert type(method) not in EXACT or np.array_equal(start, forward(config, weights, tokens)[0])
    arrays = midway(method, config, weights)
    adapted = logits(config, weights, tokens, method, arrays)
    if not isinstance(method, UNMERGEABLE):
        merged, _ = forward(config, method.merge(config, weights, arrays), tokens)
        assert np.allclose(merged, adapted, rtol=0, atol=1e-12 * np.abs(adapted).max())


@every
@readable_or_compiled
def test_cached_decoding_gives_the_tokens_of_the_uncached_and_ends_with_the_context(method, chosen):
    config, weights, tokens, _ = frozen_model()
    sites = method.sites(config, midway(method, config, weights), chosen)
    cached = generate(config, weights, tokens, 99, sites, seed=3)
    assert cached.shape == (2, config.max_position_embeddings - method.positions)
    assert np.array_equal(cached, generate(config, weights, tokens, 99, sites, seed=3, cached=False))


@every
def test_saved_for_PEFT_and_read_back_it_gives_the_same_logits(method, tmp_path):
    config, weights, tokens, _ = frozen_model()
    arrays = {name: array.astype(np.float32).astype(np.float64) for name, array in midway(method, config, weights).items()}
    if isinstance(method, WITHOUT_A_FILE):
        with pytest.raises(ValueError, match=f"{method.name} has no place in PEFT's format"):
            save_adapter(tmp_path, config, method, arrays, "tiny")
        return
    save_adapter(tmp_path, config, method, arrays, "tiny")
    read, found = load_adapter(tmp_path, config)
    expected = logits(config, weights, tokens, method, arrays)
    found = {name: array.astype(np.float64) for name, array in found.items()}
    # Where the file holds other arrays than the method's own, they are rounded to float32 once more.
    assert np.allclose(logits(config, weights, tokens, read, found), expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("method", METHODS)
def test_it_stands_at_the_front_door(method):
    assert getattr(minilora, method.__name__) is method
