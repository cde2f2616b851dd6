"""Is LoRA a random projection of the gradient?

Claim: with A as it was drawn, LoRA trains like the whole matrix under gradients that are pressed through r random directions, and to draw
these directions anew makes of it a training of full rank (Flora, Hao et al. 2024, arXiv 2402.03293).
Set-up: one matrix W, random inputs x and a target W + D of full rank; gradient descent on the squared error. Four ways to learn D: the pair
(A, B) with A frozen; W itself, its gradient dW multiplied by s^2 A A.T; the pair with A training too; and W with an A drawn anew for every
step. Entries of A have variance 1 / r and s = 1, so that A A.T is the identity in the mean.
What must be seen: the first two are one training, step by step, to rounding. A A.T is far from the identity for a single A, off by sqrt((d
+ 1) / r) of its norm, and the mean of n of them comes as near as 1 / sqrt(n). So a frozen A ends where its r directions end, with sqrt(1 -
r / d) of D missing, and fresh ones go on. A that trains is no projection: it is the same for one step, and learns more.
What this size cannot show: Adam, under which neither identity is exact, and what the noise of the projections does to a large model.
"""

import numpy as np

from minilora.lab.findings import above, below, exactly
from minilora.lab.looks import long, marks
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.lowrank import lowrank_backward, lowrank_forward

QUESTION = "Is LoRA a random projection of the gradient?"
PRESETS = {
    "smoke": {"width": 16, "ranks": (2, 8), "steps": 20, "draws": 64},
    "class": {"width": 64, "ranks": (4, 16, 32), "steps": 1000, "draws": 1024},
    "paper": {"width": 256, "ranks": (4, 16, 64, 128), "steps": 4000, "draws": 4096},
}
WAYS = ("the pair, A frozen", "W, dW projected", "the pair, A trains", "W, a new A each step")


def draw_A(width, rank, rng):
    return rng.standard_normal((width, rank)) / np.sqrt(rank)  # (d, r)


def pair_step(x, W, wanted, A, B, rate):
    """One step down |x (W + A B) - wanted|^2 / 2 -> the A and the B after it."""
    y, cache = lowrank_forward(x, W, A, B, 1.0)  # (N, k)
    _, dA, dB = lowrank_backward(y - wanted, cache, need_dx=False)  # (d, r), (r, k)
    return A - rate * dA, B - rate * dB


def matrix_step(x, W, wanted, A, rate):
    """The same for W with its gradient projected -> the W after it."""
    dW = x.T @ (x @ W - wanted)  # (d, k)
    return W - rate * A @ (A.T @ dW)


def training(width, rank, steps, seed):
    """Columns over the steps that are looked at: the share of D that each way has not learned, and how far the first two are apart."""
    rng = np.random.default_rng([seed, rank])
    x = np.linalg.qr(rng.standard_normal((width, width)))[0]  # (d, d), as many tokens as features: x.T x = I
    W, D = rng.standard_normal((2, width, width)) / np.sqrt(width)  # (d, k) each
    A, wanted = draw_A(width, rank, rng), x @ (W + D)  # (d, r), (d, k)
    rate, fresh_rate = 1 / np.linalg.norm(A, 2) ** 2, 1 / (1 + (width + 1) / rank)  # by the curvatures A A.T and E (A A.T)^2
    B = trained_B = np.zeros((rank, width))  # (r, k)
    projected, fresh, trained_A = W, W, A
    looks = {"step": [], **{way: [] for way in WAYS}, "apart": []}
    for step in range(1, steps + 1):
        B = pair_step(x, W, wanted, A, B, rate)[1]
        projected = matrix_step(x, projected, wanted, A, rate)
        trained_A, trained_B = pair_step(x, W, wanted, trained_A, trained_B, rate)
        fresh = matrix_step(x, fresh, wanted, draw_A(width, rank, rng), fresh_rate)
        if step in marks(steps):
            ends = (W + A @ B, projected, W + trained_A @ trained_B, fresh)
            looks["step"].append(step)
            for way, end in zip(WAYS, ends, strict=True):
                looks[way].append(float(np.linalg.norm(end - W - D) / np.linalg.norm(D)))
            looks["apart"].append(float(np.linalg.norm(ends[0] - ends[1]) / np.linalg.norm(D)))
    return looks


