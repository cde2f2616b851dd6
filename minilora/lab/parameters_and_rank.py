"""Do few numbers mean low rank, and does low rank mean a small model?

Claims: "fewer parameters, hence lower rank, hence less expressive"; "LoRA compresses the model"; "a pair is always smaller than its
matrix".
Set-up: several methods learn a voice on the shipped base, each at the learning rate that its file names, since what is compared is rank and
not loss. The numbers that train are counted; of each matrix's update, merged weight minus W in float64, the rank is taken, and the
effective rank (the exponential of the spectrum's entropy), which asks whether the rank is used. Then the update is merged: the bytes of the
new base and the ranks of its matrices. Then four ways to make a 16 x 16 matrix of 32 numbers (analysis/structured.py), each fitted to
random targets of each kind. Then the arithmetic of 5 x 8.
What must be seen: LoRA's update has rank r, to the number. That of (IA)3 has full rank from fewer numbers than a LoRA of rank 1: W (l - 1)
has the rank of W. DoRA's is full as well. A Kronecker product makes rank 16 of 32 numbers, where a pair makes rank 1, and each kind of
matrix is made well by its own structure and badly by the others: which is expressive depends on what is to be expressed. A merged base has
as many bytes as before and matrices of full rank. At 5 x 8 a pair of rank 4 has 52 numbers for 40.
What this size cannot show: how well each does on a task that needs much: that is `minilora compare`.
"""

import numpy as np

from minilora.analysis.spectrum import effective_rank
from minilora.analysis.structured import STRUCTURES, which_fits
from minilora.counting import full_params, lora_params
from minilora.lab.findings import above, below, exactly
from minilora.lab.fit import base, fit
from minilora.lab.looks import long
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.lab.updates import updates
from minilora.methods import IA3, DoRA, Full, LoRA, VeRA

QUESTION = "Do few numbers mean low rank, and does low rank mean a small model?"
PRESETS = {
    "smoke": {"steps": 2, "draws": 3},
    "class": {"steps": 40, "draws": 30},
    "paper": {"steps": 300, "draws": 300},
}
VOICE, TARGETS = "pirate", ("k_proj", "v_proj", "down_proj")  # those that (IA)3 stretches
METHODS = {
    "LoRA, r = 1": LoRA(rank=1, alpha=2, targets=TARGETS),
    "LoRA, r = 8": LoRA(rank=8, alpha=16, targets=TARGETS),
    "VeRA, r = 8": VeRA(rank=8, targets=TARGETS),
    "(IA)3": IA3(),
    "DoRA, r = 1": DoRA(rank=1, alpha=2, targets=TARGETS),
    "full": Full(),
}
NONE = 1e-9  # as a share of the largest singular value: float64 keeps 1e-16 of W, which is some hundred times the update
SIDES = {"(IA)3": "right", "DoRA, r = 1": "left"}  # of their points in the figure, where their names would meet


def rank(M):
    """The number of singular values of M (d, k) that are not rounding, and the effective rank."""
    sigma = np.linalg.svd(M, compute_uv=False)  # (min(d, k),)
    return int(np.sum(sigma > NONE * sigma[0])), effective_rank(sigma)


def trained(method, steps, seed):
    """Columns over the matrices that are adapted: the update's ranks, the merged matrix's, and the base's."""
    adapter = fit(METHODS[method], VOICE, steps=steps, batch=8, length=96, evaluate_every=steps, held_out=32, seed=seed)
    merged = adapter.merge(base())
    looks = {"module": [], "full_rank": [], "rank": [], "effective_rank": [], "merged_rank": []}
    for name, dW in updates(base(), adapter).items():
        if name.endswith(TARGETS):
            found, effective = rank(dW)
            looks["module"].append(name)
            looks["full_rank"].append(min(dW.shape))
            looks["rank"].append(found)
            looks["effective_rank"].append(effective)
            looks["merged_rank"].append(rank(merged.weights[f"{name}.weight"].astype(np.float64))[0])
    sizes = [sum(array.nbytes for array in weights.values()) for weights in (base().weights, merged.weights)]
    return {
        **looks,
        "numbers": METHODS[method].count(base().config),
        "excess": adapter.log[-1]["excess"],
        "base_bytes": sizes[0],
        "merged_bytes": sizes[1],
        "adapter_bytes": sum(array.nbytes for array in adapter.arrays.values()),
    }


def fits(draws, seed):
    """Columns over targets and structures: the mean share of the target that is missed, and the rank of a target of this kind."""
    rng = np.random.default_rng(seed)
    tables = [which_fits(rng) for _ in range(draws)]
    looks = {"target": [], "structure": [], "missed": [], "target_rank": []}
    for i, (target, kind) in enumerate(STRUCTURES.items()):
        found, _ = rank(kind.build(*kind.draw(rng)))
        for structure in STRUCTURES:
            looks["target"].append(target)
            looks["structure"].append(structure)
            looks["missed"].append(float(np.mean([table[i][structure] for table in tables])))
            looks["target_rank"].append(found)
    return looks


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    dials = PRESETS[preset]
    trials = [{"method": name, "steps": dials["steps"], "seed": seed} for name in METHODS for seed in seeds]
    updates_ = long(run_trials(trained, trials, jobs=jobs, progress=False))
    structures = long(run_trials(fits, [{"draws": dials["draws"], "seed": seed} for seed in seeds], jobs=1, progress=False))
    pairs = [{"r": r, "pair": lora_params(5, 8, r), "matrix": full_params(5, 8)} for r in range(1, 6)]
    return [{"part": part, **row} for part, rows in (("update", updates_), ("structure", structures), ("5 x 8", pairs)) for row in rows]


