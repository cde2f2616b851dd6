"""Should the update be scaled by alpha / r or by alpha / sqrt(r)?

Claim: rsLoRA (Kalajdzievski 2023, arXiv 2312.03732) says that only 1 / sqrt(r) keeps learning stable as the rank grows; Schulman et al.
(LoRA Without Regret, 2025) see the same first steps at every rank under 1 / r.
Set-up: one frozen matrix, random inputs and a random gradient; one step of the optimiser on B (A has no gradient yet, since B is zero), and
how far it moves the product along the way down, -dW. The slope of its logarithm over log r is what rank does to the step.
What must be seen: both are right, each about another optimiser. The gradient of B carries s, and so does the update: SGD moves by
s^2 r, so that 1 / sqrt(r) keeps its step. Adam divides the gradient's size away and moves by s r: there it is 1 / r.
What this size cannot show: later steps, where A learns too, and which of the two ends at the better loss.
"""

import numpy as np

from minilora.lab.findings import above, below
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.lowrank import init, lowrank_backward, lowrank_forward

QUESTION = "Should the update be scaled by alpha / r or by alpha / sqrt(r)?"
PRESETS = {
    "smoke": {"width": 32, "ranks": (1, 4)},
    "class": {"width": 128, "ranks": (1, 4, 16, 64)},
    "paper": {"width": 512, "ranks": (1, 2, 4, 8, 16, 32, 64, 128, 256)},
}
SCALES, OPTIMISERS, ALPHA = ("1/r", "1/sqrt(r)"), ("SGD", "Adam"), 8.0


def first_step(scale, optimiser, rank, width, seed):
    """How far the first step, of size 1, goes along -dW, per ||dW||."""
    rng = np.random.default_rng([seed, rank])
    W, x, dy = rng.standard_normal((3, width, width))  # (width, width) each: as many tokens as numbers a token
    A, B = init(width, width, rank, rng)
    s = ALPHA / (rank if scale == "1/r" else np.sqrt(rank))
    _, cache = lowrank_forward(x, W, A, B, s)
    _, _, dB = lowrank_backward(dy, cache)
    step = dB if optimiser == "SGD" else np.sign(dB)  # Adam's first step, with epsilon 0, is the gradient's sign
    dW = x.T @ dy  # (width, width)
    return {"progress": float(s * np.vdot(A @ step, dW) / np.linalg.norm(dW))}


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    dials = PRESETS[preset]
    trials = [
        {"scale": scale, "optimiser": optimiser, "rank": rank, "width": dials["width"], "seed": seed}
        for scale in SCALES
        for optimiser in OPTIMISERS
        for rank in dials["ranks"]
        for seed in seeds
    ]
    return run_trials(first_step, trials, jobs=jobs, progress=False)


def slopes(rows, scale, optimiser):
    """The slope of log progress over log r, one for each seed."""
    chosen = {"scale": scale, "optimiser": optimiser}
    found = []
    for seed in sorted(set(column(rows, "seed"))):
        ranks, progress = (column(rows, name, **chosen, seed=seed) for name in ("rank", "progress"))
        found.append(np.polyfit(np.log(ranks), np.log(progress), 1)[0])
    return found


def check(rows):
    flat = 0.2  # a slope less than this is none: over 64 times the rank it is a factor of 2.3
    return [
        below("SGD, 1/r: the step collapses as the rank grows (slope -1)", slopes(rows, "1/r", "SGD"), -0.8),
        below("SGD, 1/sqrt(r): the step does not depend on the rank (slope 0)", np.abs(slopes(rows, "1/sqrt(r)", "SGD")), flat),
        below("Adam, 1/r: the step does not depend on the rank (slope 0)", np.abs(slopes(rows, "1/r", "Adam")), flat),
        above("Adam, 1/sqrt(r): the step grows with the rank (slope 1/2)", slopes(rows, "1/sqrt(r)", "Adam"), 0.3),
    ]


def draw(rows):
    """Two panels, SGD and Adam, in each the two scales; steps are given per that of the smallest rank."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    ranks = sorted(set(column(rows, "rank")))
    for axes, optimiser in zip(figure.subplots(1, 2, sharey=True), OPTIMISERS, strict=True):
        for scale, ink in zip(SCALES, (LIGHT.row, LIGHT.column), strict=True):
            means = np.array([np.mean(column(rows, "progress", scale=scale, optimiser=optimiser, rank=rank)) for rank in ranks])  # (ranks,)
            axes.loglog(ranks, means / means[0], "o-", color=ink, markersize=4)
            slope, middle = round(float(np.mean(slopes(rows, scale, optimiser))), 2) + 0.0, len(ranks) // 2  # no "-0.00"
            beside = {"xytext": (-8, 6) if slope > 0.1 else (8, 6), "ha": "right" if slope > 0.1 else "left"}  # above the line, not on it
            at = (ranks[middle], means[middle] / means[0])
            axes.annotate(f"{scale}: slope {slope:.2f}", at, textcoords="offset points", color=ink, **beside)
        axes.set(title=optimiser, xlabel="rank r", xticks=ranks, xticklabels=ranks)
        axes.minorticks_off()
    seeds, width = len(set(column(rows, "seed"))), rows[0]["width"]
    figure.axes[0].set_ylabel(f"first step, relative to r = {ranks[0]}")
    figure.supxlabel(f"one {width} x {width} matrix, random data, mean of {seeds} seeds", fontsize=8, color=LIGHT.quiet)
    return figure
