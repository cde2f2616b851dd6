"""What rank does a task need?

Claim: "the update has a low intrinsic rank" (Hu et al. 2021, arXiv 2106.09685, section 4.1), and the rank to choose is 8, 16 or 32.
Source: Biderman et al. 2024 (arXiv 2405.09673, section 4.6) find that full fine-tuning's update is of no low rank, and say that this does
not rule out solutions of low rank: they are not the ones that are found.
Set-up: substitution ciphers on the toy stories (ciphers.py), whose exact update of the embedding and the head is known, and its rank R: 1,
4 or 13. The exact update is cut to rank r by SVD; LoRA of rank r is trained on embedding and head; and the two are trained in full. What
is told is the loss above the base's on the same stories in plain letters, the best there is. The learning rates were searched for four
swaps by factors of 2 on seed 0, for LoRA of r = 4 at s = 2 and in full: twice either changes its loss by less than 0.01 nats. The
embedding's B starts at a tenth of the N(0, 1) that PEFT draws, nearer to this embedding's own numbers: from the usual start LoRA is slower.
What must be seen: the rank that is needed is the task's. Cut to R the exact update loses nothing, to rounding; cut to less, much. LoRA
below R fails, and at R it does not; below R it is still better than the SVD, which keeps what is large and not what tells letters apart.
In full the loss is a little lower still, and the embedding's update takes a rank of 20 for a task of rank 1 (the head's takes 4): the
solution of low rank is there, and is not what full training finds. After 300 steps (preset paper) the stair is sharp: four swaps leave 2.1
nats at rank 1, 0.56 at 2, 0.01 at 3 and nothing at 4.
What this size cannot show: rot13 trained to its end. On embedding and head alone it is slow, for LoRA and in full alike: after 1,500 steps
(preset paper) LoRA of rank 13 is 0.12 nats above the exact update in the mean of three seeds, full training 0.19, and rank 4 1.2.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from minilora import ops
from minilora.analysis import spectrum
from minilora.lab import ciphers
from minilora.lab.ciphers import CIPHERS, EMBEDDING, HEAD
from minilora.lab.findings import above, below, exactly
from minilora.lab.fit import base
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.methods import LoRA, Method
from minilora.methods.full import Copies
from minilora.training.gradients import evaluate, workers
from minilora.training.loop import Recipe, train

QUESTION = "What rank does a task need?"
FULL = 0  # the rank that stands for both matrices in full
RESOLVED = 1e-3  # nats: less than this sixteen texts do not tell apart
PRESETS = {
    "smoke": {
        "cut": {"one swap": (1,), "four swaps": (2, 4), "rot13": (12, 13)},
        "steps": {"one swap": 2, "four swaps": 2},
        "trained": {"one swap": (1, FULL), "four swaps": (2, 4, FULL)},
    },
    "class": {
        "cut": {"one swap": (1,), "four swaps": (1, 2, 3, 4), "rot13": (1, 2, 4, 6, 8, 10, 12, 13)},
        "steps": {"one swap": 60, "four swaps": 100},
        "trained": {"one swap": (1, FULL), "four swaps": (2, 4, 8, FULL)},
    },
    "paper": {
        "cut": {"one swap": (1,), "four swaps": (1, 2, 3, 4), "rot13": tuple(range(1, 14))},
        "steps": {"one swap": 200, "four swaps": 300, "rot13": 1500},
        "trained": {"one swap": (1, 2, 4, FULL), "four swaps": (1, 2, 3, 4, 8, FULL), "rot13": (4, 13, FULL)},
    },
}
RATES = {"LoRA": 4e-2, "full": 1e-2}
HELD_OUT = 16  # texts


@dataclass(frozen=True)
class Ends(Copies):
    """Embedding and head train in full."""

    name = "ends"

    def shapes(self, config):
        return {name: config.shapes()[name] for name in (EMBEDDING, HEAD)}


@dataclass(frozen=True)
class Dial(LoRA):
    """LoRA whose embedding starts at a tenth of the usual size."""

    def init(self, config, base, rng):
        arrays = super().init(config, base, rng)
        arrays["model.embed_tokens.lora_B"] *= 0.1
        return arrays


def loss(weights, corpus):
    """The held-out loss of the base with these weights, in nats a character."""
    config = base().config
    with workers(1) as pool:
        told = corpus.held_out(HELD_OUT, config.max_position_embeddings)  # (HELD_OUT, T) each
        return evaluate(pool, config, weights, Method(), {}, ops.choose(), *told)


def cut(cipher, rank):
    """The exact updates, cut to a rank by SVD -> the loss on the cipher above the base's on plain text, and the exact update's rank."""
    weights = base().weights
    exact = ciphers.exact_updates(weights, ciphers.meaning(CIPHERS[cipher]))
    tuned = weights | {name: weights[name] + spectrum.approximate(update, rank) for name, update in exact.items()}
    needed = {int(np.linalg.matrix_rank(update)) for update in exact.values()}
    return {"excess": loss(tuned, ciphers.corpus(cipher)) - loss(weights, ciphers.plain()), "needed": max(needed)}


def learn(cipher, rank, learning_rate, steps, seed):
    """Train LoRA of a rank on embedding and head, or both in full -> the loss as in `cut`, and the ranks that hold 90 % of the updates."""
    config, weights = base().config, base().weights
    method = Ends() if rank == FULL else Dial(rank=rank, alpha=2.0 * rank, targets=("embed_tokens", "lm_head"))
    recipe = Recipe(
        steps=steps, batch=4, length=160, learning_rate=learning_rate, warmup=5, evaluate_every=steps, held_out=HELD_OUT, seed=seed
    )
    run = train(config, weights, method, ciphers.corpus(cipher), recipe, ops.choose(), num_workers=1, progress=False)
    tuned = method.merge(config, weights, run.arrays)
    used = {
        f"{part}_rank": spectrum.rank_holding(np.linalg.svd(tuned[name] - weights[name], compute_uv=False))
        for part, name in (("embedding", EMBEDDING), ("head", HEAD))
    }
    return {"excess": run.log[-1]["held_out"] - loss(weights, ciphers.plain()), **used}


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    dials = PRESETS[preset]
    cuts = [{"cipher": cipher, "rank": rank} for cipher, ranks in dials["cut"].items() for rank in ranks]
    trials = [
        {
            "cipher": cipher,
            "rank": rank,
            "learning_rate": RATES["full" if rank == FULL else "LoRA"],
            "steps": dials["steps"][cipher],
            "seed": seed,
        }
        for cipher, ranks in dials["trained"].items()
        for rank in ranks
        for seed in seeds
    ]
    rows = [{"kind": "cut", **row} for row in run_trials(cut, cuts, jobs=1, progress=False)]
    return rows + [{"kind": "trained", **row} for row in run_trials(learn, trials, jobs=jobs, progress=False)]


def check(rows):
    short = partial(column, rows, "excess", kind="cut")
    trained = partial(column, rows, kind="trained")
    found = []
    for cipher in sorted(set(column(rows, "cipher", kind="cut")), key=list(CIPHERS).index):
        R = ciphers.rank(CIPHERS[cipher])
        found.append(exactly(f"{cipher}: the rank of the exact update", column(rows, "needed", kind="cut", cipher=cipher)[0], R))
        found.append(exactly(f"{cipher}: the exact update, cut to it, loses nothing", short(cipher=cipher, rank=R)[0], 0, 1e-6))
    R, low = 4, 2
    below_it, at_it, full = (np.array(trained("excess", cipher="four swaps", rank=rank)) for rank in (low, R, FULL))
    return [
        *found,
        above("rot13: cut to one rank less, it loses", short(cipher="rot13", rank=12), 0.004),
        above("four swaps: cut to half its rank, it loses", short(cipher="four swaps", rank=low), 3.0),
        above("four swaps: log10 of how many times r = 4's loss LoRA of r = 2 has", np.log10(below_it / np.maximum(at_it, RESOLVED)), 0.3),
        below("four swaps: and below the exact update cut to r = 2 by SVD, at", below_it - short(cipher="four swaps", rank=low), -0.5),
        below("four swaps: LoRA of r = 4 ends above both matrices in full by", at_it - full, 0.2),
        above(
            "one swap, of rank 1: in full the embedding's update takes a rank of",
            trained("embedding_rank", cipher="one swap", rank=FULL),
            10,
        ),
        above("four swaps, of rank 4: in full it takes", trained("embedding_rank", cipher="four swaps", rank=FULL), 10),
    ]


def draw(rows):
    """The loss over the rank, a panel for each cipher: the exact update cut, LoRA trained, and both matrices in full."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    names = [cipher for cipher in CIPHERS if column(rows, "rank", kind="cut", cipher=cipher)]
    for axes, cipher in zip(figure.subplots(1, len(names), sharey=True), names, strict=True):
        ranks, losses = (column(rows, name, kind="cut", cipher=cipher) for name in ("rank", "excess"))
        axes.plot(ranks, losses, "o-", color=LIGHT.ink, markersize=4, clip_on=False)
        trained = sorted(set(column(rows, "rank", kind="trained", cipher=cipher)) - {FULL})
        means = [np.mean(column(rows, "excess", kind="trained", cipher=cipher, rank=rank)) for rank in trained]
        axes.plot(trained, means, "o-", color=LIGHT.row, markersize=4)
        if trained:
            axes.annotate("LoRA trained", (trained[0], means[0]), (6, 6), textcoords="offset points", color=LIGHT.row)
        full = column(rows, "excess", kind="trained", cipher=cipher, rank=FULL)
        if full:
            used = np.mean(column(rows, "embedding_rank", kind="trained", cipher=cipher, rank=FULL))
            axes.axhline(np.mean(full), color=LIGHT.column, linestyle="--")
            place = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points", "color": LIGHT.column}
            x, ha = (0.02, "left") if ciphers.rank(CIPHERS[cipher]) > 7 else (0.98, "right")  # where the curves are not
            axes.annotate(f"in full: rank {used:.0f}", (x, np.mean(full)), (0, 4), **place, ha=ha)
        axes.set_yscale("symlog", linthresh=0.1)
        axes.set(
            xlim=(0, 14), xticks=(1, 4, 8, 13), ylim=(0, 12), yticks=(0, 0.1, 1, 10), yticklabels=("0", "0.1", "1", "10"), xlabel="rank r"
        )
        axes.set_title(f"{cipher}: rank {ciphers.rank(CIPHERS[cipher])}")
        axes.minorticks_off()
    figure.axes[0].set_ylabel("loss above the base's on plain text,\nnats a character")
    figure.axes[-1].annotate(
        "the exact update,\ncut to r by SVD",
        (ranks[len(ranks) // 2], losses[len(ranks) // 2]),
        (6, 8),
        textcoords="offset points",
        color=LIGHT.ink,
    )
    seeds = len(set(column(rows, "seed", kind="trained")))
    figure.supxlabel(
        f"embedding and head of the shipped base, steps of 4 x 160 characters, {HELD_OUT} held-out texts, trained: mean of {seeds} seeds\n"
        "in full: the least rank that holds 90 % of the embedding's update",
        fontsize=8, color=LIGHT.quiet,
    )  # fmt: skip
    return figure
