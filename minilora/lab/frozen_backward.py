"""Do frozen weights need a backward pass?

Claim: "W is frozen, so nothing has to be propagated through it". What is saved is dW = x.T dy alone: dx = dy W.T is how the layers below
learn what they did (minilora/lowrank.py).
Set-up: LoRA in all linear layers of the shipped base, with three backward passes: the whole one; one without dy W.T in the layers, where dx
is what goes through A and B; and one without it in the head too, which is frozen like them. Their gradients are compared after some steps
of right training, so that B is not zero; then each trains from the start, at three learning rates, of which its best counts. The exception:
the top layer alone is adapted, and the pass ends there.
What must be seen: without dy W.T in the head every gradient is zero to the bit, and nothing is learned. In the layers alone, the gradient
still goes past every sub-layer, along the residual stream, so that it is not none but wrong: short, and at a wide angle to the right one,
the more so the lower the layer. Below the lowest layer that trains nothing is needed: to leave it out changes no bit of the gradients, and
saves its FLOPs.
What this size cannot show: how wrong it gets in 80 layers, in place of 4.
"""

from dataclasses import dataclass

import numpy as np

from minilora import ops
from minilora.counting import step_flops
from minilora.lab.findings import below, exactly
from minilora.lab.fit import base, fit
from minilora.lab.looks import long
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.methods import LoRA
from minilora.methods.lora import LoRASites
from minilora.training import corpora
from minilora.transformer import model

QUESTION = "Do frozen weights need a backward pass?"
PRESETS = {
    "smoke": {"steps": 2, "rates": (1e-2,)},
    "class": {"steps": 50, "rates": (1e-3, 3e-3, 1e-2)},
    "paper": {"steps": 200, "rates": (1e-3, 3e-3, 1e-2, 3e-2)},
}
VOICE = "pirate"


class PartialSites(LoRASites):
    """LoRA whose backward leaves out dy W.T: a W of zeros stands in W's place."""

    through_head = True

    def linear_backward(self, name, dy, W, cache, grads, into=None, need_dx=True):
        if name in self.scales:
            cache = (cache[0], np.zeros_like(W), *cache[2:])  # x, W, A, B, ...
        elif not self.through_head:  # the head is the only linear layer without a pair
            W = np.zeros_like(W)
        return super().linear_backward(name, dy, W, cache, grads, into, need_dx)


@dataclass(frozen=True)
class Partial(LoRA):
    """LoRA with a backward pass that is not propagated through the layers' weights, nor through the head's unless `through_head`."""

    through_head: bool = True

    def sites(self, config, arrays, ops=None, rng=None):
        sites = PartialSites(arrays, self.scales(config), ops)
        sites.through_head = self.through_head
        return sites


WHOLE, PAST, NOTHING = "whole", "not through the layers", "not through the layers nor the head"
METHODS = {
    WHOLE: LoRA(rank=4, alpha=8),
    PAST: Partial(rank=4, alpha=8),
    NOTHING: Partial(rank=4, alpha=8, through_head=False),
}


def gradients(method, arrays, seed, batch=8, length=96):
    """The gradient of one batch of the voice, name -> array."""
    inputs, targets = corpora.load(VOICE).train_batch(np.random.default_rng([seed, 1]), batch, length)  # (batch, length) each
    _, cache = model.loss(base().config, base().weights, inputs, targets, method.sites(base().config, arrays, ops.choose()))
    return model.loss_backward(cache)


def of_layer(grads, layer):
    """All gradients of one layer, one after the other -> (numbers,)."""
    return np.concatenate([grad.ravel() for name, grad in grads.items() if f".layers.{layer}." in name]).astype(np.float64)


def compared(steps, seed):
    """Columns over passes and layers: the gradient's norm, per that of the right one, and its cosine with it, after some right training."""
    arrays = fit(METHODS[WHOLE], VOICE, steps=steps, batch=8, length=96, seed=seed).arrays
    grads = {way: gradients(method, arrays, seed) for way, method in METHODS.items()}
    looks = {"way": [], "layer": [], "norm": [], "cosine": []}
    for way in METHODS:
        for layer in range(base().config.num_hidden_layers):
            g, right = of_layer(grads[way], layer), of_layer(grads[WHOLE], layer)  # (numbers,) each
            norm = np.linalg.norm(g)
            looks["way"].append(way)
            looks["layer"].append(layer)
            looks["norm"].append(float(norm / np.linalg.norm(right)))
            looks["cosine"].append(float(g @ right / norm / np.linalg.norm(right)) if norm else 0.0)
    return looks


def trained(way, rate, steps, seed):
    """The loss on the voice above the best, and how far the arrays moved."""
    adapter = fit(METHODS[way], VOICE, steps=steps, batch=8, length=96, learning_rate=rate, evaluate_every=steps, held_out=32, seed=seed)
    start = METHODS[way].init(base().config, base().weights, np.random.default_rng([seed, 0]))
    moved = sum(int(np.count_nonzero(adapter.arrays[name] != start[name])) for name in start)
    return {"excess": adapter.log[-1]["excess"], "moved": moved}


