"""Files that are either there as a whole or not there: written beside their place, flushed to the disk, then renamed into it."""

import json
import os
from pathlib import Path

import numpy as np

from minilora.files.safetensors import serialise


def make_folder(folder):
    """Make the folder unless it is there -> its Path. NotADirectoryError where a file is in the way."""
    if folder == "":  # as a variable that is not set leaves it; Path would make it the current folder
        raise ValueError("an empty name is no folder: name one, or '.' for the current folder")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise NotADirectoryError(f"{folder} cannot be a folder, for a file is in the way: choose another name") from None
    return folder


def write_bytes(path, data):
    """Put `data` in the file `path`. A process killed at any moment leaves the old file or the new one, never a part of one."""
    path = Path(path)
    make_folder(path.parent)
    os.replace(_beside(path, data), path)


def refuse_unwritable(path):
    """OSError where the file `path` could not be written; its folder is made. For what is to be known before the work and not after it."""
    path = Path(path)
    make_folder(path.parent)
    beside = _name_beside(path)
    beside.open("wb").close()
    beside.unlink()


def write_together(folder, files):
    """Put name -> data in a folder, the last of which makes it one: it goes first and comes last.

    A process killed in between leaves no mixture of two folders; where one of the files cannot be written, the old ones are untouched.
    """
    folder = make_folder(folder)
    written = {folder / name: _beside(folder / name, data) for name, data in files.items()}
    list(written)[-1].unlink(missing_ok=True)
    for path, beside in written.items():
        os.replace(beside, path)


def _name_beside(path):
    return path.with_name(f".{path.name}.partial")


def _beside(path, data):
    """Write `data` beside the file `path` -> where, to be renamed into it. IsADirectoryError where a folder has the name."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, and a file is to be written there: choose another name")
    beside = _name_beside(path)
    try:
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # the content must be on the disk before the name points to it
    except BaseException:  # a full disk, for one, has need of the room
        beside.unlink(missing_ok=True)
        raise
    return beside


def json_bytes(value):
    """A value as JSON, in the order given: the first pattern that matches is the one that counts. NumPy's numbers are numbers."""
    return (json.dumps(value, indent=2, default=np.generic.item) + "\n").encode()


def write_json(path, value):
    """Put a value in the file `path` as JSON."""
    write_bytes(path, json_bytes(value))


def save_arrays(path, arrays, metadata=None):
    """Write name -> array as a safetensors file, with `metadata` (strings) in its header."""
    write_bytes(path, serialise(arrays, metadata or {}))
