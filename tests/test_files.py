"""Models and adapters on disk: written as a whole, read strictly, one line for what is wrong with them."""

import json

import ml_dtypes
import numpy as np
import pytest
from small_run import BASE, CONFIG, METHOD

from minilora.files.atomic import make_folder, save_arrays, write_bytes
from minilora.files.huggingface import load_base, save_base
from minilora.files.peft import PREFIX, load_adapter, save_adapter
from minilora.files.safetensors import load_arrays
from minilora.methods import BitFit

Q = "model.layers.0.self_attn.q_proj"
ARRAYS = {name: array + 1 for name, array in METHOD.init(CONFIG, BASE, np.random.default_rng(0)).items()}


@pytest.fixture
def folder(tmp_path):
    """A base and an adapter, side by side."""
    save_base(tmp_path, CONFIG, BASE)
    save_adapter(tmp_path, CONFIG, METHOD, ARRAYS, "small")
    return tmp_path


def change(path, **values):
    """Set values in a JSON file; None takes one out."""
    settings = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({name: value for name, value in settings.items() if value is not None}))


def change_arrays(path, arrays):
    """Set arrays in a safetensors file; None takes one out."""
    arrays = {**load_arrays(path)[0], **arrays}
    save_arrays(path, {name: array for name, array in arrays.items() if array is not None})


