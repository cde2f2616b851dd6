"""Processes that are killed at a chosen moment. Reads jobs, a line of JSON each: [task, folder, n, what the task needs].

Each job is done in a process of its own, forked from this one, which kills itself at its n-th event (0: never). Events are the file
operations of a save, each before it is done, the middle of a write, and the middle of a training step. The answer is a line of JSON
again: the events that there were. The forks are made before there are threads.
"""

import builtins
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from small_run import BASE, CONFIG, METHOD, run

from minilora.files.huggingface import save_base
from minilora.files.peft import save_adapter
from minilora.methods import LoRA


def train(folder, announce, steps):
    """Go on from the checkpoint in the folder, or begin."""

    class Announcing(LoRA):
        def after_step(self, arrays, grads, step, steps):
            announce("step")

    run(folder, resume=(folder / "checkpoint.safetensors").is_file(), method=Announcing(**vars(METHOD)), steps=steps)


def adapter(folder, announce, value):
    """Save an adapter in which every number, and alpha, is `value`."""
    method = replace(METHOD, alpha=value)
    save_adapter(folder, CONFIG, method, {name: np.full(shape, value) for name, shape in method.shapes(CONFIG).items()}, "small")


def base(folder, announce, value):
    """Save a model in which every gain, and epsilon, is `value`."""
    weights = {name: np.full_like(array, value) if array.ndim == 1 else array for name, array in BASE.items()}
    save_base(folder, replace(CONFIG, rms_norm_eps=value), weights)


class Announced:
    """A file open for writing that announces what is done to it."""

    def __init__(self, file, announce):
        self.file, self.announce = file, announce
        self.fileno = file.fileno

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.announce("close")
        self.file.close()

    def write(self, data):
        self.announce("write")
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        self.announce("half written")
        self.file.write(data[len(data) // 2 :])

    def flush(self):
        self.announce("flush")
        self.file.flush()


def announce_operations(announce):
    """From now on every operation that changes a file or folder is announced before it is done."""

    def first(name, operation):
        def announce_and_do(*args, **options):
            announce(name)
            return operation(*args, **options)

        return announce_and_do

    for name in ("mkdir", "unlink", "fsync", "replace"):
        setattr(os, name, first(name, getattr(os, name)))
    plain, opened = open, first("open", open)
    builtins.open = lambda path, mode="r", **options: (
        Announced(opened(path, mode), announce) if "w" in mode else plain(path, mode, **options)
    )


def do(task, folder, n, *needs):
    """-> the events of the task, the last of which was its end if there are n."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        left = n

        def announce(event):
            nonlocal left
            left -= 1
            os.write(write, f"{event}\n".encode())
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        announce_operations(announce)
        {"train": train, "adapter": adapter, "base": base}[task](Path(folder), announce, *needs)
        os._exit(0)
    os.close(write)
    with open(read) as pipe:
        events = pipe.read().split("\n")[:-1]
    _, status = os.waitpid(child, 0)
    if status != (signal.SIGKILL if len(events) == n else 0):
        raise ChildProcessError(f"{task} ended with status {status} after {events}")
    return events


if __name__ == "__main__":
    for job in sys.stdin:
        print(json.dumps(do(*json.loads(job))), flush=True)
