"""Checkpoints of the Llama family: what is read, what is refused by name, and how much memory it takes."""

import json
import random
import sys
import tracemalloc
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from memory_of_loading import growth

from minilora.files.architectures import read_config, settings
from minilora.files.atomic import save_arrays
from minilora.files.huggingface import load_base, save_base
from minilora.files.safetensors import load_arrays
from minilora.transformer import Config, init
from minilora.transformer.config import Llama3Scaling

PLAIN = Config(11, 12, 10, 2, 4, 2, 6, max_position_embeddings=24, rms_norm_eps=1e-3, rope_theta=300.0)
SCALED = replace(PLAIN, rope_scaling=Llama3Scaling(8.0, 1.0, 4.0, 16))
CONFIGS = {
    "llama": PLAIN,
    "tied": replace(PLAIN, tie_word_embeddings=True),
    "llama 3": SCALED,
    "qwen2": replace(PLAIN, attention_bias=True),
    "qwen3": replace(PLAIN, qk_norm=True),
}


def weights_of(config):
    return init(config, np.random.default_rng(0), std=0.3)


def write(folder, values):
    (folder / "config.json").write_text(json.dumps(values))
    return folder


@pytest.fixture
def folder(tmp_path):
    save_base(tmp_path, PLAIN, weights_of(PLAIN))
    return tmp_path


@pytest.mark.parametrize("kind", CONFIGS)
def test_what_is_written_is_read_back(kind, tmp_path):
    config, weights = CONFIGS[kind], weights_of(CONFIGS[kind])
    save_base(tmp_path, config, weights)
    read, found = load_base(tmp_path)
    assert read == config and found.keys() == weights.keys()
    assert all(np.array_equal(found[name], weights[name]) for name in weights)


def test_no_model_has_both_biases_and_norms_and_nothing_is_written(tmp_path):
    config = replace(PLAIN, attention_bias=True, qk_norm=True)
    with pytest.raises(ValueError, match="no Hugging Face model has biases on q, k and v and norms of q and k"):
        save_base(tmp_path / "new", config, weights_of(config))
    assert not (tmp_path / "new").exists()


def test_both_spellings_of_the_rotation_say_the_same(tmp_path):
    values = settings(SCALED)
    newer = {name: value for name, value in values.items() if name not in ("rope_theta", "rope_scaling")}
    older = {name: value for name, value in values.items() if name != "rope_parameters"}
    oldest = {**older, "rope_scaling": {("type" if name == "rope_type" else name): value for name, value in older["rope_scaling"].items()}}
    assert [read_config(write(tmp_path, each)) for each in (newer, older, oldest)] == 3 * [SCALED]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("llama", {"max_position_embeddings": 2048}),
        ("mistral", {"max_position_embeddings": 4096}),
        ("qwen2", {"max_position_embeddings": 32768, "attention_bias": True}),
        ("qwen3", {"max_position_embeddings": 32768, "qk_norm": True, "head_dim": 128}),
    ],
)
def test_what_a_config_leaves_unsaid_is_as_transformers_has_it(kind, expected, tmp_path):
    sizes = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    values = {"model_type": kind, **{name: getattr(PLAIN, name) for name in sizes}}
    if kind == "mistral":  # its window of 4,096 is one of the things left unsaid
        values["max_position_embeddings"] = 4096
    plain = Config(*(getattr(PLAIN, name) for name in sizes), num_key_value_heads=4, head_dim=3 + 1, rms_norm_eps=1e-6, rope_theta=1e4)
    assert read_config(write(tmp_path, {**values, "head_dim": expected.get("head_dim", 4)})) == replace(plain, **expected)
    assert read_config(write(tmp_path, {**values, "hidden_size": 16})).head_dim == expected.get("head_dim", 4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "gemma2"}, "model_type 'gemma2', and those that can be run are llama, mistral, qwen2, qwen3"),
        ({"model_type": ["llama"]}, r"model_type \['llama'\]"),
        ({"hidden_act": "gelu", "mlp_bias": True}, "hidden_act 'gelu', mlp_bias True, which cannot be run here"),
        ({"attention_bias": True}, "attention_bias True"),
        ({"model_type": "mistral", "sliding_window": 23}, "sliding_window 23"),
        ({"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 23}, "sliding_window 23"),
        ({"model_type": "qwen3", "layer_types": ["full_attention", "sliding_attention"]}, "layer_types .*'sliding_attention'"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_type 'yarn'"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_type 'linear'"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor 0.5"),
        ({"quantization_config": {"bits": 4}}, "quantization_config {'bits': 4}"),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 8.0}}, "scales the rotation and lacks high_freq_factor and 2 more"),
        ({"rope_parameters": 3}, "rope settings .*3.*, and they are not names with values"),
        ({"rms_norm_eps": "small"}, "rms_norm_eps in .* is 'small', and it must be a number above 0"),
        ({"rope_parameters": {"rope_theta": -1}}, "rope_theta in .* is -1, and it must be a number above 0"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(values, message, folder):
    with pytest.raises(ValueError, match=message):
        read_config(write(folder, {**settings(PLAIN), **values}))


@pytest.mark.parametrize(
    "values",
    [
        {"model_type": "mistral", "sliding_window": None},
        {"model_type": "mistral", "sliding_window": 24},
        {"sliding_window": 4, "use_sliding_window": False, "layer_types": ["full_attention", "full_attention"]},
        {"quantization_config": None, "rope_scaling": None, "torch_dtype": "bfloat16", "pretraining_tp": 1},
    ],
)
def test_settings_that_change_nothing_do_no_harm(values, folder):
    assert read_config(write(folder, {**settings(PLAIN), **values})) == PLAIN


def test_any_other_value_of_any_setting_is_read_or_refused_in_one_line(tmp_path):
    rng, refused = random.Random(0), 0
    junk = [None, True, -1, 0, 1, 10**400, 0.5, 1e300, "", "x", [], {}, [[]], {"rope_type": "llama3"}, ["full_attention"]]
    values = {**settings(SCALED), "sliding_window": None, "use_sliding_window": False, "layer_types": [], "quantization_config": None}
    for kind in ("llama", "mistral", "qwen2", "qwen3"):
        for _ in range(300):
            changed = {**values, "model_type": kind, **{name: rng.choice(junk) for name in rng.sample(sorted(values), 2)}}
            try:
                assert isinstance(read_config(write(tmp_path, changed)), Config)
            except ValueError as error:
                refused += 1
                assert "\n" not in str(error) and len(str(error)) < 600
    assert refused > 200


def test_a_float32_file_is_mapped_and_never_copied(tmp_path):
    config = replace(PLAIN, hidden_size=256, intermediate_size=512)
    save_base(tmp_path, config, weights_of(config))
    tracemalloc.start()
    _, weights = load_base(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.1 * sum(W.nbytes for W in weights.values())
    for name, W in weights.items():
        assert not W.flags.owndata and not W.flags.writeable, name


@pytest.mark.skipif(sys.platform != "linux", reason="measured in /proc")
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_loading_takes_no_more_than_1_2_times_the_float32_model(dtype, tmp_path):
    config = replace(PLAIN, vocab_size=20000, hidden_size=512, tie_word_embeddings=True)  # an embedding of 40 MB, and next to nothing else
    save_base(tmp_path, config, weights_of(config))
    stored, _ = load_arrays(tmp_path / "model.safetensors")
    save_arrays(tmp_path / "model.safetensors", {name: array.astype(dtype) for name, array in stored.items()})
    assert 0.95 < growth(tmp_path) < 1.2


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_floats_become_float32(dtype, folder):
    stored, _ = load_arrays(folder / "model.safetensors")
    save_arrays(folder / "model.safetensors", {name: array.astype(dtype) for name, array in stored.items()})
    _, weights = load_base(folder)
    for name, W in weights_of(PLAIN).items():
        assert weights[name].dtype == np.float32 and np.array_equal(weights[name], W.astype(dtype).astype(np.float32)), name


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones(12, np.int32), "model.norm.weight is of type int32, and weights are read as float32, float16 or bfloat16"),
        (np.full(12, 1e300), "model.norm.weight holds numbers that are not finite"),
        (np.full(12, np.inf, ml_dtypes.bfloat16), "model.norm.weight holds numbers that are not finite"),
    ],
)
def test_numbers_that_cannot_be_weights_are_refused(array, message, folder):
    stored, _ = load_arrays(folder / "model.safetensors")
    save_arrays(folder / "model.safetensors", {**stored, "model.norm.weight": array})
    with pytest.raises(ValueError, match=message):
        load_base(folder)


