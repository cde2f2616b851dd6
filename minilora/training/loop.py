"""The training loop: batches in, gradients, a step of AdamW, and now and then a look at text that is held out.

A run is a plain record (Run) that each step changes in place. Everything random is drawn from (seed, step), so that a run stopped
anywhere and resumed from its checkpoint ends in the same bits as one that was never stopped.
"""

import math
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from numbers import Integral

import numpy as np
from tqdm.auto import tqdm

from minilora.counting.memory import ledger, refuse_beyond
from minilora.files.atomic import refuse_unwritable
from minilora.training import checkpoint
from minilora.training.buffer import flatten
from minilora.training.gradients import evaluate, step_gradients, workers
from minilora.training.schedule import warmup_cosine


@dataclass(frozen=True)
class Recipe:
    """What to do, apart from the method and the text. `batch` rows of `length` tokens a step; ValueError where a value makes no sense."""

    steps: int = 300
    batch: int = 16
    length: int = 192
    learning_rate: float = 1e-2
    warmup: int = 20
    weight_decay: float = 0.0  # on matrices only, as is the custom
    beta2: float = 0.99
    clip: float = 1.0
    accumulation: int = 1  # portions of a batch that are taken one after the other
    shards: int = 2  # parts of a portion that workers share; a part of the recipe, since the order of addition shows in the last bits
    evaluate_every: int = 100
    held_out: int = 64  # rows of held-out text
    seed: int = 0

    def __post_init__(self):
        for dial in fields(self):
            if dial.type is int and not isinstance(getattr(self, dial.name), Integral):
                raise ValueError(f"{dial.name} is {getattr(self, dial.name)!r}, it must be a whole number")
        ones = ("steps", "batch", "length", "accumulation", "shards", "evaluate_every", "held_out")
        for name, least in {**dict.fromkeys(ones, 1), **dict.fromkeys(("warmup", "weight_decay", "seed"), 0)}.items():
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} is {getattr(self, name)}, it must be at least {least}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning rate {self.learning_rate} must be above 0 and finite: 1e-2 suits LoRA here, 1e-3 full fine-tuning")
        if not (self.clip > 0 and 0 <= self.beta2 < 1):
            raise ValueError(f"clip is {self.clip} and beta2 {self.beta2}: the one must be above 0, the other in 0 <= beta2 < 1")
        if self.batch < self.accumulation * self.shards:
            raise ValueError(
                f"a batch of {self.batch} rows cannot be cut into {self.accumulation} x {self.shards} shards: enlarge it or take fewer"
            )


class Diverged(ValueError):
    """The loss is no longer a finite number."""


@dataclass
class Run:
    """The state of a run. `arrays` are the method's; those that train are views of the flat p (P,), as are the moments m, v (P,)."""

    arrays: dict
    p: np.ndarray
    m: np.ndarray
    v: np.ndarray
    step: int = 0
    log: list = field(default_factory=list)  # rows: step, loss, held_out, excess (nats a character), seconds (a step)


def start(method, arrays):
    """A run at step 0 for the method's arrays: the trainable ones are moved into one flat buffer."""
    p, trainable = flatten(arrays, method.trainable(arrays))  # (P,)
    return Run({**arrays, **trainable}, p, np.zeros_like(p), np.zeros_like(p))


