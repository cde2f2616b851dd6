"""What is not low-rank: prefixes, prompts, stretched features, bottlenecks, and a part of the base's own arrays."""

import numpy as np
import pytest

from minilora import layers
from minilora.methods import IA3, BitFit, GatedPrefix, Houlsby, LastLayers, Norms, Pfeiffer, Prefix, PrefixNetwork, Prompt
from minilora.methods.check import midway, tiny_model
from minilora.methods.prefix import computed_prefix
from minilora.transformer import Config, forward, loss
from minilora.transformer.generate import generate
from minilora.transformer.model import frequencies, loss_backward

LLAMA_3_2_3B = Config(128256, 3072, 8192, 28, 24, 8, 128, tie_word_embeddings=True)


@pytest.mark.parametrize(
    ("method", "published"),
    [
        (IA3(), 286_720),
        (Prefix(200), 11_468_800),
        (Prefix(50), 2_867_200),
        (Prompt(200), 614_400),
        (Norms(), 175_104),
    ],
    ids=lambda value: value.name if hasattr(value, "name") else "",
)
def test_counts_of_a_model_of_three_billion_are_those_that_PEFT_publishes(method, published):
    assert method.count(LLAMA_3_2_3B) == published


def test_Houlsby_has_twice_as_many_adapters_as_Pfeiffer():
    config, *_ = tiny_model()
    assert Pfeiffer(3).count(config) == 2 * (2 * 12 * 3 + 3 + 12) and Houlsby(3).count(config) == 2 * Pfeiffer(3).count(config)
    assert all(".mlp." in name for name in Pfeiffer(3).shapes(config))


def test_the_adapters_start_small_as_published():
    config = Config()
    for method, deviation in ((Houlsby(64), 0.01), (Pfeiffer(64), 0.02)):
        arrays = method.init(config, {"model.norm.weight": np.ones(1)}, np.random.default_rng(0))
        matrices = np.concatenate([array.ravel() for name, array in arrays.items() if not name.endswith("bias")])
        assert not any(array.any() for name, array in arrays.items() if name.endswith("bias"))
        if isinstance(method, Houlsby):
            assert np.abs(matrices).max() <= 0.02
            deviation *= (
                0.8796  # a normal cut off at two deviations: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)), phi and Phi being its density and share
            )
        assert abs(matrices.std() / deviation - 1) < 5 / np.sqrt(2 * matrices.size)


# Prefix and prompt


def split(text, p=3):
    return text[:, :p], text[:, p:]


def rows(logits, batch):
    return logits.reshape(batch, -1, logits.shape[-1])


def test_the_keys_and_values_of_a_text_as_a_prefix_are_that_text():
    config, weights, tokens, _ = tiny_model()
    tokens[1, :3] = tokens[0, :3]  # one prefix serves all rows of a batch
    first, rest = split(tokens)
    sites = Prefix(3).sites(config, {"prefix": computed_prefix(config, weights, first[0])})
    found, expected = rows(forward(config, weights, rest, sites)[0], 2), rows(forward(config, weights, tokens)[0], 2)[:, 3:]
    assert np.allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


def test_the_embeddings_of_a_text_as_a_prompt_are_that_text():
    config, weights, tokens, _ = tiny_model()
    tokens[1, :3] = tokens[0, :3]
    first, rest = split(tokens)
    sites = Prompt(3).sites(config, {"prompt": weights["model.embed_tokens.weight"][first[0]]})
    found, expected = rows(forward(config, weights, rest, sites)[0], 2), rows(forward(config, weights, tokens)[0], 2)[:, 3:]
    assert np.allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


def test_a_prefix_mixes_its_own_attention_into_that_of_the_text_and_leaves_the_words_in_proportion():
    config, weights, _, _ = tiny_model()
    sites = Prefix(3).sites(config, midway(Prefix(3), config, weights))
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(2, 4, 5, 6)), *rng.normal(size=(2, 2, 2, 5, 6))  # (batch, H, T, c), (batch, G, T, c) twice
    o, (_, _, _, p) = sites.attention_forward(1, q, k, v)
    alone, (_, _, _, words) = layers.attention_forward(q, k, v)
    share = p[..., :3].sum(axis=-1, keepdims=True)  # lambda (batch, H, T, 1)
    K, V = (np.repeat(part, 2, axis=0) for part in sites.layers[1])  # (H, p, c) each: two query heads a group
    scores = np.exp(q @ K.swapaxes(-1, -2) / np.sqrt(6))  # (batch, H, T, p)
    prefix = scores / scores.sum(axis=-1, keepdims=True) @ V  # (batch, H, T, c)
    assert np.allclose(o, (1 - share) * alone + share * prefix, rtol=0, atol=1e-12)
    assert np.allclose(p[..., 3:], (1 - share) * words, rtol=0, atol=1e-12)
    assert 0.05 < share.mean() < 0.95


def test_a_prefix_of_zeros_is_not_the_base():
    config, weights, tokens, _ = tiny_model()
    arrays = Prefix(3, "zero").init(config, weights, np.random.default_rng(0))
    assert not arrays["prefix"].any()
    difference = forward(config, weights, tokens, Prefix(3).sites(config, arrays))[0] - forward(config, weights, tokens)[0]
    assert np.abs(difference).max() > 0.1


