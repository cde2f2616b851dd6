"""How much does an adapter hold?

Claim: LoRA is "not for completely new capabilities". Hu et al. 2021 (arXiv 2106.09685, footnote 7) do not expect a small rank to do for
every task; Schulman et al. (LoRA Without Regret, 2025) say how much fits: about 2 bits a trained number, which Allen-Zhu and Li 2024
(Physics of Language Models 3.3, arXiv 2404.05405) measured for whole models.
Set-up: N facts, each three random symbols and a fourth one that is to be told from them: log2(16) = 4 bits a fact, and nothing that a rule
could save. A frozen random transformer of two layers, which knows nothing at all, learns them with LoRA in all linear layers, by rank, and
in full; each at the better of two learning rates. What it has stored is N times (4 - its loss in bits): as many bits fewer one who has the
model would have to be sent.
What must be seen: a budget, and no law against what is new. r = 1 learns 128 facts on a base that knows nothing; of 512 it learns three in
four, at about one bit a trained number, and no more; r = 4 learns them all, and so does the full model. None comes near two bits a number.
What this size cannot show: the ceiling itself, which asks for a thousand times past each fact (here it is 300); and facts in words.
"""

from dataclasses import dataclass

import numpy as np

from minilora import ops
from minilora.lab.findings import above, below
from minilora.lab.table import column
from minilora.lab.trials import run_trials
from minilora.layers import IGNORED
from minilora.methods import Full, LoRA
from minilora.training.loop import Recipe, train
from minilora.transformer import Config, forward, init

QUESTION = "How much does an adapter hold?"
FULL = 0  # the rank that stands for all numbers of the model
PRESETS = {
    "smoke": {"facts": (16,), "ranks": (1, 4, FULL), "steps": 3},
    "class": {"facts": (128, 512), "ranks": (1, 2, 4, FULL), "steps": 300},
    "paper": {"facts": (128, 512, 2048), "ranks": (1, 2, 4, 8, FULL), "steps": 1500},
}
RATES = {"LoRA": (1e-2, 3e-2), "full": (3e-3, 1e-2)}
SYMBOLS, KEY, BATCH = 16, 3, 512
CONFIG = Config(
    vocab_size=SYMBOLS,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=2,
    max_position_embeddings=KEY,
)


@dataclass(frozen=True)
class Facts:
    """A corpus of facts: inputs are the keys (N, KEY), and the one target of a row is its value."""

    name: str
    keys: np.ndarray  # (N, KEY)
    values: np.ndarray  # (N,)

    def rows(self, chosen):
        """-> inputs, targets (rows, KEY)."""
        targets = np.full((len(chosen), KEY), IGNORED)  # (rows, KEY)
        targets[:, -1] = self.values[chosen]
        return self.keys[chosen], targets

    def train_batch(self, rng, batch, T):
        return self.rows(rng.choice(len(self.values), min(batch, len(self.values)), replace=False))

    def held_out(self, count, T):
        """All of them: what is asked is what was told."""
        return self.rows(np.arange(len(self.values)))

    def entropy(self, count):
        """None: it is the loss itself that is wanted."""


def draw_facts(number, rng):
    """`number` different keys, a random value for each."""
    codes = rng.choice(SYMBOLS**KEY, number, replace=False)  # (N,)
    keys = codes[:, None] // SYMBOLS ** np.arange(KEY) % SYMBOLS  # (N, KEY)
    return Facts("facts", keys, rng.integers(SYMBOLS, size=number))


def memorise(rank, facts, learning_rate, steps, seed):
    """Train LoRA of a rank, or all numbers of the model -> how many numbers train, the share recalled, and the bits stored."""
    rng = np.random.default_rng([seed, facts])
    base, told = init(CONFIG, rng, std=0.2), draw_facts(facts, rng)
    method = Full() if rank == FULL else LoRA(rank=rank, alpha=2.0 * rank)
    recipe = Recipe(
        steps=steps, batch=BATCH, length=KEY, learning_rate=learning_rate, warmup=10, shards=1, evaluate_every=steps, held_out=1, seed=seed
    )
    run = train(CONFIG, base, method, told, recipe, ops.choose(), num_workers=1, progress=False)
    logits, _ = forward(CONFIG, base, told.keys, method.sites(CONFIG, run.arrays, ops.choose()))
    guesses = logits.reshape(facts, KEY, -1)[:, -1].argmax(axis=1)  # (N,)
    bits = np.log2(SYMBOLS) - run.log[-1]["held_out"] / np.log(2)
    return {"trained": method.count(CONFIG), "recalled": float(np.mean(guesses == told.values)), "bits": float(facts * bits)}


