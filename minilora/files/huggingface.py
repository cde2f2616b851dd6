"""Checkpoints as Hugging Face keeps them: config.json beside model.safetensors, or beside shards and their index.

Files hold a linear layer's weight as (out, in), memory as (in, out); the embedding is (V, d) in both. The transposed view of an array
that was read is as fast in a matrix product as a copy, so none is made: a float32 file is mapped, and its weights are views of it. Numbers
of 16 bits are widened to float32, a few rows at a time. A mapped file must not be written over in its place; save_base does not.

Left out: pickled checkpoints, weights that are quantised in the file. They are refused.
"""

import mmap
from pathlib import Path

import ml_dtypes
import numpy as np

from minilora.files.architectures import complain, read_config, settings
from minilora.files.atomic import json_bytes, make_folder, write_together
from minilora.files.safetensors import load_arrays, serialise
from minilora.files.strict_json import read_json, short

WIDENED = [np.dtype(dtype) for dtype in (np.float16, ml_dtypes.bfloat16, np.float64)]  # to float32; float64 is narrowed
PIECE = 2**22  # numbers that are widened at a time
SPECIAL = {"bos_token_id": 0, "eos_token_id": 10}  # of the bases whose tokens are bytes: a begin mark, and the end of a line


def turned(name, array):
    """From a file's orientation to memory's, or back: matrices are transposed, but for the embedding."""
    return array if array.ndim < 2 or name == "model.embed_tokens.weight" else array.T


def save_base(folder, config, weights, special=SPECIAL):
    """Write the folder. ValueError for a Config that no Hugging Face model has."""
    described = settings(config)
    weights = {name: turned(name, np.asarray(weights[name])) for name in config.shapes()}
    described |= {**special, "dtype": weights["model.norm.weight"].dtype.name}
    write_together(folder, {"model.safetensors": serialise(weights, {"format": "pt"}), "config.json": json_bytes(described)})


def save_model(folder, config, weights, tokenizer=None):
    """Write the folder of a model with its tokenizer; without one a token is a byte."""
    if tokenizer is None:
        save_base(folder, config, weights)
    else:
        tokenizer.save(make_folder(folder))
        save_base(folder, config, weights, tokenizer.special)


def load_base(folder):
    """-> Config, weights: name -> read-only float32 array in memory's orientation.

    Raises FileNotFoundError for a file that is missing, ValueError for a model that cannot be run here (files/architectures.py), for
    tensors that are missing, unexpected, or of a wrong shape or type, and for numbers that are not finite.
    """
    folder = Path(folder)
    config = read_config(folder)
    stored = read_tensors(folder, config)
    check_tensors(folder, config, stored)
    return config, {name: turned(name, in_float32(f"{folder}: {name}", stored[name])) for name in config.shapes()}


def read_tensors(folder, config):
    """Name -> array as it lies in the folder's files, without those that no model needs. Raises as load_base for broken files."""
    stored = {}
    for shard in shards(folder):
        arrays, _ = load_arrays(folder / shard)
        complain(folder / shard, "holds once more the tensor", arrays.keys() & stored.keys(), "fetch the folder again")
        stored |= arrays
    # Old files carry a table of the rotation; some with a tied head carry it all the same.
    passed_over = ["lm_head.weight"] if config.tie_word_embeddings else []
    stored = {name: array for name, array in stored.items() if not name.endswith("rotary_emb.inv_freq") and name not in passed_over}
    if config.num_hidden_layers > len(stored):  # each of them has several tensors, and is named one by one below
        raise ValueError(f"{folder}: config.json asks for {config.num_hidden_layers:,} layers, and there are {len(stored)} tensors in all")
    return stored


def check_tensors(folder, config, stored):
    """ValueError unless the tensors of a folder have the names and shapes that its config.json asks for."""
    shapes, advice = config.shapes(), "do config.json and the weights belong together?"
    complain(folder, "lacks the tensor", shapes.keys() - stored.keys(), advice)
    complain(folder, "has the unexpected tensor", stored.keys() - shapes.keys(), advice)
    for name, shape in shapes.items():
        found = turned(name, stored[name]).shape
        if found != shape:
            raise ValueError(f"{folder}: {name} is {found} (in, out) and config.json asks for {shape}: do the two belong together?")


def shards(folder):
    """The names of the files that hold a folder's tensors. ValueError for an index that is none, or that leads out of the folder."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        if not (folder / "model.safetensors").is_file() and any(folder.glob("*.bin")):
            raise ValueError(f"{folder} holds pickled weights (*.bin), which may run any code: fetch or convert to model.safetensors")
        return ["model.safetensors"]
    where = read_json(index).get("weight_map")
    if (
        not isinstance(where, dict)
        or not where
        or not all(isinstance(name, str) and Path(name).name == name != "" for name in where.values())
        or not all(name.isprintable() and len(name) < 256 for name in where.values())
    ):
        raise ValueError(f"{index} has the weight_map {short(where)}, and not a file of its folder for each tensor")
    return sorted(set(where.values()))


def in_float32(what, array):
    """A mapped array in float32, read-only: itself if it is. ValueError for other numbers, and for what is not finite."""
    if array.dtype in WIDENED:
        array = widened(array)
    elif array.dtype != np.float32:
        raise ValueError(f"{what} is of type {array.dtype}, and weights are read as float32, float16 or bfloat16")
    if not np.isfinite([array.min(), array.max()]).all():  # a NaN is both; and no array of answers is made
        raise ValueError(f"{what} holds numbers that are not finite: the file is broken, fetch it again")
    return array


def widened(array):
    """A copy in float32. Of the file no more than a piece is in memory at a time."""
    wide = np.empty(array.shape, np.float32)
    rows = max(1, PIECE // (array.size // len(array)))
    for start in range(0, len(array), rows):
        with np.errstate(over="ignore"):  # a float64 that is too large becomes infinite, and is refused as such
            wide[start : start + rows] = array[start : start + rows]
        let_go(array)
    wide.setflags(write=False)
    return wide


def let_go(array):
    """Take the pages of a mapped array's file out of memory; whoever reads it again brings them back. Any other array stays as it is."""
    owner = array
    while isinstance(owner, np.ndarray | memoryview):
        owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)
