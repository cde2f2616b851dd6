"""Where do the time and the memory of a training step go, and is LoRA's forward pass faster?

Claims: LoRA trains 1 % of the parameters, "so it takes 1 % of the time"; it saves memory "because there are fewer activations"; it "speeds
up inference". Hu et al. 2021 report 25 % less time and a third of the memory on GPT-3; users of PEFT on smaller models often no speed-up at
all.
Set-up: one step on a random model of `minilora bench`'s sizes, one thread, by full fine-tuning and by LoRA of several kinds. FLOPs are
counted (counting/flops.py). Bytes are those of the arrays that are really there when the backward pass begins: every array in its cache is
found and counted once, whoever else refers to it. Seconds are the least of several steps, trial after trial whatever `jobs` says, since two
at a time would time each other; they are one machine's. Then a forward pass by the base, with the pair beside it, and merged.
What must be seen: of three products, y, dx and dW, LoRA drops the third, and adds six thin ones: the FLOPs fall to about two thirds at the
least (a little lower, as nothing is propagated below the lowest pair), and exceed full fine-tuning's beyond r* / 3. Gradients and moments
fall to the share that trains; the activations stay, but where no layer needs its input: a frozen layer without a pair, or with an A that
does not train (LoRA-FA). Merged, a forward pass is the base's; unmerged it is never faster.
What this size cannot show: a GPU, on which small products leave most of it idle; memory that is swapped or recomputed. At size L, run once
with 30 repeats, r = 32 took 0.85 of full's FLOPs, for r* / 3 is 43 there; the pair beside the weight 1.16 +- 0.11 of the base's seconds on
a batch, no three deviations; and one token merged 1.34 times the base's or its inverse, perhaps because two copies of the weights do not
fit into the cache, which was not tried. So both presets are of size M.
"""

import time
from functools import partial
from types import SimpleNamespace

import numpy as np

from minilora import ops
from minilora.benchmark import SIZES, timed
from minilora.counting import flops_ratio, step_flops
from minilora.counting.flops import linear_layers
from minilora.lab.findings import above, below, exactly
from minilora.lab.looks import long
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.methods import Full, LoRA, LoRAFA, Method
from minilora.training.buffer import flatten
from minilora.transformer import model

QUESTION = "Where do the time and the memory of a training step go, and is LoRA's forward pass faster?"
PRESETS = {
    "smoke": {"size": "S", "repeats": 2},
    "class": {"size": "M", "repeats": 8},
    "paper": {"size": "M", "repeats": 30},
}
ADDED = "LoRA, r = 8"
METHODS = {
    "full": Full(),
    ADDED: LoRA(rank=8, alpha=16),
    "LoRA, r = 32": LoRA(rank=32, alpha=64),
    "LoRA, r = 8, q and v": LoRA(rank=8, alpha=16, targets=("q_proj", "v_proj")),
    "LoRA-FA, r = 8": LoRAFA(rank=8, alpha=16),
}


