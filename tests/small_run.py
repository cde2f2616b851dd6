"""A training run small enough to be repeated a hundred times: a random model over bytes, a short text, a few steps."""

import json
from dataclasses import replace

import numpy as np

from minilora import ops
from minilora.files.safetensors import load_arrays
from minilora.methods import LoRA
from minilora.training import corpora
from minilora.training.loop import Recipe, train
from minilora.transformer import Config, init

CONFIG = Config(256, 16, 24, 2, 2, 1, max_position_embeddings=32)
BASE = init(CONFIG, np.random.default_rng(0), std=0.2)
TEXT = " ".join(map(str, range(300)))
CORPUS = corpora.from_text("counting", TEXT)
METHOD = LoRA(rank=2, alpha=6, dropout=0.2)
RECIPE = Recipe(steps=6, batch=4, length=16, warmup=2, weight_decay=0.1, evaluate_every=2, held_out=4)


def run(folder=None, resume=False, method=METHOD, num_workers=2, progress=False, base=BASE, corpus=CORPUS, **changes):
    """Train METHOD by RECIPE, but for the `changes` in it -> the finished Run."""
    recipe = replace(RECIPE, **changes)
    return train(CONFIG, base, method, corpus, recipe, ops.reference(), folder, resume, num_workers, progress)


def disturbed(at, disturb, method=METHOD):
    """The method, with something that happens to its arrays or to the process in the midst of step `at`: disturb(arrays)."""

    class Disturbed(type(method)):
        def after_step(self, arrays, grads, step, steps):
            super().after_step(arrays, grads, step, steps)
            if step == at:
                disturb(arrays)

    return Disturbed(**vars(method))


def contents(tensors, step, log):
    """Everything that counts, as one dictionary that can be compared: all but the time that it took."""
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in log]
    return {**{name: array.tobytes() for name, array in tensors.items()}, "step": step, "log": rows}


def in_memory(finished):
    """The contents of a Run."""
    arrays = {f"array.{name}": array for name, array in finished.arrays.items()}
    return contents({**arrays, "adamw.first": finished.m, "adamw.second": finished.v}, finished.step, finished.log)


def on_disk(folder):
    """The contents of the checkpoint in a folder."""
    tensors, metadata = load_arrays(folder / "checkpoint.safetensors")
    return contents(tensors, int(metadata["step"]), json.loads(metadata["log"]))
