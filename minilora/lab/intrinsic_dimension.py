"""How many numbers does it take to adapt a model?

Claim: few, even in random directions. Li et al. 2018 (arXiv 1804.08838) train theta0 + P z with a random P, and call the least dimension of
z that comes within 90 % of full training the task's intrinsic dimension; Aghajanyan et al. 2021 (arXiv 2012.13255) find that a pre-trained
model needs a few hundred, and that it is pre-training that makes it so. Hu et al. 2021 (arXiv 2106.09685, section 1) take LoRA's idea from
there. It is a dimension of theta, all numbers together, and not the rank of any matrix.
Set-up: the shipped base, of 455,520 numbers, and a random one of the same shape learn a voice by z alone. P has one entry a row, so that a
product with it is a sum: with as many columns as rows it is full training. The learning rate is 3 / sqrt(dimension), by which Adam's
step in theta has one length for all dimensions; 3 is the best of those of 1, 3 and 10 that were tried on seed 0, at 6,912 numbers and in
full. The intrinsic dimension is read off where 90 % of the way is made from the untrained loss to the least that any dimension reaches.
What must be seen: the pretrained base needs some 1,400 numbers after 40 steps and 700 after 150 (preset paper), three and two in a
thousand. The random one with all its numbers ends far above what the pretrained one reaches with 1,024. On a way of its own, to the least
that it reaches, it needs ten times as many and more; but how many differs from seed to seed, by a factor of a hundred after 150 steps, and
is not checked. As many random directions as LoRA of rank 1 has numbers do about as well as all numbers, and so does LoRA.
What this size cannot show: where a random base ends in the long run: 40 steps, and 150, are plenty for the one and a beginning for the
other.
"""

from functools import lru_cache

import numpy as np

from minilora import ops
from minilora.lab.findings import above, below
from minilora.lab.fit import base, fit
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.methods import LoRA, Method
from minilora.training import corpora
from minilora.training.buffer import flatten, views
from minilora.training.gradients import evaluate, workers
from minilora.training.schedule import warmup_cosine
from minilora.transformer import init, model
from minilora.transformer.sites import Sites

SAME, FULL = 6912, 455520  # as many numbers as LoRA of rank 1 in all linear layers has, and as the base has
QUESTION = "How many numbers does it take to adapt a model?"
PRESETS = {
    "smoke": {"dimensions": (16, FULL), "steps": 2},
    "class": {"dimensions": (16, 128, 1024, SAME, FULL), "steps": 40},
    "paper": {"dimensions": (4, 16, 64, 256, 1024, 4096, SAME, 32768, FULL), "steps": 150},
}
CORPUS, BATCH, LENGTH, WARMUP, HELD_OUT = "pirate", 4, 160, 5, 8
PACE = 3.0  # the length of a step in theta, as Adam makes it: the learning rate times the root of the dimension


@lru_cache(maxsize=2)
def start(base_is, seed):
    """The weights to start from: the shipped base's, or random ones of its shape."""
    return base().weights if base_is == "pretrained" else init(base().config, np.random.default_rng(seed))


def projection(size, dimension, rng):
    """A random P of `size` rows and `dimension` columns with one entry a row, a sign over the root of how many share its column.

    -> columns (size,) and entries (size,) of the rows. The columns are orthogonal and of length 1, as those of a dense random matrix nearly
    are, and a product with P costs no more than its rows.
    """
    columns = rng.permutation(np.arange(size) % dimension)  # (D,)
    counts = np.bincount(columns, minlength=dimension)  # (dimension,)
    return columns, (rng.choice((-1.0, 1.0), size) / np.sqrt(counts[columns])).astype(np.float32)  # (D,) each


def project(base_is, dimension, steps, seed):
    """Train z in theta = theta0 + P z -> the held-out loss above the best, in nats a character."""
    config, chosen, corpus = base().config, ops.choose(), corpora.load(CORPUS)
    weights, learning_rate = start(base_is, seed), PACE / np.sqrt(dimension)
    theta0, _ = flatten(weights, list(weights))  # (D,)
    shapes = {name: array.shape for name, array in weights.items()}
    columns, entries = projection(theta0.size, dimension, np.random.default_rng([seed, dimension]))  # (D,) each
    z, m, v = np.zeros((3, dimension), np.float32)  # (dimension,) each
    told = corpus.held_out(HELD_OUT, config.max_position_embeddings)  # (HELD_OUT, T) each
    with workers(1) as pool:
        for step in range(steps):
            tuned = views(theta0 + entries * z[columns], shapes)
            inputs, targets = corpus.train_batch(np.random.default_rng((seed, 1 + step)), BATCH, LENGTH)  # (BATCH, LENGTH) each
            _, cache = model.loss(config, weights, inputs, targets, Sites(tuned, chosen))
            grads = model.loss_backward(cache)
            dtheta = np.concatenate([grads[name].ravel() for name in shapes])  # (D,)
            dz = np.bincount(columns, entries * dtheta, dimension).astype(np.float32)  # (dimension,)    theta = theta0 + P z
            chosen.adamw_step(z, dz, m, v, step + 1, learning_rate * warmup_cosine(step, steps, WARMUP), beta2=0.99)
        tuned = views(theta0 + entries * z[columns], shapes)
        loss = evaluate(pool, config, tuned, Method(), {}, chosen, *told)
    return {"excess": loss - corpus.entropy(HELD_OUT)}


