"""LoRA against PEFT: logits, loss and every gradient, with B != 0 and alpha != r, through the files of either side."""

import comparison
import numpy as np
import oracle
import pytest
import torch
from peft import PeftModel

from minilora import Adapter, LoRA, ops
from minilora.transformer import forward

PATTERNS = {"rank_pattern": {"q_proj": 2, "layers.1.mlp.down_proj": 5}, "alpha_pattern": {"up_proj": 4.5, r"0.self_attn.\w+": 2.0}}
SETTINGS = {
    "all-linear": {"target_modules": "all-linear"},
    "embedding and head too": {"target_modules": [*oracle.LINEARS, "embed_tokens", "lm_head"]},
    "rsLoRA": {"target_modules": ["q_proj", "down_proj"], "use_rslora": True},
    "patterns": {"target_modules": "all-linear", **PATTERNS},
}


@pytest.mark.parametrize(
    ("double", "ops", "tolerance"), [(False, ops.compiled(), 1e-5), (True, ops.reference(), 1e-12)], ids=["float32", "float64"]
)
@pytest.mark.parametrize(("case", "tied"), [*((case, False) for case in SETTINGS), ("all-linear", True)])
def test_logits_loss_and_every_gradient_agree(double, ops, tolerance, case, tied, tmp_path):
    model = oracle.tiny_llama(tied, double)
    config, weights = oracle.read_base(model, tmp_path / "base")
    adapted = oracle.peft_lora(model, r=3, lora_alpha=7, **SETTINGS[case])
    method, arrays = oracle.read_adapter(adapted, tmp_path / "adapter", config)
    (tokens,), (targets,) = oracle.text(1)
    expected, expected_grads = oracle.run(adapted, tokens, targets)
    found, grads = comparison.run(config, weights, tokens, targets, method.sites(config, arrays, ops))
    assert len(grads) == len(expected_grads)
    comparison.assert_agree(found, expected, tolerance)
    comparison.assert_agree(grads, comparison.adapter_grads(expected_grads, method, config), tolerance)


@pytest.mark.parametrize(
    "method",
    [
        LoRA(rank=3, alpha=7),
        LoRA(rank=3, alpha=7, targets=("all-linear", "embed_tokens", "lm_head"), rslora=True),
        LoRA(rank=3, alpha=7, **PATTERNS),
        LoRA(rank=3, alpha=7, alpha_pattern={"up_proj": 1.0, r".*mlp.*": 9.0}),  # both match up_proj, and the first one counts
    ],
    ids=["all-linear", "embedding and head too, rsLoRA", "patterns", "patterns that overlap"],
)
def test_peft_loads_what_minilora_saves(method, tmp_path):
    model = oracle.tiny_llama()
    config, weights = oracle.read_base(model, tmp_path / "base")
    rng = np.random.default_rng(3)
    arrays = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in method.shapes(config).items()}
    Adapter(method, arrays, config, "base").save(tmp_path / "adapter")
    (tokens,), _ = oracle.text(1)
    with torch.no_grad():
        logits = PeftModel.from_pretrained(model, tmp_path / "adapter")(torch.from_numpy(tokens)).logits.flatten(0, 1)  # (N, V)
    found, _ = forward(config, weights, tokens, method.sites(config, arrays))
    comparison.assert_agree({"logits": found}, {"logits": logits.numpy()}, 1e-5)


def test_merging_gives_the_weights_that_peft_gives(tmp_path):
    model = oracle.tiny_llama()
    config, weights = oracle.read_base(model, tmp_path / "base")
    adapted = oracle.peft_lora(model, r=3, lora_alpha=7, **SETTINGS["embedding and head too"])
    method, arrays = oracle.read_adapter(adapted, tmp_path / "adapter", config)
    _, expected = oracle.read_base(adapted.merge_and_unload(), tmp_path / "merged")
    comparison.assert_agree(method.merge(config, weights, arrays), expected, 1e-6)
    assert not any(np.array_equal(expected[name], weights[name]) for name in weights if "norm" not in name)
