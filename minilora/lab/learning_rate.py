"""Does LoRA want another learning rate than full fine-tuning?

Claim: LoRA's best rate is ten times that of full fine-tuning, and nearly the same at every rank (Schulman et al., LoRA Without Regret,
2025; Biderman et al. 2024, arXiv 2405.09673, say an order of magnitude too, and Hu et al. 2021 used forty times on one task).
Set-up: stories-base learns the pirate's voice from a few steps at each of a row of rates, by full fine-tuning and by LoRA in all linear
layers, alpha = 16 at every rank. The rows are as long as a story is, the schedule is a short rise and half a cosine.
What must be seen: a valley for each. LoRA's bottom lies at a rate some four times that of full fine-tuning after 30 steps, seven times
after 150 (preset paper), less than the published ten; the ranks share theirs, as s = alpha / r lets them. LoRA at the best rate of full
fine-tuning has hardly learned after 30 steps, and is 0.01 nats behind after 150; full fine-tuning at LoRA's best rate does worse too. Who
compares the two at one rate compares rates.
What this size cannot show: the factor elsewhere. It depends on width, alpha, the number of steps and the batch; the rates here are half a
decade apart, and a parabola through three of them is an estimate.
"""

import numpy as np

from minilora.lab.findings import above, below
from minilora.lab.fit import fit
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.methods import Full, LoRA

QUESTION = "Does LoRA want another learning rate than full fine-tuning?"
RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
PRESETS = {
    "smoke": {"methods": ("full", "LoRA r=1"), "rates": (1e-3, 1e-2), "steps": 2},
    "class": {"methods": ("full", "LoRA r=1", "LoRA r=16"), "rates": RATES, "steps": 30},
    "paper": {"methods": ("full", "LoRA r=1", "LoRA r=4", "LoRA r=16"), "rates": (1e-4, *RATES), "steps": 150},
}
RECIPE = {"batch": 4, "length": 192, "warmup": 5, "held_out": 32}  # a whole story fits a row


def learned(method, rate, steps, seed):
    """What is left above the best possible loss on held-out text, in nats a character."""
    chosen = Full() if method == "full" else LoRA(rank=int(method.removeprefix("LoRA r=")), alpha=16)
    return {"excess": fit(chosen, "pirate", steps=steps, learning_rate=rate, seed=seed, **RECIPE).log[-1]["excess"]}


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    dials = PRESETS[preset]
    trials = [
        {"method": method, "rate": rate, "steps": dials["steps"], "seed": seed}
        for method in dials["methods"]
        for rate in dials["rates"]
        for seed in seeds
    ]
    return run_trials(learned, trials, jobs=jobs, progress=False)


def best(rows, method):
    """The rate at the bottom of the valley, one for each seed: that of the parabola, in logarithms, through the lowest point and its two
    neighbours. A lowest point at an end of the grid is taken as it is.
    """
    found = []
    for seed in sorted(set(column(rows, "seed"))):
        rates, excess = (np.array(column(rows, name, method=method, seed=seed)) for name in ("rate", "excess"))  # (rates,) each
        i = int(np.argmin(excess))
        if 0 < i < len(rates) - 1:
            a, b, _ = np.polyfit(np.log(rates[i - 1 : i + 2]), np.log(excess[i - 1 : i + 2]), 2)
            found.append(np.exp(-b / (2 * a)))
        else:
            found.append(rates[i])
    return np.array(found)  # (seeds,)


def at(rows, method, rate):
    """The loss at a rate, one for each seed."""
    return np.array(column(rows, "excess", method=method, rate=rate))  # (seeds,)


def check(rows):
    methods, rates = (sorted(set(column(rows, name))) for name in ("method", "rate"))
    ranks = sorted((name for name in methods if name != "full"), key=lambda name: int(name.removeprefix("LoRA r=")))
    full, low, high = best(rows, "full"), ranks[0], ranks[-1]
    valleys = [
        above(f"{name}: at the better end of the grid the loss is so many decades above its lowest", decades(rows, name), 0.3)
        for name in methods
    ]
    at_full, at_high = (at(rows, high, on_grid(rows, "full")), at(rows, "full", on_grid(rows, high)))  # (seeds,) each
    return valleys + [
        *(above(f"{name}: its best rate is so many times that of full", best(rows, name) / full, 2) for name in ranks),
        below(f"the best rates of {low} and {high} lie within a factor of", factor(best(rows, low) / best(rows, high)), 2),
        above(f"{high} at the best rate of full is worse than at its own (nats)", at_full - lowest(rows, high), 0),
        above(f"full at the best rate of {high} is worse than at its own (nats)", at_high - lowest(rows, "full"), 0),
    ]


def decades(rows, method):
    """log10 of the loss at the better end of the grid per the lowest loss, one for each seed."""
    rates = sorted(set(column(rows, "rate")))
    return np.log10(np.minimum(at(rows, method, rates[0]), at(rows, method, rates[-1])) / lowest(rows, method))  # (seeds,)


def lowest(rows, method):
    """The lowest loss of the grid, one for each seed."""
    return np.min([at(rows, method, rate) for rate in sorted(set(column(rows, "rate")))], axis=0)  # (seeds,)


def on_grid(rows, method):
    """The rate of the grid whose mean loss over the seeds is lowest."""
    return min(sorted(set(column(rows, "rate"))), key=lambda rate: np.mean(at(rows, method, rate)))


def factor(ratio):
    """A ratio or its inverse, whichever is above 1."""
    return np.exp(np.abs(np.log(ratio)))


def draw(rows):
    """One valley for each method; a triangle under its bottom."""
    from matplotlib.figure import Figure

    from minilora.pictures.lessons import name_ends
    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    methods, rates = list(dict.fromkeys(column(rows, "method"))), sorted(set(column(rows, "rate")))
    inks, named = (LIGHT.ink, LIGHT.row, LIGHT.column, LIGHT.positive[-1], LIGHT.quiet), {}
    floor = 0.6 * min(np.mean(at(rows, method, rate)) for method in methods for rate in rates)
    for method, ink in zip(methods, inks, strict=False):
        means = [np.mean(at(rows, method, rate)) for rate in rates]
        axes.loglog(rates, means, "o-", color=ink, markersize=4)
        bottom = np.exp(np.mean(np.log(best(rows, method))))
        axes.plot(bottom, floor, "^", color=ink)
        named[f"{method}, best {bottom:.2g}"] = rates, means
    axes.set(xticks=rates, xticklabels=[f"{rate:g}" for rate in rates], xlabel="learning rate")
    axes.set(ylabel="above best, nats a character", title="pirate, learned by each rate")
    ticks = [tick for tick in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3) if tick > 0.8 * floor]
    axes.set(ylim=(0.8 * floor, 5), yticks=ticks, yticklabels=ticks, xlim=(None, 6 * rates[-1]))
    axes.minorticks_off()
    name_ends(axes, named, inks)
    steps, seeds = rows[0]["steps"], len(set(column(rows, "seed")))
    said = f"stories-base, {steps} steps of 4 x 192 characters, alpha 16, mean of {seeds} seeds; a triangle is the bottom of a parabola"
    figure.supxlabel(said, fontsize=8, color=LIGHT.quiet)
    return figure
