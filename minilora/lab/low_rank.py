"""Is the update low-rank? Section 7 of the LoRA paper, at toy size, beside what chance gives.

Claim: "updates have a low intrinsic rank" (Hu et al. 2021, arXiv 2106.09685, sections 4.1 and 7): runs of different rank and seed share
their first directions alone, and the update amplifies directions that W has but does not stress. Biderman et al. 2024 (arXiv 2405.09673,
section 4.6): full fine-tuning's update is not low-rank, and less so the longer it trains. Zhu et al. 2024 (arXiv 2402.16842): A's likeness
between runs is that of their start, B's that of their task.
Set-up: stories-base learns pirate and rot13 in full. Of its update in the layers, the share of directions that hold 90 % of it is taken on
the way, and in the end the loss with its first few directions alone. Then LoRA learns pirate twice, or once uwu, from the same A or
another one: phi is how much of two spaces is shared, less the mean of random ones (analysis/subspaces.py). Last, table 7: how strong W is
along the directions of LoRA's update, per what random directions would give. Rates: the best of experiment learning_rate, 0.001 and 0.01.
What must be seen: full fine-tuning spreads over a quarter of all directions, less than half of what noise takes, and more the longer it
trains after a narrow start. A sixth of them do nearly all of the work, one in each layer very little of it: yet LoRA finds a rank-1 update
that does. So there is an update of low rank, and full fine-tuning does not look for it. Without a shared start A is hardly alike, B is for
the same task; the first direction's phi stays below the paper's 0.5. The update uses directions in which W is little stronger than chance.
What this size cannot show: 0.5 for the first direction, which GPT-3 had; and how the factor of amplification falls with the rank by
itself, since |U.T W V| grows with r for any directions. At a fixed alpha it falls further, because s = alpha / r does.
"""

from dataclasses import dataclass, replace

import numpy as np

from minilora.analysis.spectrum import approximate, rank_holding, truncated_svd
from minilora.analysis.subspaces import amplification, similarity, similarity_by_chance, strength, strength_by_chance
from minilora.lab.findings import above, below
from minilora.lab.fit import base, fit
from minilora.lab.table import column, unfolded
from minilora.lab.trials import run_trials
from minilora.lab.updates import updates
from minilora.methods import Full, LoRA
from minilora.pictures.measure import watched

QUESTION = "Is the update low-rank?"
KEPT = (1, 2, 4, 8, 16, 32, 96)
PRESETS = {
    "smoke": {"steps": {"pirate": 2}, "kept": (1, 16, 96), "rank": 2, "larger": 4, "pair_steps": 1},
    "class": {"steps": {"pirate": 50, "rot13": 60}, "kept": KEPT, "rank": 8, "larger": 32, "pair_steps": 30},
    "paper": {"steps": {"pirate": 400, "rot13": 400}, "kept": KEPT, "rank": 8, "larger": 32, "pair_steps": 300},
}
RECIPE = {"batch": 4, "length": 192, "warmup": 10, "held_out": 32}  # a whole story fits a row
FULL_RATE, LORA_RATE = 1e-3, 1e-2
OTHER = 100  # what is added to a seed for a second, independent start or run of batches
PAIRS = {  # the start, the batches and the task of a second run, as parts of the first's
    "same start, same task": (0, OTHER, "pirate"),
    "same start, other task": (0, OTHER, "uwu"),
    "other start, same task": (OTHER, OTHER, "pirate"),
    "other start, other task": (OTHER, OTHER, "uwu"),
}


@dataclass(frozen=True)
class Started(LoRA):
    """LoRA whose A is drawn from a seed of its own, so that two runs can share their start and not their batches."""

    start: int = 0

    def init(self, config, base, rng):
        return super().init(config, base, np.random.default_rng(self.start))