def root(array):
    """The array that owns the memory of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def owners(thing):
    """id -> array, of the owners of all arrays in nested tuples, lists and dictionaries."""
    if isinstance(thing, np.ndarray):
        return {id(root(thing)): root(thing)}
    parts = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, tuple | list) else ()
    return {key: array for part in parts for key, array in owners(part).items()}


def size_of(thing, but=()):
    """The bytes of the arrays in it, each counted once, but for those in `but`."""
    known = owners(list(but))
    return sum(array.nbytes for key, array in owners(thing).items() if key not in known)


def set_up(method, size, seed):
    """-> config, base, arrays with B drawn at random, as after training, inputs and targets (batch, length)."""
    size, rng = SIZES[size], np.random.default_rng(seed)
    config = size.config()
    base = model.init(config, rng)
    arrays = METHODS[method].init(config, base, rng)
    arrays = {n: rng.standard_normal(a.shape).astype(a.dtype) / 100 if n.endswith(".lora_B") else a for n, a in arrays.items()}
    inputs, targets = rng.integers(0, size.vocabulary, (2, size.batch, size.length))  # (batch, length) each
    return config, base, arrays, inputs, targets


def clocked(functions, name, seconds):
    """The functions, of which one adds the time that it takes to `seconds[name]`."""
    inner = getattr(functions, name)

    def outer(*args):
        began = time.perf_counter()
        result = inner(*args)
        seconds[name] += time.perf_counter() - began
        return result

    return SimpleNamespace(**vars(functions) | {name: outer})


def step(method, size, repeats, seed):
    """Bytes, FLOPs and seconds of a step, part by part."""
    config, base, arrays, inputs, targets = set_up(method, size, seed)
    chosen, how = ops.choose(), METHODS[method]
    p, trainable = flatten(arrays, how.trainable(arrays))  # (P,)
    arrays, m, v, g = {**arrays, **trainable}, np.zeros_like(p), np.zeros_like(p), np.empty_like(p)  # (P,) each
    frozen = {} if isinstance(how, Full) else base
    runs = []
    for repeat in range(1, repeats + 2):  # the first one compiles
        seconds = {"linear_weight_backward": 0.0}
        sites = how.sites(config, arrays, clocked(chosen, "linear_weight_backward", seconds))
        began = time.perf_counter()
        _, cache = model.loss(config, base, inputs, targets, sites)
        forward = time.perf_counter()
        grads = model.loss_backward(cache)
        backward = time.perf_counter()
        np.concatenate([grads[name].ravel() for name in trainable], out=g)
        chosen.clip(g, 1.0)
        chosen.adamw_step(p, g, m, v, repeat, 1e-4)
        runs.append((forward - began, backward - forward, seconds["linear_weight_backward"], time.perf_counter() - backward))
    dlogits, activations = cache
    least = np.min(runs[1:], axis=0)  # (4,)
    ranks = None if isinstance(how, Full) else how.ranks(config)
    bytes_ = {
        "weights": size_of(frozen) + size_of(arrays),
        "gradients": size_of(grads),
        "moments": size_of([m, v]),
        "activations": size_of(activations, but=[base, arrays]),
        "dlogits": size_of(dlogits),
    }
    counted = {} if isinstance(how, LoRAFA) else step_flops(config, *inputs.shape, ranks)  # without dA it is less than is counted there
    return {
        **{f"bytes of {part}": count for part, count in bytes_.items()},
        **{f"FLOPs of {part}": count for part, count in counted.items()},
        **{f"seconds of {part}": float(s) for part, s in zip(("forward", "backward", "dW therein", "optimiser"), least, strict=True)},
    }


def forward(tokens, size, repeats, seed):
    """Columns over the ways: the FLOPs and the seconds of one forward pass, over a whole batch or over one token. The ways take turns."""
    config, base, arrays, inputs, _ = set_up(ADDED, size, seed)
    inputs, lora, chosen = inputs if tokens == "a batch" else inputs[:1, :1], METHODS[ADDED], ops.choose()  # (batch, T)
    plain, merged = Method().sites(config, {}, chosen), lora.merge(config, base, arrays)
    ways = {"base": (base, plain), "the pair beside it": (base, lora.sites(config, arrays, chosen)), "merged": (merged, plain)}
    calls = {way: partial(model.forward, config, weights, inputs, sites) for way, (weights, sites) in ways.items()}
    seconds = np.array([[timed(call, 1)[0] for call in calls.values()] for _ in range(repeats * (1 if inputs.size > 1 else 20) + 1)])
    flops = dict.fromkeys(ways, sum(2 * d * k for d, k in linear_layers(config).values()))
    flops["the pair beside it"] += 2 * lora.count(config)
    return {
        "way": list(ways),
        "FLOPs": [inputs.size * flops[way] for way in ways],
        "seconds": seconds[1:].min(axis=0).tolist(),  # the first one compiles
    }


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    shared = [{**PRESETS[preset], "seed": seed} for seed in seeds]
    steps = run_trials(step, [{"method": name, **each} for name in METHODS for each in shared], jobs=1, progress=False)
    trials = [{"tokens": tokens, **each} for tokens in ("a batch", "one token") for each in shared]
    forwards = long(run_trials(forward, trials, jobs=1, progress=False))
    return [{"part": part, **row} for part, rows in (("step", steps), ("forward", forwards)) for row in rows]


def of(rows, method, name):
    """One value for each seed."""
    return np.array([row.get(name) for row in rows if row["part"] == "step" and row["method"] == method], float)


def flops(rows, method):
    """FLOPs of the whole step, one for each seed; nan where they are not counted."""
    return sum(of(rows, method, name) for name in rows[0] if name.startswith("FLOPs of "))


def check(rows):
    lora, large, few, frozen_a = list(METHODS)[1:]
    state = {name: of(rows, name, "bytes of gradients") + of(rows, name, "bytes of moments") for name in METHODS}
    kept = {name: of(rows, name, "bytes of activations") for name in METHODS}
    counted, batch, token = (
        {
            way: np.array(column(rows, name, part="forward", way=way, tokens=tokens), float)
            for way in ("base", "the pair beside it", "merged")
        }
        for name, tokens in (("FLOPs", "a batch"), ("seconds", "a batch"), ("seconds", "one token"))
    )
    return [
        exactly("one 128 x 128 matrix, r = 22: FLOPs of LoRA over full, 2/3 + r / r*", flops_ratio(128, 128, 22), 2 / 3 + 22 / 64, 1e-12),
        above("so that it costs more than full fine-tuning", [flops_ratio(128, 128, 22)], 1),
        below("the whole step, r = 8: FLOPs over full", flops(rows, lora) / flops(rows, "full"), 0.9),
        above("the whole step, r = 32: FLOPs over full", flops(rows, large) / flops(rows, "full"), 1),
        below("r = 8: bytes of gradients and moments, over full", state[lora] / state["full"], 0.25),
        above("r = 8: bytes of activations, over full", kept[lora] / kept["full"], 0.95),
        below("q and v alone: bytes of activations, over full", kept[few] / kept["full"], 0.85),
        below("LoRA-FA: bytes of activations, over full", kept[frozen_a] / kept["full"], 0.85),
        exactly("merged: FLOPs of a forward pass more than the base's", np.abs(counted["merged"] - counted["base"]).max(), 0),
        above("with the pair beside it: FLOPs over the base's", counted["the pair beside it"] / counted["base"], 1),
        above("with the pair beside it: seconds of one token, over the base's", token["the pair beside it"] / token["base"], 1),
        above("with the pair beside it: seconds of a batch, over the base's", batch["the pair beside it"] / batch["base"], 1),
        below("merged: seconds of one token, over the base's, to a factor of 2^", np.abs(np.log2(token["merged"] / token["base"])), 0.5),
    ]


def draw(rows):
    """Left, the bytes of a step part by part; right, its FLOPs and seconds, over those of full fine-tuning."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.5, 1))
    parts = ("weights", "gradients", "moments", "activations", "dlogits")
    inks = (LIGHT.quiet, LIGHT.row, LIGHT.negative[0], LIGHT.column, LIGHT.positive[0])
    heights = np.arange(len(METHODS))[::-1]
    for method, y in zip(METHODS, heights, strict=True):
        start = 0.0
        for part, ink in zip(parts, inks, strict=True):
            width = of(rows, method, f"bytes of {part}").mean() / 1e6
            left.barh(y, width, 0.6, start, color=ink)
            start += width
        seconds = [sum(of(rows, name, f"seconds of {part}") for part in ("forward", "backward", "optimiser")) for name in (method, "full")]
        right.plot(
            np.mean(seconds[0] / seconds[1]), y, "o", color=LIGHT.row, markerfacecolor="none", markersize=9
        )  # hollow: the two may agree
        if not np.isnan(flops(rows, method)).any():
            right.plot(np.mean(flops(rows, method) / flops(rows, "full")), y, "s", color=LIGHT.column)
    for i, (part, ink) in enumerate(zip(parts, inks, strict=True)):
        left.text(0.02 + 0.2 * i, 0.97, part, color=ink, transform=left.transAxes, va="top")
    left.set(title="bytes of a step", xlabel="MB (10^6 bytes)", ylim=(-0.6, len(METHODS) + 0.1))
    left.set_yticks(heights, list(METHODS))
    right.set(title="over full fine-tuning", xlim=(0, None))
    for i, (name, ink) in enumerate((("squares: FLOPs", LIGHT.column), ("circles: seconds, of one machine", LIGHT.row))):
        right.text(0.02, 0.97 - 0.07 * i, name, color=ink, transform=right.transAxes, va="top")
    right.axvline(1, color=LIGHT.faint, zorder=0)
    size, seeds = SIZES[rows[0]["size"]], len(set(column(rows, "seed")))
    figure.supxlabel(
        f"d = {size.hidden}, {size.layers} layers, {size.batch} x {size.length} tokens, one thread, float32; mean of {seeds} seeds",
        fontsize=8,
        color=LIGHT.quiet,
    )
    return figure
