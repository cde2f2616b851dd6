"""Does a higher alpha overfit?

Claim: "a higher alpha means stronger adaptation and a risk of overfitting", and so, it is said, does a higher rank.
Source: the common account. Hu et al. 2021 (arXiv 2106.09685, section 4.1) tune no alpha: under Adam it acts as the learning rate does.
Set-up: the shipped base learns a voice from sixteen texts, shown again and again, with LoRA in all linear layers. Along the training the
loss is measured on these texts and on others of the same voice: alpha 4, 16 and 64 at one learning rate; alpha 64 at a quarter of it, so
that alpha times the rate is what it is at alpha 16; rank 1 and 32 at alpha 16; and alpha 64 once more, where every batch is new text.
What must be seen: at one learning rate the higher alpha ends worse on other texts, while it is better on the sixteen: that is overfitting.
With a quarter of the rate alpha 64 ends where alpha 16 does. With new text nothing of the kind is seen. A higher rank at the same alpha
ends no higher. So the claim is true of alpha as it is of the learning rate: a lower one is a delay, and more text the cure. After 300 steps
(preset paper) all have the sixteen by heart, and pay 0.3 to 0.5 nats a character on the others, where new text leaves 0.14.
What this size cannot show: how much text is enough for a large model, and regularisers against each other.
"""

import numpy as np

from minilora import ops
from minilora.lab.findings import above, below
from minilora.lab.fit import base
from minilora.lab.looks import long
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.methods import LoRA
from minilora.pictures.measure import watched
from minilora.training import corpora
from minilora.training.gradients import evaluate, workers
from minilora.training.loop import Recipe, train

QUESTION = "Does a higher alpha overfit?"
TEXTS, ALL = 16, 0  # how many texts there are to learn from; 0 stands for as many as are wanted
RATE = 5e-3
LOW, MIDDLE, HIGH, NARROW, WIDE = "alpha 4", "alpha 16", "alpha 64", "alpha 16, rank 1", "alpha 16, rank 32"
SLOW, NEW = "alpha 64, a quarter of the rate", "alpha 64, new text"
RUNS = {  # -> rank, alpha, learning rate, texts
    LOW: (8, 4.0, RATE, TEXTS),
    MIDDLE: (8, 16.0, RATE, TEXTS),
    HIGH: (8, 64.0, RATE, TEXTS),
    SLOW: (8, 64.0, RATE / 4, TEXTS),
    NARROW: (1, 16.0, RATE, TEXTS),
    WIDE: (32, 16.0, RATE, TEXTS),
    NEW: (8, 64.0, RATE, ALL),
}
PRESETS = {
    "smoke": {"steps": 2, "every": 1},
    "class": {"steps": 80, "every": 10},
    "paper": {"steps": 300, "every": 20},
}
CORPUS, HELD_OUT = "pirate", 24
RECIPE = {"batch": 4, "length": 192, "warmup": 5, "held_out": HELD_OUT}  # a whole story fits a row


def few(texts, seed):
    """`texts` documents of the voice -> a corpus that shows no others to learn from, and the documents."""
    whole, rng = corpora.load(CORPUS), np.random.default_rng([seed, texts])
    documents = [whole.draw(rng, False) for _ in range(texts)]

    def draw(rng, held_out):
        return whole.draw(rng, True) if held_out else documents[rng.integers(texts)]

    return corpora.Documents(f"{texts} of {CORPUS}", draw), [text for text, _ in documents]