def spectrum(corpus, steps, kept, seed):
    """Full fine-tuning: the share of its directions that hold 90 % of the update as it grows; the loss with the first few alone."""
    every = max(1, steps // 20)
    watcher, states = watched(Full(), every)
    trained = replace(fit(watcher, corpus, steps=steps, learning_rate=FULL_RATE, seed=seed, **RECIPE), method=Full())
    found = updates(base(), trained)
    rng = np.random.default_rng(seed)
    noise = share_holding(rng.standard_normal(dW.shape) for dW in found.values())
    rows = []
    for step in [step for step in states if step // every in (1, 2, 5, 10, 20) or step == steps]:
        rank90 = share_holding(updates(base(), replace(trained, arrays=states[step])).values())
        rows.append({"part": "growth", "step": step, "rank90": rank90, "noise": noise})
    for rank in kept:
        excess = base().held_out_loss(corpus, truncated(trained, found, rank), rows=RECIPE["held_out"])[1]
        rows.append({"part": "kept", "rank": rank, "excess": excess})
    lora = fit(LoRA(rank=1, alpha=16), corpus, steps=steps, learning_rate=LORA_RATE, seed=seed, **RECIPE)
    return {"looks": [*rows, {"part": "LoRA", "rank": 1, "excess": lora.log[-1]["excess"]}]}


def truncated(trained, found, rank):
    """What was trained in full, with the first `rank` directions alone of the update of each linear layer; the rest of it as it is."""
    arrays = dict(trained.arrays)
    for name, dW in found.items():
        arrays[f"{name}.weight"] = (base().weights[f"{name}.weight"] + approximate(dW, min(rank, *dW.shape))).astype(np.float32)  # (d, k)
    return replace(trained, arrays=arrays)


def share_holding(matrices):
    """The mean share of a matrix's directions that hold 90 % of its energy."""
    return float(np.mean([rank_holding(np.linalg.svd(W, compute_uv=False)) / min(W.shape) for W in matrices]))


def pairs(rank, larger, steps, seed):
    """LoRA twice -> how alike the directions of A and of B are, beyond chance; and what the update does to directions of W."""

    def lora(r, alpha, start, batches, task):
        method = Started(rank=r, alpha=alpha, start=seed + start)
        return fit(method, task, steps=steps, learning_rate=LORA_RATE, seed=seed + batches, **RECIPE)

    first = lora(rank, 2 * rank, 0, 0, "pirate")
    rows = [{"part": "pair", "pair": pair, **alike(first, lora(rank, 2 * rank, *second))} for pair, second in PAIRS.items()]
    wide = lora(larger, 2 * rank, OTHER, OTHER, "pirate")
    rows.append({"part": "pair", "pair": f"same task, rank {larger}", **alike(first, wide)})
    strong = lora(larger, 2 * larger, OTHER, OTHER, "pirate")
    rows += [{"part": "strength", "rank": a.method.rank, "alpha": a.method.alpha, **amplified(a)} for a in (first, wide, strong)]
    return {"looks": rows}


def alike(one, other):
    """phi less its mean by chance, in the mean of all matrices: of all directions of A and of B (the smaller rank's), and of the first."""
    found = {"A": [], "B": [], "first_A": [], "first_B": []}
    for name in one.method.ranks(one.config):
        for part in "AB":
            bases = []
            for adapter in (one, other):
                U, _, Vt = truncated_svd(adapter.arrays[f"{name}.lora_{part}"].astype(np.float64), adapter.method.rank)
                bases.append(U if part == "A" else Vt.T)  # (d, r) or (k, r)
            U, V = bases
            found[part].append(similarity(U, V) - similarity_by_chance(len(U), U.shape[1], V.shape[1]))
            found[f"first_{part}"].append(similarity(U[:, :1], V[:, :1]) - similarity_by_chance(len(U), 1, 1))
    return {name: float(np.mean(values)) for name, values in found.items()}


def amplified(adapter):
    """Table 7: |U.T W V| for the directions of dW and for W's own first, both per what random ones give; and the factor, in the mean."""
    rank, found = adapter.method.rank, {"update": [], "own": [], "amplification": []}
    for name, dW in updates(base(), adapter).items():
        W = base().weights[f"{name}.weight"].astype(np.float64)  # (d, k)
        chance = strength_by_chance(np.linalg.norm(W), *W.shape, rank)
        for which, matrix in (("update", dW), ("own", W)):
            U, _, Vt = truncated_svd(matrix, rank)  # (d, r), (r, k)
            found[which].append(strength(W, U, Vt) / chance)
        found["amplification"].append(amplification(W, dW, rank))
    return {name: float(np.mean(values)) for name, values in found.items()}


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    dials = PRESETS[preset]
    full = [
        {"corpus": corpus, "steps": steps, "kept": dials["kept"], "seed": seed}
        for corpus, steps in dials["steps"].items()
        for seed in seeds
    ]
    twice = [{"rank": dials["rank"], "larger": dials["larger"], "steps": dials["pair_steps"], "seed": seed} for seed in seeds]
    rows = run_trials(spectrum, full, jobs=jobs, progress=False) + run_trials(pairs, twice, jobs=jobs, progress=False)
    return unfolded([{name: value for name, value in row.items() if name not in ("kept", "larger")} for row in rows], "looks")


def over_seeds(rows, name, **where):
    """One value for each seed, in their order."""
    return np.array(column(sorted(rows, key=lambda row: row["seed"]), name, **where))  # (seeds,)


def check(rows):
    def phi(part, kind):
        return over_seeds(rows, part, part="pair", pair=kind)  # (seeds,)

    def kept(rank, corpus="pirate"):
        return over_seeds(rows, "excess", part="kept", corpus=corpus, rank=rank)  # (seeds,)

    growth = [over_seeds(rows, "rank90", part="growth", corpus="pirate", step=step) for step in looks(rows, "pirate")]  # (seeds,) each
    noise = over_seeds(rows, "noise", part="growth", corpus="pirate", step=looks(rows, "pirate")[0])  # (seeds,)
    lora = over_seeds(rows, "excess", part="LoRA", corpus="pirate")  # (seeds,)
    (small, _), *_, (large, strong) = sorted(set(zip(*(column(rows, name, part="strength") for name in ("rank", "alpha")), strict=True)))

    def along(name, rank):
        return over_seeds(rows, name, part="strength", rank=rank, alpha=strong if rank == large else 2 * small)  # (seeds,)

    return [
        above("pirate, full: 90 % of the update takes this share of its directions", growth[-1], 0.15),
        above("after a narrow start that grows as it trains (share more than the least)", growth[-1] - np.min(growth, axis=0), 0.01),
        below("it is this part of what noise takes", growth[-1] / noise, 0.5),
        above("pirate, full: one direction a layer is not enough (nats lost)", kept(1) - kept(96), 0.3),
        below("sixteen are (nats lost)", kept(16) - kept(96), 0.01),
        below("yet LoRA of rank 1 learns it: there is such an update (nats worse than full)", lora - kept(96), 0.03),
        above("A: a shared start makes it alike whatever the task (phi above chance)", phi("A", "same start, other task"), 0.1),
        below("A: without a shared start it is hardly alike (phi above chance)", phi("A", "other start, same task"), 0.1),
        above("B: the task makes it alike whatever the start (phi above chance)", phi("B", "other start, same task"), 0.1),
        below("B: with another task it is not (phi above chance)", phi("B", "same start, other task"), 0.1),
        above("the update's directions are a little stronger in W than chance (times)", along("update", small), 1.1),
        above("W's own first directions are far stronger (times the update's)", along("own", small) / along("update", small), 3),
        above("amplification falls with the rank even at alpha = 2 r", along("amplification", small) / along("amplification", large), 1.5),
    ]


def looks(rows, corpus):
    """The steps at which the update was looked at."""
    return sorted(set(column(rows, "step", part="growth", corpus=corpus)))


def draw(rows):
    """Four panels: the update as it grows, the loss with few of its directions, A and B of two runs, and what is amplified."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(10, 7.4), layout="constrained")
    (growth, few), (alike, along) = figure.subplots(2, 2)
    corpora = list(dict.fromkeys(column(rows, "corpus", part="growth")))
    inks = (LIGHT.row, LIGHT.column)
    for corpus, ink, side in zip(corpora, inks, (8, -16), strict=False):
        steps = looks(rows, corpus)
        seen = np.multiply(steps, RECIPE["batch"] * RECIPE["length"] / 1000)  # (looks,)
        shares = [np.mean(column(rows, "rank90", part="growth", corpus=corpus, step=step)) for step in steps]
        growth.semilogx(seen, shares, "o-", color=ink, markersize=4)
        growth.annotate(corpus, (seen[-1], shares[-1]), (0, side), textcoords="offset points", ha="right", color=ink)
        ranks = sorted(set(column(rows, "rank", part="kept")))
        losses = [np.mean(column(rows, "excess", part="kept", corpus=corpus, rank=rank)) for rank in ranks]
        few.loglog(ranks, losses, "o-", color=ink, markersize=4)
        few.annotate(
            f"{corpus}: full, cut down", (ranks[len(ranks) // 3], losses[len(ranks) // 3]), (8, 5), textcoords="offset points", color=ink
        )
        lora = np.mean(column(rows, "excess", part="LoRA", corpus=corpus))
        few.plot(1, lora, "s", color=ink, markersize=7)
        few.annotate("LoRA r=1", (1, lora), (0, -16), textcoords="offset points", color=ink)
    noise = np.mean(column(rows, "noise", part="growth"))
    growth.axhline(noise, color=LIGHT.quiet, linewidth=1)
    growth.annotate("noise", (seen[-1], noise), (0, -14), textcoords="offset points", ha="right", color=LIGHT.quiet)
    growth.set(title="full fine-tuning's update as it grows", xlabel="thousand characters seen", ylabel="share of directions with 90 %")
    growth.set(
        ylim=(0, 0.75), xticks=(1, 3, 10, 30, 100, 300), xticklabels=(1, 3, 10, 30, 100, 300), xlim=(0.9 * seen[0] / 2, 1.2 * seen[-1])
    )
    few.set(title="the loss with few directions a layer", xlabel="directions kept (of 96), or rank", ylabel="above best, nats a character")
    few.set(xticks=ranks, xticklabels=ranks, yticks=(0.01, 0.03, 0.1, 0.3, 1, 3), yticklabels=(0.01, 0.03, 0.1, 0.3, 1, 3))
    for axes in (growth, few):
        axes.minorticks_off()

    kinds = list(dict.fromkeys(column(rows, "pair", part="pair")))
    for y, kind in enumerate(kinds):
        for part, ink in zip("AB", inks, strict=True):
            alike.plot(np.mean(column(rows, part, part="pair", pair=kind)), y, "o", color=ink)
    for part, ink in zip("AB", inks, strict=True):
        alike.annotate(
            part, (np.mean(column(rows, part, part="pair", pair=kinds[0])), 0), (0, 8), textcoords="offset points", ha="center", color=ink
        )
    alike.axvline(0, color=LIGHT.quiet, linewidth=1)
    alike.set(title="LoRA twice: are their directions alike?", xlabel="phi less what chance gives", xlim=(-0.05, 1))
    alike.set(yticks=range(len(kinds)), yticklabels=kinds, ylim=(len(kinds) - 0.5, -0.6))

    found = sorted(set(zip(*(column(rows, name, part="strength") for name in ("rank", "alpha")), strict=True)))
    for y, (rank, alpha) in enumerate(found):
        mean = {name: np.mean(column(rows, name, part="strength", rank=rank, alpha=alpha)) for name in ("update", "own", "amplification")}
        along.plot(mean["update"], y, "o", color=LIGHT.row)
        along.plot(mean["own"], y, "o", color=LIGHT.column)
        said = f"amplified {mean['amplification']:.1f} x"
        along.annotate(said, (mean["own"], y), (4, -16), textcoords="offset points", ha="right", color=LIGHT.quiet)
    along.annotate("dW's directions", (mean["update"], len(found) - 1), (0, 8), textcoords="offset points", color=LIGHT.row)
    along.annotate("W's own first", (mean["own"], len(found) - 1), (0, 8), textcoords="offset points", color=LIGHT.column)
    along.axvline(1, color=LIGHT.quiet, linewidth=1)
    along.set_xscale("log")
    along.set(
        title="how strong is W along them?",
        xlabel="|U.T W V|, times what random directions give",
        xticks=(1, 2, 5, 10),
        xticklabels=(1, 2, 5, 10),
    )
    along.set(yticks=range(len(found)), yticklabels=[f"rank {rank}, alpha {alpha}" for rank, alpha in found], ylim=(len(found) - 0.5, -0.6))
    along.minorticks_off()
    steps, seeds = column(rows, "steps", part="pair")[0], len(set(column(rows, "seed")))
    said = f"stories-base, means over its 28 matrices of the layers and {seeds} seeds; LoRA twice: {steps} steps of 4 x 192 characters"
    figure.supxlabel(said, fontsize=8, color=LIGHT.quiet)
    return figure
