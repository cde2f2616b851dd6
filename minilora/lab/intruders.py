"""Does LoRA add directions that full fine-tuning does not?

Claim: the largest singular vectors of a weight that LoRA has tuned include some that are like none of the weight's own, "intruder
dimensions"; full fine-tuning has none, and what is forgotten is forgotten there (Shuttleworth et al. 2024, arXiv 2410.21228).
Set-up: first the law behind it. To a square matrix of random entries of variance 1 / n, theta u v is added: below theta = 1 it drowns;
above, the largest singular value is theta + 1 / theta and the squared cosine of its direction with v is 1 - 1 / theta^2 (Benaych-Georges
and Nadakuditi 2012). Then stories-base learns the pirate's voice, by LoRA and by full fine-tuning, until both are equally good. In each of
its 28 matrices the ten largest output directions are compared with all of W's; one whose cosines are all below 0.5 is an intruder. The
same is done with two updates that learned nothing: the same singular values in random directions, and random entries of the same norm.
Rates: the best of experiment learning_rate, and three times that.
What must be seen: the law, within the noise of n = 400. At equal loss LoRA's update is a few large directions and full's many small ones:
LoRA of rank 8 has two intruders a matrix and full next to none, as published. But the learning rate decides too, and at three times its
rate full has some. And what they look like says little: LoRA's singular values in random directions make as many. They do not tell who
forgets: at equal loss the two forget alike, and full with few intruders forgets more than LoRA with many. That differs from the paper.
What this size cannot show: matrices of 96 directions, of which ten are many; the published models have thousands.
"""

import numpy as np

from minilora.analysis.spectrum import stable_rank, truncated_svd
from minilora.analysis.subspaces import intruders, spike_law
from minilora.lab.findings import above, below
from minilora.lab.fit import base, fit
from minilora.lab.table import column, unfolded
from minilora.lab.trials import run_trials
from minilora.lab.updates import updates
from minilora.methods import Full, LoRA

QUESTION = "Does LoRA add directions that full fine-tuning does not?"
RUNS = (("LoRA r=1", 1), ("LoRA r=8", 1), ("LoRA r=8", 3), ("full", 1), ("full", 3))  # at so many times the best rate
PRESETS = {
    "smoke": {"n": 100, "thetas": (0.5, 3.0), "steps": 2, "runs": RUNS[1:]},
    "class": {"n": 400, "thetas": (0.5, 1.5, 2.0, 3.0, 5.0), "steps": 50, "runs": RUNS},
    "paper": {"n": 1600, "thetas": (0.5, 0.9, 1.2, 1.5, 2.0, 3.0, 5.0), "steps": 200, "runs": RUNS},
}
METHODS = {"LoRA r=1": (LoRA(rank=1, alpha=16), 1e-2), "LoRA r=8": (LoRA(rank=8, alpha=16), 1e-2), "full": (Full(), 1e-3)}
RECIPE = {"batch": 4, "length": 192, "warmup": 10, "held_out": 32}  # a whole story fits a row


def spike(n, theta, seed):
    """theta u v added to an n x n matrix of noise: the largest singular value, and the squared cosine of its direction with v."""
    rng = np.random.default_rng(seed)
    u, v = rng.standard_normal((2, n))  # (n,) each
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    noise = rng.standard_normal((n, n)) / np.sqrt(n)
    _, sigma, Vt = truncated_svd(noise + theta * np.outer(u, v), 1)  # (1,), (1, n)
    return {"largest": float(sigma[0]), "cosine2": float((Vt[0] @ v) ** 2)}


def trained(method, times, steps, seed):
    """A method at `times` its rate -> what it learned and forgot, and `matrices`: what its update is in each of them."""
    adapter = fit(METHODS[method][0], "pirate", steps=steps, learning_rate=times * METHODS[method][1], seed=seed, **RECIPE)
    rng = np.random.default_rng(seed)
    found = [
        {"module": name.removeprefix("model.layers."), **compared(base().weights[f"{name}.weight"].astype(np.float64), dW, rng)}
        for name, dW in updates(base(), adapter).items()
    ]
    forgotten = base().held_out_loss("stories", adapter, rows=32)[1]
    return {"learned": adapter.log[-1]["excess"], "forgotten": forgotten, "matrices": found}


def compared(W, dW, rng):
    """The update's size and its intruders in W (d, k); those of its singular values in random directions; those of noise of its norm."""
    sigma = np.linalg.svd(dW, compute_uv=False)  # (m,) with m = min(d, k)
    U, V = (np.linalg.qr(rng.standard_normal((n, len(sigma))))[0] for n in W.shape)  # (d, m), (k, m)
    noise = rng.standard_normal(W.shape)  # (d, k)
    return {
        "relative": float(sigma[0] / np.linalg.norm(W, 2)),
        "stable_rank": stable_rank(sigma),
        "intruders": len(intruders(W, W + dW)),
        "turned": len(intruders(W, W + U * sigma @ V.T)),
        "noise": len(intruders(W, W + noise * np.linalg.norm(dW) / np.linalg.norm(noise))),
    }


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    dials = PRESETS[preset]
    spikes = [{"n": dials["n"], "theta": theta, "seed": seed} for theta in dials["thetas"] for seed in seeds]
    runs = [{"method": method, "times": times, "steps": dials["steps"], "seed": seed} for method, times in dials["runs"] for seed in seeds]
    law = [{"part": "law", **row} for row in run_trials(spike, spikes, jobs=jobs, progress=False)]
    trials = unfolded(run_trials(trained, runs, jobs=jobs, progress=False), "matrices")
    return law + [{"part": "trained", **row} for row in trials]


