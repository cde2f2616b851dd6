"""Which matrices should be adapted, for a given number of trained numbers?

Claim: "attention only is enough". Of GPT-3's attention, at equal numbers, the values and the output do better than the queries or the
keys, and all four with a small rank as well as two with a larger one (Hu et al. 2021, arXiv 2106.09685, table 5); the MLP was not tried.
Biderman et al. 2024 (arXiv 2405.09673, figure 7) and Schulman et al. (LoRA Without Regret, 2025): the MLP counts for more than the
attention.
Set-up: stories-base learns pirate by LoRA on one set of matrices or another, in all layers, with the largest rank that keeps within the
same number of trained numbers; alpha = 16.
Rates: for each set, on one seed, of 0.005, 0.01, 0.02 and (but for the MLP and all layers, which were past their best) 0.04 the one with
the lowest held-out loss. For q, v and the two together that was the last; twice as much was tried for q and was far worse.
What must be seen: all layers with rank 2 do best, the MLP alone with rank 3 comes near, and attention alone does worse than all. Alone, o,
v, q and k stand in the order that they have on WikiSQL in the paper's table. After 40 steps the sets are far apart, k 0.84 nats behind all
and q, k, v, o at a small rank well ahead of q and v at a larger one; after 400 (preset paper) the order is the same, k is 0.02 behind, the
attention 0.004, and q, k, v, o tie with q and v, as in the paper. So it is the speed that the choice decides, and next to nothing else.
What this size cannot show: what a task would say that is about where to look, not about which words to write: there q and k may be what
counts.
"""

import numpy as np

from minilora.lab.findings import above, below
from minilora.lab.fit import base, fit
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.methods import LoRA

QUESTION = "Which matrices should be adapted, for a given number of trained numbers?"
SETS = {  # the targets, and the learning rate that suits them
    "q": ("q_proj", 4e-2),
    "k": ("k_proj", 2e-2),
    "v": ("v_proj", 4e-2),
    "o": ("o_proj", 2e-2),
    "q, k": ("q_proj,k_proj", 2e-2),
    "q, v": ("q_proj,v_proj", 4e-2),
    "attention": ("attention", 2e-2),
    "MLP": ("mlp", 1e-2),
    "all": ("all-linear", 1e-2),
}
PRESETS = {
    "smoke": {"budget": 6912, "sets": tuple(SETS), "steps": 1},
    "class": {"budget": 13824, "sets": tuple(SETS), "steps": 40},
    "paper": {"budget": 13824, "sets": tuple(SETS), "steps": 400},
}
RECIPE = {"batch": 4, "length": 192, "warmup": 10, "held_out": 32}  # a whole story fits a row
ALPHA = 16


def within(budget, targets):
    """The largest rank with which LoRA on the targets has no more numbers than the budget."""
    return budget // LoRA(rank=1, targets=targets).count(base().config)


def learned(targets, budget, steps, seed):
    """The loss above the best possible on held-out text, in nats a character; the rank that fits the budget, and the numbers it takes."""
    modules, rate = SETS[targets]
    method = LoRA(rank=within(budget, modules), alpha=ALPHA, targets=modules)
    adapter = fit(method, "pirate", steps=steps, learning_rate=rate, seed=seed, **RECIPE)
    return {"rank": method.rank, "numbers": method.count(base().config), "excess": adapter.log[-1]["excess"]}


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    dials = PRESETS[preset]
    trials = [
        {"targets": targets, "budget": dials["budget"], "steps": dials["steps"], "seed": seed}
        for targets in dials["sets"]
        for seed in seeds
    ]
    return run_trials(learned, trials, jobs=jobs, progress=False)


def excess(rows, targets):
    """The loss with these targets, one for each seed."""
    return np.array(column(rows, "excess", targets=targets))  # (seeds,)


def check(rows):
    one_of_two = np.minimum(excess(rows, "q"), excess(rows, "k"))  # (seeds,)
    return [
        below("no set has more numbers than the budget (numbers above it)", [max(row["numbers"] - row["budget"] for row in rows)], 1),
        above(
            "the better of q alone and k alone ends at so many times the loss of all layers, log2",
            np.log2(one_of_two / excess(rows, "all")),
            0,
        ),
        below("the MLP alone comes near to all (nats worse)", excess(rows, "MLP") - excess(rows, "all"), 0.03),
        above("attention alone at so many times that of all, log2", times(rows, "attention", "all"), 0),
        above("q alone at so many times that of o alone, log2", times(rows, "q", "o"), 0),
        above("k alone at so many times that of v alone, log2", times(rows, "k", "v"), 0),
        below(
            "q, k, v, o with a small rank are behind q and v with a larger one by (nats)",
            excess(rows, "attention") - excess(rows, "q, v"),
            0.01,
        ),
    ]


def times(rows, one, other):
    """log2 of how many times the loss above the best one set has that another has, one for each seed."""
    return np.log2(excess(rows, one) / excess(rows, other))  # (seeds,)


def draw(rows):
    """A line for each set of targets, the best at the top: its loss for each seed, and the rank that the budget leaves it."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    order = sorted(set(column(rows, "targets")), key=lambda targets: np.mean(excess(rows, targets)))
    labels = []
    for y, targets in enumerate(order):
        ink = {"MLP": LIGHT.column, "all": LIGHT.ink}.get(targets, LIGHT.row)
        found = excess(rows, targets)  # (seeds,)
        axes.semilogx(found, np.full(len(found), y), "o", color=ink, markersize=4)
        axes.annotate(f"{np.mean(found):.3f}", (max(found), y), (8, 0), textcoords="offset points", va="center", color=ink)
        labels.append(f"{targets}, r = {column(rows, 'rank', targets=targets)[0]}")
    ticks = [
        tick for tick in (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3) if min(column(rows, "excess")) * 0.4 < tick < max(column(rows, "excess")) * 3
    ]
    axes.set(xticks=ticks, xticklabels=ticks, xlim=(ticks[0] * 0.9, ticks[-1] * 1.1), xlabel="above best, nats a character")
    axes.set(
        yticks=range(len(order)), yticklabels=labels, ylim=(len(order) - 0.5, -0.5), title="pirate, learned with the same number of numbers"
    )
    axes.minorticks_off()
    for y, (text, ink) in enumerate((("attention", LIGHT.row), ("MLP", LIGHT.column), ("both", LIGHT.ink))):
        axes.annotate(text, (0.99, 0.97 - 0.06 * y), xycoords="axes fraction", ha="right", va="top", color=ink)
    numbers, steps, seeds = rows[0]["budget"], rows[0]["steps"], len(set(column(rows, "seed")))
    said = f"stories-base, at most {numbers:,} numbers, {steps} steps of 4 x 192 characters; a dot for each of {seeds} seeds"
    figure.supxlabel(said, fontsize=8, color=LIGHT.quiet)
    return figure
