"""What must be zero at the start?

Claim: LoRA starts with A random and B zero, so that the adapted model begins as the base (Hu et al. 2021, arXiv 2106.09685, section 4.1).
One reads that a zero B kills learning, that both could be zero, that both could be random, and that it has to be B.
Source: loralib and PEFT start A random and B zero in linear layers, and A zero and B random in an embedding; Hayou et al. 2024 (arXiv
2406.08447) find that of the two the first bears the higher learning rates.
Set-up: the shipped base learns a voice with LoRA of rank 8 in all linear layers, from four starts: B zero, A zero, both zero, both random.
Where a matrix is random, it is U(-1 / sqrt(n), 1 / sqrt(n)) with n its long side. At the start the loss on plain stories is compared with
the base's; then the voice is trained at several learning rates, and each start is judged by the one that is best for it.
What must be seen: with one of the two at zero, whichever, nothing changes at the start, to the bit, and what multiplies the zero has no
gradient, for one step only. With both at zero nothing has, for ever. With both random the base is hurt, the more so the larger s is: at
s = 2 by 0.07 nats, which training makes good, at s = 8 by some eight nats.
What this size cannot show: which of the two had better be zero. Each at its best learning rate, they end at the same loss here; above it
B zero suffers less, as Hayou et al. say, but not by a margin that three seeds could hold.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from minilora import ops
from minilora.lab.findings import above, below, exactly
from minilora.lab.fit import base, fit
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.lowrank import init
from minilora.methods import LoRA, Method
from minilora.training import corpora
from minilora.training.gradients import evaluate, step_gradients, workers

QUESTION = "What must be zero at the start?"
PRESETS = {
    "smoke": {"steps": 3, "rates": (1e-2,), "alphas": (16.0, 64.0)},
    "class": {"steps": 40, "rates": (2.5e-3, 5e-3, 1e-2, 2e-2), "alphas": (1.0, 4.0, 16.0, 64.0)},
    "paper": {"steps": 150, "rates": (1.25e-3, 2.5e-3, 5e-3, 1e-2, 2e-2, 4e-2), "alphas": (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)},
}
STARTS = {"B zero": "A", "A zero": "B", "both zero": "", "both random": "AB"}  # which of the two are random
CORPUS, RANK, ALPHA = "pirate", 8, 16.0
RECIPE = {"batch": 4, "length": 192, "warmup": 5, "held_out": 16}  # a whole story fits a row


@dataclass(frozen=True)
class Started(LoRA):
    """LoRA from another start: those of A and B that `random` names are random, the others zero."""

    random: str = "A"

    def init(self, config, base, rng):
        arrays = {}
        for name, shape in self.shapes(config).items():
            part = name[-1]
            drawn, _ = init(max(shape), min(shape), min(shape), rng)  # (n, r): A, or B turned round
            arrays[name] = (drawn if part == "A" else drawn.T.copy()) * np.float32(part in self.random)
        return arrays


def norm(arrays, part):
    """The Euclidean norm of all A, or of all B, in a dictionary of the arrays or of their gradients."""
    squares = [np.sum(np.square(array, dtype=np.float64)) for name, array in arrays.items() if name.endswith(f".lora_{part}")]
    return float(np.sqrt(np.sum(squares)))


def jump(start, alpha, seed):
    """How the start changes the loss on plain stories, and the norms of the first gradients of A and B, on the voice."""
    stories, chosen = base(), ops.choose()
    config, weights = stories.config, stories.weights
    method = Started(rank=RANK, alpha=alpha, random=STARTS[start])
    arrays = method.init(config, weights, np.random.default_rng([seed, 0]))
    known = corpora.load("stories").held_out(RECIPE["held_out"], config.max_position_embeddings)  # (16, T) each
    batch = corpora.load(CORPUS).train_batch(np.random.default_rng(seed), RECIPE["batch"], RECIPE["length"])  # (4, 192) each
    with workers(1) as pool:
        loss = evaluate(pool, config, weights, method, arrays, chosen, *known)
        before = evaluate(pool, config, weights, Method(), {}, chosen, *known)
        _, grads = step_gradients(pool, config, weights, method, arrays, chosen, *batch, shards=1, accumulation=1, seed=(seed,))
    return {"jump": loss - before, "dA": norm(grads, "A"), "dB": norm(grads, "B")}


def learn(start, learning_rate, steps, seed):
    """What a training ends at: the loss on the voice above the best, in nats a character, and the norms of A and B."""
    method = Started(rank=RANK, alpha=ALPHA, random=STARTS[start])
    adapter = fit(method, CORPUS, steps=steps, learning_rate=learning_rate, evaluate_every=steps, seed=seed, **RECIPE)
    return {"excess": adapter.log[-1]["excess"], "A": norm(adapter.arrays, "A"), "B": norm(adapter.arrays, "B")}


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    dials = PRESETS[preset]
    jumps = [{"start": start, "alpha": alpha, "seed": seed} for start in STARTS for alpha in dials["alphas"] for seed in seeds]
    trials = [
        {"start": start, "learning_rate": rate, "steps": dials["steps"], "seed": seed}
        for start in STARTS
        for rate in (dials["rates"] if STARTS[start] else dials["rates"][-1:])  # what is dead is so at any learning rate
        for seed in seeds
    ]
    rows = [{"part": "before", **row} for row in run_trials(jump, jumps, jobs=jobs, progress=False)]
    rows += [{"part": "after", "alpha": ALPHA, **row} for row in run_trials(learn, trials, jobs=jobs, progress=False)]
    return rows


def at_best(rows, start):
    """The losses after training, one for each seed, at the learning rate at which their mean is least."""
    rates = sorted(set(column(rows, "learning_rate", part="after", start=start)))
    return min((column(rows, "excess", part="after", start=start, learning_rate=rate) for rate in rates), key=np.mean)


def check(rows):
    before = partial(column, [row for row in rows if row["part"] == "before"])
    after = partial(column, [row for row in rows if row["part"] == "after"])
    weak, strong = ALPHA, max(before("alpha"))
    zero = [jump for start in STARTS if start != "both random" for jump in before("jump", start=start)]
    first = [
        *before("dA", start="B zero"),
        *before("dB", start="A zero"),
        *before("dA", start="both zero"),
        *before("dB", start="both zero"),
    ]
    best = {start: np.array(at_best(rows, start)) for start in STARTS}
    return [
        exactly("with a zero among the two the base is what it was", max(map(abs, zero)), 0),
        exactly("what multiplies a zero has no gradient in the first step", max(first), 0),
        exactly("both zero: nothing has moved at the end", max(after("A", start="both zero") + after("B", start="both zero")), 0),
        above("B zero: it learns, and leaves the dead start behind", best["both zero"] - best["B zero"], 1.0),
        below("A zero ends where B zero does: they differ by", np.abs(best["A zero"] - best["B zero"]), 0.1),
        below(f"both random, s = {weak / RANK:g}: the base loses little", before("jump", start="both random", alpha=weak), 0.5),
        above(f"both random, s = {strong / RANK:g}: the base is gone", before("jump", start="both random", alpha=strong), 3.0),
        below("both random, trained at s = 2, ends there too: it differs by", np.abs(best["both random"] - best["B zero"]), 0.1),
    ]


def draw(rows):
    """What each start does to the base, by the strength s, and the loss that training ends at, by the learning rate."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(9, 4), layout="constrained")
    before, after = figure.subplots(1, 2)
    scales = [alpha / RANK for alpha in sorted(set(column(rows, "alpha", part="before")))]
    for start, ink in (("both random", LIGHT.row), ("B zero", LIGHT.column)):
        jumps = [np.mean(column(rows, "jump", part="before", start=start, alpha=s * RANK)) for s in scales]
        before.semilogx(scales, jumps, "o-", color=ink, markersize=4)
        hurt = jumps[-1] > 0
        told, at = ("both random", int(np.argmax(jumps))) if hurt else ("one or both zero: 0, to the bit", 0)
        place, ha = ((-10, 0), "right") if hurt else ((0, 8), "left")
        before.annotate(told, (scales[at], jumps[at]), place, textcoords="offset points", ha=ha, color=ink)
    before.set(
        xticks=scales, xticklabels=[f"{s:g}" for s in scales], xlabel="scale s = alpha / r", title="before training: the base is hurt"
    )
    before.set_ylabel("loss on plain stories minus the base's, nats")
    before.minorticks_off()

    rates = sorted(set(column(rows, "learning_rate", part="after", start="B zero")))
    dead = np.mean(at_best(rows, "both zero"))
    after.axhline(dead, color=LIGHT.quiet, linestyle="--")
    after.annotate("both zero: the base, for ever", (rates[0], dead), (0, -14), textcoords="offset points", color=LIGHT.quiet)
    lowest = dead
    for start, ink, lift in (("B zero", LIGHT.column, -2), ("A zero", LIGHT.ink, -14), ("both random", LIGHT.row, 10)):
        losses = [np.mean(column(rows, "excess", part="after", start=start, learning_rate=rate)) for rate in rates]
        after.loglog(rates, losses, "o-", color=ink, markersize=4)
        after.annotate(start, (rates[-1], losses[-1]), (8, lift), textcoords="offset points", color=ink, va="center")
        lowest = min(lowest, *losses)
    ticks = [tick for tick in (0.01, 0.03, 0.1, 0.3, 1, 3) if lowest / 1.5 < tick < 1.5 * dead]
    after.set(xlim=(None, 3 * rates[-1]), ylim=(lowest / 1.5, 1.5 * dead), xticks=rates, xticklabels=[f"{1000 * rate:g}" for rate in rates])
    after.set(yticks=ticks, yticklabels=ticks, xlabel="learning rate, thousandths")
    after.set_ylabel("loss on the voice above the best, nats")
    after.set_title(f"after {column(rows, 'steps', part='after')[0]} steps at s = {ALPHA / RANK:g}")
    after.minorticks_off()
    seeds = len(set(column(rows, "seed")))
    figure.supxlabel(
        f"LoRA of rank {RANK} on {CORPUS}, steps of 4 x 192 characters, 16 held-out texts, mean of {seeds} seeds",
        fontsize=8,
        color=LIGHT.quiet,
    )
    return figure
