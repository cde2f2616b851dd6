"""An adapter's folder, as the tests of what is refused begin with it, and ways to spoil it."""

import json

import numpy as np

from minilora.files.atomic import save_arrays
from minilora.files.peft import PREFIX, save_adapter
from minilora.files.safetensors import load_arrays
from minilora.methods import LoRA
from minilora.methods.check import tiny_model

CONFIG, WEIGHTS, TOKENS, _ = tiny_model()  # 2 layers, d = 12, f = 10, V = 13; q is 24 wide, k and v 12
METHOD = LoRA(2, 6, ("q_proj", "down_proj"))  # 8 tensors
Q, DOWN = (f"{PREFIX}model.layers.{name}_proj" for name in ("0.self_attn.q", "1.mlp.down"))


def written(folder, method=METHOD, config=CONFIG):
    """An adapter as in the midst of training, in float32, written to the folder -> its arrays."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(1, 0.3, shape).astype(np.float32) for name, shape in method.shapes(config).items()}
    save_adapter(folder, config, method, arrays, "tiny")
    return arrays


def change_settings(folder, changes):
    """Set settings; None is null."""
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def change_tensors(folder, change):
    """Give the tensors to a function that changes them, and write what it returns, or else the same dictionary, without a digest."""
    path = folder / "adapter_model.safetensors"
    tensors = {name: np.array(array) for name, array in load_arrays(path)[0].items()}
    save_arrays(path, change(tensors) or tensors, {"format": "pt"})


def put(name, array):
    return lambda tensors: tensors.update({name: array})
