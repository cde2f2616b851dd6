"""Can a base be adapted to a domain of real text: source code, or a folder of your own?

Claim: domain adaptation is what LoRA is good for.
Set-up: a small model is trained for a moment on the language reference that every CPython carries (pydoc). LoRA of rank 8 in all linear
layers adapts it to Python source (the standard library), and to a folder: minilora's own source, or yours by --folder notes. The base
and both adapters are measured on all three, on text that was held out, and so is full fine-tuning on Python source with as many steps.
What must be seen: each adapter is better than the base on its own domain, and there better than the other one, although both are source
code. What it costs on the reference, and what full fine-tuning gains more, is measured. Only directions are checked: the texts differ
between versions of Python, and no loss on them is the right one. A folder of another kind is another experiment, whose findings may differ.
What this size cannot show: that the result is useful. After seconds of training such models write words of the right shape and no sense.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

import minilora
from minilora import api
from minilora.lab.findings import above
from minilora.lab.looks import long
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.methods import Full, LoRA
from minilora.training import corpora
from minilora.transformer import Config

QUESTION = "Can a base be adapted to a domain of real text: source code, or a folder of your own?"
PRESETS = {
    "smoke": {"width": 32, "layers": 1, "length": 32, "pretraining": 2, "steps": 2, "rows": 2},
    "class": {"width": 64, "layers": 2, "length": 128, "pretraining": 700, "steps": 120, "rows": 32},
    "paper": {"width": 128, "layers": 4, "length": 192, "pretraining": 2000, "steps": 300, "rows": 128},
}
OWN = str(Path(minilora.__file__).parent)  # the folder, where none is given
MODELS = {  # -> method, learning rate, domain
    "LoRA on source": (LoRA(rank=8, alpha=16), 1e-2, "source"),
    "LoRA on folder": (LoRA(rank=8, alpha=16), 1e-2, "folder"),
    "full on source": (Full(), 3e-3, "source"),
}


@lru_cache(maxsize=1)
def reference(preset):
    """The base, trained on the language reference: one and the same for all seeds, which are the adapters'."""
    dials = PRESETS[preset]
    config = Config(
        hidden_size=dials["width"],
        intermediate_size=3 * dials["width"],
        num_hidden_layers=dials["layers"],
        max_position_embeddings=dials["length"],
    )
    recipe = {"steps": dials["pretraining"], "batch": 8, "length": dials["length"], "learning_rate": 5e-3, "held_out": 8}
    return api.pretrain("reference", config, "pydoc", progress=False, **recipe)[0]


def losses(folder, preset, seed):
    """Columns over models and domains: the loss on held-out text in nats a character."""
    dials, domains, base = PRESETS[preset], {"reference": "pydoc", "source": "stdlib", "folder": folder}, reference(preset)
    adapters = {"base": None}
    for name, (method, rate, domain) in MODELS.items():
        recipe = {"steps": dials["steps"], "batch": 8, "length": dials["length"], "learning_rate": rate, "held_out": 8, "seed": seed}
        adapters[name] = api.finetune(base, method, domains[domain], progress=False, num_workers=1, **recipe)
    looks = {"model": [], "domain": [], "loss": [], "numbers": []}
    for name, adapter in adapters.items():
        for domain, corpus in domains.items():
            looks["model"].append(name)
            looks["domain"].append(domain)
            looks["loss"].append(base.held_out_loss(corpus, adapter, dials["rows"])[0])
            looks["numbers"].append(MODELS[name][0].count(base.config) if adapter else 0)
    return looks


def run(preset="class", seeds=(0, 1, 2), jobs=2, folder=OWN):
    corpora.read(folder).train_batch(np.random.default_rng(0), 1, PRESETS[preset]["length"])  # too little text is told before the training
    trials = [{"folder": str(folder), "preset": preset, "seed": seed} for seed in seeds]
    rows = long(run_trials(losses, trials, jobs=jobs, progress=False))
    return [{**row, "folder": Path(row["folder"]).resolve().name} for row in rows]


def of(rows, model, domain):
    """One value for each seed."""
    return np.array(column(rows, "loss", model=model, domain=domain))


def check(rows):
    return [
        above("source: how much better its adapter is than the base", of(rows, "base", "source") - of(rows, "LoRA on source", "source"), 0),
        above("the folder: the same of its adapter", of(rows, "base", "folder") - of(rows, "LoRA on folder", "folder"), 0),
        above(
            "the folder: its adapter is better than the other",
            of(rows, "LoRA on source", "folder") - of(rows, "LoRA on folder", "folder"),
            0,
        ),
        above(
            "source: its adapter is better than the other", of(rows, "LoRA on folder", "source") - of(rows, "LoRA on source", "source"), 0
        ),
    ]


def draw(rows):
    """The loss of every model on every domain, from the base's to its own."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    domains = ("reference", "source", "folder")
    inks = {"base": LIGHT.quiet, "LoRA on source": LIGHT.row, "LoRA on folder": LIGHT.column, "full on source": LIGHT.ink}
    means = {name: [float(np.mean(of(rows, name, domain))) for domain in domains] for name in inks}
    for (name, ink), shift in zip(inks.items(), (-0.24, -0.08, 0.08, 0.24), strict=True):
        x = np.arange(3) + shift  # (3,)
        axes.bar(x, means[name], 0.15, color=ink)
        for at, loss in zip(x, means[name], strict=True):
            axes.text(at, loss + 0.03, f"{loss:.2f}", ha="center", color=ink, fontsize=8)
        axes.text(0.02 + 0.24 * list(inks).index(name), 0.99, name, color=ink, transform=axes.transAxes, va="top")
    axes.set(title="held-out loss, nats a character", ylim=(0, 1.2 * max(map(max, means.values()))))
    axes.set_xticks(range(3), ["the reference (pydoc)", "Python source (stdlib)", f"the folder ({rows[0]['folder']})"])
    dials, seeds = PRESETS[rows[0]["preset"]], len(set(column(rows, "seed")))
    figure.supxlabel(
        f"{dials['layers']} layers of width {dials['width']}, trained on the reference for {dials['pretraining']} steps, adapted in "
        f"{dials['steps']}; mean of {seeds} seeds",
        fontsize=8,
        color=LIGHT.quiet,
    )
    return figure