def lora(steps, seed):
    """LoRA of rank 1 in all linear layers, for comparison -> the loss as in `project`."""
    recipe = {"steps": steps, "batch": BATCH, "length": LENGTH, "warmup": WARMUP, "evaluate_every": steps, "held_out": HELD_OUT}
    return {"excess": fit(LoRA(rank=1, alpha=2.0), CORPUS, learning_rate=3e-2, seed=seed, **recipe).log[-1]["excess"]}


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    dials = PRESETS[preset]
    steps = dials["steps"]
    trials = [
        {"base_is": base_is, "dimension": dimension, "steps": count, "seed": seed}
        for base_is in ("pretrained", "random")
        for dimension, count in ((dials["dimensions"][0], 0), *((dimension, steps) for dimension in dials["dimensions"]))
        for seed in seeds
    ]
    rows = [{"kind": "projection", **row} for row in run_trials(project, trials, jobs=jobs, progress=False)]
    rivals = run_trials(lora, [{"steps": steps, "seed": seed} for seed in seeds], jobs=jobs, progress=False)
    return rows + [{"kind": "LoRA", "base_is": "pretrained", "dimension": SAME, **row} for row in rivals]


def at(rows, base_is, dimension):
    """The losses after training, one for each seed."""
    return [row["excess"] for row in projections(rows, base_is) if row["dimension"] == dimension and row["steps"] > 0]


def at_start(rows, base_is):
    """The losses before training, one for each seed."""
    return [row["excess"] for row in projections(rows, base_is) if row["steps"] == 0]


def projections(rows, base_is):
    return [row for row in rows if row["kind"] == "projection" and row["base_is"] == base_is]


def intrinsic(rows, base_is):
    """The dimension at which 90 % of the way to the least loss is made, one for each seed, between dimensions by the logarithm."""
    dimensions = sorted(set(column(projections(rows, base_is), "dimension")))
    losses = np.array([at(rows, base_is, dimension) for dimension in dimensions])  # (dimensions, seeds)
    gained = np.array(at_start(rows, base_is)) - losses  # (dimensions, seeds)
    gained = np.maximum.accumulate(gained / gained.max(axis=0))  # (dimensions, seeds)
    return [float(np.exp(np.interp(0.9, shares, np.log(dimensions)))) for shares in gained.T]


def check(rows):
    known, new = at(rows, "pretrained", SAME), at(rows, "random", FULL)
    few = max(dimension for dimension in column(projections(rows, "pretrained"), "dimension") if dimension <= 1024)
    rank_one = np.array(column(rows, "excess", kind="LoRA"))
    return [
        below("pretrained: the numbers that make 90 % of the way", intrinsic(rows, "pretrained"), FULL / 100),
        above(
            f"a random base with all numbers ends above the pretrained one with {few:,}, by", np.array(new) - at(rows, "pretrained", few), 0
        ),
        below(f"pretrained, {SAME:,} random directions: above all numbers by", np.array(known) - at(rows, "pretrained", FULL), 0.2),
        below("LoRA of rank 1, with as many numbers, is that close as well", np.abs(rank_one - known), 0.1),
    ]


def draw(rows):
    """The loss over the number of numbers that train, from the shipped base and from a random one."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    dimensions = sorted(set(column(projections(rows, "pretrained"), "dimension")))
    for base_is, ink in (("random", LIGHT.row), ("pretrained", LIGHT.column)):
        losses = [np.mean(at(rows, base_is, dimension)) for dimension in dimensions]
        start = np.mean(at_start(rows, base_is))
        axes.loglog(dimensions, losses, "o-", color=ink, markersize=4)
        axes.axhline(start, color=ink, linestyle=":", linewidth=1)
        axes.annotate(
            f"{base_is} base, untrained: {start:.2f}", (dimensions[-1], start), (0, 4), textcoords="offset points", ha="right", color=ink
        )
        axes.annotate(f"{base_is} base", (dimensions[1], losses[1]), (-4, -14), textcoords="offset points", ha="right", color=ink)
        axes.annotate(f"{losses[-1]:.2f}", (dimensions[-1], losses[-1]), (6, -4), textcoords="offset points", color=ink)
    rank_one = np.mean(column(rows, "excess", kind="LoRA"))
    axes.plot(SAME, rank_one, "s", color=LIGHT.ink, markersize=6)
    axes.annotate(f"LoRA, r = 1: {rank_one:.3f}", (SAME, rank_one), (8, -4), textcoords="offset points", color=LIGHT.ink)
    needed = np.mean(intrinsic(rows, "pretrained"))
    axes.axvline(needed, color=LIGHT.quiet, linestyle="--", linewidth=1)
    axes.set(
        xticks=dimensions, xticklabels=[f"{dimension:,}" for dimension in dimensions], xlabel="numbers that train, in random directions"
    )
    axes.set(ylim=(0.035, 8), yticks=(0.05, 0.1, 0.2, 0.5, 1, 2, 5), yticklabels=("0.05", "0.1", "0.2", "0.5", "1", "2", "5"))
    axes.set_ylabel("loss above the best, nats a character")
    axes.minorticks_off()
    axes.annotate(
        f"pretrained, 90 % of the way: {needed:,.0f} numbers", (needed, 0.6), (6, 0), textcoords="offset points", color=LIGHT.quiet
    )
    seeds, steps = len(set(column(rows, "seed"))), max(column(rows, "steps"))
    figure.supxlabel(
        f"{CORPUS}, {steps} steps of {BATCH} x {LENGTH} characters, {HELD_OUT} held-out texts, mean of {seeds} seeds",
        fontsize=8,
        color=LIGHT.quiet,
    )
    return figure
