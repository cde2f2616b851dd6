"""The dimensions of models: by name, from a config.json, and with the biases of q, k and v."""

import json

import numpy as np
import pytest

from minilora import counting, gradcheck
from minilora.files.dimensions import read_dimensions
from minilora.transformer import Config, Sites, loss
from minilora.transformer.known import KNOWN, find
from minilora.transformer.model import loss_backward

QWEN = {
    "model_type": "qwen2",
    "vocab_size": 151936,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
    "sliding_window": 32768,
    "attention_bias": True,  # which Qwen2 does not read: its biases are fixed
}
LLAMA_3_2_1B = {
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "rope_scaling": {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
}
LLAMA_2_7B = {
    "model_type": "llama",
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
}


def written(folder, values):
    path = folder / "config.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


@pytest.mark.parametrize(
    ("values", "name"),
    [(QWEN, "Qwen2.5-0.5B"), (LLAMA_3_2_1B, "Llama-3.2-1B"), (LLAMA_2_7B, "Llama-2-7B")],
    ids=lambda value: str(value)[:20],
)
def test_a_config_json_has_the_arrays_of_the_known_model(values, name, tmp_path):
    path = written(tmp_path, values)
    assert read_dimensions(path).shapes() == read_dimensions(tmp_path).shapes() == KNOWN[name].shapes()


def test_qwen3_is_counted_with_its_norms_of_queries_and_keys(tmp_path):
    sizes = {"vocab_size": 151936, "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28}
    heads = {"num_attention_heads": 16, "num_key_value_heads": 8, "tie_word_embeddings": True}
    written(tmp_path, {"model_type": "qwen3", **sizes, **heads})
    assert counting.model_params(read_dimensions(tmp_path)) == 596_049_920  # what transformers counts for Qwen3-0.6B


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**QWEN, "model_type": "gemma2"}, "a model of type 'gemma2'; those that can be counted are llama, mistral, qwen2, qwen3"),
        ({**LLAMA_2_7B, "attention_bias": True}, "sets attention_bias, and with it biases that are not counted here"),
        ({**LLAMA_2_7B, "hidden_size": 4096.5}, "hidden_size in .*config.json is 4096.5: give a whole number of at least 1"),
        ({**LLAMA_2_7B, "num_hidden_layers": -1}, "num_hidden_layers in .* is -1: give a whole number"),
        ({**LLAMA_2_7B, "num_hidden_layers": 10**9}, "is 1,000,000,000, and no more than 10,000 are counted"),
        ({"model_type": "llama", "vocab_size": 4}, "lacks hidden_size and 3 more"),
        ([1], "holds a list and not the settings of a model"),
        ("{", "is not JSON"),
    ],
    ids=range(8),
)
def test_a_config_json_that_cannot_be_counted_is_refused_in_one_line(values, message, tmp_path):
    with pytest.raises(ValueError, match=message) as refused:
        read_dimensions(written(tmp_path, values))
    assert "\n" not in str(refused.value)


def test_a_config_json_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no .*config.json"):
        read_dimensions(tmp_path)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("llama-2-7b", "Llama-2-7B"),
        ("meta-llama/Llama-2-7b-hf", "Llama-2-7B"),
        ("LLAMA_3.2_1B_Instruct", "Llama-3.2-1B"),
        ("llama3 8b", "Llama-3-8B"),
        ("tinyllama", "TinyLlama-1.1B"),
        ("mistral-7b", "Mistral-7B-v0.1"),
        ("gpt3", "GPT-3"),
    ],
)
def test_a_name_is_found_however_it_is_written(name, found):
    assert find(name) == found


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lama-2-7b", "there is no known model 'lama-2-7b'; the closest is Llama-2-7B"),
        ("mistral-7b-v0.3", "the closest is Mistral-7B-v0.1"),
        ("llama-3.2", "may be Llama-3.2-1B or Llama-3.2-3B: write a little more of the name"),
        ("", "there is no known model ''"),
    ],
)
def test_a_name_that_fits_none_or_several_is_refused_with_the_closest(name, message):
    with pytest.raises(ValueError, match=message):
        find(name)


def test_biases_of_q_k_and_v_are_counted_and_trained():
    config = Config(13, 12, 10, 2, 4, 2, 6, attention_bias=True)
    shapes = config.shapes()
    biases = {name: shape for name, shape in shapes.items() if name.endswith(".bias")}
    assert set(biases.values()) == {(24,), (12,)} and len(biases) == 6
    assert shapes.keys() - biases.keys() == Config(13, 12, 10, 2, 4, 2, 6).shapes().keys()
    assert counting.total(biases) == 2 * (24 + 2 * 12)
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(name.endswith("norm.weight"), 0.2, shape) for name, shape in shapes.items()}
    tokens, targets = rng.integers(0, 13, (2, 2, 5))  # (2, 5) each
    grads = loss_backward(loss(config, weights, tokens, targets, Sites(weights))[1])
    rows = gradcheck.check(lambda: loss(config, weights, tokens, targets)[0], {name: weights[name] for name in biases}, grads)
    assert all(row["ok"] for row in rows), "\n" + gradcheck.table(rows)
