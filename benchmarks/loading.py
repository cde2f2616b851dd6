"""The base is loaded once; the small adapters come and go: how long each takes, from the disk and in memory."""

import tempfile
import time
from pathlib import Path

import numpy as np

from minilora import api
from minilora.adapters.bank import Bank
from minilora.benchmark import LORA, RANK_16, SIZES, SMOLLM2
from minilora.files import huggingface, peft
from minilora.transformer import model

TOY, REAL = ("S", SIZES["S"], LORA, 3), ("SmolLM2-135M's shape", SMOLLM2, RANK_16, 10)  # name, size, method, repeats


def measure(what):
    """Rows: what is done, megabytes of the file, seconds (min, median, max) over the repeats."""
    name, size, method, repeats = what
    config, rng = size.config(), np.random.default_rng(0)
    times = {"load the base": [], "load an adapter into the bank": [], "activate it": [], "detach it": []}
    with tempfile.TemporaryDirectory() as folder:
        base_folder, adapter_folder = Path(folder) / "base", Path(folder) / "adapter"
        weights = model.init(config, rng)
        huggingface.save_base(base_folder, config, weights)
        peft.save_adapter(adapter_folder, config, method, with_an_update(method.init(config, weights, rng), rng), "base")
        del weights
        for _ in range(repeats):
            base = timed(times["load the base"], lambda: api.load(base_folder))
            bank = Bank(base)
            timed(times["load an adapter into the bank"], lambda bank=bank: bank.load("one", adapter_folder))
            timed(times["activate it"], lambda bank=bank: bank.activate("one"))
            timed(times["detach it"], lambda bank=bank: bank.detach("one"))
        bytes_of = {key: (folder / "model.safetensors").stat().st_size for key, folder in (("load the base", base_folder),)}
        bytes_of["load an adapter into the bank"] = (adapter_folder / "adapter_model.safetensors").stat().st_size
    return [
        {"model": name, "what": key, "MB": bytes_of.get(key, 0) / 1e6, **spread(seconds), "n": repeats} for key, seconds in times.items()
    ]


def with_an_update(arrays, rng):
    """The arrays, with numbers where B would be zero: an adapter that changes nothing is loaded with a warning."""
    return {name: array if array.any() else rng.standard_normal(array.shape).astype(array.dtype) for name, array in arrays.items()}


def timed(seconds, action):
    began = time.perf_counter()
    result = action()
    seconds.append(time.perf_counter() - began)
    return result


def spread(seconds):
    return {"min": min(seconds), "median": float(np.median(seconds)), "max": max(seconds)}


def table(rows):
    """The rows in Markdown."""
    lines = ["| one base, many adapters | model | file | milliseconds, median (min - max) | n |", "|---|---|---|---|---|"]
    for row in rows:
        times = f"{1e3 * row['median']:,.3f} ({1e3 * row['min']:,.3f} - {1e3 * row['max']:,.3f})"
        file = f"{row['MB']:,.1f} MB" if row["MB"] else ""
        lines.append(f"| {row['what']} | {row['model']} | {file} | {times} | {row['n']} |")
    return "\n".join(lines)
