"""Are adapters modules: one base, several voices, and may they be added?

Claim: the base is loaded once and small adapters come and go per task (Hu et al. 2021, section 1); and, as is often taken from it, adapters
can be combined by adding them.
Set-up: three voices are learned by LoRA on the shipped base, with the rank and targets of their presets (training/presets.py) and fewer
steps. Each adapter writes texts, which the checkers of all voices judge. Then updates are added, exactly (adapters/combine.py): pirate and
shout, which could be both at once, and rot13 and itself, which as a composition would be plain text. Then one adapter's strength is varied.
What must be seen: a 3 x 3 table with its diagonal near 1 and nothing beside it; the base's bits are the same after all of it. Two rot13
adapters, added, do not undo one another: adapters add, they do not compose. Nor does pirate plus shout shout like a pirate: what it writes
no judge accepts, and it is worse at either voice than the voice alone, though both are of rank 1. An adapter is made for strength 1: with
more of it the voice gets worse, not louder, and more of the base is forgotten.
What this size cannot show: many adapters, similar tasks, and merges by more careful rules than a sum, which are reported to work at scale.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from minilora import api
from minilora.adapters.adapter import Adapter
from minilora.adapters.combine import combine
from minilora.files.safetensors import digest
from minilora.lab.findings import above, below, exactly
from minilora.lab.fit import base, fit
from minilora.lab.looks import long
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.methods import LoRA
from minilora.training import presets
from minilora.training.voices import PIRATE, VOICES, Voice

QUESTION = "Are adapters modules: one base, several voices, and may they be added?"
PRESETS = {
    "smoke": {"steps": {"shout": 1, "pirate": 1, "rot13": 1}, "texts": 1, "rows": 2, "strengths": (0.5,)},
    "class": {"steps": {"shout": 40, "pirate": 100, "rot13": 250}, "texts": 16, "rows": 8, "strengths": (0.25, 0.5, 0.75, 1.5)},
    "paper": {
        "steps": {"shout": 50, "pirate": 300, "rot13": 600},
        "texts": 64,
        "rows": 64,
        "strengths": (0.2, 0.4, 0.6, 0.8, 1.2, 1.5, 2.0),
    },
}
RATES = {"shout": 1e-2, "pirate": 2e-2, "rot13": 1.5e-2}  # the best of 1e-2, 1.5e-2 and 2e-2, in as many steps as class takes
NAMES = ("shout", "pirate", "rot13")
PROMPT = "once upon a time"
LOUD_PIRATE = Voice("pirate in upper case", lambda word: PIRATE.get(word, word).upper(), ", ARR.")
JUDGES = {**{name: VOICES[name] for name in NAMES}, "both": LOUD_PIRATE, "stories": Voice("plain", lambda word: word)}


@lru_cache(maxsize=len(NAMES))
def adapter(name, preset, seed):
    """An adapter for the voice, of the rank and targets that its preset has."""
    voice, steps = presets.VOICES[name], PRESETS[preset]["steps"][name]
    method = LoRA(rank=voice["rank"], alpha=2 * voice["rank"], targets=voice["targets"])
    recipe = {"steps": steps, "batch": presets.VOICE_BATCH, "length": 160, "learning_rate": RATES[name], "evaluate_every": steps}
    return fit(method, name, held_out=8, seed=seed, **recipe)


def added(one, other):
    """The exact sum of two adapters' updates, as an adapter."""
    method, arrays, _ = combine([one, other], [1.0, 1.0], one.config)
    return Adapter(method, arrays, one.config, one.base_name)


def weaker(adapter, t):
    """The adapter at strength t: W + t s A B."""
    return replace(adapter, method=replace(adapter.method, alpha=t * adapter.method.alpha))


def judged(adapter, texts, seed):
    """Judge -> the mean of its scores of texts that begin with nothing, so that the voice is the adapter's own choice."""
    written = base().generate("", adapter, count=texts, seed=seed)
    return {judge: float(np.mean([voice.score(text) for text in written])) for judge, voice in JUDGES.items()}


def losses(adapter, rows):
    """Corpus -> the loss above the best, in nats a character."""
    return {f"excess on {corpus}": base().held_out_loss(corpus, adapter, rows)[1] for corpus in (*NAMES, "stories")}


def speakers(group, preset, seed):
    """(name, strength, adapter) of one group of speakers; no adapter is the base."""
    if group == "rot13":
        rot13 = adapter("rot13", preset, seed)
        return [("rot13", 1.0, rot13), ("rot13 + rot13", 1.0, added(rot13, rot13))]
    shout, pirate = (adapter(name, preset, seed) for name in ("shout", "pirate"))
    found = [("base", 0.0, None), ("shout", 1.0, shout), ("pirate", 1.0, pirate), ("pirate + shout", 1.0, added(pirate, shout))]
    return found + [("pirate", t, weaker(pirate, t)) for t in PRESETS[preset]["strengths"]]


