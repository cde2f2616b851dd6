"""Every way to fine-tune, on one base and one task: what each costs, learns and forgets.

Claim: the common table (common_table.py) ranks full fine-tuning, LoRA, other adapters and prefix tuning by parameters, memory, speed and
quality; nearly everywhere it mixes models and papers.
Set-up: the shipped base learns a voice, and every contestant (contestants.py) sees the same batches, as many steps of them. A learning
rate that suits one method ruins another, so each has its own: a ladder 1, 3, 10, 30 ... is searched around the one that its file names,
with seed 0, and climbed further for as long as the best rung is the last one tried. The best is then run with the other seeds. Held-out
loss is given above the generator's entropy, the least that any model could have; what was forgotten is how far the loss on stories, which
the base was made for, has risen while the adapter is on. Memory and seconds are measured apart, alone on the machine (footprint.py).
What must be seen: nothing is decided before. common_table.py says, from the numbers, where they and the common table part. Forgetting
depends on the learning rate as much as on the method, which is why full fine-tuning is also compared where it has learned as much as LoRA.
What this size cannot show: a share of the parameters as small as in a large model (a pair's is about 2 r / d, and here d is 96), memory
that weights and moments fill, and whether an order of quality found here holds in another model, task or number of steps.
"""

import math
from functools import lru_cache
from statistics import mean, stdev

from minilora import api
from minilora.lab import fit, table
from minilora.lab.contestants import CONTESTANTS, facts
from minilora.lab.trials import run_trials
from minilora.training.loop import Diverged
from minilora.training.voices import VOICES

TASK = {"voice": "piglatin", "batch": 4, "length": 240, "rows": 32}
# The order after quick's 60 steps with one seed and that after full's 200 with three: a rank correlation of 0.97, measured once.
PRESETS = {
    "quick": {"steps": 60, "seeds": (0,)},
    "full": {"steps": 200, "seeds": (0, 1, 2)},
}
TARGET = 0.3  # nats a character above best: what "seconds to a target loss" aims at
PROMPT, TEXTS = "once upon a time", 16
HIGHEST, LOWEST = 2, -10  # rungs of the ladder: 1e1 and 1e-5


def rate(rung):
    """The learning rates that are tried, by a whole number: ... -2: 0.1, -1: 0.3, 0: 1, 1: 3 ..."""
    return float(f"{(1, 3)[rung % 2]}e{rung // 2}")


def closest_rung(learning_rate):
    return round(2 * math.log10(learning_rate))


@lru_cache(maxsize=2)
def unadapted(corpus, rows):
    """The base's own loss on a corpus, and how far that is above the best."""
    return fit.base().held_out_loss(corpus, rows=rows)


