"""Can an adapter be merged and taken out again a thousand times?

Claim: to switch tasks, W0 is recovered by subtracting the update, and another one is added (Hu et al. 2021, section 4.1; loralib does so in
.eval() and .train(), PEFT in merge_adapter and unmerge_adapter).
Set-up: adapters of three voices, trained for a moment on the shipped base, are added to its matrices and subtracted again, cycle after
cycle: the same one each time, the three in turn, or one of them at random. The sum is taken in float32 and rounded once to the format that
the weights are kept in, which is more careful than what 16-bit code does. Beside it: the base is kept, and merging makes new weights
(adapters/bank.py).
What must be seen: subtraction leaves an error in every format, the kept base none. The first one is in proportion to the format's rounding
unit, 2^-24, 2^-11, 2^-8. One adapter does its damage in the first cycle and no more: what it has rounded once fits. Several go on, and
their errors do not cancel as chance would have it (like the root of the cycles): a number whose sum with an update needs a coarser step is
rounded to every other one, up by one adapter if its last bit is odd, up by another if it is even, and so upwards every time. In 16 bits
that ends when the number itself has grown into the coarser step: the error is 2 % of the norm after a thousand cycles, 3 % after ten
thousand.
What this size cannot show: that it matters. The loss on stories does not move by a thousandth of a nat, for adapters trained for a moment
on a small model that was trained in float32; bases in 16 or 4 bits with large updates are another matter.
"""

from dataclasses import replace
from functools import lru_cache

import ml_dtypes
import numpy as np

from minilora.adapters.bank import Bank
from minilora.lab.findings import above, below, exactly
from minilora.lab.fit import base, fit
from minilora.lab.looks import long, marks
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.methods import LoRA

QUESTION = "Can an adapter be merged and taken out again a thousand times?"
PRESETS = {
    "smoke": {"cycles": 30, "steps": 2, "rows": 4},
    "class": {"cycles": 1000, "steps": 40, "rows": 32},
    "paper": {"cycles": 10_000, "steps": 300, "rows": 256},
}
FORMATS = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
ROUNDING = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}  # half a step at 1: the largest relative error of a rounding
WAYS = ("one adapter", "three in turn", "three at random")
KEPT = "three in turn, base kept"
VOICES = ("pirate", "shout", "uwu")


@lru_cache(maxsize=1)
def adapters(steps, seed):
    """One for each of the voices, at the learning rate that presets.py was made with."""
    return [fit(LoRA(rank=4, alpha=8, targets="attention"), voice, steps=steps, batch=8, length=96, seed=seed) for voice in VOICES]


def updates(steps, seed):
    """Name -> W, and for each adapter name -> its update (d, k), of the matrices that are adapted."""
    found = []
    for adapter in adapters(steps, seed):
        factors = adapter.method.update_factors(adapter.config, adapter.arrays)
        found.append({f"{name}.weight": A @ B for name, (A, B) in factors.items()})  # (d, k) each
    return {name: base().weights[name] for name in found[0]}, found


def flat(arrays):
    return np.concatenate([array.ravel() for array in arrays.values()])


def stories(weights, rows):
    """The base with these matrices: its loss on stories above the best, in nats a character."""
    return replace(base(), weights={**base().weights, **weights}).held_out_loss("stories", rows=rows)[1]


def orders(cycles, seed):
    """Way -> which adapter is merged in each cycle, (cycles,)."""
    random = np.random.default_rng(seed).integers(len(VOICES), size=cycles)
    return dict(zip(WAYS, (np.zeros(cycles, int), np.arange(cycles) % len(VOICES), random), strict=True))


def there_and_back(w, update, form):
    """w + update - update, rounded to the format after each of the two."""
    merged = (w.astype(np.float32) + update).astype(form)
    return (merged.astype(np.float32) - update).astype(form)


def subtracted(way, form, cycles, steps, rows, seed):
    """Columns over the cycles that are looked at: |w - start| / |start|, the share of numbers that changed, the loss of the result."""
    original, several = updates(steps, seed)
    several = [flat(each) for each in several]  # (numbers,) each
    order = orders(cycles, seed)[way]
    start = w = flat(original).astype(FORMATS[form])  # (numbers,): what comes of rounding the base is no drift
    looks = {"cycle": [], "drift": [], "changed": []}
    for cycle in range(1, cycles + 1):
        w = there_and_back(w, several[order[cycle - 1]], FORMATS[form])
        if cycle in marks(cycles):
            error = w.astype(np.float64) - start.astype(np.float64)
            looks["cycle"].append(cycle)
            looks["drift"].append(float(np.linalg.norm(error) / np.linalg.norm(start.astype(np.float64))))
            looks["changed"].append(float(np.mean(error != 0)))
    ends = np.cumsum([array.size for array in original.values()])[:-1]
    parts = {
        when: {
            name: part.astype(np.float32).reshape(array.shape)
            for (name, array), part in zip(original.items(), np.split(numbers, ends), strict=True)
        }
        for when, numbers in (("before", start), ("after", w))
    }
    return {**looks, **{when: stories(weights, rows) for when, weights in parts.items()}}


