"""`minilora export`: the same adapter in another form has the same logits, and what it says of its readers is so."""

import json

import ml_dtypes
import numpy as np
import pytest
from small_run import BASE, CONFIG

from minilora import api, cli
from minilora.files.huggingface import save_base
from minilora.files.peft import save_adapter
from minilora.files.safetensors import load_arrays
from minilora.methods import IA3, AdaLoRA, DoRA, LoRA, Prefix
from minilora.methods.with_copies import WithCopies
from minilora.transformer import forward

METHOD = LoRA(2, 6, ("q_proj", "down_proj"), rank_pattern={"down_proj": 3}, alpha_pattern={"q_proj": 5.0}, rslora=True)
TOKENS = np.random.default_rng(1).integers(0, 256, (2, 9))


@pytest.fixture
def folder(tmp_path):
    save_base(tmp_path / "base", CONFIG, BASE)
    save(tmp_path, METHOD)
    return tmp_path


def save(folder, method):
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in method.shapes(CONFIG).items()}
    save_adapter(folder / "adapter", CONFIG, method, arrays, str(folder / "base"))


def run(capsys, folder, *options):
    """-> exit code, standard output, standard error."""
    return cli.main(["export", str(folder / "adapter"), "--out", str(folder / "out"), *options]), *capsys.readouterr()


def logits(base, adapter=None):
    return forward(base.config, base.weights, TOKENS, adapter.method.sites(base.config, adapter.arrays) if adapter else None)[0]


def assert_same(found, expected, tolerance):
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [((), 0), (("--dtype", "float16"), 2e-3), (("--bake-scale",), 1e-5), (("--bake-scale", "--dtype", "bfloat16"), 2e-2)],
    ids=["again", "float16", "baked", "baked, bfloat16"],
)
def test_the_adapter_in_another_form_has_the_same_logits(options, tolerance, folder, capsys):
    code, out, err = run(capsys, folder, *options)
    assert code == 0 and err == ""
    base = api.load(folder / "base")
    expected, found = (api.load_adapter(folder / name) for name in ("adapter", "out"))
    assert_same(logits(base, found), logits(base, expected), tolerance)
    stored, _ = load_arrays(folder / "out" / "adapter_model.safetensors")
    name = options[-1] if "--dtype" in options else "float32"
    assert {array.dtype.name for array in stored.values()} == {name} and f" in {name}, " in out


def test_a_baked_scale_is_one_for_readers_of_every_kind(folder, capsys):
    _, out, _ = run(capsys, folder, "--bake-scale")
    settings = json.loads((folder / "out" / "adapter_config.json").read_text())
    assert (
        settings["use_rslora"] is False
        and settings["lora_alpha"] == settings["r"]
        and settings["alpha_pattern"] == settings["rank_pattern"]
    )
    assert "lora of rank 2, 3 and scale 1 in float32" in out and "beware" not in out


