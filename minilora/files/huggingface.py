"""Llama checkpoints as Hugging Face keeps them: config.json beside model.safetensors, or beside shards and their index.

Files hold a linear layer's weight as (out, in), memory as (in, out); the embedding is (V, d) in both. The transposed view of an array
that was read is as fast in a matrix product as a copy, so none is made.

Left out: pickled checkpoints, biases, scaled rotary embeddings, sliding windows. A checkpoint that needs one of them is refused.
"""

from pathlib import Path

import ml_dtypes  # noqa: F401  NumPy learns bfloat16, the format of most published checkpoints
import numpy as np

from minilora.counting import whole
from minilora.files.atomic import save_arrays, write_json
from minilora.files.safetensors import load_arrays
from minilora.files.strict_json import read_json
from minilora.transformer import Config

FIELDS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "rms_norm_eps",
    "tie_word_embeddings",
)


def turned(name, array):
    """From a file's orientation to memory's, or back: matrices are transposed, but for the embedding."""
    return array if array.ndim < 2 or name == "model.embed_tokens.weight" else array.T


def save_base(folder, config, weights):
    """Write the folder. config.json, which makes it one, goes first and comes last: a process killed between leaves no mixture of two."""
    folder = Path(folder)
    weights = {name: turned(name, weights[name]) for name in config.shapes()}
    (folder / "config.json").unlink(missing_ok=True)
    save_arrays(folder / "model.safetensors", weights, {"format": "pt"})
    rope = {"rope_theta": config.rope_theta, "rope_parameters": {"rope_theta": config.rope_theta, "rope_type": "default"}}
    fixed = {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "bos_token_id": 0, "eos_token_id": 10, "dtype": "float32"}
    names = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    write_json(folder / "config.json", {**names, **fixed, **rope, **{name: getattr(config, name) for name in FIELDS}})


def load_base(folder):
    """-> Config, weights: name -> float32 array in memory's orientation.

    Raises FileNotFoundError for a file that is missing, ValueError for a model that is not a plain Llama, for tensors that are missing,
    unexpected or of a wrong shape, and for numbers that are not finite.
    """
    folder = Path(folder)
    config = read_config(folder)
    index = folder / "model.safetensors.index.json"
    shards = sorted(set(read_json(index).get("weight_map", {}).values())) if index.is_file() else ["model.safetensors"]
    stored = {}
    for shard in shards:
        stored |= load_arrays(folder / shard)[0]
    stored = {name: array for name, array in stored.items() if not name.endswith("rotary_emb.inv_freq")}  # old files carry a table
    shapes = config.shapes()
    complain(folder, "lacks the tensor", shapes.keys() - stored.keys())
    complain(folder, "has the unexpected tensor", stored.keys() - shapes.keys())
    weights = {name: turned(name, stored[name].astype(np.float32, copy=False)) for name in shapes}
    for name, shape in shapes.items():
        if weights[name].shape != shape:
            raise ValueError(
                f"{folder}: {name} is {weights[name].shape} (in, out) and config.json asks for {shape}: do the two belong together?"
            )
        if not np.isfinite(weights[name]).all():
            raise ValueError(f"{folder}: {name} holds numbers that are not finite: the file is broken, fetch it again")
    return config, weights


def read_config(folder):
    """The Config in config.json; ValueError where the model needs what this one does not have."""
    values = read_json(Path(folder) / "config.json")
    rope = {"rope_theta": values.get("rope_theta", 10000.0), **(values.get("rope_scaling") or {}), **(values.get("rope_parameters") or {})}
    unsupported = {
        "model_type": values.get("model_type") != "llama",
        "hidden_act": values.get("hidden_act", "silu") != "silu",
        "attention_bias": values.get("attention_bias", False),
        "mlp_bias": values.get("mlp_bias", False),
        "rope_type": rope.get("rope_type", rope.get("type", "default")) != "default",
    }
    wrong = [name for name, is_wrong in unsupported.items() if is_wrong]
    if wrong:
        found = ", ".join(f"{name} {values.get(name, rope.get(name))!r}" for name in wrong)
        raise ValueError(f"{folder} holds a model with {found}: only plain Llama models without biases or scaled rotation are read")
    missing = [name for name in FIELDS[:5] if name not in values]
    complain(folder / "config.json", "lacks", missing)
    fields = {name: values[name] for name in FIELDS if values.get(name) is not None}
    fields |= {name: whole(f"{name} in {folder}/config.json", fields[name]) for name in FIELDS[:8] if name in fields}
    fields.setdefault("num_key_value_heads", fields["num_attention_heads"])
    return Config(**{"rms_norm_eps": 1e-6, **fields}, rope_theta=float(rope["rope_theta"]))


def complain(where, what, names):
    """ValueError that names the first of `names`, if there are any, and how many more there are."""
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise ValueError(f"{where} {what} {min(names)}{more}")
