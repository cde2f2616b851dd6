"""Every method on a quantised base, LoftQ, and both from the command line."""

import json

import numpy as np
import pytest
from test_every_method import EXAMPLES
from test_quantization import same_base

from minilora import load, load_adapter, ops
from minilora.analysis.spectrum import approximate
from minilora.cli import main
from minilora.methods import LoftQ, LoRA
from minilora.methods.check import midway, tiny_model
from minilora.quantization import quantize
from minilora.transformer import forward, loss
from minilora.transformer.model import loss_backward

COMPILED = ops.compiled()


@pytest.mark.parametrize("method", EXAMPLES, ids=lambda method: method.name)
def test_no_method_need_know_that_its_base_is_quantised(method):
    config, base, spelled_out, tokens, targets = same_base()
    arrays = midway(method, config, spelled_out)
    results = []
    for weights in (base, spelled_out):
        value, cache = loss(config, weights, tokens, targets, method.sites(config, arrays, COMPILED, np.random.default_rng(5)))
        results.append({"loss": value, **loss_backward(cache)})
    assert results[0].keys() == results[1].keys()
    for name, expected in results[1].items():
        # DoRA adds up the squares of the numbers in float32.
        assert np.allclose(results[0][name], expected, rtol=0, atol=1e-7 * max(1, np.abs(expected).max())), name


@pytest.mark.parametrize("method", [method for method in EXAMPLES if method.name in ("lora", "dora", "vera", "pissa", "adalora", "ia3")])
def test_merging_spells_the_adapted_matrices_out(method):
    config, base, spelled_out, tokens, _ = same_base()
    arrays = midway(method, config, spelled_out)
    adapted, _ = forward(config, base, tokens, method.sites(config, arrays))
    merged, _ = forward(config, method.merge(config, base, arrays), tokens)
    assert np.allclose(merged, adapted, rtol=0, atol=1e-5 * np.abs(adapted).max())  # merged in float32


def test_loftq_starts_with_the_best_of_what_quantising_lost():
    config, base, _, tokens, _ = same_base(keep=True)
    weights, _ = tiny_model()[1:3]
    method = LoftQ(rank=4, alpha=6, targets="all-linear", rank_pattern={"q_proj": 2})
    arrays = method.init(config, base, np.random.default_rng(0))
    for name, s in method.scales(config).items():
        A, B, W = arrays[f"{name}.lora_A"], arrays[f"{name}.lora_B"], weights[f"{name}.weight"]
        assert A.shape[1] == (2 if "q_proj" in name else 4)
        assert np.allclose(s * A @ B, approximate(W - np.asarray(base[f"{name}.weight"]), A.shape[1]), rtol=0, atol=1e-6)
    wanted, quantised = forward(config, weights, tokens)[0], forward(config, base, tokens)[0]
    started = forward(config, base, tokens, method.sites(config, arrays))[0]
    assert np.linalg.norm(started - wanted) < np.linalg.norm(quantised - wanted)
    assert type(method.exported(config, arrays)[0]) is LoRA


@pytest.mark.parametrize("quantised", [False, True])
def test_loftq_needs_the_weights_as_they_were(quantised):
    config, weights, _, _ = tiny_model()
    with pytest.raises(ValueError, match="quantising lost, and of .*q_proj that is not known: quantise the base with keep=True"):
        LoftQ().init(config, quantize(weights) if quantised else weights, np.random.default_rng(0))


@pytest.mark.parametrize("method", ["lora", "loftq"])
def test_finetuning_a_quantised_base_from_the_command_line(method, tmp_path, capsys):
    command = f"finetune --nf4 --method {method} --corpus pydoc --steps 3 --batch 2 --length 16 --out {tmp_path} --json"
    assert main(command.split()) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert np.isfinite(row["held_out"])
    base = load()
    small = base.quantized(keep=True)
    adapter = load_adapter(tmp_path, small)
    assert type(adapter.method) is LoRA and small.name == base.name
    assert main(f"generate --nf4 --adapter {tmp_path} --length 5 --seed 1 hello".split()) == 0
    assert capsys.readouterr().out == small.generate("hello", adapter, length=5, seed=1) + "\n"
    assert small.held_out_loss("pydoc", adapter)[0] == pytest.approx(row["held_out"], rel=1e-6)
    assert small.held_out_loss("pydoc")[0] != base.held_out_loss("pydoc")[0]


def test_loftq_without_nf4_is_told_what_it_lacks(tmp_path, capsys):
    assert main(f"finetune --method loftq --corpus pydoc --length 16 --out {tmp_path}".split()) == 2
    assert "quantise the base with keep=True (on the command line: --nf4)" in capsys.readouterr().err
