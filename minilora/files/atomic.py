"""Files that are either there as a whole or not there: written beside their place, flushed to the disk, then renamed into it."""

import json
import os
from pathlib import Path

from minilora.files.safetensors import serialise


def make_folder(folder):
    """Make the folder unless it is there -> its Path. NotADirectoryError where a file is in the way."""
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
    beside = path.with_name(f".{path.name}.partial")
    with open(beside, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # the content must be on the disk before the name points to it
    os.replace(beside, path)


def write_json(path, value):
    """Put a value in the file `path` as JSON, in the order given: the first pattern that matches is the one that counts."""
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())


def save_arrays(path, arrays, metadata=None):
    """Write name -> array as a safetensors file, with `metadata` (strings) in its header."""
    write_bytes(path, serialise(arrays, metadata or {}))
