"""More than 20,000 spoiled files: each is refused in one line or read as it stands, and none takes memory that it does not have."""

import json
import tracemalloc
import warnings

import numpy as np
import pytest
from safetensors.numpy import load
from spoiled import bytes_spoiled, json_spoiled, safetensors_spoiled

from minilora.files.atomic import save_arrays
from minilora.files.huggingface import load_base, save_base
from minilora.files.peft import load_adapter, save_adapter
from minilora.files.safetensors import load_arrays
from minilora.methods import AdaLoRA, LoRA
from minilora.transformer import Config, init

CONFIG = Config(5, 4, 6, 1, 2, 1, max_position_embeddings=8)
BASE = init(CONFIG, np.random.default_rng(0), std=0.3)
LORA = LoRA(1, 2, ("q_proj", "lm_head"), rank_pattern={"lm_head": 2}, alpha_pattern={r".*\.q_proj": 3.0})
ADALORA = AdaLoRA(2, 1, 6, "q_proj", left={"model.layers.0.self_attn.q_proj": 1})
# An object of JSON takes 24 times the room of its text: "{}," becomes 64 bytes and a pointer. Text is there as bytes and decoded too.
EVERY = 6  # of how many files the memory is measured once
# A pattern of names becomes a tree of 8 times the room of its text at least, and it has 1,000 characters at the most.
MOST_GROWTH, MOST_MORE = 40, 100_000
FILES = {  # file: how often it is spoiled, and how
    "adapter_config.json": (8000, json_spoiled),
    "adapter_config.json, of adalora": (1000, json_spoiled),
    "adapter_config.json, its bytes": (2000, bytes_spoiled),
    "adapter_model.safetensors": (6000, safetensors_spoiled),
    "config.json": (2500, json_spoiled),
    "config.json, its bytes": (500, bytes_spoiled),
    "model.safetensors": (1500, safetensors_spoiled),
    "model.safetensors.index.json": (500, json_spoiled),
}


def write(folder):
    """A base and an adapter without a digest, in a folder within another."""
    save_base(folder, CONFIG, BASE)
    for name, method in (("lora", LORA), ("adalora", ADALORA)):
        rng = np.random.default_rng(0)
        arrays = {key: rng.normal(size=shape).astype(np.float32) for key, shape in method.shapes(CONFIG).items()}
        save_adapter(folder / name, CONFIG, method, arrays, "base")
        path = folder / name / "adapter_model.safetensors"
        save_arrays(path, load_arrays(path)[0], {"format": "pt"})
    where = {name: "model.safetensors" for name in CONFIG.shapes()}
    return {"weight_map": where}


def outcome(read):
    """-> what was read or None, and what was said in refusing it."""
    try:
        return read(), ""
    except (ValueError, OSError) as error:
        return None, str(error)


def measured(read):
    """-> the same, and the most memory that was taken meanwhile. Python is several times as slow then."""
    tracemalloc.start()
    result, said = outcome(read)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return result, said, peak


def test_there_are_enough():
    assert sum(count for count, _ in FILES.values()) >= 20_000


@pytest.mark.parametrize("case", FILES)
def test_a_spoiled_file_is_refused_in_one_line_or_read_as_it_stands(case, tmp_path):
    count, spoil = FILES[case]
    name, _, which = case.partition(", ")
    base = tmp_path / "base"
    index = write(base)
    folder = base if not name.startswith("adapter") else base / "adalora" if which == "of adalora" else base / "lora"
    path = folder / name
    if name == "model.safetensors.index.json":
        path.write_text(json.dumps(index))
    read = (lambda: load_base(folder)) if folder == base else (lambda: load_adapter(folder, CONFIG))
    whole = path.read_bytes()
    assert read()  # the first time imports and caches
    _, _, usual = measured(read)
    rng, refusals, good = np.random.default_rng(len(case)), set(), 0
    for i in range(count):
        data = spoil(json.loads(whole) if spoil is json_spoiled else whole, rng)
        path.unlink()  # and not written over: it may be mapped
        path.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result, said, peak = measured(read) if i % EVERY == 0 else (*outcome(read), 0)
        assert result is not None or said, data[:500]
        assert len(said.splitlines()) <= 1 and len(said) < 1000 and said.isprintable(), said
        assert peak <= usual + MOST_MORE + MOST_GROWTH * len(data), (said, data[:500])
        refusals.add(said.removeprefix(str(path))[:60])
        if result is not None:
            good += 1
            if name.endswith(".safetensors"):
                assert_read_as_it_stands(path, data)
    assert good > count / 100 and len(refusals) > 15, "some are read, and others refused for many reasons"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["base"], "and nothing was written elsewhere"


def assert_read_as_it_stands(path, data):
    """The format's own library says that the arrays are these, to the bit."""
    expected, (found, _) = load(data), load_arrays(path)
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        assert found[key].dtype == array.dtype and found[key].shape == array.shape and found[key].tobytes() == array.tobytes()
