"""What does alpha do?

Claim: "alpha sets how strong the update is; take alpha = 2 r, and a higher alpha overfits". Hu et al. 2021 (arXiv 2106.09685, section 4.1)
say instead that under Adam to tune alpha is roughly to tune the learning rate. Schulman et al. (LoRA Without Regret, 2025) make it exact:

    alpha -> alpha / (p q),    A at the start and its learning rate times p,    B's learning rate times q

is the same training. Adam divides the size of a gradient away, so that a step is as long as its learning rate; A and its steps grow by p,
B and its steps by q, and s A B stays as it is. With epsilon 0 (and 0 / 0 = 0), neither clipping nor decay, and p and q powers of two, not
one bit may differ.
Set-up: the shipped base learns a voice with LoRA of rank 8 in all linear layers. First the exact part: twins by that rule, and alpha
doubled without anything else. Then alpha against the learning rate of A and B together, on a grid.
What must be seen: the twins' losses are equal, bit for bit. To double alpha is to double B's learning rate, to the bit. With its own best
learning rate every alpha ends at nearly the same loss: alpha is no strength beside it. The best learning rate falls as alpha grows, yet
more slowly than 1 / alpha, as one might read the rule: alpha speaks for B alone, and the learning rate for A as well. Were A's start
nothing beside what it learns, the update would go with alpha times the square of the learning rate, and the slope be -1/2; it lies between.
What this size cannot show: overfitting, since every batch is new text (see the experiment of that name); and the width's part in the best
learning rate.
"""

from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

import numpy as np

from minilora import ops
from minilora.lab.findings import above, below, exactly
from minilora.lab.fit import base
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.methods import LoRA
from minilora.training import corpora
from minilora.training.loop import Recipe, train

QUESTION = "What does alpha do?"
PRESETS = {
    "smoke": {"steps": 4, "alphas": (8.0, 16.0), "rates": (5e-3, 1e-2)},
    "class": {"steps": 40, "alphas": (4.0, 16.0, 64.0), "rates": (2.5e-3, 5e-3, 1e-2, 2e-2, 4e-2)},
    "paper": {"steps": 100, "alphas": (4.0, 8.0, 16.0, 32.0, 64.0), "rates": tuple(1e-2 * 2.0**i for i in range(-3, 3))},
}
CORPUS, RANK, ALPHA, RATE = "pirate", 8, 16.0, 2.0**-7
RECIPE = {"batch": 4, "length": 192, "warmup": 5, "held_out": 16}  # a whole story fits a row
TWINS = {  # alpha, p, q
    "the reference": (ALPHA, 1.0, 1.0),
    "its twin by 2 and 4": (ALPHA / 8, 2.0, 4.0),
    "its twin by 3 and 1.7": (ALPHA / 5.1, 3.0, 1.7),
    "alpha doubled": (2 * ALPHA, 1.0, 1.0),
    "B's rate doubled": (ALPHA, 1.0, 2.0),
}
NONE = 1e-30  # as epsilon: too small to change any sum with a root that is not zero, so that it is 0, and 0 / 0 is 0


@dataclass(frozen=True)
class Rescaled(LoRA):
    """LoRA with A at the start and its learning rate times p, and B's learning rate times q."""

    p: float = 1.0
    q: float = 1.0

    def init(self, config, base, rng):
        arrays = super().init(config, base, rng)
        return {name: array * array.dtype.type(self.p) if name.endswith(".lora_A") else array for name, array in arrays.items()}

    def learning_rates(self, arrays):
        return {name: self.p if name.endswith(".lora_A") else self.q for name in arrays}


