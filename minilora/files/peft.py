"""Adapters as PEFT keeps them: adapter_config.json beside adapter_model.safetensors.

A method says what it is called there and under which names its arrays go (`peft_type`, `peft_settings`, `peft_names`, `from_peft`), or
which relative is written in its place (`exported`); this file turns the arrays round. What is read is checked by peft_settings.py and
peft_tensors.py: PEFT itself loads a file under wrong names as an adapter that does nothing; here that is an error.

A file that is written here carries a hash of its tensors, by which a bit that was lost on the way is found; PEFT passes over it, and a
file without one is taken as it is.
"""

import warnings
from pathlib import Path

import numpy as np

from minilora.files.atomic import json_bytes, write_together
from minilora.files.peft_settings import method_of, read_settings
from minilora.files.peft_tensors import PREFIX, check_tensors, without_adapter_name
from minilora.files.safetensors import digest, load_arrays, serialise
from minilora.methods import Method

EMBEDDING = "model.embed_tokens"
COMMON = {
    "task_type": "CAUSAL_LM",
    "inference_mode": True,
    "revision": None,
    "peft_version": "0.21.2",  # the version whose format this is
}
DIGEST = "minilora.sha256"  # its name in the metadata


def file_names(method, config):
    """Array name -> its name in the file. What belongs to a module of the base is found under the prefix; the rest bears its full name."""
    names = method.peft_names(config)
    return {name: PREFIX + key if key.startswith(("model.", "lm_head.")) else key for name, key in names.items()}


def turns(key):
    """Whether a matrix lies in the file transposed. Embeddings do not, be they of a prompt or the base's own."""
    return key not in ("prompt_embeddings", f"{PREFIX}{EMBEDDING}.weight")


def turned(key, array):
    """From the file's orientation to memory's, or back."""
    return array.T if array.ndim == 2 and turns(key) else array


def file_shapes(method, config):
    """Name in the file -> shape in the file."""
    names, shapes = file_names(method, config), method.shapes(config)
    return {key: shapes[name][::-1] if turns(key) else shapes[name] for name, key in names.items()}


def whole_bases(method, config):
    """Name -> shape of what PEFT adds to the file when the embedding or the head is a target: the base's own matrix, which is not read."""
    adapted = {name.rpartition(".")[0] for name in method.shapes(config)}
    shape = (config.vocab_size, config.hidden_size)
    return {f"{PREFIX}{name}.base_layer.weight": shape for name in (EMBEDDING, "lm_head") if name in adapted}


def save_adapter(folder, config, method, arrays, base_name, dtype=np.float32):
    """Write the folder. What cannot be written leaves the old one as it is.

    Raises ValueError for a method that PEFT does not have, and for a number too large for the dtype.
    """
    method, arrays = method.exported(config, arrays)
    if method.peft_type is None:
        raise ValueError(f"{method.name} has no place in PEFT's format: {_way_out(method)}")
    tensors = {key: as_dtype(key, turned(key, arrays[name]), dtype) for name, key in file_names(method, config).items()}
    settings = {"peft_type": method.peft_type, "base_model_name_or_path": base_name, **method.peft_settings(config)}
    files = {
        "adapter_model.safetensors": serialise(tensors, {"format": "pt", DIGEST: digest(tensors)}),
        "adapter_config.json": json_bytes({**COMMON, **settings}),
    }
    write_together(folder, files)


def _way_out(method):
    """What can be done with an adapter that has no place in PEFT's format."""
    if type(method).merge is not Method.merge:
        return "merge it, and save the base that results"
    return "keep its `arrays` (numpy.savez takes them), from which Adapter(...) makes it again; or train a lora, an ia3 or a prefix"


def as_dtype(name, array, dtype):
    """The array in another dtype. ValueError where a finite number becomes infinite."""
    with np.errstate(over="ignore"):
        result = array.astype(dtype, copy=False)
    if np.isfinite(array).all() and not np.isfinite(result).all():
        raise ValueError(f"{name} holds {np.abs(array).max():.3g}, which {np.dtype(dtype).name} cannot: choose bfloat16 or float32")
    return result


def read_tensors(folder):
    """-> the path of an adapter's tensors, name -> array as they lie there, and whether the file carries a hash.

    Raises FileNotFoundError where there are none or they are pickled, ValueError where they do not have the hash.
    """
    path = Path(folder) / "adapter_model.safetensors"
    if not path.is_file() and (pickled := Path(folder) / "adapter_model.bin").is_file():
        raise FileNotFoundError(
            f"there is no {path}, and {pickled.name} is pickled, which can run code: save it with safe_serialization=True"
        )
    stored, metadata = load_arrays(path)
    if DIGEST in metadata and metadata[DIGEST] != digest(stored):
        raise ValueError(f"{path} is not what was written: its tensors do not have the hash in its header; copy or save it again")
    return path, stored, DIGEST in metadata


def load_adapter(folder, config):
    """-> method, arrays: name -> float32 array.

    Raises FileNotFoundError, or ValueError where the files and the model do not fit each other exactly: nothing is loaded then. Warns of an
    adapter that changes nothing.
    """
    method = method_of(read_settings(folder), config, Path(folder) / "adapter_config.json")
    path, stored, _ = read_tensors(folder)
    stored = without_adapter_name(stored, path)
    names = file_names(method, config)
    check_tensors(path, stored, file_shapes(method, config), whole_bases(method, config), config)
    arrays = {name: np.array(turned(key, stored[key]), np.float32, order="C") for name, key in names.items()}
    if method.changes_nothing(config, arrays):
        warnings.warn(f"{path} changes nothing: all of its updates are zero, as before the first step of training", stacklevel=2)
    return method, arrays
