"""Adapters in PEFT's format: what is written is read back to the bit, a lost bit is found, and PEFT's own ways of writing are read."""

import json

import ml_dtypes
import numpy as np
import pytest
from adapter_files import CONFIG, METHOD, TOKENS, WEIGHTS, Q, change_settings, change_tensors, put, written

from minilora.files.dimensions import read_dimensions
from minilora.files.peft import DIGEST, PREFIX, load_adapter, save_adapter
from minilora.files.safetensors import load_arrays
from minilora.methods import IA3, AdaLoRA, BitFit, DoRA, GatedPrefix, Houlsby, LastLayers, LoRA, Norms, PiSSA, Prefix, Prompt, VeRA
from minilora.methods.check import midway
from minilora.methods.with_copies import WithCopies
from minilora.transformer import forward

EVERYTHING = [
    LoRA(2, 6, ("q_proj", "embed_tokens", "lm_head"), rslora=True, rank_pattern={"layers.1.*": 3}, alpha_pattern={"lm_head": 5.0}),
    LoRA(2, 6, ("layers.1.self_attn.q_proj",), dropout=0.1, init_scheme="gaussian"),
    DoRA(2, 6, "mlp"),
    VeRA(5, "attention", 0.3),
    AdaLoRA(3, 2, 6, "q_proj,up_proj", left={"model.layers.0.self_attn.q_proj": 1}),
    IA3(("k_proj", "v_proj"), "down_proj"),
    Prefix(3),
    Prompt(3, "normal"),
    Norms(),
    WithCopies(METHOD, ("model.embed_tokens", "model.norm", "lm_head")),
]


@pytest.mark.parametrize("method", EVERYTHING, ids=lambda method: method.name)
def test_what_is_written_is_read_back_to_the_bit(method, tmp_path):
    arrays = written(tmp_path, method)
    read, found = load_adapter(tmp_path, CONFIG)
    assert read.name == method.name and read.count(CONFIG) == method.count(CONFIG)
    assert found.keys() == arrays.keys() and all(np.array_equal(found[name], arrays[name]) for name in arrays)
    assert all(array.flags.c_contiguous and array.flags.writeable and array.dtype == np.float32 for array in found.values())
    for part in ("ranks", "scales"):
        if hasattr(method, part):
            assert getattr(read, part)(CONFIG) == getattr(method, part)(CONFIG)


def test_the_folder_is_written_as_PEFT_writes_it(tmp_path):
    arrays = written(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    expected = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "tiny", "r": 2, "lora_alpha": 6}
    assert settings.items() >= {**expected, "target_modules": ["down_proj", "q_proj"], "bias": "none", "use_rslora": False}.items()
    assert settings["peft_version"] == "0.21.2" and settings["inference_mode"] is True
    tensors, metadata = load_arrays(tmp_path / "adapter_model.safetensors")
    assert metadata.keys() == {"format", DIGEST} and metadata["format"] == "pt"
    assert np.array_equal(tensors[f"{Q}.lora_A.weight"], arrays["model.layers.0.self_attn.q_proj.lora_A"].T)  # (r, in)
    assert tensors[f"{Q}.lora_B.weight"].shape == (24, 2)  # (out, r)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("attention", ["k_proj", "o_proj", "q_proj", "v_proj"]),
        (("model.layers.1.mlp.up_proj", "lm_head"), ["lm_head", "model.layers.1.mlp.up_proj"]),
        (("layers.0.mlp.up_proj", "layers.1.mlp.up_proj"), ["up_proj"]),
    ],
)
def test_targets_are_written_by_the_shortest_names_that_are_exact(targets, expected, tmp_path):
    written(tmp_path, LoRA(2, 6, targets))
    assert json.loads((tmp_path / "adapter_config.json").read_text())["target_modules"] == expected