def run(preset="class", seeds=(0, 1, 2), jobs=2):
    dials = PRESETS[preset]
    trials = [
        {"facts": facts, "rank": rank, "learning_rate": rate, "steps": dials["steps"], "seed": seed}
        for facts in dials["facts"]
        for rank in dials["ranks"]
        for rate in RATES["full" if rank == FULL else "LoRA"]
        for seed in seeds
    ]
    return run_trials(memorise, trials, jobs=jobs, progress=False)


def at_best(rows, name, facts, rank):
    """The values of a column, one for each seed, at the learning rate at which most bits are stored on average."""
    chosen = {"facts": facts, "rank": rank}
    rates = sorted(set(column(rows, "learning_rate", **chosen)))
    best = max(rates, key=lambda rate: np.mean(column(rows, "bits", **chosen, learning_rate=rate)))
    return column(rows, name, **chosen, learning_rate=best)


def check(rows):
    few, many = min(column(rows, "facts")), max(column(rows, "facts"))
    largest = max(column(rows, "rank"))
    density = np.array(at_best(rows, "bits", many, 1)) / np.array(at_best(rows, "trained", many, 1))
    return [
        above(f"r = 1 recalls {few} facts", at_best(rows, "recalled", few, 1), 0.95),
        below(f"r = 1 runs out: of {many} facts it does not recall all", at_best(rows, "recalled", many, 1), 0.9),
        above(f"r = {largest} recalls {many} facts", at_best(rows, "recalled", many, largest), 0.95),
        above(f"so does the full model: {many} facts", at_best(rows, "recalled", many, FULL), 0.95),
        above("where r = 1 runs out, it holds a bit in every two trained numbers and more", density, 0.5),
        below("and less than two bits a number", density, 2.0),
    ]


def draw(rows):
    """The share that is recalled, and the bits that are stored, both over how many numbers train."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT

    figure = Figure(figsize=(9, 4), layout="constrained")
    recalled, stored = figure.subplots(1, 2)
    numbers, ranks = (sorted(set(column(rows, name))) for name in ("facts", "rank"))
    ranks = [*ranks[1:], FULL]
    trained = np.array([at_best(rows, "trained", numbers[0], rank)[0] for rank in ranks])  # (ranks,)
    for facts, ink in zip(numbers, (LIGHT.column, LIGHT.row, LIGHT.ink), strict=False):
        shares, bits = ([np.mean(at_best(rows, name, facts, rank)) for rank in ranks] for name in ("recalled", "bits"))
        recalled.semilogx(trained, shares, "o-", color=ink, markersize=4, clip_on=False)
        recalled.annotate(
            f"{facts} facts", (trained[0], shares[0]), (0, 6 if shares[0] > 0.9 else -16), textcoords="offset points", color=ink
        )
        stored.loglog(trained, bits, "o-", color=ink, markersize=4)
        whole = facts * np.log2(SYMBOLS)
        stored.axhline(whole, color=ink, linestyle=":", linewidth=1)
        stored.annotate(f"all {whole:,.0f} bits", (trained[-1], whole), (0, 4), textcoords="offset points", ha="right", color=ink)
    for density, top in ((1, 1.4), (2, 2.0)):
        reach = np.array([trained[0], top * whole / density])  # (2,)
        stored.plot(reach, density * reach, color=LIGHT.quiet, linestyle="--", linewidth=1)
        told = "1 bit a number" if density == 1 else "2 bits a number"
        stored.annotate(told, (reach[-1], density * reach[-1]), (4, -3), textcoords="offset points", color=LIGHT.quiet)
    names = [f"{f'r = {rank}' if rank != FULL else 'full'}\n{count:,}" for rank, count in zip(ranks, trained, strict=True)]
    for axes, title in ((recalled, "share of the facts recalled"), (stored, "bits stored")):
        axes.set(xticks=trained, xticklabels=names, xlabel="numbers that train", title=title)
        axes.minorticks_off()
    recalled.set(ylim=(0, 1.1))
    stored.set(ylim=(300, 5000), yticks=(500, 1000, 2000, 4000), yticklabels=("500", "1,000", "2,000", "4,000"))
    figure.supxlabel(
        f"a frozen random transformer (d = {CONFIG.hidden_size}, {CONFIG.num_hidden_layers} layers), {rows[0]['steps']} steps over "
        f"{BATCH} facts or all, mean of {len(set(column(rows, 'seed')))} seeds",
        fontsize=8, color=LIGHT.quiet,
    )  # fmt: skip
    return figure
