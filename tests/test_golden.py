"""The model and LoRA against what PyTorch, transformers and PEFT computed (tests/parity/write_golden.py), without any of the three."""

import json
from pathlib import Path

import comparison
import numpy as np
import pytest

from minilora import ops
from minilora.files.huggingface import load_base
from minilora.files.peft import load_adapter
from minilora.files.safetensors import load_arrays
from minilora.transformer import Sites

FOLDER = Path(__file__).parent / "golden"
EXPECTED, METADATA = load_arrays(FOLDER / "expected.safetensors")
both_ops = pytest.mark.parametrize("ops", [ops.reference(), ops.compiled()], ids=["readable", "compiled"])


def to_tolerance(float32, float64):
    cases = [(np.float32, float32), (np.float64, float64)]
    return pytest.mark.parametrize(("dtype", "tolerance"), cases, ids=["float32", "float64"])


def load(dtype):
    """-> config, weights, method, arrays: the base that transformers saved, the adapter that PEFT saved."""
    config, weights = load_base(FOLDER / "base")
    method, arrays = load_adapter(FOLDER / "adapter", config)
    weights, arrays = ({name: array.astype(dtype) for name, array in part.items()} for part in (weights, arrays))
    return config, weights, method, arrays


def starting_with(prefix):
    return {name.removeprefix(prefix): array for name, array in EXPECTED.items() if name.startswith(prefix)}


def assert_outputs_agree(outputs, kind, tolerance):
    comparison.assert_agree(outputs, {"logits": EXPECTED[f"{kind}/logits"], "loss": EXPECTED[f"{kind}/loss"][0]}, tolerance)


@both_ops
@to_tolerance(1e-5, 1e-12)
def test_the_base_has_the_logits_loss_and_gradients_of_pytorch(dtype, tolerance, ops):
    config, weights, _, _ = load(dtype)
    outputs, grads = comparison.run(config, weights, EXPECTED["tokens"][0], EXPECTED["targets"][0], Sites(weights, ops))
    assert_outputs_agree(outputs, "base", tolerance)
    comparison.assert_agree(grads, comparison.base_grads(starting_with("base/gradient/")), tolerance)


@both_ops
@to_tolerance(1e-5, 1e-12)
def test_the_adapter_has_the_logits_loss_and_gradients_of_peft(dtype, tolerance, ops):
    config, weights, method, arrays = load(dtype)
    sites = method.sites(config, arrays, ops)
    outputs, grads = comparison.run(config, weights, EXPECTED["tokens"][0], EXPECTED["targets"][0], sites)
    assert_outputs_agree(outputs, "adapter", tolerance)
    comparison.assert_agree(grads, comparison.adapter_grads(starting_with("adapter/gradient/"), method, config), tolerance)


@both_ops
@to_tolerance(1e-4, 1e-6)  # PyTorch's clipping divides by the norm plus 1e-6, a share of 1e-6 at the most where norms are above 1
def test_ten_steps_of_training_the_adapter_have_the_losses_of_pytorch(dtype, tolerance, ops):
    training = json.loads(METADATA["training"])
    losses, norms = comparison.train(*load(dtype), ops, EXPECTED["tokens"], EXPECTED["targets"], **training)
    assert 1 < min(norms) < training["limit"] < max(norms), "some steps are clipped and some are not"
    assert losses == pytest.approx(EXPECTED["losses"].tolist(), rel=tolerance)