def losses(alpha, p, q, learning_rate, steps, every, seed):
    """The held-out loss of a training after `every`, 2 `every`, ... steps, in nats a character above the best."""
    chosen, stories = ops.choose(), base()
    plain = SimpleNamespace(**vars(chosen) | {"adamw_step": partial(chosen.adamw_step, epsilon=NONE)})
    method = Rescaled(rank=RANK, alpha=alpha, p=p, q=q)
    recipe = Recipe(steps=steps, learning_rate=learning_rate, clip=np.inf, evaluate_every=every, seed=seed, **RECIPE)
    run = train(stories.config, stories.weights, method, corpora.load(CORPUS), recipe, plain, num_workers=1, progress=False)
    return {"excess": [row["excess"] for row in run.log]}


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    dials = PRESETS[preset]
    steps = dials["steps"]
    shared = [{"steps": steps, "seed": seed} for seed in seeds]
    trials = [
        {"alpha": alpha, "p": p, "q": q, "learning_rate": RATE, "every": max(1, steps // 10), **other}
        for alpha, p, q in TWINS.values()
        for other in shared
    ]
    trials += [
        {"alpha": alpha, "p": 1.0, "q": 1.0, "learning_rate": rate, "every": steps, **other}
        for alpha in dials["alphas"]
        for rate in dials["rates"]
        for other in shared
    ]
    results = run_trials(losses, trials, jobs=jobs, progress=False)
    rows = []
    for row in results:
        curve, every = row.pop("excess"), row.pop("every")
        part = "grid" if every == steps else "twins"
        rows += [{"part": part, **row, "step": (i + 1) * every, "excess": excess} for i, excess in enumerate(curve)]
    return rows


def course(rows, twin, seed):
    """The losses of one of the TWINS along its training -> steps, losses, (n,) each."""
    alpha, p, q = TWINS[twin]
    chosen = {"part": "twins", "alpha": alpha, "p": p, "q": q, "seed": seed}
    return np.array(column(rows, "step", **chosen)), np.array(column(rows, "excess", **chosen))  # (n,) each


def apart(rows, one, other):
    """The largest difference of the losses of two of the TWINS, one for each seed."""
    seeds = sorted(set(column(rows, "seed")))
    return [float(np.abs(course(rows, one, seed)[1] - course(rows, other, seed)[1]).max()) for seed in seeds]


def best_rate(rates, losses):
    """Where the parabola through the lowest point and its neighbours has its bottom, on logarithmic axes; an end of the grid, if lowest."""
    i = int(np.argmin(losses))
    if i in (0, len(rates) - 1):
        return rates[i]
    near = slice(i - 1, i + 2)
    a, b, _ = np.polyfit(np.log(rates[near]), np.log(losses[near]), 2)
    return float(np.exp(-b / (2 * a)))


def grid(rows, seed):
    """-> alphas (a,), rates (l,), losses (a, l)."""
    alphas, rates = (np.array(sorted(set(column(rows, name, part="grid")))) for name in ("alpha", "learning_rate"))
    chosen = {"part": "grid", "seed": seed}
    losses = [[column(rows, "excess", **chosen, alpha=alpha, learning_rate=rate)[0] for rate in rates] for alpha in alphas]
    return alphas, rates, np.array(losses)


def slopes(rows):
    """The slope of the logarithm of the best learning rate over that of alpha, one for each seed."""
    found = []
    for seed in sorted(set(column(rows, "seed"))):
        alphas, rates, losses = grid(rows, seed)
        best = [best_rate(rates, course) for course in losses]
        found.append(float(np.polyfit(np.log(alphas), np.log(best), 1)[0]))
    return found


def check(rows):
    seeds = sorted(set(column(rows, "seed")))
    grids = [grid(rows, seed)[2] for seed in seeds]
    alphas = grid(rows, seeds[0])[0]
    best = np.mean(grids, axis=0).argmin(axis=1)  # (alphas,)    which rate, by the mean over seeds: one seed's own may lie at the edge
    at_the_edge = sum(i in (0, grids[0].shape[1] - 1) for i in best)
    rounding = 1e-3  # nats; a thousandth of what any of the dials does
    return [
        exactly("alpha / 8 with A and its rate x 2 and B's rate x 4: no loss changes", max(apart(rows, *list(TWINS)[:2])), 0),
        exactly("alpha doubled is B's learning rate doubled: no loss changes", max(apart(rows, "alpha doubled", "B's rate doubled")), 0),
        below("p = 3 and q = 1.7: the losses differ by rounding", apart(rows, "the reference", "its twin by 3 and 1.7"), rounding),
        above(
            "alpha doubled alone is another training: log10 of how many times as far off",
            np.log10(np.divide(apart(rows, "the reference", "alpha doubled"), apart(rows, "the reference", "its twin by 3 and 1.7"))),
            1,
        ),
        below(
            f"alpha {alphas[0]:g} to {alphas[-1]:g}, each at its best learning rate: the losses lie within",
            [float(np.ptp(losses.min(axis=1))) for losses in grids],
            0.15,
        ),
        exactly("how often the best learning rate, by the mean over seeds, is the lowest or the highest that was tried", at_the_edge, 0),
        below("the best learning rate falls as alpha grows (slope below 0)", slopes(rows), 0.0),
        above("and more slowly than 1 / alpha (slope above -1)", slopes(rows), -1.0),
    ]


def draw(rows):
    """The twins' losses along the training, and the grid with the best learning rate of every alpha."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    twins, field = figure.subplots(1, 2)
    seeds = sorted(set(column(rows, "seed")))
    for twin, (ink, style) in zip(
        TWINS,
        ((LIGHT.column, "-"), (LIGHT.ink, "--"), (LIGHT.ink, ":"), (LIGHT.row, "-"), (LIGHT.ink, "--")),
        strict=True,
    ):
        steps, losses = course(rows, twin, seeds[0])
        twins.plot(steps, losses, style, color=ink, linewidth=3 if style == "-" else 1.3)
    told = "alpha = 32, and (dashed)\nalpha = 16 with B's rate x 2"
    twins.text(0.98, 0.97, told, transform=twins.transAxes, ha="right", va="top", color=LIGHT.row)
    told = "alpha = 16, and (dashed) its twins:\nalpha / 8, A x 2, B x 4;\nalpha / 5.1, A x 3, B x 1.7"
    twins.text(0.98, 0.8, told, transform=twins.transAxes, ha="right", va="top", color=LIGHT.column)
    twins.set(ylim=(0, None), xlabel="steps", title="the same training, twice")
    twins.set_ylabel("held-out loss above the best, nats a character")

    grids = [grid(rows, seed) for seed in seeds]
    alphas, rates, _ = grids[0]
    mean = np.mean([losses for _, _, losses in grids], axis=0)  # (alphas, rates)
    field.pcolormesh(np.arange(len(rates) + 1), np.arange(len(alphas) + 1), np.log(mean), cmap="Purples_r", alpha=0.6)
    for (i, j), loss in np.ndenumerate(mean):
        field.text(j + 0.5, i + 0.5, f"{loss:.2f}", ha="center", va="center", weight="bold" if loss == mean[i].min() else "normal")
    field.set(xticks=np.arange(len(rates)) + 0.5, yticks=np.arange(len(alphas)) + 0.5, xticklabels=[f"{1000 * rate:g}" for rate in rates])
    field.set(yticklabels=[f"{alpha:g}" for alpha in alphas], xlabel="learning rate of A and B, thousandths", ylabel="alpha")
    field.set_title(f"the best rate goes as alpha to the {np.mean(slopes(rows)):.1f}")
    figure.supxlabel(
        f"LoRA of rank {RANK} on {CORPUS}, {rows[0]['steps']} steps of 4 x 192 characters, 16 held-out texts\n"
        f"left seed {seeds[0]}, learning rate {RATE:g}; right the mean of {len(seeds)} seeds, bold the best of a row",
        fontsize=8, color=LIGHT.quiet,
    )  # fmt: skip
    return figure
