"""Must both matrices of the pair train, and if one alone, which?

Claim: B matters more than A. With A random and frozen, B alone does about as well as both; A alone, behind a random B, does worse (Zhu et
al. 2024, arXiv 2402.16842; on their side LoRA-FA, Zhang et al. 2023, arXiv 2308.03303). In PEFT's own comparison of methods LoRA-FA is
behind LoRA.
Set-up: first on bare matrices, where the best answer is known. A random target D (d, d) is to be met under inputs whose variances fall off
as i^-decay: with A frozen B is a least-squares fit, with B frozen A is, and with both free it is the weighted SVD (analysis/factorise.py).
Then stories-base learns rot13 by LoRA with both, with A frozen and with B frozen (random as A is, A starting at zero), at the same rank
and at twice the rank, where one matrix has as many numbers as the pair.
Rates: on one seed, of steps by a factor of 1.4 to 2 between 0.005 and 0.04 the one with the lowest held-out loss at rank 8, for each of
the three.
What must be seen: with B frozen the update can write r of k directions, chosen blindly, and 1 - r / k of the target is left whatever the
inputs. With A frozen the update sees r random mixtures of all inputs: no better if the inputs are white, and far better if few of them
carry the variance, as in a network. On rot13 the order is the same: B frozen is behind, by 0.9 nats after 60 steps and 0.15 after 600. A
frozen, with half the numbers, is ahead of both after 60 steps, by 0.2, since alone B can be trained at twice the rate at which both go
wrong; after 600 it is behind by 0.006. What is left in the end is what B frozen cannot reach.
What this size cannot show: what thousands of steps on a large model would; PEFT's comparison has both ahead of A frozen there.
"""

from dataclasses import dataclass

import numpy as np

from minilora import lowrank
from minilora.analysis.factorise import best_pair
from minilora.lab.findings import above, below
from minilora.lab.fit import base, fit
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.methods import LoRA, LoRAFA

QUESTION = "Must both matrices of the pair train, and if one alone, which?"
RUNS = (("both", 8), ("A frozen", 8), ("A frozen", 16), ("B frozen", 8), ("B frozen", 16))
PRESETS = {
    "smoke": {"width": 32, "draws": 4, "runs": RUNS, "steps": 1},
    "class": {"width": 64, "draws": 20, "runs": RUNS, "steps": 60},
    "paper": {"width": 256, "draws": 20, "runs": RUNS, "steps": 600},
}
DECAYS = (0.0, 1.0, 2.0)
RECIPE = {"batch": 4, "length": 192, "warmup": 10, "held_out": 32}  # a whole story fits a row
RATES = {"both": 1e-2, "A frozen": 2e-2, "B frozen": 1e-2}


@dataclass(frozen=True)
class LoRAFrozenB(LoRA):
    """LoRA with B random and frozen; A starts at zero and trains."""

    name = "lora-frozen-b"

    def init(self, config, base, rng):
        arrays = super().init(config, base, rng)
        for name, r in self.ranks(config).items():
            A, B = arrays[f"{name}.lora_A"], arrays[f"{name}.lora_B"]  # (d, r), (r, k)
            mirrored, _ = lowrank.init(B.shape[1], A.shape[0], r, rng, self.init_scheme, A.dtype)  # (k, r): the A of a layer from k to d
            arrays[f"{name}.lora_A"], arrays[f"{name}.lora_B"] = np.zeros_like(A), np.ascontiguousarray(mirrored.T)
        return arrays

    def trainable(self, arrays):
        return [name for name in arrays if name.endswith(".lora_A")]

    def count(self, config):
        """The sum of d r over the adapted modules."""
        return sum(int(np.prod(shape)) for name, shape in self.shapes(config).items() if name.endswith(".lora_A"))


METHODS = {"both": LoRA, "A frozen": LoRAFA, "B frozen": LoRAFrozenB}


def least_squares(width, rank, decay, draws, seed):
    """What is left of |S^1/2 D|^2 when one of the two is random and frozen and the other is fitted, or both are, in the mean."""
    rng = np.random.default_rng(seed)
    variances = np.arange(1, width + 1) ** -decay  # (d,)
    root = np.sqrt(variances)[:, None]  # (d, 1)
    left = {"A frozen": [], "B frozen": [], "both": []}
    for _ in range(draws):
        D, A, B = rng.standard_normal((width, width)), rng.standard_normal((width, rank)), rng.standard_normal((rank, width))
        fitted_B = np.linalg.lstsq(root * A, root * D, rcond=None)[0]  # (r, d)
        fitted_A = np.linalg.lstsq(B.T, D.T, rcond=None)[0].T  # (d, r): no input's weight changes a fit of rows
        pairs = {"A frozen": (A, fitted_B), "B frozen": (fitted_A, B), "both": best_pair(D, np.diag(variances), rank)}
        for which, (a, b) in pairs.items():
            left[which].append(np.sum((root * (D - a @ b)) ** 2) / np.sum((root * D) ** 2))
    return {which: float(np.mean(parts)) for which, parts in left.items()}


