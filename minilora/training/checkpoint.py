"""A checkpoint is one file: all that a run needs to go on and end in the same bits.

It holds the method's arrays, AdamW's two moments, the number of steps taken, and what the run was asked to do. Batches and dropout are
drawn afresh for each step from (seed, step), so the step is the random state and the position in the data as well.
"""

import json
from dataclasses import asdict

from minilora.files.atomic import save_arrays
from minilora.files.safetensors import digest, load_arrays


def describe(method, recipe, corpus, base):
    """What a run was asked to do, as flat plain data."""
    asked = {"method": method.name, "corpus": corpus.name, "base": digest(base)}
    for part, settings in (("method", method), ("recipe", recipe)):
        asked |= {f"{part}.{name}": value for name, value in asdict(settings).items()}
    return json.loads(json.dumps(asked))  # as it will be read again: tuples become lists


def save(path, run, description):
    """Write the run's state to the file `path`, atomically: a process killed at any moment leaves the previous one or this one."""
    tensors = {f"array.{name}": array for name, array in run.arrays.items()}
    tensors |= {"adamw.first": run.m, "adamw.second": run.v}
    save_arrays(path, tensors, {"step": str(run.step), "log": json.dumps(run.log), "run": json.dumps(description)})


def restore(path, run, description):
    """Fill `run` from the file. Raises FileNotFoundError, or ValueError where the file belongs to another run: nothing is changed then."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path} to resume from: name the folder of the run, or begin anew")
    tensors, metadata = load_arrays(path)
    stored = json.loads(metadata.get("run", "{}"))
    for key in sorted(stored.keys() | description.keys()):
        if stored.get(key) != description.get(key):
            raise ValueError(
                f"{path} is of another run: its {key} is {stored.get(key)}, not {description.get(key)}; "
                "resume with the same settings, or choose another folder"
            )
    for name, array in run.arrays.items():
        array[...] = tensors[f"array.{name}"]
    run.m[...], run.v[...] = tensors["adamw.first"], tensors["adamw.second"]
    run.step, run.log = int(metadata["step"]), json.loads(metadata["log"])