def test_an_adalora_is_baked_into_a_lora(folder, capsys):
    save(folder, AdaLoRA(3, 2, 6, "q_proj"))
    code, _, _ = run(capsys, folder, "--bake-scale")
    base = api.load(folder / "base")
    assert code == 0 and api.load_adapter(folder / "out").method.name == "lora"
    assert_same(logits(base, api.load_adapter(folder / "out")), logits(base, api.load_adapter(folder / "adapter")), 1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_merged_model_has_the_adapter_s_logits_and_says_what_rounding_took(dtype, folder, capsys):
    code, out, err = run(capsys, folder, "--merge", "--dtype", dtype)
    assert code == 0 and err == "" and sorted(file.name for file in (folder / "out").iterdir()) == ["config.json", "model.safetensors"]
    base, adapter, merged = api.load(folder / "base"), api.load_adapter(folder / "adapter"), api.load(folder / "out")
    exact = adapter.merge(base).weights
    assert_same(logits(merged), logits(base, adapter), {"float32": 1e-5, "float16": 4e-3, "bfloat16": 4e-2}[dtype])
    stored, _ = load_arrays(folder / "out" / "model.safetensors")
    assert {array.dtype.name for array in stored.values()} == {dtype}
    assert json.loads((folder / "out" / "config.json").read_text())["dtype"] == dtype
    changed = [name for name in exact if not np.array_equal(exact[name], base.weights[name])]
    largest = max(np.abs(exact[name] - base.weights[name]).max() for name in changed)
    assert (
        f"a whole model in {dtype}" in out and f"; 4 of its {len(exact)} arrays are new" in out and f"by more than {largest:.3g}\n" in out
    )
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    rounding = np.sqrt(sum(np.sum((exact[name].astype(kind).astype(np.float64) - exact[name]) ** 2) for name in changed))
    update = np.sqrt(sum(np.sum((exact[name] - base.weights[name]).astype(np.float64) ** 2) for name in changed))
    line = f"rounding to {dtype} moves these arrays by {rounding / update:.2%} of the update"
    assert (line in out) == (dtype != "float32")


def test_a_merged_model_keeps_its_tokenizer(folder, capsys):
    (folder / "base" / "tokenizer.json").write_text("{}")
    run(capsys, folder, "--merge")
    assert (folder / "out" / "tokenizer.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (LoRA(2, 6, "q_proj"), None),
        (
            METHOD,
            "beware:  llama.cpp's convert_lora_to_gguf.py takes lora_alpha / r for the scale, and is wrong here; --bake-scale is for it",
        ),
        (LoRA(2, 6, ("q_proj", "lm_head")), "not by:  llama.cpp's convert_lora_to_gguf.py, because of lm_head"),
        (DoRA(2, 6, "q_proj"), "not by:  vLLM and llama.cpp, which know plain lora alone and not dora; --merge is for them"),
        (Prefix(2), "not by:  vLLM and llama.cpp, which know plain lora alone and not prefix"),
        (
            WithCopies(LoRA(2), ("lm_head",)),
            "not by:  vLLM and llama.cpp, which know plain lora alone and not lora with copies; --merge is ",
        ),
    ],
)
def test_who_reads_it(method, message, folder, capsys):
    save(folder, method)
    lines = run(capsys, folder)[1].splitlines()
    assert lines[1:3] == [
        f'read by: PEFT, PeftModel.from_pretrained(model, "{folder}/out")',
        f"         minilora generate --adapter {folder}/out",
    ]
    assert lines[3:] == [] if message is None else len(lines) == 4 and lines[3].startswith(message)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (Prefix(2), ["--merge"], "prefix cannot be merged into the weights of the base"),
        (IA3(), ["--bake-scale"], "ia3 is no lora, nor can it be written as one: leave out --bake-scale, or --merge it"),
        (
            METHOD,
            ["--base", "nowhere"],
            "there is no base called 'nowhere' and no folder of that name; with the package come: stories-base",
        ),
        (
            METHOD,
            ["--base", "stories-base"],
            "it ends with layer 1 and this base goes up to layer 3: load the base that the adapter was ",
        ),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_nothing_is_written(method, options, message, folder, capsys):
    save(folder, method)
    code, out, err = run(capsys, folder, *options)
    assert code == 2 and out == "" and message in err and err.count("\n") == 1
    assert not (folder / "out").exists()


@pytest.mark.parametrize(("options", "role"), [([], "--adapter"), (["--merge"], "--base")])
def test_the_line_to_try_can_be_pasted(options, role, folder, capsys):
    out = folder / "my $adapter"
    assert cli.main(["export", str(folder / "adapter"), "--out", str(out), *options]) == 0
    assert f"  minilora generate {role} '{out}'\n" in capsys.readouterr().out


def test_a_file_in_the_way_is_one_line(folder, capsys):
    (folder / "out").touch()
    code, out, err = run(capsys, folder)
    assert code == 2 and err == f"minilora: {folder}/out cannot be a folder, for a file is in the way: choose another name\n"


def test_a_folder_that_holds_something_is_left_alone(folder, capsys):
    run(capsys, folder)
    before = (folder / "out" / "adapter_model.safetensors").read_bytes()
    code, _, err = run(capsys, folder, "--merge")
    assert code == 2 and err == f"minilora: {folder}/out is not empty, and the files of two exports would mix: name a new folder\n"
    assert (folder / "out" / "adapter_model.safetensors").read_bytes() == before
