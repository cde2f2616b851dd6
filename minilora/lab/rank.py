"""How much does the rank matter?

Claim: "ranks of 8 to 64, best 16 to 32"; on GPT-3 a rank of 1 does for the queries and values (Hu et al. 2021, arXiv 2106.09685, table 6),
on GPT-2 the loss falls to rank 16 and stays (section F.2). Schulman et al. (LoRA Without Regret, 2025): as long as the rank does not run
out, the losses of all ranks fall together under alpha / r.
Set-up: stories-base learns pirate, which changes six words and an ending, and rot13, which changes every letter, by LoRA in all linear
layers at several ranks; alpha = 16, so that s = 16 / r.
Rates: of 0.005, 0.01 and 0.02, the first two end alike and the last fails, at ranks 1 and 4; 0.007 lies between the two, for all ranks,
which experiment learning_rate found to share their best.
What must be seen: for pirate rank 1 does: what it lacks is a hundredth of the way. For rot13 there is an elbow: ranks 1 and 2 stay behind,
rank 8 is as good as rank 32, which is no better for four times the numbers. At first ranks 8 and 32 fall together, and rank 1 nearly so;
then those part that run out. So the rank that is needed is the task's, and 16 or 32 are no law.
What this size cannot show: where rot13's elbow lies in the end: after so few steps none is near the best loss, and experiment rank_dial,
where the rank of the task is known, is the place for that.
"""

import numpy as np

from minilora.lab.findings import above, below
from minilora.lab.fit import base, fit
from minilora.lab.table import column, unfolded
from minilora.lab.trials import run_trials
from minilora.methods import LoRA

QUESTION = "How much does the rank matter?"
PRESETS = {
    "smoke": {"ranks": (1, 2, 8, 32), "steps": {"pirate": 2, "rot13": 2}, "every": 1},
    "class": {"ranks": (1, 2, 8, 32), "steps": {"pirate": 30, "rot13": 60}, "every": 10},
    "paper": {"ranks": (1, 2, 4, 8, 16, 32), "steps": {"pirate": 150, "rot13": 300}, "every": 25},
}
RECIPE = {"batch": 4, "length": 192, "warmup": 10, "held_out": 16}  # a whole story fits a row
ALPHA, RATE = 16, 7e-3


def losses(corpus, rank, steps, every, seed):
    """The held-out loss above the best possible, in nats a character: the base's, and then on the way."""
    adapter = fit(LoRA(rank=rank, alpha=ALPHA), corpus, steps=steps, evaluate_every=every, learning_rate=RATE, seed=seed, **RECIPE)
    before = base().held_out_loss(corpus, rows=RECIPE["held_out"])[1]
    return {"looks": [{"step": 0, "excess": before}, *({"step": row["step"], "excess": row["excess"]} for row in adapter.log)]}


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    dials = PRESETS[preset]
    trials = [
        {"corpus": corpus, "rank": rank, "steps": steps, "every": dials["every"], "seed": seed}
        for corpus, steps in dials["steps"].items()
        for rank in dials["ranks"]
        for seed in seeds
    ]
    return unfolded(run_trials(losses, trials, jobs=jobs, progress=False), "looks")


def curves(rows, corpus, rank):
    """The loss at each look -> (seeds, looks)."""
    seeds = sorted(set(column(rows, "seed")))
    return np.array([column(rows, "excess", corpus=corpus, rank=rank, seed=seed) for seed in seeds])  # (seeds, looks)


def check(rows):
    pirate, rot13 = ({rank: curves(rows, corpus, rank) for rank in set(column(rows, "rank"))} for corpus in ("pirate", "rot13"))

    def behind(corpus, low, high=32):
        return corpus[low][:, -1] - corpus[high][:, -1]  # (seeds,)

    def parted(corpus, low, high=32, look=2):
        """The difference of two ranks at an early look, per the way that the larger has come since the start."""
        return np.abs(corpus[low][:, look] - corpus[high][:, look]) / (corpus[high][:, 0] - corpus[high][:, look])  # (seeds,)

    return [
        below("pirate: rank 1 is nearly as good as rank 32 (nats worse)", behind(pirate, 1), 0.1),
        above("rot13: rank 1 is not (nats worse)", behind(rot13, 1), 0),
        above("rot13: nor is rank 2 (nats worse)", behind(rot13, 2), 0.1),
        below("rot13: rank 8 is as good as rank 32 (nats worse)", behind(rot13, 8), 0.15),
        below("pirate: at first ranks 8 and 32 fall alike (difference, per fall)", parted(pirate, 8), 0.03),
        below("rot13: at first ranks 8 and 32 fall alike (difference, per fall)", parted(rot13, 8), 0.06),
        below("rot13: at first rank 1 does so nearly (difference, per fall)", parted(rot13, 1), 0.25),
    ]


def draw(rows):
    """Above the losses on the way, below where they end against the rank, in the same inks; pirate left, rot13 right."""
    from matplotlib.figure import Figure

    from minilora.pictures.lessons import name_ends
    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(9, 6.4), layout="constrained")
    panels = figure.subplots(2, 2)
    ranks, seeds = sorted(set(column(rows, "rank"))), len(set(column(rows, "seed")))
    inks = dict(zip(ranks, (LIGHT.row, LIGHT.ink, LIGHT.positive[-1], LIGHT.column, LIGHT.quiet, LIGHT.positive[1]), strict=False))
    for (way, ends), corpus in zip(panels.T, ("pirate", "rot13"), strict=True):
        steps, named = sorted(set(column(rows, "step", corpus=corpus))), {}
        for rank, ink in inks.items():
            mean = curves(rows, corpus, rank).mean(axis=0)  # (looks,)
            way.semilogy(steps, mean, "o-", color=ink, markersize=3)
            named[f"r = {rank}"] = steps, mean
            ends.loglog([rank] * seeds, curves(rows, corpus, rank)[:, -1], "o", color=ink, markersize=4)
        ends.plot(ranks, [curves(rows, corpus, rank)[:, -1].mean() for rank in ranks], color=LIGHT.quiet, linewidth=1, zorder=0)
        way.set(title=f"{corpus}, on the way", xlabel="steps", xlim=(0, steps[-1] * 1.15))
        ends.set(title=f"{corpus}, after {steps[-1]} steps", xlabel="rank r", xticks=ranks, xticklabels=ranks)
        losses = column(rows, "excess", corpus=corpus)
        for axes in (way, ends):
            ticks = [tick for tick in (0.003, 0.01, 0.03, 0.1, 0.3, 1, 2, 3, 5, 10) if min(losses) / 2 < tick < max(losses) * 2]
            axes.set(yticks=ticks, yticklabels=ticks, ylim=(min(losses) / 1.3, max(losses) * 1.3))
            axes.minorticks_off()
        name_ends(way, named, inks.values())
    for axes in panels[:, 0]:
        axes.set_ylabel("above best, nats a character")
    said = (
        f"stories-base, all linear layers, alpha {ALPHA}, rate {RATE}, 4 x 192 characters a step; means and, below, dots of {seeds} seeds"
    )
    figure.supxlabel(said, fontsize=8, color=LIGHT.quiet)
    return figure