def test_PiSSA_is_written_as_the_lora_of_twice_the_rank_that_does_the_same(tmp_path):
    method = PiSSA(2, 6, "q_proj", rslora=True, rank_pattern={"layers.1.*": 3}, alpha_pattern={"layers.0.*": 5.0})
    arrays = midway(method, CONFIG, WEIGHTS)
    save_adapter(tmp_path, CONFIG, method, arrays, "tiny")
    read, found = load_adapter(tmp_path, CONFIG)
    assert read.name == "lora" and list(read.ranks(CONFIG).values()) == [4, 6]
    expected = forward(CONFIG, WEIGHTS, TOKENS, method.sites(CONFIG, arrays))[0]
    logits = forward(CONFIG, WEIGHTS, TOKENS, read.sites(CONFIG, found))[0]
    assert np.allclose(logits, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_sixteen_bits_are_written_and_read_as_the_numbers_they_are(dtype, tmp_path):
    arrays = written(tmp_path)
    save_adapter(tmp_path, CONFIG, METHOD, arrays, "tiny", dtype)
    assert load_arrays(tmp_path / "adapter_model.safetensors")[0][f"{Q}.lora_A.weight"].dtype == dtype
    _, found = load_adapter(tmp_path, CONFIG)
    assert all(np.array_equal(found[name], arrays[name].astype(dtype).astype(np.float32)) for name in arrays)


def test_a_number_that_sixteen_bits_cannot_hold_is_refused_and_the_old_adapter_stays(tmp_path):
    arrays = written(tmp_path)
    large = {name: np.float32(1e6) * array for name, array in arrays.items()}
    with pytest.raises(ValueError, match=r"lora_A.weight holds .*e\+06, which float16 cannot: choose bfloat16 or float32"):
        save_adapter(tmp_path, CONFIG, METHOD, large, "tiny", np.float16)
    assert np.array_equal(load_adapter(tmp_path, CONFIG)[1]["model.layers.0.self_attn.q_proj.lora_A"], next(iter(arrays.values())))


@pytest.mark.parametrize(
    ("method", "way_out"),
    [
        (BitFit(), "keep its `arrays` .*; or train a lora, an ia3 or a prefix"),
        (Houlsby(), "keep its `arrays`"),
        (GatedPrefix(), "keep its `arrays`"),
        (LastLayers(), "merge it, and save the base that results"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_method_that_PEFT_lacks_is_refused_with_a_way_out_and_the_old_adapter_stays(method, way_out, tmp_path):
    written(tmp_path)
    with pytest.raises(ValueError, match=f"{method.name} has no place in PEFT's format: {way_out}"):
        save_adapter(tmp_path, CONFIG, method, {}, "tiny")
    assert load_adapter(tmp_path, CONFIG)[0].rank == 2


def test_settings_that_cannot_be_written_leave_the_old_adapter(tmp_path):
    arrays = written(tmp_path)
    with pytest.raises(TypeError):
        save_adapter(tmp_path, CONFIG, METHOD, arrays, {"tiny"})
    assert load_adapter(tmp_path, CONFIG)[0].rank == 2


def test_an_adapter_is_not_written_where_a_file_is(tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(NotADirectoryError, match="taken cannot be a folder, for a file is in the way: choose another name"):
        written(tmp_path / "taken")


def test_a_number_of_NumPy_s_is_written_as_a_number(tmp_path):
    written(tmp_path, LoRA(np.int64(2), np.float32(6), "q_proj"))
    assert load_adapter(tmp_path, CONFIG)[0].alpha == 6


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("checkpoint.safetensors", "a training was stopped in .* with --resume, which finishes it"),
        ("other", "name the folder that holds it"),
    ],
)
def test_a_folder_without_an_adapter_says_what_it_is(name, message, tmp_path):
    (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError, match=f"there is no .*adapter_config.json.*{message}"):
        load_adapter(tmp_path, CONFIG)


def test_a_training_that_is_finished_is_no_longer_stopped(tmp_path):
    written(tmp_path)
    (tmp_path / "checkpoint.safetensors").touch()
    with pytest.raises(FileNotFoundError, match="there is no .*/config.json: name the folder that holds it"):
        read_dimensions(tmp_path)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_file_that_is_missing_or_broken_is_named(name, tmp_path):
    written(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match=f"{name} is not .*: was it copied as a whole?"):
        load_adapter(tmp_path, CONFIG)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"there is no .*{name}"):
        load_adapter(tmp_path, CONFIG)


def test_pickled_weights_and_an_adapter_one_folder_further_down_are_pointed_at(tmp_path):
    written(tmp_path / "inner")
    with pytest.raises(FileNotFoundError, match="there is no .*adapter_config.json, but one in .*inner: name that folder"):
        load_adapter(tmp_path, CONFIG)
    (tmp_path / "inner" / "adapter_model.safetensors").rename(tmp_path / "inner" / "adapter_model.bin")
    with pytest.raises(FileNotFoundError, match="adapter_model.bin is pickled, which can run code: save it with safe_serialization=True"):
        load_adapter(tmp_path / "inner", CONFIG)


def test_every_flipped_bit_is_found_in_our_own_files_and_none_is_sought_in_others(tmp_path):
    written(tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    whole = path.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    for bit in range(8 * start, 8 * len(whole), 7):
        path.write_bytes(flipped(whole, bit))
        with pytest.raises(ValueError, match="is not what was written: its tensors do not have the hash in its header"):
            load_adapter(tmp_path, CONFIG)
    path.write_bytes(whole)
    change_tensors(tmp_path, lambda tensors: None)
    whole = path.read_bytes()
    path.write_bytes(flipped(whole, 8 * len(whole) - 20))  # in the last number's fraction
    _, found = load_adapter(tmp_path, CONFIG)
    last = np.frombuffer(path.read_bytes()[-4:], np.float32)[0]
    assert last in np.concatenate([array.ravel() for array in found.values()]) and last != np.frombuffer(whole[-4:], np.float32)[0]


def flipped(data, bit):
    data = bytearray(data)
    data[bit // 8] ^= 1 << bit % 8
    return bytes(data)


@pytest.mark.parametrize("method", [LoRA(2, 6), VeRA(4), AdaLoRA(3), IA3()], ids=lambda method: method.name)
def test_an_adapter_that_changes_nothing_loads_with_a_warning(method, tmp_path):
    save_adapter(tmp_path, CONFIG, method, method.init(CONFIG, WEIGHTS, np.random.default_rng(0)), "tiny")
    with pytest.warns(UserWarning, match="changes nothing: all of its updates are zero, as before the first step of training"):
        read, _ = load_adapter(tmp_path, CONFIG)
    assert read.name == method.name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rank_pattern": {"o_porj": 4}}, "the rank_pattern 'o_porj' matches no module of this base"),
        ({"something_new": True}, "has settings that are not known here and are passed over: 'something_new'"),
    ],
)
def test_what_is_passed_over_is_warned_about(changes, message, tmp_path):
    written(tmp_path)
    change_settings(tmp_path, changes)
    with pytest.warns(UserWarning, match=message):
        assert load_adapter(tmp_path, CONFIG)[0].rank == 2


def test_settings_may_be_absent_or_null_as_in_PEFT(tmp_path):
    arrays = written(tmp_path, LoRA(8, 8, ("q_proj", "v_proj")))
    for settings in ({"peft_type": "LORA"}, {"peft_type": "LORA", "r": None, "target_modules": None, "unknown": None}):
        (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
        method, found = load_adapter(tmp_path, CONFIG)
        assert set(method.scales(CONFIG).values()) == {1.0} and all(np.array_equal(found[name], arrays[name]) for name in arrays)


def test_the_name_of_the_adapter_and_the_base_s_own_matrices_are_passed_over(tmp_path):
    arrays = written(tmp_path, LoRA(2, 6, ("embed_tokens", "q_proj")))

    def as_older_versions(tensors):
        named = {name.replace(".weight", ".default.weight"): array for name, array in tensors.items() if name.endswith(".weight")}
        named |= {f"{name}.default": array for name, array in tensors.items() if not name.endswith(".weight")}
        return {**named, f"{PREFIX}model.embed_tokens.base_layer.weight": np.ones((13, 12), np.float32)}

    change_tensors(tmp_path, as_older_versions)
    _, found = load_adapter(tmp_path, CONFIG)
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    change_tensors(tmp_path, put(f"{PREFIX}model.embed_tokens.base_layer.weight", np.ones((15, 12), np.float32)))
    with pytest.raises(ValueError, match=r"embed_tokens.base_layer.weight is \(15, 12\) and \(13, 12\) is expected"):
        load_adapter(tmp_path, CONFIG)
