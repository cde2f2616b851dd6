"""A checkpoint is one file: all that a run needs to go on and end in the same bits.

It holds the method's arrays, AdamW's two moments, the number of steps taken, and what the run was asked to do. Batches and dropout are
drawn afresh for each step from (seed, step), so the step is the random state and the position in the data as well.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from minilora.files.atomic import save_arrays
from minilora.files.safetensors import digest, load_arrays

DIGESTS = ("base", "text")  # in a description, of what is too large to stand there


def place(folder, resume):
    """The file for a run's checkpoint in a folder, None if there is no folder. What the folder holds already is not written over.

    Raises ValueError for a folder with anything in it, but for hidden files, as a process that was killed while writing may leave;
    where the run is to be resumed, FileNotFoundError for one without a checkpoint.
    """
    if folder is None:
        if resume:
            raise ValueError("there is no folder to resume from: name that of the run, or leave out resume")
        return None
    folder = Path(folder)
    path = folder / "checkpoint.safetensors"
    if resume and not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path} to resume from: name the folder of the run, or begin anew")
    if not resume and folder.is_dir() and any(not file.name.startswith(".") for file in folder.iterdir()):
        way_on = ", or go on from its checkpoint with --resume (resume=True)" if path.is_file() else ""
        raise ValueError(f"{folder} is not empty, and what is in it could be written over: name a new folder{way_on}")
    return path


def describe(method, recipe, corpus, base):
    """What a run was asked to do, as flat plain data."""
    asked = {"method": method.name, "corpus": corpus.name, "base": digest(base)}
    if hasattr(corpus, "data"):  # a text: its name may be another tomorrow, and what bears its name another text
        asked |= {"corpus": "a text", "text": digest({"data": corpus.data})}
    for part, settings in (("method", method), ("recipe", recipe)):
        asked |= {f"{part}.{name}": value for name, value in asdict(settings).items()}
    return json.loads(json.dumps(asked, default=np.generic.item))  # as it will be read again: tuples become lists


def save(path, run, description):
    """Write the run's state to the file `path`, atomically: a process killed at any moment leaves the previous one or this one."""
    tensors = {f"array.{name}": array for name, array in run.arrays.items()}
    tensors |= {"adamw.first": run.m, "adamw.second": run.v}
    save_arrays(path, tensors, {"step": str(run.step), "log": json.dumps(run.log), "run": json.dumps(description)})


def restore(path, run, description):
    """Fill `run` from the file.

    Raises ValueError, naming all that differs, where it belongs to another run, and where it is damaged: nothing is changed then.
    """
    tensors, metadata = load_arrays(path)
    damaged = ValueError(f"{path} is no checkpoint, or a damaged one: begin anew in another folder")
    try:
        stored, step, log = json.loads(metadata["run"]), int(metadata["step"]), json.loads(metadata["log"])
    except (KeyError, ValueError):
        raise damaged from None
    if stored != description:
        shared = [key for key in stored if key in description]  # two methods have different dials
        found = [_difference(key, stored[key], description[key]) for key in shared if stored[key] != description[key]]
        its = f": its {', its '.join(found)}" if found else ""
        raise ValueError(f"{path} is of another run{its}; resume with the same settings, or choose another folder")
    places = {f"array.{name}": array for name, array in run.arrays.items()} | {"adamw.first": run.m, "adamw.second": run.v}
    if any(name not in tensors or tensors[name].shape != array.shape for name, array in places.items()):
        raise damaged
    for name, array in places.items():
        array[...] = tensors[name]
    run.step, run.log = step, log


def _difference(key, stored, asked):
    """One thing in which two runs differ, by the name that its option has."""
    if key in DIGESTS:
        return f"{key} is another"
    return f"{key.rpartition('.')[2].replace('_', ' ')} is {stored}, not {asked}"