@contextmanager
def until_interrupted():
    """Ctrl-C, or a request to terminate, asks the loop to stop after the step that it is in; a second one stops it at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number, frame):
        asked.set()
        signal.signal(number, before[number])

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def room(config, method, recipe):
    """The tokens of the context that are left for text. ValueError for rows that are longer."""
    context = config.max_position_embeddings
    left = context - method.positions
    if left < 1:
        raise ValueError(f"{method.name} takes {method.positions} tokens and the context has {context}, which leaves none: give it fewer")
    if recipe.length > left:
        taken = f" (of {context}; {method.name} takes {method.positions})" if method.positions else ""
        raise ValueError(f"length is {recipe.length}, and the context has room for {left} tokens{taken}: choose {left} or less")
    return left


def refuse_too_large(config, recipe, num_workers):
    """ValueError for a step whose activations, those of the shards that are worked on at the same time, do not fit this machine."""
    rows = math.ceil(recipe.batch / (recipe.accumulation * recipe.shards)) * min(num_workers, recipe.shards)
    parts = ledger(config, own=0, trainable=0, batch=rows, length=recipe.length, recompute=False)  # activations and logits alone
    refuse_beyond(sum(parts.values()), f"a step of {recipe.batch:,} x {recipe.length:,} tokens", "take a smaller batch or length")


def train(config, base, method, corpus, recipe, ops, folder=None, resume=False, num_workers=2, progress=True):
    """Train the method's arrays on the corpus; the base is only read -> the finished Run.

    With a `folder`, new or empty, a checkpoint is kept there, and `resume` goes on from it. Raises Diverged where a loss or the gradient
    stops being finite: the last good state, the one of the last evaluation, is in the checkpoint then; KeyboardInterrupt on Ctrl-C,
    after saving; ValueError for text that is too short and for rows that are too long.
    """
    # What cannot work is refused before any work is done.
    path = checkpoint.place(folder, resume)
    if num_workers < 1:
        raise ValueError(f"num_workers is {num_workers}, it must be at least 1")
    space = room(config, method, recipe)
    refuse_too_large(config, recipe, num_workers)
    corpus.train_batch(np.random.default_rng(0), 1, recipe.length)
    held_out = corpus.held_out(recipe.held_out, space)
    entropy = corpus.entropy(recipe.held_out)

    run = start(method, method.init(config, base, np.random.default_rng([recipe.seed, 0])))
    method.sites(config, run.arrays, ops)  # dials that make no sense, an alpha of zero for one
    shapes = {name: run.arrays[name].shape for name in method.trainable(run.arrays)}
    multiples = method.learning_rates({name: run.arrays[name] for name in shapes})
    multiples = np.concatenate([np.full(math.prod(shape), multiples[name], run.p.dtype) for name, shape in shapes.items()])  # (P,)
    decays = np.concatenate([np.full(math.prod(shape), recipe.weight_decay * (len(shape) > 1), run.p.dtype) for shape in shapes.values()])
    g = np.empty_like(run.p)  # (P,)

    if path:
        refuse_unwritable(path)
        description = checkpoint.describe(method, recipe, corpus, base)
    if resume:
        checkpoint.restore(path, run, description)

    good = first = run.step
    seconds = 0.0

    def save():
        if path:
            checkpoint.save(path, run, description)

    def refuse(what):
        smaller = ", a smaller alpha" if hasattr(method, "alpha") else ""
        advice = f"try a learning rate below {recipe.learning_rate:g}{smaller} or a longer warm-up"
        kept = f", in a new folder; the last good state, of step {good}, is in {path}" if path and path.is_file() else ""
        raise Diverged(f"{what}: {advice}{kept}")

    bar = tqdm(total=recipe.steps, initial=run.step, desc=f"{method.name} on {corpus.name}", unit="step", disable=not progress)
    with workers(num_workers) as pool, until_interrupted() as asked, bar:
        while run.step < recipe.steps:
            began = time.perf_counter()
            seed = (recipe.seed, 1 + run.step)
            inputs, targets = corpus.train_batch(np.random.default_rng(seed), recipe.batch, recipe.length)  # (batch, length) each
            loss, grads = step_gradients(
                pool, config, base, method, run.arrays, ops, inputs, targets, recipe.shards, recipe.accumulation, seed
            )
            loss += method.penalty(run.arrays, grads)
            np.concatenate([grads[name].ravel() for name in shapes], out=g)
            norm = ops.clip(g, recipe.clip)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                refuse(f"the loss at step {run.step + 1} is {loss} and the gradient's norm {norm}")
            share = warmup_cosine(run.step, recipe.steps, recipe.warmup)
            run.step += 1
            rate = (recipe.learning_rate * share * multiples).astype(run.p.dtype)  # (P,)
            ops.adamw_step(run.p, g, run.m, run.v, run.step, rate, decays, beta2=recipe.beta2)
            method.after_step(run.arrays, grads, run.step, recipe.steps)

            seconds += time.perf_counter() - began
            tokens = recipe.batch * recipe.length * (run.step - first)
            bar.set_postfix_str(f"loss {loss:.3f}, {tokens / seconds:,.0f} tokens/s", refresh=False)
            bar.update()
            if run.step % recipe.evaluate_every == 0 or run.step == recipe.steps:
                held = evaluate(pool, config, base, method, run.arrays, ops, *held_out)
                if not math.isfinite(held):
                    refuse(f"the held-out loss after step {run.step} is {held}")
                excess = None if entropy is None else held - entropy
                run.log.append(
                    {"step": run.step, "loss": loss, "held_out": held, "excess": excess, "seconds": seconds / (run.step - first)}
                )
                save()
                good = run.step
            if asked.is_set():
                save()
                kept = f"; it is kept in {path}, from which --resume (resume=True) goes on" if path else ""
                raise KeyboardInterrupt(f"stopped after step {run.step}{kept}")
    return run