def cut(steps, seed):
    """The top layer's gradients with nothing propagated below it, against those with all layers' pairs there; the FLOPs of both."""
    config = base().config
    top = config.num_hidden_layers - 1
    names = tuple(name for name in METHODS[WHOLE].ranks(config) if f".layers.{top}." in name)
    method = LoRA(rank=4, alpha=8, targets=names)
    arrays = fit(method, VOICE, steps=steps, batch=8, length=96, seed=seed).arrays
    everywhere = {**METHODS[WHOLE].init(config, base().weights, np.random.default_rng(seed)), **arrays}
    short, long_ = gradients(method, arrays, seed), gradients(METHODS[WHOLE], everywhere, seed)
    flops = [sum(step_flops(config, 8, 96, ranks).values()) for ranks in (method.ranks(config), METHODS[WHOLE].ranks(config))]
    difference = max(float(np.abs(short[name] - long_[name]).max()) for name in short)
    return {"difference": difference, "flops": flops[0], "flops_below": flops[1] - flops[0]}


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    dials = PRESETS[preset]
    shared = [{"steps": dials["steps"], "seed": seed} for seed in seeds]
    rates = {way: dials["rates"] for way in METHODS} | {NOTHING: dials["rates"][:1]}  # no rate makes a step of a gradient of zero
    parts = {
        "gradient": (compared, shared),
        "training": (trained, [{"way": way, "rate": rate, **each} for way in METHODS for rate in rates[way] for each in shared]),
        "cut": (cut, shared),
    }
    found = {part: run_trials(function, trials, jobs=jobs, progress=False) for part, (function, trials) in parts.items()}
    found["gradient"] = long(found["gradient"])
    return [{"part": part, **row} for part, rows in found.items() for row in rows]


def best(rows, way):
    """The loss at the learning rate that suits the pass best in the mean of the seeds, one value for each seed."""
    rates = sorted(set(column(rows, "rate", part="training", way=way)))
    return min((column(rows, "excess", part="training", way=way, rate=rate) for rate in rates), key=np.mean)


def check(rows):
    layers = sorted(set(column(rows, "layer", part="gradient")))
    cosines = np.mean([column(rows, "cosine", part="gradient", way=PAST, layer=layer) for layer in layers], axis=0)  # (seeds,)
    norms = np.max([column(rows, "norm", part="gradient", way=PAST, layer=layer) for layer in layers[:-1]], axis=0)  # (seeds,)
    share = [row["flops"] / (row["flops"] + row["flops_below"]) for row in rows if row["part"] == "cut"]
    return [
        exactly("nothing through the head: the norm of the gradient", max(column(rows, "norm", part="gradient", way=NOTHING)), 0),
        exactly("and the numbers that training changed", max(column(rows, "moved", part="training", way=NOTHING)), 0),
        below("nothing through the layers: the cosine of a layer's gradient with the right one, mean of the layers", cosines, 0.7),
        below("and its largest share of the right one's norm, below the top layer", norms, 0.5),
        below(
            "the whole pass: excess at its best rate, over that of the one past the layers",
            np.divide(best(rows, WHOLE), best(rows, PAST)),
            0.5,
        ),
        exactly("the pass ends at the lowest layer that trains: its gradients change by", max(column(rows, "difference", part="cut")), 0),
        below("and the FLOPs, over those of a pass through all four layers", share, 2 / 3),
    ]


def draw(rows):
    """Left, the cosine of each layer's gradient with the right one; right, the loss after training at each learning rate."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    labels = {WHOLE: "whole", PAST: "not through\nthe layers", NOTHING: "nor through\nthe head"}
    for (way, label), ink in zip(labels.items(), (LIGHT.column, LIGHT.row, LIGHT.ink), strict=True):
        layers, rates = (
            sorted(set(column(rows, name, part=part, way=way))) for name, part in (("layer", "gradient"), ("rate", "training"))
        )
        cosines = [np.mean(column(rows, "cosine", part="gradient", way=way, layer=layer)) for layer in layers]
        losses = [np.mean(column(rows, "excess", part="training", way=way, rate=rate)) for rate in rates]
        left.plot(layers, cosines, "o-", color=ink)
        left.annotate(label, (layers[-1], cosines[-1]), (8, 0), textcoords="offset points", color=ink, va="center")
        right.semilogx(rates, losses, "o-", color=ink)
        down = -18 if way == NOTHING else 0  # its one point lies on the line of another
        right.annotate(label, (rates[-1], losses[-1]), (8, down), textcoords="offset points", color=ink, va="center")
    left.set(title="cosine with the right gradient", xlabel="layer, from below", xticks=layers, xlim=(-0.2, layers[-1] + 1.8))
    rates = sorted(set(column(rows, "rate", part="training", way=WHOLE)))
    right.set(
        title="loss above best after training, nats a character", xlabel="learning rate", ylim=(0, None), xlim=(rates[0] / 2, rates[-1] * 4)
    )
    right.set_xticks(rates, [f"{rate:g}" for rate in rates])
    right.minorticks_off()
    steps, seeds = rows[0]["steps"], len(set(column(rows, "seed")))
    figure.supxlabel(
        f"stories-base learns pirate with LoRA of rank 4, {steps} steps of 8 x 96 characters; mean of {seeds} seeds",
        fontsize=8,
        color=LIGHT.quiet,
    )
    return figure