def check(rows):
    pairs = {row["r"]: row["pair"] / row["matrix"] for row in rows if row["part"] == "5 x 8"}
    seeds = sorted(set(column(rows, "seed", part="update")))

    def of(method, name):
        return np.array(column(rows, name, part="update", method=method))

    def misses(own):
        return [
            [
                row["missed"]
                for row in rows
                if row["part"] == "structure" and row["seed"] == seed and (row["target"] == row["structure"]) == own
            ]
            for seed in seeds
        ]

    low = [np.abs(of(method, "rank") - r).max() for method, r in (("LoRA, r = 1", 1), ("LoRA, r = 8", 8), ("VeRA, r = 8", 8))]
    full = [(of(method, "full_rank") - of(method, "rank")).max() for method in ("(IA)3", "DoRA, r = 1")]
    updates_ = [row for row in rows if row["part"] == "update"]
    return [
        exactly("LoRA's and VeRA's updates: the rank less r, at most", max(low), 0),
        exactly("(IA)3's and DoRA's updates: what their rank lacks to the full one", max(full), 0),
        below(
            "the numbers that (IA)3 trains, over those of LoRA at r = 1", [of("(IA)3", "numbers")[0] / of("LoRA, r = 1", "numbers")[0]], 1
        ),
        above("(IA)3's effective rank, over the full one", per_seed(rows, "(IA)3", seeds), 0.3),
        exactly("merged: bytes more than the base has", max(abs(row["merged_bytes"] - row["base_bytes"]) for row in updates_), 0),
        exactly("merged: what a matrix lacks to full rank", max(row["full_rank"] - row["merged_rank"] for row in updates_), 0),
        exactly("16 x 16 of 32 numbers: the rank of a pair", max(column(rows, "target_rank", part="structure", target="low rank")), 1),
        exactly("and that of a Kronecker product", min(column(rows, "target_rank", part="structure", target="Kronecker")), 16),
        exactly("a structure misses of its own targets, at most", np.max(misses(True)), 0, 1e-9),
        above("and of another's, at least", np.min(misses(False), axis=1), 0.5),
        below("5 x 8: the numbers of a pair of rank 3, per matrix", [pairs[3]], 1),
        above("and of rank 4", [pairs[4]], 1),
    ]


def per_seed(rows, method, seeds):
    """The effective rank over the full one, the mean of the matrices, for each seed."""
    chosen = {"part": "update", "method": method}
    return [
        np.mean(np.divide(column(rows, "effective_rank", **chosen, seed=seed), column(rows, "full_rank", **chosen, seed=seed)))
        for seed in seeds
    ]


def draw(rows):
    """Left, rank against numbers that train, for each method; right, which structure fits which target."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT, cell_colours

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
    seeds = sorted(set(column(rows, "seed", part="update")))
    for method in METHODS:
        numbers = column(rows, "numbers", part="update", method=method)[0]
        ranks, wholes = (column(rows, name, part="update", method=method) for name in ("rank", "full_rank"))
        rank_, effective = np.mean(np.divide(ranks, wholes)), np.mean(per_seed(rows, method, seeds))
        ink = LIGHT.column if method.startswith(("LoRA", "VeRA")) else LIGHT.row
        left.semilogx([numbers, numbers], [rank_, effective], "-", color=ink, linewidth=1)
        left.semilogx(numbers, rank_, "o", color=ink)
        left.semilogx(numbers, effective, "o", color=ink, markerfacecolor=LIGHT.ground)
        left.annotate(method, (numbers, rank_), (0, 7), textcoords="offset points", ha=SIDES.get(method, "center"), color=ink)
    left.set(title="rank of the updates, over the full rank", xlabel="numbers that train", ylim=(0, 1.12), xlim=(300, 2e6))
    kinds = list(STRUCTURES)
    for i, target in enumerate(kinds):
        for j, structure in enumerate(kinds):
            missed = float(np.mean(column(rows, "missed", part="structure", target=target, structure=structure)))
            colour, ink = cell_colours(missed, 2, LIGHT)
            right.fill([j, j + 1, j + 1, j], [i, i, i + 1, i + 1], color=colour)
            right.text(j + 0.5, i + 0.5, f"{missed:.2f}", ha="center", va="center", color=ink)
    right.set(title="|target - nearest| / |target|", xlabel="made by 32 numbers as", ylabel="target", xlim=(0, 4), ylim=(4, 0))
    right.set_xticks(np.arange(4) + 0.5, kinds, fontsize=8)
    right.set_yticks(np.arange(4) + 0.5, kinds, fontsize=8)
    steps, draws = column(rows, "steps", part="update")[0], column(rows, "draws", part="structure")[0]
    figure.supxlabel(
        f"left: k, v and down of stories-base, {steps} steps of pirate, filled: rank, hollow: effective rank; "
        f"right: 16 x 16, mean of {draws} draws; {len(seeds)} seeds",
        fontsize=8,
        color=LIGHT.quiet,
    )
    return figure
