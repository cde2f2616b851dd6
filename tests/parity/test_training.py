"""Ten steps of AdamW against torch.optim.AdamW: the same losses, step by step."""

import comparison
import numpy as np
import oracle
import pytest
import torch
from peft import PeftModel
from transformers import LlamaForCausalLM

from minilora import Adapter, Full, LoRA, finetune, load, ops
from minilora.training import corpora
from minilora.training.schedule import warmup_cosine


@pytest.mark.parametrize(
    ("double", "ops", "tolerance"),
    # PyTorch's clipping divides by the norm plus 1e-6, and our norms are above 1: the clipped gradients differ by 1e-6 at the most.
    [(False, ops.compiled(), 1e-4), (True, ops.reference(), 1e-6)],
    ids=["float32", "float64"],
)
@pytest.mark.parametrize(("kind", "limit"), [("LoRA", 1.4), ("full fine-tuning", 2.2)])
def test_ten_steps_have_the_losses_of_pytorch(kind, limit, double, ops, tolerance, tmp_path):
    model = oracle.tiny_llama(double=double)
    config, weights = oracle.read_base(model, tmp_path / "base")
    method, arrays = Full(), {name: array.copy() for name, array in weights.items()}
    if kind == "LoRA":
        model = oracle.peft_lora(model, r=3, lora_alpha=7, target_modules=[*oracle.LINEARS, "embed_tokens", "lm_head"])
        method, arrays = oracle.read_adapter(model, tmp_path / "adapter", config)
    tokens, targets = oracle.text(10)
    found, norms = comparison.train(config, weights, method, arrays, ops, tokens, targets, limit=limit, **oracle.TRAINING)
    assert 1 < min(norms) < limit < max(norms), "some steps are clipped and some are not"
    assert found == pytest.approx(oracle.train(model, tokens, targets, limit=limit, **oracle.TRAINING), rel=tolerance)


def test_finetune_has_the_losses_of_peft(tmp_path):
    """The whole loop: the shipped base, its schedule, its shards, a LoRA that starts at B = 0."""
    base, method, rows, length = load("stories-base"), LoRA(rank=4, alpha=8), 4, 48
    adapter = finetune(
        base,
        method,
        "pirate",
        steps=10,
        batch=rows,
        length=length,
        warmup=3,
        evaluate_every=1,
        held_out=1,
        learning_rate=5e-3,
        progress=False,
    )

    base.save(tmp_path / "base")
    untrained = method.init(base.config, base.weights, np.random.default_rng([0, 0]))
    Adapter(method, untrained, base.config, base.name).save(tmp_path / "adapter")
    model = LlamaForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    model = PeftModel.from_pretrained(model, tmp_path / "adapter", is_trainable=True)
    corpus = corpora.load("pirate")
    batches = [corpus.train_batch(np.random.default_rng((0, 1 + step)), rows, length) for step in range(10)]
    rates = [5e-3 * warmup_cosine(step, 10, 3) for step in range(10)]
    expected = oracle.train(model, *zip(*batches, strict=True), rates, decay=0.0, limit=1.0, beta1=0.9, beta2=0.99, epsilon=1e-8)
    assert [row["loss"] for row in adapter.log] == pytest.approx(expected, rel=1e-4)