def means(rows, name, method, times):
    """The mean of a column over the matrices, one for each seed."""
    chosen = {"part": "trained", "method": method, "times": times}
    seeds = sorted(set(column(rows, "seed", **chosen)))
    return np.array([np.mean(column(rows, name, **chosen, seed=seed)) for seed in seeds])  # (seeds,)


def misses(rows, name):
    """How far the law is from what was measured, at its worst over the thetas above 1, one for each seed: the value as a part of it."""
    worst = {}
    for row in rows:
        if row["part"] == "law" and row["theta"] > 1:
            largest, cosine2 = spike_law(row["theta"])
            miss = abs(row["largest"] / largest - 1) if name == "largest" else abs(row["cosine2"] - cosine2)
            worst[row["seed"]] = max(miss, worst.get(row["seed"], 0))
    return list(worst.values())


def check(rows):
    lora, hasty, full, rash = (("LoRA r=8", 1), ("LoRA r=8", 3), ("full", 1), ("full", 3))
    missed = np.abs(means(rows, "learned", *lora) - means(rows, "learned", *full))  # (seeds,)
    more = means(rows, "intruders", *hasty) - means(rows, "intruders", *lora)  # (seeds,)
    turned = np.abs(means(rows, "turned", *hasty) - means(rows, "intruders", *hasty))  # (seeds,)
    return [
        below("theta > 1: the largest singular value is off theta + 1 / theta by at most this part", misses(rows, "largest"), 0.08),
        below("theta > 1: the squared cosine is off 1 - 1 / theta^2 by at most", misses(rows, "cosine2"), 0.12),
        below("theta = 1/2: the squared cosine is nearly none", column(rows, "cosine2", part="law", theta=0.5), 0.05),
        below("LoRA of rank 8 and full learn the voice equally well (difference, nats)", missed, 0.01),
        above("LoRA then has intruders (a matrix, of ten directions)", means(rows, "intruders", *lora), 1),
        below("full then has less than a tenth of them", means(rows, "intruders", *full) - means(rows, "intruders", *lora) / 10, 0),
        above("at three times the rate LoRA has so many more", more, 1.5),
        above("at three times the rate full has some too", means(rows, "intruders", *rash), 0.1),
        above("full with those few forgets more than LoRA with its many (nats more)", differences(rows, rash, lora), 0.4),
        below(
            "LoRA, with its intruders, forgets no more than full (nats, less a quarter of what full forgets more)",
            differences(rows, lora, full) - differences(rows, rash, lora) / 4,
            0,
        ),
        below(
            "random directions with LoRA's singular values intrude as often (difference, less a fifth of them)",
            turned - means(rows, "intruders", *hasty) / 5,
            0,
        ),
        below("noise of the norm of LoRA's update, at rank 8 and its own rate, does not", means(rows, "noise", *lora), 0.5),
    ]


def differences(rows, one, other):
    """How much more one run forgets than another, one for each seed."""
    return means(rows, "forgotten", *one) - means(rows, "forgotten", *other)  # (seeds,)


def draw(rows):
    """Left the law, right the counts in trained updates, beside those of the two controls."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(10, 4), layout="constrained")
    law, counts = figure.subplots(1, 2, width_ratios=(2, 3))
    theta = np.linspace(0, max(column(rows, "theta", part="law")), 200)  # (200,)
    law.plot(theta, [spike_law(t)[1] for t in theta], color=LIGHT.quiet)
    law.plot(column(rows, "theta", part="law"), column(rows, "cosine2", part="law"), "o", color=LIGHT.row, markersize=4)
    law.annotate("law: 1 - 1/θ²", (1.45, 0.45), color=LIGHT.quiet)
    n, seeds = column(rows, "n", part="law")[0], len(set(column(rows, "seed")))
    law.set(title=f"θ u v added to noise, {n} x {n}", xlabel="θ", ylabel="squared cosine of the top direction with v", ylim=(-0.03, 1.03))

    runs = list(dict.fromkeys((row["method"], row["times"]) for row in rows if row["part"] == "trained"))
    marks = {"intruders": ("o", LIGHT.row), "turned": ("o", LIGHT.column), "noise": ("|", LIGHT.quiet)}
    labels = []
    for y, (method, times) in enumerate(runs):
        mean = {name: np.mean(means(rows, name, method, times)) for name in (*marks, "learned", "forgotten", "relative")}
        for name, (mark, ink) in reversed(marks.items()):
            counts.plot(mean[name], y, mark, color=ink, markersize=10 if mark == "|" else 6)
        said = f"above best: pirate {mean['learned']:.3f}, stories {mean['forgotten']:.2f}"
        counts.annotate(said, (0, y), (6, 9), textcoords="offset points", fontsize=8, color=LIGHT.quiet)
        labels.append(method + (f", {times} x rate" if times > 1 else "") + f"\nlargest: {mean['relative']:.2f} of W's")
    counts.set(title="intruders in training", xlabel="a matrix, of its ten largest directions")
    counts.set(yticks=range(len(runs)), yticklabels=labels, ylim=(len(runs) - 0.4, -0.7))
    for y, name, text in (
        (0.97, "intruders", "the update"),
        (0.91, "turned", "its values, random directions"),
        (0.85, "noise", "noise of its norm"),
    ):
        counts.annotate(text, (0.99, y), xycoords="axes fraction", fontsize=8, color=marks[name][1], ha="right", va="top")
    steps = column(rows, "steps", part="trained")[0]
    said = f"stories-base: 28 matrices with 48 to 256 directions; {steps} steps of 4 x 192 characters of pirate"
    figure.supxlabel(f"{said}; losses in nats a character; mean of {seeds} seeds", fontsize=8, color=LIGHT.quiet)
    return figure
