"""`minilora inspect`: what it says of an adapter, with and without its base, and of a model."""

import json

import numpy as np
import pytest
from small_run import BASE, CONFIG

from minilora import cli
from minilora.commands.inspect import module_of, product_norm
from minilora.files.huggingface import save_base
from minilora.files.peft import PREFIX, save_adapter
from minilora.methods import IA3, AdaLoRA, DoRA, LoRA, Prefix, VeRA
from minilora.methods.with_copies import WithCopies

METHOD = LoRA(2, 6, ("q_proj", "down_proj"), rank_pattern={"down_proj": 3})


@pytest.fixture
def folder(tmp_path):
    save_base(tmp_path / "base", CONFIG, BASE)
    save(tmp_path, METHOD)
    return tmp_path


def save(folder, method, base="base"):
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in method.shapes(CONFIG).items()}
    save_adapter(folder / "adapter", CONFIG, method, arrays, str(folder / base))
    return arrays


def run(capsys, *arguments):
    """-> exit code, standard output, standard error."""
    return cli.main(["inspect", *map(str, arguments)]), *capsys.readouterr()


def test_an_adapter_for_people(folder, capsys):
    code, out, err = run(capsys, folder / "adapter")
    lines = out.splitlines()
    assert code == 0 and err == "" and lines[0] == f"{folder}/adapter: lora for {folder}/base"
    assert lines[1] == "rank 2, 3, alpha 6, scale 2, 3"
    assert lines[2] == f"fits the base, where {2 * 2 * 32 + 2 * 3 * 40} numbers train; float32; digest ok"
    assert [line.split()[:4] for line in lines[5:]] == [
        ["down_proj", "2", "240", "960"],
        ["q_proj", "2", "128", "512"],
        ["total", "4", "368", "1,472"],
    ]


def test_an_adapter_for_programs(folder, capsys):
    arrays = save(folder, METHOD)
    result = json.loads(run(capsys, folder / "adapter", "--json")[1])
    assert result["kind"] == "adapter" and result["checked"] and result["digest"] == "ok" and result["settings"]["r"] == 2
    assert len(result["tensors"]) == 8 and sum(tensor["bytes"] for tensor in result["tensors"]) == 4 * result["trainable"]
    assert {"name": f"{PREFIX}model.layers.0.self_attn.q_proj.lora_A.weight", "dtype": "float32", "shape": [2, 16], "bytes": 128} in result[
        "tensors"
    ]
    for module, s in METHOD.scales(CONFIG).items():
        update = s * arrays[f"{module}.lora_A"] @ arrays[f"{module}.lora_B"]  # (d, k)
        assert result["update_norms"][module] == pytest.approx(np.linalg.norm(update)) and result["scales"][module] == s


@pytest.mark.parametrize(
    ("method", "rows"),
    [
        (IA3(), [["down_proj", "2", "48"], ["k_proj", "2", "16"], ["v_proj", "2", "16"]]),
        (Prefix(3), [["prompt_embeddings", "1", "96"]]),
        (WithCopies(METHOD, ("lm_head",)), [["lm_head", "1", "4,096"], ["down_proj", "2", "240"], ["q_proj", "2", "128"]]),
    ],
    ids=["ia3", "prefix", "copies"],
)
def test_other_methods(method, rows, folder, capsys):
    save(folder, method)
    lines = run(capsys, folder / "adapter")[1].splitlines()
    table = lines[lines.index("") + 2 : -1]
    assert [line.split()[:3] for line in table] == rows