def losses(way, steps, every, seed):
    """Columns over the training: the loss on the texts that are learned from, and on others, in nats a character.

    Where every batch is new there is no first kind: the sixteen of the other runs, which it has never seen, stand in its place.
    """
    rank, alpha, rate, texts = RUNS[way]
    stories, chosen = base(), ops.choose()
    corpus, documents = few(TEXTS, seed)
    method, kept = watched(LoRA(rank=rank, alpha=alpha), every)
    recipe = Recipe(steps=steps, learning_rate=rate, evaluate_every=every, seed=seed, **RECIPE)
    learned_from = corpus if texts else corpora.load(CORPUS)
    run = train(stories.config, stories.weights, method, learned_from, recipe, chosen, num_workers=1, progress=False)
    shown = corpora.shift([corpora.encode(text + "\n") for text in documents], stories.config.max_position_embeddings)  # (16, T) each
    with workers(1) as pool:
        seen = [evaluate(pool, stories.config, stories.weights, method, arrays, chosen, *shown) for arrays in kept.values()]
    return {"step": list(kept), "shown": seen, "others": [row["held_out"] for row in run.log]}


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    trials = [{"way": way, **PRESETS[preset], "seed": seed} for way in RUNS for seed in seeds]
    return long(run_trials(losses, trials, jobs=jobs, progress=False))


def last(rows, way, what):
    """A loss after the last step, one value for each seed."""
    return np.array(column(rows, what, way=way, step=rows[0]["steps"]))


def check(rows):
    low, middle, high, slow, wide, new = (last(rows, way, "others") for way in (LOW, MIDDLE, HIGH, SLOW, WIDE, NEW))
    return [
        above("at one learning rate alpha 64 ends above alpha 4 on other texts, by", high - low, 0.05),
        below("and below it on the texts that it was shown", last(rows, HIGH, "shown") - last(rows, LOW, "shown"), 0),
        below("with a quarter of the rate it ends no higher on other texts than alpha 16 does: above it by", slow - middle, 0.05),
        below("with new text in every batch it ends below alpha 64 on the sixteen, by more than", new - high, -0.05),
        below("rank 32 at alpha 16 ends above rank 8, by", wide - middle, 0.1),
    ]


def draw(rows):
    """Left, the loss on what is shown and on other texts along the training; right, how far apart the two end."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    course, ends = figure.subplots(1, 2, width_ratios=(1, 1.1))
    steps, seeds = (sorted(set(column(rows, name))) for name in ("step", "seed"))
    inks = {LOW: LIGHT.column, HIGH: LIGHT.row, NEW: LIGHT.ink}
    top = 0.0
    for way, ink in inks.items():
        for what, style, lift in (("others", "-", 4), ("shown", "--", -4)):
            if way == NEW and what == "shown":
                continue
            losses = [np.mean(column(rows, what, way=way, step=step)) for step in steps]
            course.plot(steps, losses, style, color=ink)
            told = {"others": way, "shown": f"{way}, on the {TEXTS}"}[what]
            course.annotate(told, (steps[-1], losses[-1]), (6, lift), textcoords="offset points", color=ink, va="center", fontsize=8)
            top = max(top, losses[min(1, len(losses) - 1)])
    course.set(
        title="on other texts, and (dashed) on those shown",
        xlabel="steps",
        ylim=(0, 1.2 * top),
        xlim=(0, 1.6 * steps[-1]),
        xticks=steps[1::2],
    )
    course.set_ylabel("loss, nats a character")

    for y, way in enumerate(reversed(RUNS)):
        shown, others = (last(rows, way, what) for what in ("shown", "others"))  # (seeds,) each
        ends.plot([np.mean(shown), np.mean(others)], [y, y], color=inks.get(way, LIGHT.quiet), linewidth=1)
        ends.plot(shown, [y] * len(shown), "o", mfc="none", color=inks.get(way, LIGHT.quiet), markersize=5)
        ends.plot(others, [y] * len(others), "o", color=inks.get(way, LIGHT.quiet), markersize=5)
    ends.set_yticks(range(len(RUNS)), reversed(RUNS))
    ends.set(
        title=f"after {steps[-1]} steps: hollow, on the {TEXTS} texts;\nfull, on others", xlabel="loss, nats a character", xlim=(0, None)
    )
    figure.supxlabel(
        f"LoRA of rank 8 where nothing is said, on {CORPUS}, steps of 4 x 192 characters, learning rate {RATE:g}\n"
        f"left the mean of {len(seeds)} seeds, right each of them; {HELD_OUT} other texts",
        fontsize=8,
        color=LIGHT.quiet,
    )
    return figure