def kept(way, form, cycles, steps, rows, seed):
    """The same columns, of a Bank that merges into new weights and goes back to its own."""
    bank = Bank(base())
    for voice, adapter in zip(VOICES, adapters(steps, seed), strict=True):
        bank.attach(voice, adapter)
    for cycle in range(cycles):
        bank.merge(VOICES[cycle % len(VOICES)])
        bank.unmerge()
    start, end = flat(base().weights), flat(bank.weights)
    loss = stories({}, rows)
    drift = float(np.linalg.norm(end - start) / np.linalg.norm(start))
    looks = {"cycle": [cycles], "drift": [drift], "changed": [float(np.mean(end.view(np.uint32) != start.view(np.uint32)))]}
    return {**looks, "before": loss, "after": stories(bank.weights, rows)}


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    shared = [{**PRESETS[preset], "seed": seed} for seed in seeds]
    rows = run_trials(
        subtracted, [{"way": way, "form": form, **each} for each in shared for way in WAYS for form in FORMATS], jobs=jobs, progress=False
    )
    rows += run_trials(kept, [{"way": KEPT, "form": "float32", **each} for each in shared], jobs=jobs, progress=False)
    return long(rows)


def last(rows, way, form, name):
    """A column after the last cycle, one value for each seed."""
    return column(rows, name, way=way, form=form, cycle=rows[0]["cycles"])


def slopes(rows, way, form):
    """The slope of log drift over log cycles from the tenth on, one for each seed."""
    found = []
    for seed in sorted(set(column(rows, "seed"))):
        cycles, drift = (np.array(column(rows, name, way=way, form=form, seed=seed)) for name in ("cycle", "drift"))
        found.append(np.polyfit(np.log(cycles[cycles >= 10]), np.log(drift[cycles >= 10]), 1)[0])
    return found


def check(rows):
    one, turn, random = WAYS
    first = {form: np.array(column(rows, "drift", way=one, form=form, cycle=1)) for form in FORMATS}
    end = {(way, form): np.array(last(rows, way, form, "drift")) for way in WAYS for form in FORMATS}
    units = np.log2([first[form] / ROUNDING[form] for form in FORMATS])  # (formats, seeds)
    moved = [max(abs(row["after"] - row["before"]) for row in rows if row["seed"] == seed) for seed in sorted(set(column(rows, "seed")))]
    return [
        exactly("the base that is kept: the share of numbers that changed, at most", max(column(rows, "changed", way=KEPT)), 0),
        exactly(
            "one adapter: the error of all cycles less that of the first",
            max(np.abs(end[one, form] - first[form]).max() for form in FORMATS),
            0,
        ),
        below("the first error is in proportion to the format's rounding unit, to a factor of 2^", np.ptp(units, axis=0), 1),
        above("three in turn, float32: the error of all cycles, over one adapter's", end[turn, "float32"] / end[one, "float32"], 30),
        above("three at random, float32: it grows like the cycles, not like their root (slope)", slopes(rows, random, "float32"), 0.7),
        below("three in turn, float32: the error of all cycles, a cycle", end[turn, "float32"] / rows[0]["cycles"], 1e-8),
        above("three in turn, bfloat16: the error of all cycles", end[turn, "bfloat16"], 1e-2),
        below("the loss on stories moves by, in nats a character, at most", moved, 1e-3),
    ]


def draw(rows):
    """The error over the cycles: a colour for each format, a line for each way."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for form, ink in zip(FORMATS, (LIGHT.column, LIGHT.ink, LIGHT.row), strict=True):
        for way, line in zip(WAYS, ("-", "-", "--"), strict=True):
            cycles = sorted(set(column(rows, "cycle", way=way, form=form)))
            drift = [np.mean(column(rows, "drift", way=way, form=form, cycle=cycle)) for cycle in cycles]
            axes.loglog(cycles, drift, line, color=ink, linewidth=1 if way == WAYS[0] else 2)
            if way != WAYS[2]:
                label = f"{form}, {way}"
                up = {"bfloat16": 6, "float16": -6, "float32": 0}[form] if way == WAYS[1] else 0  # the first two end at one height
                axes.annotate(label, (cycles[-1], drift[-1]), (6, up), textcoords="offset points", color=ink, va="center")
    axes.set(xlabel="cycles of merging and subtracting", ylabel="|W - start| / |start|", xlim=(0.9, 40 * rows[0]["cycles"]))
    kept, seeds = max(column(rows, "drift", way=KEPT)), len(set(column(rows, "seed")))
    figure.supxlabel(
        f"attention of stories-base, rank 4; dashed: three at random; the base kept instead: {kept:g}; mean of {seeds} seeds",
        fontsize=8,
        color=LIGHT.quiet,
    )
    return figure
