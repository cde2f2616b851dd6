"""One training, and all that is asked about it: what was learned, what was forgotten, whether the voice is obeyed, what it cost."""

import os
import socket
import time
import warnings
from functools import lru_cache

from minilora import api, ops
from minilora.lab import fit
from minilora.lab.threads import in_use
from minilora.methods import Method
from minilora.training import corpora
from minilora.training.gradients import evaluate, workers
from minilora.training.loop import Diverged
from minilora.training.voices import VOICES

PROMPT, TEXTS = "once upon a time", 8
OLD, ROWS = "stories", 64  # what the base that comes with the package was trained on
RESULTS = (
    *("status", "parameters", "loss", "held_out_loss", "excess", "forgotten", "obeyed", "seconds"),
    *("blas_threads", "numba_threads", "process"),
)


def train_and_measure(base, method, corpus, recipe):
    """Train, with one thread -> a dictionary of plain values:

    status        "done", or "diverged": then only parameters and seconds are known
    parameters    the numbers that train
    loss          of the last batch, in nats a token; held_out_loss: on held-out text; excess: how far that is above the best, if known
    forgotten     how far the loss on stories has risen with the adapter on (None for a base that cannot read them)
    obeyed        the share, by the voice's checker, of 8 texts (None for a corpus that is no voice)
    seconds       that the training took
    blas_threads, numba_threads, process    what it had, and where it ran
    """
    began = time.perf_counter()
    row = {"status": "done", "parameters": method.count(base.config)}
    row |= dict.fromkeys(("loss", "held_out_loss", "excess", "forgotten", "obeyed"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what there is to say about a method is said once, before a sweep, and not in every process
            adapter = api.finetune(base, method, corpus, progress=False, num_workers=1, **vars(recipe))
    except Diverged:
        row["status"] = "diverged"
    row["seconds"] = time.perf_counter() - began
    if row["status"] == "done":
        last = adapter.log[-1]
        row |= {"loss": last["loss"], "held_out_loss": last["held_out"], "excess": last["excess"]}
        row |= {"forgotten": forgotten(base, adapter), "obeyed": obeyed(base, adapter, corpus)}
    return row | in_use() | {"process": f"{socket.gethostname()}:{os.getpid()}"}


def old_loss(base, method, arrays):
    """The loss on held-out stories; None for a base that cannot read them."""
    if base.tokenizer is not None:
        return None
    try:
        inputs, targets = corpora.load(OLD).held_out(ROWS, base.config.max_position_embeddings - method.positions)  # (rows, T) each
    except ValueError:  # its context is shorter than a story
        return None
    with workers(1) as pool:
        return evaluate(pool, base.config, base.weights, method, arrays, ops.choose(), inputs, targets)


@lru_cache(maxsize=2)
def old_loss_before(name):
    return old_loss(fit.base(name), Method(), {})


def forgotten(base, adapter):
    before = old_loss_before(base.name)
    return None if before is None else old_loss(base, adapter.method, adapter.arrays) - before


def obeyed(base, adapter, voice):
    if voice not in VOICES or base.tokenizer is not None:
        return None
    texts = base.generate(VOICES[voice].encode(PROMPT), adapter, count=TEXTS)
    return sum(map(VOICES[voice].score, texts)) / TEXTS