def speak(group, preset, seed):
    """Columns over speakers: what each judge and each corpus says; and whether the base is afterwards what it was."""
    dials = PRESETS[preset]
    seen = [
        {"speaker": name, "strength": t, **judged(each, dials["texts"], seed), **losses(each, dials["rows"])}
        for name, t, each in speakers(group, preset, seed)
    ]
    untouched = digest(base().weights) == digest(api.load("stories-base").weights)
    return {name: [row[name] for row in seen] for name in seen[0]} | {"base_untouched": untouched}


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    trials = [{"group": group, "preset": preset, "seed": seed} for seed in seeds for group in ("rot13", "pirate and shout")]
    return long(run_trials(speak, trials, jobs=jobs, progress=False))


def scores(rows, speaker, judge):
    """One value for each seed, at full strength."""
    return np.array(column(rows, judge, speaker=speaker, strength=0.0 if speaker == "base" else 1.0))


def check(rows):
    own = np.min([scores(rows, name, name) for name in NAMES], axis=0)
    others = np.max([scores(rows, name, judge) for name in NAMES for judge in JUDGES if judge != name], axis=0)
    together = np.max([scores(rows, "pirate + shout", judge) for judge in ("pirate", "shout", "both")], axis=0)
    by_strength = {
        t: [np.array(column(rows, f"excess on {corpus}", speaker="pirate", strength=t)) for corpus in ("pirate", "stories")]
        for t in sorted(set(column(rows, "strength", speaker="pirate")))
    }
    strong = [stories for t, (_, stories) in by_strength.items() if t >= 0.5]
    return [
        exactly("the base's bits that changed", sum(not row["base_untouched"] for row in rows), 0),
        above("the share of its text that a voice's own judge accepts, at least", own, 0.7),
        below("and any other judge, at most", others, 0.2),
        above("rot13 added to itself: the loss on plain stories above best", scores(rows, "rot13 + rot13", "excess on stories"), 5),
        above("and on rot13", scores(rows, "rot13 + rot13", "excess on rot13"), 1),
        below("pirate and shout added: what the judge of either, or of both, accepts", together, 0.3),
        above(
            "and its loss on pirate, over that of pirate alone, is 2^",
            np.log2(np.divide(scores(rows, "pirate + shout", "excess on pirate"), scores(rows, "pirate", "excess on pirate"))),
            1.5,
        ),
        above(
            f"pirate at strength {max(by_strength):g}: its loss on pirate, over that at 1, is 2^",
            np.log2(by_strength[max(by_strength)][0] / by_strength[1.0][0]),
            1.5,
        ),
        above(
            "pirate from strength 1/2 on: the loss on stories grows from each to the next, by at least",
            np.diff(strong, axis=0).min(axis=0),
            0,
        ),
    ]


def draw(rows):
    """Left, who speaks and which judge accepts it; right, the losses over the strength of one adapter."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT, cell_colours

    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
    speaking, judges = ("base", *NAMES, "pirate + shout", "rot13 + rot13"), ("stories", *NAMES, "both")
    for i, speaker in enumerate(speaking):
        for j, judge in enumerate(judges):
            score = float(np.mean(scores(rows, speaker, judge)))
            colour, ink = cell_colours(score, 1.5, LIGHT)
            left.fill([j, j + 1, j + 1, j], [i, i, i + 1, i + 1], color=colour)
            left.text(j + 0.5, i + 0.5, f"{score:.2f}", ha="center", va="center", color=ink)
    left.set(title="share of the text that obeys", xlim=(0, len(judges)), ylim=(len(speaking), 0), xlabel="judge")
    left.set_xticks(np.arange(len(judges)) + 0.5, ["plain", *NAMES, "pirate\nand shout"])
    left.set_yticks(np.arange(len(speaking)) + 0.5, speaking)
    for corpus, ink in (("pirate", LIGHT.row), ("stories", LIGHT.column)):
        points = {0.0: np.mean(scores(rows, "base", f"excess on {corpus}"))}
        for t in sorted(set(column(rows, "strength", speaker="pirate"))):
            points[t] = np.mean(column(rows, f"excess on {corpus}", speaker="pirate", strength=t))
        right.semilogy(list(points), list(points.values()), "o-", color=ink)
        right.annotate(corpus, (t, points[t]), (8, 0), textcoords="offset points", color=ink, va="center")
    right.set(title="loss above best, nats a character", xlabel="strength t of pirate:  W + t s A B", xlim=(0, 1.2 * t))
    texts, seeds = PRESETS[rows[0]["preset"]]["texts"], len(set(column(rows, "seed")))
    figure.supxlabel(
        f"stories-base, {texts} texts that begin with nothing, mean of {seeds} seeds; adapters of rank 1, 1 and 8",
        fontsize=8,
        color=LIGHT.quiet,
    )
    return figure