@pytest.mark.parametrize(
    ("method", "line"),
    [
        (AdaLoRA(4, 2, 6, "q_proj", left={"model.layers.0.self_attn.q_proj": 1}), "rank 1, 4, alpha 6, scale 1.5"),
        (VeRA(5, "q_proj"), "rank 5"),
        (DoRA(2, 6, "q_proj"), "rank 2, alpha 6, scale 3"),
        (LoRA(2, 6, "q_proj", alpha_pattern={"layers.0.*": 1.0}), "rank 2, alpha 6, scale 0.5, 3"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_ranks_and_scales(method, line, folder, capsys):
    save(folder, method)
    assert run(capsys, folder / "adapter")[1].splitlines()[1] == line


def test_an_adapter_whose_base_is_not_here_is_listed_and_not_checked(folder, capsys):
    save(folder, METHOD, "gone")
    code, out, _ = run(capsys, folder / "adapter")
    assert code == 0 and out.splitlines()[0] == f"{folder}/adapter: LORA for {folder}/gone"
    assert "not checked: the base is not here; float32; digest ok" in out
    assert "fits the base" in run(capsys, folder / "adapter", "--base", folder / "base")[1]


def test_a_model(folder, capsys):
    code, out, _ = run(capsys, folder / "base")
    lines = out.splitlines()
    numbers = sum(array.size for array in BASE.values())
    assert code == 0 and lines[0] == f"{folder}/base: 2 layers of width 16, 24 in the MLP, 2 heads of 8 on 1 of keys and values"
    assert lines[1:3] == [
        "vocabulary 256, context 32, the head is its own",
        f"{numbers:,} parameters; float32; in model.safetensors",
    ]
    assert lines[-1] == "whole: the tensors have the names and shapes that config.json asks for (their numbers were not looked at)"
    assert ["gate_proj", "24", "x", "16", "2", "768", "3,072"] in [line.split() for line in lines]
    result = json.loads(run(capsys, folder / "base", "--json")[1])
    assert result["parameters"] == numbers and result["missing"] == result["unexpected"] == [] and result["config"]["hidden_size"] == 16


def test_a_model_of_the_package(capsys):
    assert "455,520 parameters; float32; in model.safetensors" in run(capsys, "stories-base")[1]


def test_a_model_that_lacks_tensors_says_which(folder, capsys):
    save_base(folder / "base", CONFIG, BASE)
    config = json.loads((folder / "base" / "config.json").read_text())
    (folder / "base" / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    code, out, _ = run(capsys, folder / "base")
    assert "missing: model.layers.2.input_layernorm.weight, model.layers.2.mlp.down_proj.weight, " in out
    assert code == 1 and out.splitlines()[-1].startswith(f"not whole: {folder}/base lacks the tensor model.layers.2.input_layernorm.weight")


def test_a_model_whose_shapes_are_others_is_not_whole(folder, capsys):
    config = json.loads((folder / "base" / "config.json").read_text())
    (folder / "base" / "config.json").write_text(json.dumps({**config, "intermediate_size": 12}))
    code, out, _ = run(capsys, folder / "base")
    line = "model.layers.0.mlp.gate_proj.weight is (16, 24) (in, out) and config.json asks for (16, 12): do the two belong together?"
    assert code == 1 and out.splitlines()[-1] == f"not whole: {folder}/base: {line}"
    assert json.loads(run(capsys, folder / "base", "--json")[1])["fault"] == f"{folder}/base: {line}"


def test_a_base_to_check_a_model_against_is_refused(folder, capsys):
    code, out, err = run(capsys, folder / "base", "--base", "stories-base")
    assert code == 2 and out == "" and "holds a model, and --base is what an adapter is checked against: leave it out" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "there is no folder nowhere: check the name"),
        (["{}"], "there is no {}/adapter_config.json, but one in {}/adapter: name that folder"),
        (["{}/adapter", "--base", "gone"], "there is no base gone: name one of the package, or a Hugging Face folder"),
    ],
)
def test_what_is_not_there(arguments, message, folder, capsys):
    code, out, err = run(capsys, *(text.format(folder) for text in arguments))
    assert code == 2 and out == "" and err == f"minilora: {message.replace('{}', str(folder))}\n"


def test_a_broken_adapter_is_one_line(folder, capsys):
    path = folder / "adapter" / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    code, out, err = run(capsys, folder / "adapter")
    assert code == 2 and out == "" and "is not what was written" in err and err.count("\n") == 1


def test_the_norm_of_a_product_and_the_names_of_modules():
    A, B = (np.random.default_rng(0).normal(size=shape) for shape in ((7, 3), (3, 5)))
    assert product_norm(A, B) == pytest.approx(np.linalg.norm(A @ B), rel=1e-12)
    names = {
        f"{PREFIX}model.layers.3.mlp.up_proj.lora_A.weight": "model.layers.3.mlp.up_proj",
        f"{PREFIX}model.layers.3.self_attn.q_proj.lora_magnitude_vector": "model.layers.3.self_attn.q_proj",
        f"{PREFIX}model.embed_tokens.lora_embedding_A": "model.embed_tokens",
        f"{PREFIX}model.layers.0.self_attn.k_proj.vera_lambda_b": "model.layers.0.self_attn.k_proj",
        f"{PREFIX}model.norm.ln_tuning_layers.weight": "model.norm",
        f"{PREFIX}lm_head.weight": "lm_head",
        "base_model.vera_A": "base_model.vera_A",
        "prompt_embeddings": "prompt_embeddings",
    }
    assert {name: module_of(name) for name in names} == names