def test_a_head_beside_a_tied_embedding_is_passed_over(tmp_path):
    config = CONFIGS["tied"]
    save_base(tmp_path, config, weights_of(config))
    stored, _ = load_arrays(tmp_path / "model.safetensors")
    save_arrays(tmp_path / "model.safetensors", {**stored, "lm_head.weight": np.zeros((11, 12), np.float32)})
    assert load_base(tmp_path)[1].keys() == config.shapes().keys()


@pytest.mark.parametrize("where", [{}, [], {"a": 3}, {"a": "../model.safetensors"}, {"a": "/model.safetensors"}, {"a": ""}])
def test_an_index_that_leads_out_of_the_folder_is_refused(where, folder):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    with pytest.raises(ValueError, match="has the weight_map .*, and not a file of its folder for each tensor"):
        load_base(folder)


def test_a_tensor_in_two_shards_is_refused(folder):
    save_arrays(folder / "second.safetensors", {"model.norm.weight": np.ones(12, np.float32)})
    where = {"a": "model.safetensors", "b": "second.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    with pytest.raises(ValueError, match="second.safetensors holds once more the tensor model.norm.weight: fetch the folder again$"):
        load_base(folder)


@pytest.mark.parametrize(
    ("layers", "message"),
    [(1, "has the unexpected tensor model.layers.1.* and 8 more"), (3, "lacks the tensor model.layers.2.* and 8 more")],
)
def test_another_number_of_layers_is_refused_with_the_likely_cause(layers, message, folder):
    write(folder, {**settings(PLAIN), "num_hidden_layers": layers})
    with pytest.raises(ValueError, match=f"{message}: do config.json and the weights belong together"):
        load_base(folder)


def test_an_adapter_is_no_base(folder):
    (folder / "config.json").rename(folder / "adapter_config.json")
    with pytest.raises(FileNotFoundError, match=r"holds an adapter and no model: load its base, and it as an adapter \(--adapter\)"):
        load_base(folder)


def test_a_training_that_was_stopped_is_no_base_yet(tmp_path):
    (tmp_path / "checkpoint.safetensors").touch()
    with pytest.raises(FileNotFoundError, match="for a training was stopped in .*: start it once more with --resume, which finishes it"):
        load_base(tmp_path)


def test_a_base_is_not_written_into_a_folder_without_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="an empty name is no folder"):
        save_base("", PLAIN, weights_of(PLAIN))
    assert not list(tmp_path.iterdir())


def test_pickled_weights_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="holds pickled weights .*, which may run any code"):
        load_base(folder)


def test_a_thousand_million_layers_are_refused_before_they_are_counted(folder):
    write(folder, {**settings(PLAIN), "num_hidden_layers": 10**9})
    with pytest.raises(ValueError, match="asks for 1,000,000,000 layers, and there are 21 tensors in all"):
        load_base(folder)
