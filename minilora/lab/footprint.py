"""The memory and the seconds of each contestant, one after the other, each in a process that was started for it.

A process keeps what it once had, and two trainings at a time share a memory bus: neither can be measured beside others. Before the clock
starts, a tiny model takes the same way, so that imports and compiled code are there. The peak is what the process then grows by: the
base, the method's arrays, gradients, moments and activations. Only Linux tells it; elsewhere the column stays empty.
"""

import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from tqdm.auto import tqdm

from minilora import api, ops
from minilora.files.atomic import write_json
from minilora.lab.contestants import CONTESTANTS
from minilora.lab.trials import file_of, read
from minilora.methods import LoftQ, Method
from minilora.training.gradients import workers
from minilora.transformer import Config, model
from minilora.transformer.generate import generate

TINY = Config(hidden_size=64, intermediate_size=64, num_hidden_layers=2)
STEPS, TOKENS, REPEATS = 20, 48, 5
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def measure(names, folder, voice, batch, length, again=False, progress=True):
    """A row for each contestant, kept as a file in the folder: what is there is measured only if it is asked for `again`."""
    rows = []
    for name in tqdm(names, desc="memory and seconds", unit="method", disable=not progress):
        trial = {"contestant": name, "voice": voice, "batch": batch, "length": length}
        file = file_of(footprint, trial, folder)
        if again or not file.is_file():
            with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
                write_json(file, {"contestant": name, **fresh.submit(footprint, **trial).result()})
        rows.append(read(file))
    return rows


def footprint(contestant, voice, batch, length):
    """Peak memory of training, milliseconds a step on two workers, and milliseconds a token when one text is generated."""
    contestant = CONTESTANTS[contestant]
    warm_up(contestant, voice)
    before = forget_peak()
    base = contestant.base()
    # A look after each step, at one short text: the log then tells the mean seconds of the steps so far, and from these those of each.
    recipe = {"steps": STEPS, "batch": batch, "length": length, "evaluate_every": 1, "held_out": 1}
    adapter = api.finetune(base, contestant.method, voice, progress=False, **recipe)
    after = peak()
    seconds = np.diff([0, *(row["step"] * row["seconds"] for row in adapter.log)])  # (STEPS,)
    plain, adapted = latencies(api.load(), base, adapter)
    return {
        "peak_bytes": None if before is None else after - before,
        "ms_a_step": 1000 * float(np.min(seconds)),
        "ms_a_step_median": 1000 * float(np.median(seconds)),
        "ms_a_token": 1000 * adapted,
        "ms_a_token_of_base": 1000 * plain,
    }


def warm_up(contestant, voice):
    """Train and generate with a tiny base, read from a file as the real one is: its arrays lie in the same way."""
    with TemporaryDirectory() as folder:
        api.Base("tiny", TINY, model.init(TINY, np.random.default_rng(0))).save(folder)
        base = api.load(folder)
        if contestant.in_four_bits:
            base = base.quantized(keep=isinstance(contestant.method, LoftQ))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a rank that is too high for the tiny model concerns nobody
            adapter = api.finetune(base, contestant.method, voice, progress=False, steps=1, batch=2, length=16, held_out=1)
        base.generate("a", adapter, length=2)


def latencies(plain, base, adapter):
    """The shortest of some runs, in seconds a token at batch 1: of the plain base, and of the adapter on its base, in turn."""
    prompt = np.full((1, 8), ord("a"))  # (1, 8)
    ways = ((plain, Method(), {}), (base, adapter.method, adapter.arrays))
    seconds = ([], [])
    with workers(1):  # BLAS on one thread: products of one row gain nothing from two
        for _ in range(REPEATS):
            for (each, method, arrays), taken in zip(ways, seconds, strict=True):
                began = time.perf_counter()
                generate(each.config, each.weights, prompt, TOKENS, method.sites(each.config, arrays, ops.choose()))
                taken.append((time.perf_counter() - began) / TOKENS)
    return map(min, seconds)


def forget_peak():
    """Let the peak be what is resident now, and say how much that is, in bytes; None where the system does not tell."""
    if not CLEAR.exists():
        return None
    CLEAR.write_text("5")  # man 5 proc: resets the peak
    return peak()


def peak():
    """The most bytes that were resident at once; None where the system does not tell."""
    if not STATUS.exists():
        return None
    return 1024 * int(STATUS.read_text().partition("VmHWM:")[2].split()[0])