def test_a_gate_that_is_shut_lets_only_itself_learn():
    config, weights, tokens, targets = tiny_model()
    method = GatedPrefix(3)
    grads = loss_backward(
        loss(config, weights, tokens, targets, method.sites(config, method.init(config, weights, np.random.default_rng(0))))[1]
    )
    assert not grads["prefix"].any() and grads["gate"].all()


def test_the_starts_of_prefix_and_prompt():
    config, weights, _, _ = tiny_model()
    prompt = Prompt(3).init(config, weights, np.random.default_rng(0))["prompt"]
    assert all((weights["model.embed_tokens.weight"] == row).all(axis=1).any() for row in prompt)
    for method, name in ((Prompt(40, "normal"), "prompt"), (Prefix(40, "normal"), "prefix"), (PrefixNetwork(40), "prefix_input")):
        array = method.init(config, weights, np.random.default_rng(0))[name]
        assert abs(array.std() - 1) < 5 / np.sqrt(2 * array.size)


def test_the_network_of_a_prefix_is_thrown_away_when_it_is_exported():
    config, weights, _, _ = tiny_model()
    method = PrefixNetwork(3, 5)
    prefix, arrays = method.exported(config, midway(method, config, weights))
    assert prefix == Prefix(3) and arrays["prefix"].shape == (3, 48)


@pytest.mark.parametrize("method", [Prefix(12), Prompt(12)], ids=lambda method: method.name)
def test_what_a_prefix_takes_of_the_context_is_not_there_for_the_text(method):
    config, weights, tokens, _ = tiny_model()
    sites = method.sites(config, {"prefix": np.zeros((12, 48)), "prompt": np.zeros((12, 12))})
    with pytest.raises(ValueError, match="the prompt has 5 tokens and the context 4: shorten the prompt"):
        generate(config, weights, tokens, 1, sites)
    with pytest.raises(ValueError, match="17 positions do not fit the context of 16"):
        forward(config, weights, tokens, sites)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Prefix(0), "length 0 of prefix must be at least 1"),
        (lambda: PrefixNetwork(0), "length 0 of prefix-network must be at least 1"),
        (lambda: PrefixNetwork(2, 0), "width 0 of prefix-network must be at least 1"),
        (lambda: GatedPrefix(0), "length 0 of gated-prefix must be at least 1"),
        (lambda: Prompt(0), "length 0 of prompt must be at least 1"),
        (lambda: Prefix(2, "ones"), "unknown initialisation 'ones' of prefix"),
        (lambda: Prompt(2, "ones"), "unknown initialisation 'ones' of prompt"),
        (lambda: Houlsby(0), "width 0 of houlsby must be at least 1"),
    ],
)
def test_bad_dials_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# (IA)3, biases, and parts of the base


def test_few_numbers_do_not_mean_low_rank():
    config, weights, _, _ = tiny_model()
    arrays = midway(IA3(), config, weights)
    merged = IA3().merge(config, weights, arrays)
    name = "model.layers.0.self_attn.k_proj"
    update = merged[f"{name}.weight"] - weights[f"{name}.weight"]
    assert arrays[f"{name}.ia3_l"].size == 12 and np.linalg.matrix_rank(update) == 12


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (IA3(("k_proj",), ("mlp", "k_proj")), "k_proj is named in the outputs and in the inputs of ia3"),
        (IA3(("embed_tokens",)), "ia3 adapts linear layers"),
        (BitFit("embed_tokens"), "bitfit adapts linear layers"),
        (LastLayers(3), r"last-layers of 3 is outside 1\.\.2"),
        (LastLayers(0), r"last-layers of 0 is outside 1\.\.2"),
    ],
)
def test_targets_that_make_no_sense_are_refused(method, message):
    config, *_ = tiny_model()
    with pytest.raises(ValueError, match=message):
        method.count(config)


def test_a_bias_on_the_keys_does_nothing_without_the_rotation_and_something_with_it():
    config, *_ = tiny_model()
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(2, 4, 5, 6)), *rng.normal(size=(2, 2, 2, 5, 6))  # (batch, H, T, c), (batch, G, T, c) twice
    bias = rng.normal(size=(2, 1, 6))  # (G, 1, c)
    tables = layers.rope_tables(np.arange(5), frequencies(config), np.float64)

    def change(turn):
        without, with_bias = (layers.attention_forward(turn(q), turn(keys), v)[0] for keys in (k, k + bias))
        return np.abs(with_bias - without).max()

    assert change(lambda x: x) < 1e-14
    assert change(lambda x: layers.rope_forward(x, *tables)) > 0.1


def test_the_last_layers_are_the_blocks_from_above_the_last_norm_and_an_untied_head():
    for tied in (False, True):
        config, *_ = tiny_model(tied)
        names = LastLayers(1).shapes(config)
        assert ("lm_head.weight" in names) != tied and "model.norm.weight" in names and "model.embed_tokens.weight" not in names
        assert {name.split(".")[2] for name in names if "layers" in name} == {"1"}
    assert LastLayers(2).count(config) == sum(np.prod(shape) for name, shape in config.shapes().items() if "embed" not in name)