def mean_projection(width, rank, draws, seed):
    """Columns over n: |the mean of n A A.T - I| / |I|."""
    rng = np.random.default_rng([seed, rank])
    total, looks = np.zeros((width, width)), {"draws": [], "error": []}
    for n in range(1, draws + 1):
        A = draw_A(width, rank, rng)
        total += A @ A.T  # (d, d)
        if n in 4 ** np.arange(9):
            looks["draws"].append(n)
            looks["error"].append(float(np.linalg.norm(total / n - np.eye(width)) / np.sqrt(width)))
    return looks


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    dials = PRESETS[preset]
    shared = [{"width": dials["width"], "rank": rank, "seed": seed} for rank in dials["ranks"] for seed in seeds]
    rows = run_trials(training, [{**each, "steps": dials["steps"]} for each in shared], jobs=jobs, progress=False)
    means = run_trials(mean_projection, [{**each, "draws": dials["draws"]} for each in shared], jobs=jobs, progress=False)
    return [{"part": part, **row} for part, found in (("training", rows), ("mean", means)) for row in long(found)]


def last(rows, way, rank):
    """What is missing after the last step, one value for each seed."""
    return np.array(column(rows, way, part="training", rank=rank, step=rows[0]["steps"]))


def slopes(rows, rank):
    """The slope of log error over log n, one for each seed."""
    found = []
    for seed in sorted(set(column(rows, "seed"))):
        draws, errors = (column(rows, name, part="mean", rank=rank, seed=seed) for name in ("draws", "error"))
        found.append(np.polyfit(np.log(draws), np.log(errors), 1)[0])
    return np.array(found)


def check(rows):
    frozen, projected, trains, fresh = WAYS
    ranks, d = sorted(set(column(rows, "rank"))), rows[0]["width"]
    first = [np.array(column(rows, way, part="training", step=1)) for way in (frozen, trains)]
    single = [column(rows, "error", part="mean", rank=rank, draws=1) for rank in ranks]
    stays = [np.abs(last(rows, frozen, rank) / np.sqrt(1 - rank / d) - 1) for rank in ranks]
    return [
        exactly(
            "A frozen, and W with its gradient projected: how far they are ever apart, per |D|",
            max(column(rows, "apart", part="training")),
            0,
            1e-12,
        ),
        above("one A A.T is further from the identity than zero is, at every rank", np.min(single, axis=0), 1),
        below(
            "the mean of n of them: the slope of its error is -1/2, to", np.max([np.abs(slopes(rows, r) + 0.5) for r in ranks], axis=0), 0.1
        ),
        below("A frozen: what stays missing is sqrt(1 - r / d), to", np.max(stays, axis=0), 0.05),
        below("a new A each step: what is missing in the end", np.max([last(rows, fresh, rank) for rank in ranks], axis=0), 1e-3),
        exactly("A trains: the first step differs from A frozen by", np.abs(first[0] - first[1]).max(), 0),
        below("A trains: it misses less, over A frozen", np.max([last(rows, trains, r) / last(rows, frozen, r) for r in ranks], axis=0), 1),
    ]


def draw(rows):
    """Left, the four ways at a rank in the middle; right, the mean of n projections at all ranks."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    ranks, d, seeds = sorted(set(column(rows, "rank"))), rows[0]["width"], len(set(column(rows, "seed")))
    rank = ranks[len(ranks) // 2]
    labels = {WAYS[0]: "A frozen, and\nW by A A.T dW", WAYS[2]: "A trains", WAYS[3]: "a new A\neach step"}
    for (way, label), ink in zip(labels.items(), (LIGHT.row, LIGHT.ink, LIGHT.column), strict=True):
        steps = sorted(set(column(rows, "step", part="training")))
        missing = np.array([np.mean(column(rows, way, part="training", rank=rank, step=step)) for step in steps])  # (steps,)
        left.semilogx(steps, missing, "o-", color=ink, markersize=4)
        shown = max(i for i in range(len(steps)) if missing[i] > 0.1)
        left.annotate(label, (steps[shown], missing[shown]), (8, 0), textcoords="offset points", color=ink, va="center")
    left.set(title=f"|D - what was learned| / |D|, r = {rank}", xlabel="step", ylim=(0, 1), xlim=(0.8, 40 * max(steps)))
    for rank, ink in zip(ranks, (LIGHT.row, LIGHT.ink, LIGHT.column, LIGHT.quiet), strict=False):
        draws = sorted(set(column(rows, "draws", part="mean")))
        errors = [np.mean(column(rows, "error", part="mean", rank=rank, draws=n)) for n in draws]
        right.loglog(draws, errors, "o-", color=ink, markersize=4)
        right.annotate(f"r = {rank}", (draws[-1], errors[-1]), (8, 0), textcoords="offset points", color=ink, va="center")
    right.set(title="|mean of n A A.T - I| / |I|", xlabel="n", xlim=(0.8, 6 * max(draws)))
    figure.supxlabel(
        f"one {d} x {d} matrix, white inputs, gradient descent; entries of A have variance 1 / r; mean of {seeds} seeds",
        fontsize=8,
        color=LIGHT.quiet,
    )
    return figure
