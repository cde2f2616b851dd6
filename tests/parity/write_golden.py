"""Write tests/golden, with which tests/test_golden.py checks minilora where there is no PyTorch:  python tests/parity/write_golden.py

base/ is saved by transformers and adapter/ by PEFT, in float32; expected.safetensors holds what PyTorch computes from them in float64, in
its own names and orientation: logits, losses, gradients, and the losses of ten steps of AdamW.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import oracle

from minilora.files.atomic import save_arrays

FOLDER = Path(__file__).parents[1] / "golden"
TRAINING = {**oracle.TRAINING, "limit": 1.4}  # some steps are clipped and some are not


def models():
    """The base, and a copy of it with the adapter, in float64."""
    settings = {"r": 3, "lora_alpha": 7, "target_modules": [*oracle.LINEARS, "embed_tokens", "lm_head"]}
    return oracle.tiny_llama(double=True), oracle.peft_lora(oracle.tiny_llama(double=True), **settings)


def expected():
    """Name -> array: tokens and targets (10, rows, T), and what the two models make of them."""
    tokens, targets = oracle.text(10)
    arrays = {"tokens": tokens, "targets": targets}
    for kind, model in zip(("base", "adapter"), models(), strict=True):
        outputs, grads = oracle.run(model, tokens[0], targets[0])
        arrays |= {f"{kind}/{name}": np.atleast_1d(array) for name, array in outputs.items()}
        arrays |= {f"{kind}/gradient/{name}": grad for name, grad in grads.items()}
    return arrays | {"losses": oracle.train(model, tokens, targets, **TRAINING)}


def main():
    base, adapted = models()
    base.float().save_pretrained(FOLDER / "base")
    adapted.float().save_pretrained(FOLDER / "adapter")
    (FOLDER / "base" / "generation_config.json").unlink()
    (FOLDER / "adapter" / "README.md").unlink()
    metadata = {name: version(name) for name in ("torch", "transformers", "peft")} | {"training": json.dumps(TRAINING)}
    save_arrays(FOLDER / "expected.safetensors", expected(), metadata)


if __name__ == "__main__":
    main()
