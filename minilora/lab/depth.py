"""How much rank do many layers need to make a change of rank R?

Claim: a deep linear network can be adapted to any target of its shape whose product differs by rank R, if every one of its L layers has a
LoRA of rank R / L, rounded up (Zeng and Lee 2024, "The expressive power of low-rank adaptation", arXiv 2310.17513: the linear case).
Set-up: L random square matrices, whose product P is scaled to spectral norm 1, and a target P + D with D of rank R. The updates are written
down (`construct`), and they are trained, from A random and B zero, by Adam on the distance of the products.
What must be seen: the product of the adapted layers cannot differ from P by more than rank L r, so that no updates come nearer than D's
tail after its first L r singular values (Eckart and Young). The updates that are written down reach this bound to rounding: it is the sum
of the ranks that counts, and the residual is 0 from r = R / L on. Training ends there too.
What is not checked: that training always finds them. Through eight layers of width 64 Adam was still 0.015 off after 10,000 steps at a rate
of 0.01, and diverged at 0.03. The bound says what is possible.
What this size cannot show: nonlinear layers, where the same paper needs more; whether real tasks have a D of small rank.
"""

import numpy as np

from minilora.adamw import adamw_step
from minilora.analysis.spectrum import approximate, tail
from minilora.lab.findings import above, below, exactly
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.lowrank import init

QUESTION = "How much rank do many layers need to make a change of rank R?"
PRESETS = {
    "smoke": {"width": 8, "rank_of_change": 2, "layers": (1, 2), "steps": 50},
    "class": {"width": 24, "rank_of_change": 8, "layers": (1, 2, 4), "steps": 3000},
    "paper": {"width": 64, "rank_of_change": 16, "layers": (1, 2, 4), "steps": 10_000},
}


RATE = 3e-2  # of Adam: it ends nearer to the target than 1e-2 and 3e-3, in as many steps


def product(matrices):
    """W_1 W_2 ... W_L (d, d)."""
    P = matrices[0]
    for W in matrices[1:]:
        P = P @ W
    return P


def layers_and_change(width, layers, rank_of_change, seed):
    """L invertible matrices (d, d) whose product has spectral norm 1, and D (d, d) of rank R with spectral norm 1."""
    rng = np.random.default_rng(seed)
    D = approximate(rng.standard_normal((width, width)), rank_of_change)  # (d, d), the same whatever the number of layers
    matrices = [np.eye(width) + rng.standard_normal((width, width)) / (2 * np.sqrt(width)) for _ in range(layers)]  # (d, d) each
    matrices[0] = matrices[0] / np.linalg.norm(product(matrices), 2)
    return matrices, D / np.linalg.norm(D, 2)


def construct(matrices, D, r):
    """Updates (d, d) of rank r, one for each layer, after which the product is P + [D]_(L r).

    Layer by layer: with S the product of the layers above j, and D_j the first j r terms of D, the product is to be P + D_j when the
    first j layers are adapted. It is P + D_(j-1) before, and the update of W_j that makes the difference is

        W_j S (P + D_(j-1))^-1 (D_j - D_(j-1)) S^-1,

    of the rank of D_j - D_(j-1), which is r. Every P + D_j has to have an inverse, as random ones do.
    """
    P, before, updates = product(matrices), np.zeros_like(D), []
    for j, W in enumerate(matrices, start=1):
        S = product([*matrices[j:], np.eye(len(D))])  # (d, d)
        after = approximate(D, min(j * r, len(D)))  # (d, d)
        updates.append(W @ S @ np.linalg.solve(P + before, after - before) @ np.linalg.inv(S))
        before = after
    return updates


def train(matrices, D, r, steps, rng):
    """Adam on |product - (P + D)|^2 / 2 over every layer's A and B, its rate falling to zero -> the updates (d, d)."""
    width, layers = len(D), len(matrices)
    target = product(matrices) + D  # (d, d)
    pairs = np.zeros((layers, 2 * width, r))  # (L, 2 d, r): A, and below it B turned round, which starts at zero
    for pair in pairs:
        pair[:width] = init(width, width, r, rng, dtype=np.float64)[0]
    p, m, v = pairs.reshape(-1), np.zeros(pairs.size), np.zeros(pairs.size)  # (L 2 d r,) each; p is a view
    for step in range(1, steps + 1):
        A, Bt = pairs[:, :width], pairs[:, width:]  # (L, d, r) each
        adapted = [W + a @ bt.T for W, a, bt in zip(matrices, A, Bt, strict=True)]  # (d, d) each
        error = product(adapted) - target  # (d, d)
        g = np.empty_like(pairs)
        for j in range(layers):
            left, right = product([np.eye(width), *adapted[:j]]), product([*adapted[j + 1 :], np.eye(width)])  # (d, d) each
            dW = left.T @ error @ right.T  # (d, d)                product = left W_j right
            g[j, :width], g[j, width:] = dW @ Bt[j], dW.T @ A[j]  # W_j + A B
        adamw_step(p, g.reshape(-1), m, v, step, RATE * 0.5 * (1 + np.cos(np.pi * step / steps)))
    return [a @ bt.T for a, bt in zip(pairs[:, :width], pairs[:, width:], strict=True)]