def trained(which, rank, steps, seed):
    """The loss above the best possible on held-out rot13, in nats a character, and how many numbers trained."""
    method = METHODS[which](rank=rank, alpha=2 * rank)
    adapter = fit(method, "rot13", steps=steps, learning_rate=RATES[which], seed=seed, **RECIPE)
    return {"excess": adapter.log[-1]["excess"], "numbers": method.count(base().config)}


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    dials = PRESETS[preset]
    width = dials["width"]
    bare = [
        {"width": width, "rank": width // 8, "decay": decay, "draws": dials["draws"], "seed": seed} for decay in DECAYS for seed in seeds
    ]
    runs = [{"which": which, "rank": rank, "steps": dials["steps"], "seed": seed} for which, rank in dials["runs"] for seed in seeds]
    rows = [{"part": "bare", **row} for row in run_trials(least_squares, bare, jobs=jobs, progress=False)]
    return rows + [{"part": "trained", **row} for row in run_trials(trained, runs, jobs=jobs, progress=False)]


def bare(rows, which, decay):
    """What is left of the target on bare matrices, one for each seed."""
    return np.array(column(rows, which, part="bare", decay=decay))  # (seeds,)


def excess(rows, which, rank):
    """The loss after training, one for each seed."""
    return np.array(column(rows, "excess", part="trained", which=which, rank=rank))  # (seeds,)


def check(rows):
    width, rank = (column(rows, name, part="bare")[0] for name in ("width", "rank"))
    chance = 1 - rank / width
    missed = np.max([np.abs(bare(rows, "B frozen", decay) - chance) for decay in DECAYS], axis=0)  # (seeds,)
    both, a_frozen, b_frozen = (excess(rows, which, 8) for which in METHODS)  # (seeds,) each
    return [
        below("B frozen: 1 - r / k of the target is left, whatever the inputs (difference)", missed, 0.03),
        below("A frozen, white inputs: 1 - r / d is left (difference)", np.abs(bare(rows, "A frozen", 0.0) - chance), 0.01),
        above("A frozen, inputs that fall off as 1 / i: so much less is left", chance - bare(rows, "A frozen", 1.0), 0.15),
        above("A frozen, as 1 / i^2: so much less is left", chance - bare(rows, "A frozen", 2.0), 0.5),
        above("rot13: A frozen beats B frozen (nats)", b_frozen - a_frozen, 0),
        above("rot13: both beat B frozen (nats)", b_frozen - both, 0),
        below("rot13: A frozen, with half the numbers, does as well as both (nats worse)", a_frozen - both, 0.1),
        below("rot13: A frozen, with as many numbers, is behind both by (nats)", excess(rows, "A frozen", 16) - both, 0.01),
    ]


def draw(rows):
    """Left the bare matrices, by how far the inputs are from white; right rot13."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    fits, runs = figure.subplots(1, 2, width_ratios=(3, 4))
    inks = {"both": LIGHT.ink, "A frozen": LIGHT.row, "B frozen": LIGHT.column}
    for which, ink in inks.items():
        left = [np.mean(bare(rows, which, decay)) for decay in DECAYS]
        fits.plot(DECAYS, left, "o-", color=ink, markersize=4)
        lift = {"both": -5, "A frozen": 5}.get(which, 0)  # they may end near one another
        fits.annotate(which, (DECAYS[-1], left[-1]), (8, lift), textcoords="offset points", va="center", color=ink)
    width, rank = (column(rows, name, part="bare")[0] for name in ("width", "rank"))
    fits.set(title=f"a {width} x {width} target, rank {rank}", xlabel="variance of input i: 1 / i to the power of", xticks=DECAYS)
    fits.set(ylabel="share of the target that is left", ylim=(0, 1), xlim=(-0.1, 2.75))
    pairs = list(dict.fromkeys((row["which"], row["rank"]) for row in rows if row["part"] == "trained"))
    labels = []
    for y, (which, r) in enumerate(pairs):
        found = excess(rows, which, r)  # (seeds,)
        runs.plot(found, np.full(len(found), y), "o", color=inks[which], markersize=4)
        runs.annotate(f"{np.mean(found):.2f}", (max(found), y), (8, 0), textcoords="offset points", va="center", color=inks[which])
        labels.append(f"{which}, r = {r}\n{column(rows, 'numbers', part='trained', which=which, rank=r)[0]:,} numbers")
    highest = max(row["excess"] for row in rows if row["part"] == "trained")
    runs.set(title="rot13", xlabel="above best, nats a character", xlim=(0, 1.2 * highest))
    runs.set(yticks=range(len(pairs)), yticklabels=labels, ylim=(len(pairs) - 0.5, -0.5))
    steps, seeds = column(rows, "steps", part="trained")[0], len(set(column(rows, "seed")))
    said = f"left: mean of {column(rows, 'draws', part='bare')[0]} draws and {seeds} seeds; right: stories-base, all linear layers, "
    figure.supxlabel(said + f"{steps} steps of 4 x 192 characters, a dot for each seed", fontsize=8, color=LIGHT.quiet)
    return figure
