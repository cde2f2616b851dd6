"""Each kind of model that can be read, against transformers: tiny ones, and the full shape of SmolLM2-135M with the memory it takes."""

import sys

import comparison
import numpy as np
import oracle
import pytest
import torch
from memory_of_loading import growth
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from minilora import ops
from minilora.files.huggingface import load_base, save_base
from minilora.transformer import Sites, forward

LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
SCALED = {"rope_parameters": {"rope_theta": 300.0, "rope_type": "llama3", **LLAMA3}}
KINDS = {  # name -> the model's class, its config's, and what differs from oracle.SIZES
    "Llama 1 and 2": (LlamaForCausalLM, LlamaConfig, {"num_key_value_heads": 4, "head_dim": 5 + 1}),
    "TinyLlama": (LlamaForCausalLM, LlamaConfig, {}),
    "SmolLM2": (LlamaForCausalLM, LlamaConfig, {"tie_word_embeddings": True}),
    "Llama 3.1": (LlamaForCausalLM, LlamaConfig, SCALED),
    "Llama 3.2": (LlamaForCausalLM, LlamaConfig, {**SCALED, "tie_word_embeddings": True}),
    "Mistral": (MistralForCausalLM, MistralConfig, {"sliding_window": None}),
    "Qwen2": (Qwen2ForCausalLM, Qwen2Config, {"tie_word_embeddings": True, "hidden_size": 24}),
    "Qwen2.5": (Qwen2ForCausalLM, Qwen2Config, {"hidden_size": 24}),
    "Qwen3": (Qwen3ForCausalLM, Qwen3Config, {"tie_word_embeddings": True}),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
SMOLLM2 = {  # the 135M one
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_theta": 1e5, "rope_type": "default"},
    "tie_word_embeddings": True,
}


def tiny(kind):
    model_class, config_class, changes = KINDS[kind]
    model = model_class(config_class(**{**oracle.SIZES, "tie_word_embeddings": False, **changes}))
    rng = np.random.default_rng(0)
    oracle.fill(model.parameters(), lambda shape: rng.normal(len(shape) == 1, rng.uniform(0.1, 0.3), shape))
    return model


def logits(model, tokens):
    with torch.no_grad():
        return {"logits": model.eval()(torch.from_numpy(tokens)).logits.flatten(0, 1).numpy()}  # (N, V)


@every_kind
@pytest.mark.parametrize("chosen", [ops.reference(), ops.compiled()], ids=["readable", "compiled"])
def test_logits_of_a_tiny_model_agree(kind, chosen, tmp_path):
    model = tiny(kind)
    config, weights = oracle.read_base(model, tmp_path)
    (tokens,), _ = oracle.text(1, length=23)
    comparison.assert_agree({"logits": forward(config, weights, tokens, Sites(ops=chosen))[0]}, logits(model, tokens), 1e-5)


@every_kind
def test_every_gradient_agrees(kind, tmp_path):
    model = tiny(kind)
    config, weights = oracle.read_base(model, tmp_path)
    (tokens,), (targets,) = oracle.text(1, length=23)
    expected, expected_grads = oracle.run(model, tokens, targets)
    found, grads = comparison.run(config, weights, tokens, targets, Sites(weights, ops.compiled()))
    comparison.assert_agree(found, expected, 1e-5)
    comparison.assert_agree(grads, comparison.base_grads(expected_grads), 2e-5)


@every_kind
def test_transformers_runs_what_minilora_writes(kind, tmp_path):
    model = tiny(kind)
    save_base(tmp_path / "ours", *oracle.read_base(model, tmp_path / "theirs"))
    read, report = AutoModelForCausalLM.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values()), report
    (tokens,), _ = oracle.text(1, length=23)
    comparison.assert_agree(logits(read, tokens), logits(model, tokens), 1e-5)


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory):
    """A random model of the full shape, and the folder that it is saved in."""
    torch.manual_seed(0)
    model, folder = LlamaForCausalLM(LlamaConfig(**SMOLLM2)), tmp_path_factory.mktemp("smollm2")
    model.save_pretrained(folder)
    return model, folder


def test_logits_of_the_full_shape_agree(smollm2):
    model, folder = smollm2
    config, weights = load_base(folder)
    assert sum(W.size for W in weights.values()) == 134_515_008
    tokens = np.random.default_rng(0).integers(0, 49152, (2, 64))
    found, expected = {"logits": forward(config, weights, tokens, Sites(ops=ops.compiled()))[0]}, logits(model, tokens)
    comparison.assert_agree(found, expected, 1e-4)
    assert np.array_equal(found["logits"].argmax(axis=1), expected["logits"].argmax(axis=1))


@pytest.mark.skipif(sys.platform != "linux", reason="measured in /proc")
@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1.02), (torch.bfloat16, 1.2), (torch.float16, 1.2)], ids=str)
def test_the_memory_that_loading_the_full_shape_takes(smollm2, dtype, most, tmp_path):
    model, folder = smollm2
    if dtype != torch.float32:
        folder = tmp_path
        model.to(dtype).save_pretrained(folder)
    found = growth(folder)
    print(f"{dtype}: {found:.3f} times the float32 model")
    assert 0.95 < found < most
