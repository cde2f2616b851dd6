"""The base model against transformers' LlamaForCausalLM: logits, loss and every gradient, through the files of either side."""

import comparison
import numpy as np
import oracle
import pytest
import torch
from transformers import LlamaForCausalLM

from minilora import load, ops
from minilora.files.huggingface import load_base, save_base
from minilora.layers import IGNORED
from minilora.training import corpora
from minilora.transformer import Sites, forward, loss


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize(
    ("double", "ops", "tolerance"), [(False, ops.compiled(), 1e-5), (True, ops.reference(), 1e-12)], ids=["float32", "float64"]
)
def test_logits_loss_and_every_gradient_agree(double, ops, tolerance, tied, tmp_path):
    model = oracle.tiny_llama(tied, double)
    config, weights = oracle.read_base(model, tmp_path)
    (tokens,), (targets,) = oracle.text(1)
    expected, expected_grads = oracle.run(model, tokens, targets)
    found, grads = comparison.run(config, weights, tokens, targets, Sites(weights, ops))
    comparison.assert_agree(found, expected, tolerance)
    comparison.assert_agree(grads, comparison.base_grads(expected_grads), tolerance)


def test_the_loss_that_transformers_reports_is_ours_with_the_text_as_its_own_target(tmp_path):
    model = oracle.tiny_llama()
    config, weights = oracle.read_base(model, tmp_path)
    (tokens,), _ = oracle.text(1)
    labels = tokens.copy()
    labels[1, 3:6] = IGNORED
    with torch.no_grad():
        reported = model(torch.from_numpy(tokens), labels=torch.from_numpy(labels)).loss.item()
    targets = np.pad(labels[:, 1:], ((0, 0), (0, 1)), constant_values=IGNORED)  # (rows, T): each token's next, none for the last
    assert loss(config, weights, tokens, targets)[0] == pytest.approx(reported, rel=1e-6)


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_transformers_loads_what_minilora_saves(tied, tmp_path):
    config, weights = oracle.read_base(oracle.tiny_llama(tied), tmp_path / "theirs")
    save_base(tmp_path / "ours", config, weights)
    assert_transformers_agrees(tmp_path / "ours", config, weights, oracle.text(1)[0][0])


def test_transformers_loads_the_base_that_comes_with_the_package(tmp_path):
    base = load("stories-base")
    base.save(tmp_path)
    assert_transformers_agrees(tmp_path, base.config, base.weights, np.array([corpora.encode("once upon a time")]))


def assert_transformers_agrees(folder, config, weights, tokens):
    model, report = LlamaForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    with torch.no_grad():
        expected = model(torch.from_numpy(tokens)).logits.flatten(0, 1).numpy()  # (N, V)
    comparison.assert_agree({"logits": forward(config, weights, tokens)[0]}, {"logits": expected}, 1e-5)


def test_shards_and_bfloat16_are_read_exactly(tmp_path):
    model = oracle.tiny_llama().bfloat16()
    model.save_pretrained(tmp_path, max_shard_size="4KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    _, weights = load_base(tmp_path)
    expected = {name: parameter.detach().float().numpy() for name, parameter in model.named_parameters()}
    comparison.assert_agree(weights, comparison.base_grads(expected), 0)
