"""Adapters as PEFT keeps them: adapter_config.json beside adapter_model.safetensors.

A method says what it is called there and under which names its arrays go (`peft_type`, `peft_settings`, `peft_names`, `from_peft`), or
which relative is written in its place (`exported`); this file only turns the arrays round and reads strictly. PEFT itself loads a file
with a wrong prefix as an adapter that does nothing; here a missing or an unexpected name is an error.
"""

from pathlib import Path

import numpy as np

from minilora.files.atomic import save_arrays, write_json
from minilora.files.huggingface import complain
from minilora.files.safetensors import load_arrays
from minilora.files.strict_json import read_json
from minilora.methods import METHODS, Method

PREFIX = "base_model.model."
COMMON = {
    "task_type": "CAUSAL_LM",
    "inference_mode": True,
    "revision": None,
    "peft_version": "0.21.2",  # the version whose format this is
}


def file_names(method, config):
    """Array name -> its name in the file. What belongs to a module of the base is found under the prefix; the rest bears its full name."""
    names = method.peft_names(config)
    return {name: PREFIX + key if key.startswith(("model.", "lm_head.")) else key for name, key in names.items()}


def turned(key, array):
    """From the file's orientation to memory's, or back: matrices are transposed, but for embeddings."""
    return array if array.ndim < 2 or key == "prompt_embeddings" else array.T


def has_place(method):
    """Whether PEFT's format has a place for the method, or for the relative that is written instead."""
    return method.peft_type is not None or type(method).exported is not Method.exported


def save_adapter(folder, config, method, arrays, base_name):
    """Write the folder; adapter_config.json, which makes it one, goes first and comes last. ValueError for a method that PEFT lacks."""
    method, arrays = method.exported(config, arrays)
    if method.peft_type is None:
        raise ValueError(f"{method.name} has no place in PEFT's format: merge it and save the base that results")
    tensors = {key: turned(key, arrays[name]) for name, key in file_names(method, config).items()}
    (Path(folder) / "adapter_config.json").unlink(missing_ok=True)
    save_arrays(Path(folder) / "adapter_model.safetensors", tensors, {"format": "pt"})
    settings = {"peft_type": method.peft_type, "base_model_name_or_path": base_name, **method.peft_settings(config)}
    write_json(Path(folder) / "adapter_config.json", {**COMMON, **settings})


def read_settings(folder):
    """What adapter_config.json says. FileNotFoundError or ValueError, in one line."""
    return read_json(Path(folder) / "adapter_config.json")


def load_adapter(folder, config):
    """-> method, arrays: name -> float32 array. ValueError where the file and the model do not fit each other exactly."""
    settings = read_settings(folder)
    reader = next((method for method in METHODS if method.reads(settings)), None)
    if reader is None:
        types = sorted({method.peft_type for method in METHODS if method.peft_type})
        raise ValueError(f"{folder} holds an adapter of type {settings.get('peft_type')!r}; these are read: {', '.join(types)}")
    method = reader.from_peft(settings, config)
    path = Path(folder) / "adapter_model.safetensors"
    stored, _ = load_arrays(path)
    # PEFT adds the whole embedding or head when it is a target, and older versions the adapter's name.
    stored = {name.replace(".default.", "."): array for name, array in stored.items() if not name.endswith(".base_layer.weight")}
    names = file_names(method, config)
    complain(path, "lacks the tensor", set(names.values()) - stored.keys())
    complain(path, "has the unexpected tensor", stored.keys() - set(names.values()))
    for name, shape in method.shapes(config).items():
        found, wanted = stored[names[name]].shape, turned(names[name], np.empty(shape)).shape  # as the file has them
        if found != wanted:
            raise ValueError(f"{path}: {names[name]} is {found} and this base needs {wanted}: load the base that it was made for")
        if not np.isfinite(stored[names[name]]).all():
            raise ValueError(f"{path}: {names[name]} holds numbers that are not finite: the file is broken")
    return method, {name: np.ascontiguousarray(turned(key, stored[key]), np.float32) for name, key in names.items()}