def train(contestant, learning_rate, seed, steps, voice, batch, length, rows):
    """One run -> what it learned and forgot; every measure is None where the loss stopped being finite."""
    method, base = CONTESTANTS[contestant].method, CONTESTANTS[contestant].base()
    recipe = {"learning_rate": learning_rate, "seed": seed, "steps": steps, "batch": batch, "length": length, "held_out": rows}
    try:
        adapter = api.finetune(base, method, voice, progress=False, num_workers=1, evaluate_every=max(1, steps // 10), **recipe)
    except Diverged:
        return dict.fromkeys(("excess", "learned", "obeyed", "forgotten", "steps_to_target"))
    excess = adapter.log[-1]["excess"]
    texts = base.generate(VOICES[voice].encode(PROMPT), adapter, count=TEXTS, seed=seed)
    return {
        "excess": excess,
        "learned": unadapted(voice, rows)[1] - excess,
        "obeyed": mean(map(VOICES[voice].score, texts)),
        "forgotten": base.held_out_loss("stories", adapter, rows)[0] - unadapted("stories", rows)[0],
        "steps_to_target": steps_to(TARGET, adapter.log),
    }


def steps_to(target, log):
    """The steps until the loss above best is down at the target, on a straight line between two looks; None if it is never."""
    for before, row in zip([None, *log], log, strict=False):
        if row["excess"] <= target:
            if before is None:
                return row["step"]  # at the latest
            share = (before["excess"] - target) / (before["excess"] - row["excess"])
            return before["step"] + share * (row["step"] - before["step"])
    return None


def search(names, task, folder, jobs=2, progress=True):
    """The learning rates tried with seed 0 -> a row for each run. The best rung of each contestant lies between two others."""
    ladders = {}
    for name in names:
        middle = closest_rung(CONTESTANTS[name].method.learning_rate)
        ladders[name] = list(range(middle - 1, middle + 2))
    rows, new = [], ladders
    while new:
        trials = [{"contestant": name, "learning_rate": rate(rung), "seed": 0, **task} for name, rungs in new.items() for rung in rungs]
        rows += run_trials(train, trials, folder, jobs, progress)
        best = best_rates(rows)
        new = {name: beyond(ladders[name], best[name]) for name in names}
        new = {name: rungs for name, rungs in new.items() if rungs}
        for name, rungs in new.items():
            ladders[name] = sorted(ladders[name] + rungs)
    return rows


def beyond(rungs, best):
    """The rung to try next, as a list: the one past the best, if that is the first or the last of those tried."""
    step = {rate(rungs[0]): -1, rate(rungs[-1]): 1}.get(best, 0)
    following = closest_rung(best) + step
    return [following] if step and LOWEST <= following <= HIGHEST else []


def best_rates(rows):
    """Contestant -> the learning rate of its lowest loss."""
    best = {}
    for row in rows:
        if row["contestant"] not in best or loss(row) < loss(best[row["contestant"]]):
            best[row["contestant"]] = row
    return {name: row["learning_rate"] for name, row in best.items()}


def as_much(sweep, name, other):
    """The learning rate at which `name` comes nearest to the lowest loss of `other`."""
    aim = min(loss(row) for row in sweep if row["contestant"] == other)
    return min((row for row in sweep if row["contestant"] == name), key=lambda row: abs(loss(row) - aim))["learning_rate"]


def loss(row):
    return math.inf if row["excess"] is None else row["excess"]


def stored_rates(names):
    """The learning rates that a full run has found; for a contestant that it did not have, the one that its method names."""
    found = {row["contestant"]: row["learning_rate"] for row in table.stored("compare", "full")}
    return {name: found.get(name, CONTESTANTS[name].method.learning_rate) for name in names}


def run(preset, names, folder, jobs=2, progress=True, **task):
    """-> the runs that count, a row for each contestant and seed, and the sweep's rows (none at `quick`).

    Who learns more has more to forget. So that full fine-tuning and LoRA can be compared where they have learned the same, the sweep also
    holds the other seeds of that rate of full fine-tuning's whose loss is nearest to LoRA's best.
    """
    dials = PRESETS[preset]
    task = {"steps": dials["steps"], **TASK, **task}
    sweep = search(names, task, folder, jobs, progress) if preset == "full" else []
    rates = best_rates(sweep) if sweep else stored_rates(names)
    if sweep and {"full", "lora"} <= set(names):
        gentle = {"contestant": "full", "learning_rate": as_much(sweep, "full", "lora")}
        sweep += run_trials(train, [{**gentle, "seed": seed, **task} for seed in dials["seeds"][1:]], folder, jobs, progress)
    trials = [{"contestant": name, "learning_rate": rates[name], "seed": seed, **task} for name in names for seed in dials["seeds"]]
    rows = run_trials(train, trials, folder, jobs, progress)
    known = {name: facts(name) for name in names}
    return [{**row, **known[row["contestant"]]} for row in rows], sweep


def task_of(runs):
    """What all runs have in common."""
    return {key: runs[0][key] for key in ("voice", "steps", "batch", "length", "rows")}


def summary(runs, footprints):
    """One row for each contestant, the best first: means over seeds, their standard deviations, and the footprint."""
    rows = []
    for name in dict.fromkeys(table.column(runs, "contestant")):
        mine = [row for row in runs if row["contestant"] == name]
        cost = next((row for row in footprints if row["contestant"] == name), {})
        row = {key: mine[0][key] for key in ("contestant", "dials", "family", "trainable", "share", "merges", "learning_rate")}
        row |= {"gradient_bytes": 4 * row["trainable"], "optimiser_bytes": 8 * row["trainable"]}  # float32; Adam has two moments
        row |= {key: cost.get(key) for key in ("peak_bytes", "ms_a_step", "ms_a_token", "ms_a_token_of_base")}
        for key in ("excess", "learned", "obeyed", "forgotten"):
            row[key], row[f"{key}_spread"] = mean_and_spread(table.column(mine, key))
        steps, ms = mean_and_spread(table.column(mine, "steps_to_target"))[0], row["ms_a_step"]
        row["seconds_to_target"] = None if steps is None or ms is None else steps * ms / 1000
        rows.append({**row, "seeds": len(mine)})
    return sorted(rows, key=loss)


def mean_and_spread(values):
    """Their mean and standard deviation; no mean if one is missing, and no spread of one value."""
    if None in values:
        return None, None
    return mean(values), stdev(values) if len(values) > 1 else None