def test_what_is_beside_the_file_is_never_read_and_soon_overwritten(tmp_path):
    (tmp_path / ".a.partial").write_bytes(b"left by a process that was killed")
    write_bytes(tmp_path / "a", b"whole")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"a": b"whole"}


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    write_bytes(tmp_path / "a", b"old")
    with pytest.raises(TypeError):
        write_bytes(tmp_path / "a", "not bytes")
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_folder_is_made_once(tmp_path):
    assert make_folder(tmp_path / "a" / "b") == make_folder(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()


def test_a_base_read_back_is_the_same_bits_and_its_matrices_lie_in_the_file_as_out_in(folder):
    config, weights = load_base(folder)
    assert config == CONFIG and weights.keys() == BASE.keys()
    assert all(np.array_equal(weights[name], BASE[name]) and weights[name].dtype == np.float32 for name in BASE)
    stored, _ = load_arrays(folder / "model.safetensors")
    gate = "model.layers.0.mlp.gate_proj.weight"
    assert stored[gate].shape == (24, 16) and np.array_equal(stored[gate], BASE[gate].T)
    assert np.array_equal(stored["model.embed_tokens.weight"], BASE["model.embed_tokens.weight"])


def test_shards_bfloat16_and_the_table_that_old_files_carry_are_read(folder):
    stored, _ = load_arrays(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    stored["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(4, np.float32)
    where = {name: f"model-{1 + i % 2}-of-2.safetensors" for i, name in enumerate(stored)}
    for shard in set(where.values()):
        save_arrays(folder / shard, {name: stored[name].astype(ml_dtypes.bfloat16) for name in where if where[name] == shard})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    _, weights = load_base(folder)
    assert weights.keys() == BASE.keys()
    for name in BASE:
        assert np.array_equal(weights[name], BASE[name].astype(ml_dtypes.bfloat16).astype(np.float32))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({f"{Q}.weight": np.full((16, 16), np.nan, np.float32)}, f"{Q}.weight holds numbers that are not finite: the file is broken"),
        ({f"{Q}.weight": np.full((16, 16), np.inf, np.float32)}, f"{Q}.weight holds numbers that are not finite: the file is broken"),
        ({f"{Q}.weight": np.ones((16, 8), np.float32)}, rf"{Q}.weight is \(8, 16\) \(in, out\) and config.json asks for \(16, 16\)"),
        ({f"{Q}.weight": None, "lm_head.weight": None}, "lacks the tensor lm_head.weight and 1 more"),
        ({f"{Q}.bias": np.ones(16, np.float32)}, f"has the unexpected tensor {Q}.bias$"),
    ],
)
def test_a_base_that_is_not_as_it_should_be_is_refused(folder, arrays, message):
    change_arrays(folder / "model.safetensors", arrays)
    with pytest.raises(ValueError, match=message):
        load_base(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "gpt2"}, "holds a model with model_type 'gpt2'"),
        ({"hidden_act": "gelu"}, "holds a model with hidden_act 'gelu'"),
        ({"mlp_bias": True}, "holds a model with mlp_bias True"),
        ({"hidden_size": None}, "config.json lacks hidden_size"),
        ({"hidden_size": "16"}, "hidden_size in .*config.json is 16: give a whole number of at least 1"),
        ({"num_hidden_layers": 1.5}, "num_hidden_layers in .*config.json is 1.5: give a whole number of at least 1"),
        ({"num_key_value_heads": 3}, "2 query heads cannot share 3 key/value heads evenly"),
        ({"num_hidden_layers": 3}, "lacks the tensor model.layers.2.input_layernorm.weight and 8 more"),
    ],
)
def test_a_config_that_cannot_be_used_is_refused(folder, values, message):
    change(folder / "config.json", **values)
    with pytest.raises(ValueError, match=message):
        load_base(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_of_a_base_that_is_missing_or_broken_is_named(folder, name):
    path = folder / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(ValueError, match=f"{name} is not .*: was it copied as a whole?"):
        load_base(folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"there is no .*{name}"):
        load_base(folder)


def test_settings_that_are_none_are_refused(folder):
    (folder / "config.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="config.json holds a list and not the settings of a model or an adapter"):
        load_base(folder)


def test_an_adapter_read_back_is_the_same_bits_and_lies_in_the_file_as_in_PEFT(folder):
    method, arrays = load_adapter(folder, CONFIG)
    assert method.ranks(CONFIG) == METHOD.ranks(CONFIG) and method.scales(CONFIG) == METHOD.scales(CONFIG)
    assert arrays.keys() == ARRAYS.keys() and all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
    stored, _ = load_arrays(folder / "adapter_model.safetensors")
    assert np.array_equal(stored[f"{PREFIX}{Q}.lora_A.weight"], ARRAYS[f"{Q}.lora_A"].T)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({f"{PREFIX}{Q}.lora_A.weight": np.full((2, 16), np.nan, np.float32)}, "lora_A.weight holds numbers that are not finite"),
        ({f"{PREFIX}{Q}.lora_A.weight": np.ones((3, 16), np.float32)}, r"lora_A.weight is \(3, 16\) and this base needs \(2, 16\)"),
        ({f"{PREFIX}{Q}.lora_A.weight": None}, f"lacks the tensor {PREFIX}{Q}.lora_A.weight$"),
        ({f"{Q}.lora_A.weight": np.ones((2, 16), np.float32)}, f"has the unexpected tensor {Q}.lora_A.weight$"),  # without the prefix
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(folder, arrays, message):
    change_arrays(folder / "adapter_model.safetensors", arrays)
    with pytest.raises(ValueError, match=message):
        load_adapter(folder, CONFIG)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"peft_type": "LOHA"}, "holds an adapter of type 'LOHA'; these are read: "),
        ({"target_modules": ["c_attn"]}, "'c_attn'.* matches no module"),
        ({"r": 17}, "rank 17 is outside 1..16"),
        ({"r": 3}, r"is \(2, 16\) and this base needs \(3, 16\)"),
    ],
)
def test_adapter_settings_that_cannot_be_used_are_refused(folder, values, message):
    change(folder / "adapter_config.json", **values)
    with pytest.raises(ValueError, match=message):
        load_adapter(folder, CONFIG)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_file_of_an_adapter_that_is_missing_or_broken_is_named(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match=f"{name} is not .*: was it copied as a whole?"):
        load_adapter(folder, CONFIG)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"there is no .*{name}"):
        load_adapter(folder, CONFIG)


def test_a_method_that_PEFT_lacks_leaves_the_adapter_that_was_there(folder):
    with pytest.raises(ValueError, match="bitfit has no place in PEFT's format: merge it and save the base that results"):
        save_adapter(folder, CONFIG, BitFit(), {}, "small")
    assert load_adapter(folder, CONFIG)[0].rank == METHOD.rank