def residuals(layers, r, width, rank_of_change, steps, seed):
    """What is missing, |product - (P + D)| / |D|: at the least, as constructed, and as trained."""
    matrices, D = layers_and_change(width, layers, rank_of_change, seed)
    target, size = product(matrices) + D, np.linalg.norm(D)

    def missing(updates):
        return float(np.linalg.norm(product([W + update for W, update in zip(matrices, updates, strict=True)]) - target) / size)

    return {
        "bound": tail(np.linalg.svd(D, compute_uv=False), layers * r) / size,
        "constructed": missing(construct(matrices, D, r)),
        "trained": missing(train(matrices, D, r, steps, np.random.default_rng([seed, layers, r]))),
    }


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    dials = PRESETS[preset]
    R = dials["rank_of_change"]
    shared = {"width": dials["width"], "rank_of_change": R, "steps": dials["steps"]}
    ranks = {layers: range(1, -(-R // layers) + 1) for layers in dials["layers"]}  # up to R / L, rounded up
    trials = [{"layers": layers, "r": r, **shared, "seed": seed} for layers in ranks for r in ranks[layers] for seed in seeds]
    return run_trials(residuals, trials, jobs=jobs, progress=False)


def per_seed(rows, value, chosen):
    """The largest value of the chosen rows, for each seed."""
    seeds = sorted(set(column(rows, "seed")))
    return [max(value(row) for row in rows if row["seed"] == seed and chosen(row)) for seed in seeds]


def check(rows):
    R = rows[0]["rank_of_change"]

    def enough(row):
        return row["layers"] * row["r"] >= R

    def one_less(row):
        return row["layers"] * row["r"] < R <= row["layers"] * (row["r"] + 1)

    return [
        exactly("what is constructed misses the bound by", max(abs(row["constructed"] - row["bound"]) for row in rows), 0, 1e-9),
        exactly("what is trained lies under the bound by", max(0.0, *(row["bound"] - row["trained"] for row in rows)), 0, 1e-9),
        below("with ranks that sum up to R, training misses", per_seed(rows, lambda row: row["trained"], enough), 1e-2),
        above("with one rank less in every layer it misses", [-x for x in per_seed(rows, lambda row: -row["trained"], one_less)], 0.1),
        below(
            "with ranks that do not, training is above the bound by",
            per_seed(rows, lambda row: row["trained"] - row["bound"], lambda row: not enough(row)),
            1e-3,
        ),
    ]


def draw(rows):
    """What is missing against the rank of each layer, and against the sum of the ranks."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    depths, R, d = sorted(set(column(rows, "layers"))), rows[0]["rank_of_change"], rows[0]["width"]
    for layers, ink, mark in zip(depths, (LIGHT.row, LIGHT.ink, LIGHT.column, LIGHT.quiet), "osD^", strict=False):
        ranks = np.array(sorted(set(column(rows, "r", layers=layers))))  # (ranks,)
        bound, trained = (
            np.array([np.mean(column(rows, name, layers=layers, r=r)) for r in ranks]) for name in ("bound", "trained")
        )  # (ranks,) each
        for axes, x in ((left, ranks), (right, layers * ranks)):
            axes.plot(x, bound, color=ink, linewidth=1)
            axes.plot(x, trained, mark, color=ink, markersize=5)
        name = "1 layer" if layers == 1 else f"{layers} layers"
        left.annotate(name, (ranks[-1], bound[-1]), (2, 12), textcoords="offset points", color=ink)
    left.set(title="rank r of every layer", xlabel="r", ylabel="|product - target| / |D|", ylim=(-0.02, 1), xlim=(0.6, 1.2 * R))
    right.set(title="sum of the ranks", xlabel="L r", xlim=(0, 1.2 * R))
    right.annotate(f"R = {R}", (R, 0), (4, 14), textcoords="offset points", color=LIGHT.quiet)
    seeds = len(set(column(rows, "seed")))
    figure.supxlabel(
        f"layers of {d} x {d}, a change of rank {R}; lines: the least that is possible, marks: trained; mean of {seeds} seeds",
        fontsize=8,
        color=LIGHT.quiet,
    )
    return figure
