# %% [markdown]
# # 7. What does LoRA change, what does it leave alone, and how are its dials set?
#
# **You will be able to** fine-tune a model with LoRA and say exactly which numbers train, set rank, alpha, targets and learning rate for
# a reason, and compare the result with full fine-tuning fairly.
#
# **Run time:** about 30 s on two cores. **You need:** notebooks 1 and 2; notebook 6 for what "above best" means.

# %%
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import minilora as ml
from minilora.files.safetensors import digest
from minilora.lab.table import column, stored
from minilora.methods.targets import resolve
from minilora.pictures.lessons import bars, curves, matrix, sheet
from minilora.pictures.notebook import dials, show
from minilora.training.voices import VOICES
from minilora.transformer.known import KNOWN

# %% [markdown]
# ## Before
#
# The base writes stories. We want it to write them like a pirate: a few words change, and every sentence ends in `arr`. That voice is
# made by a program, so there is a text to learn from, a best possible loss to compare with, and a checker that says how much of a text
# obeys.

# %%
base = ml.load("stories-base")
before = digest(base.weights)
print("base:  ", base.generate("once upon a time", seed=1))
print("wanted:", VOICES["pirate"].encode(base.generate("once upon a time", seed=1)))
print(f"\nthe base on pirate text: {base.held_out_loss('pirate', rows=32)[1]:.2f} nats a letter above the best possible")

# %% [markdown]
# ## What trains
#
# A method here is a plain description. It is asked for its arrays, which stand *beside* the base's.

# %%
method = ml.LoRA(rank=4, alpha=8, targets="all-linear")
start = method.init(base.config, base.weights, np.random.default_rng(0))
for name, array in list(start.items())[:4]:
    print(f"{name:<44} {'x'.join(map(str, array.shape)):>6}  largest entry {np.abs(array).max():.3f}")
total, trainable = sum(W.size for W in base.weights.values()), method.count(base.config)
print(f"... {len(start)} arrays, {trainable:,} numbers train, {total:,} do not: {trainable / total:.1%}")

# %% [markdown]
# `A` begins small and random, `B` at zero, so that the model is the base, bit for bit, before the first step. "LoRA trains about one per
# cent" is what one reads. **Predict:** why is the share larger here, and what will it be, at the same rank, in a model of thousands of
# features?

# %%
for name in ("SmolLM2-135M", "Llama-3.2-1B", "Llama-3-8B"):
    config = KNOWN[name]
    share = method.count(config) / sum(int(np.prod(shape)) for shape in config.shapes().values())
    print(f"{name:<14} d = {config.hidden_size:>4}: {method.count(config):>10,} numbers, {share:.2%}")
print(f"{'stories-base':<14} d = {base.config.hidden_size:>4}: {trainable:>10,} numbers, {trainable / total:.2%}")

# %% [markdown]
# The share of one matrix is $r(d+k)/dk$, about $2r/d$ for a square one: it falls as the model widens. A toy cannot show "one per cent"
# except at rank 1.
#
# Frozen means frozen: the base's arrays cannot even be written to.

# %%
try:
    base.weights["lm_head.weight"][0, 0] = 1.0
except ValueError as error:
    print(error)

# %% [markdown]
# ### Where the pairs sit
#
# The **targets** say which matrices get a pair. Turn the dials: each cell is one matrix, with the numbers that train there.

# %%
SETS = ("q_proj,v_proj", "attention", "mlp", "all-linear")
LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def full(i, name):
    return f"model.layers.{i}.{'self_attn' if name in LINEARS[:4] else 'mlp'}.{name}"


# %%
def places(targets="all-linear", rank=4):
    chosen = resolve(targets, base.config)  # module -> (d, k)
    counts = np.array([[rank * sum(chosen.get(full(i, name), (0, 0))) for name in LINEARS] for i in (3, 2, 1, 0)])
    figure, axes = sheet(caption=f"{counts.sum():,} numbers train, {counts.sum() / total:.1%} of the base", height=2.9)
    matrix(axes, counts, limit=6_000, digits=0)
    axes.set(
        xticks=range(7),
        xticklabels=[name.removesuffix("_proj") for name in LINEARS],
        yticks=range(4),
        yticklabels=[f"layer {i}" for i in (3, 2, 1, 0)],
    )
    return show(figure, f"A map of 4 layers by 7 matrices: with {targets} at rank {rank}, {counts.sum():,} numbers train.")


dials(places, targets=SETS, rank=(1, 2, 4, 8, 16, 32))

# %% [markdown]
# ## The first fine-tuning
#
# One call. Beside it, full fine-tuning, in which every number of a copy trains; each gets a learning rate of its own, which is the
# subject of a section below.

# %%
RECIPE = {"batch": 4, "length": 192, "warmup": 5, "held_out": 32, "progress": False}
lora = ml.finetune(base, method, "pirate", steps=100, evaluate_every=10, learning_rate=1e-2, **RECIPE)
whole = ml.finetune(base, ml.Full(), "pirate", steps=100, evaluate_every=10, learning_rate=1e-3, **RECIPE)
print("LoRA:", base.generate("once upon a time", lora, seed=1))
print("full:", base.generate("once upon a time", whole, seed=1))

# %%
runs = {"LoRA, rank 4": lora, "full": whole}
lines = {name: ([row["step"] for row in run.log], [row["excess"] for row in run.log]) for name, run in runs.items()}
figure, axes = sheet(caption="pirate, batches of 4 x 192 letters, rates 1e-2 (LoRA) and 1e-3 (full), seed 0, 32 held-out stories")
curves(axes, lines, "step", "nats a letter above the best", marker="o", yscale="log")
show(figure, "Two falling curves of held-out loss, LoRA's and full fine-tuning's.")

# %% [markdown]
# ### What it cost
#
# **Predict** the ratio of the bytes of gradient and optimiser: AdamW keeps two numbers for each one that trains.

# %%
for name, run in runs.items():
    trains = sum(run.arrays[n].size for n in run.method.trainable(run.arrays))
    told = [base.held_out_loss(corpus, run, rows=32)[1] for corpus in ("pirate", "stories")]
    print(
        f"{name:<13} {trains:>8,} train, {3 * 4 * trains / 1e6:4.2f} MB of gradient and moments; above best: pirate {told[0]:.3f}, stories {told[1]:.2f}"
    )
print(f"the base's bytes are as before: {digest(base.weights) == before}")

# %% [markdown]
# Look at the last column. Both have *forgotten* stories: with the adapter on, plain stories are surprising, because the model expects a
# pirate. "LoRA does not forget, for the base is frozen" mixes up two things. With the adapter on it forgets like any other; what it can
# do is be taken **off**, and then nothing has happened. Full fine-tuning keeps no such way back.

# %%
alone, _ = base.held_out_loss("stories", rows=32)
with_lora, _ = base.held_out_loss("stories", lora, rows=32)
off, _ = base.held_out_loss("stories", rows=32)
print(f"stories: {alone:.4f} before, {with_lora:.4f} with the adapter, {off:.4f} without it again; equal to the bit: {alone == off}")

# %% [markdown]
# ## The learning rate
#
# It comes first, because with a wrong one no other dial can be judged. This table is the lab's (`minilora experiment learning_rate`): the
# same few steps at each of a row of rates.

# %% tags=["thumbnail"]
table = stored("learning_rate", "class")
methods, rates = dict.fromkeys(column(table, "method")), sorted(set(column(table, "rate")))
means = {name: [np.mean(column(table, "excess", method=name, rate=rate)) for rate in rates] for name in methods}
steps, seeds = table[0]["steps"], len(set(column(table, "seed")))
figure, axes = sheet(caption=f"pirate, {steps} steps of 4 x 192 letters, mean of {seeds} seeds; minilora/lab/learning_rate.py")
curves(
    axes,
    {name: (rates, line) for name, line in means.items()},
    "learning rate",
    "nats above the best",
    xscale="log",
    yscale="log",
    marker="o",
)
show(figure, "Valleys of loss over the learning rate: that of full fine-tuning lies at lower rates than LoRA's.")

# %%
best = {name: rates[int(np.argmin(line))] for name, line in means.items()}
print("lowest point:", {name: f"{rate:g}" for name, rate in best.items()})
at_full = rates.index(best["full"])
print(f"at the best rate of full fine-tuning ({best['full']:g}):", {name: f"{line[at_full]:.2f}" for name, line in means.items()})
again = ml.finetune(base, ml.Full(), "pirate", steps=steps, learning_rate=best["full"], **RECIPE)
print(
    f"one row run again, full at {best['full']:g}, seed 0: {again.log[-1]['excess']:.4f}; stored: {column(table, 'excess', method='full', rate=best['full'], seed=0)[0]:.4f}"
)

# %% [markdown]
# Compared at the best rate of full fine-tuning, LoRA looks as if it could not learn. That mistake has been published more than once.
# Papers find a factor of about ten between the two; here it is what the printed line says, on a grid of factors of three. The number does
# not travel. The habit does: **search for each method by itself**.
#
# ## Alpha
#
# The update is $\frac{\alpha}{r} A B$. Does a larger alpha make the adaptation "stronger"? Under Adam, whose steps are as long as the
# learning rate whatever the size of the gradient, alpha mostly *multiplies the learning rate of B*. The lab shows it to the bit; here is
# its grid.

# %%
grid = [row for row in stored("alpha", "class") if row["part"] == "grid"]
alphas, alpha_rates = sorted(set(column(grid, "alpha"))), sorted(set(column(grid, "learning_rate")))
valleys = {}
for alpha in alphas:
    losses = [np.mean(column(grid, "excess", alpha=alpha, learning_rate=rate)) for rate in alpha_rates]
    valleys[alpha] = (alpha_rates, losses)
    print(f"alpha = {alpha:g}: lowest {min(losses):.3f} at {alpha_rates[int(np.argmin(losses))]:g}")

# %% [markdown]
# Turn alpha from 4 to 64. **Predict**: does the valley become deeper, or does it move, and which way?


# %%
def valley(alpha=16.0):
    seeds = len(set(column(grid, "seed")))
    figure, axes = sheet(caption=f"pirate, rank 8, {grid[0]['steps']} steps, mean of {seeds} seeds; minilora/lab/alpha.py")
    greys = iter(("#4d4d4d", "#8c8c8c"))
    inks = ["#D55E00" if each == alpha else next(greys) for each in valleys]
    named = {f"alpha = {each:g}": line for each, line in valleys.items()}
    curves(axes, named, "learning rate", "nats above the best", inks=inks, xscale="log", yscale="log", marker="o")
    best = alpha_rates[int(np.argmin(valleys[alpha][1]))]
    return show(figure, f"Three valleys of nearly the same depth; that of alpha {alpha:g} has its lowest point at {best:g}.")


dials(valley, alpha=alphas)

# %% [markdown]
# The same valley, moved. With its own best learning rate each alpha ends at nearly the same loss. So: fix alpha (16, or twice the rank),
# leave it, and search the learning rate. What must not be forgotten is the division: with alpha in place of $\alpha / r$ the rate of
# every rank is another one.
#
# One also reads that a high alpha overfits. All batches above were new text, and nothing can overfit on that. Sixteen texts, shown again and
# again, are another matter:

# %%
few = stored("overfitting", "class")
print(f"loss on other texts after {few[0]['steps']} steps, nats a character:")
for way in ("alpha 4", "alpha 64", "alpha 64, a quarter of the rate", "alpha 64, new text"):
    print(f"  {way:<32} {np.mean(column(few, 'others', way=way, step=few[0]['steps'])):.2f}")

# %% [markdown]
# It does, and as a high learning rate does. With a lower one it takes longer; with more text it does not happen.
#
# ## The rank
#
# How large must $r$ be? **Predict** for two voices: *pirate*, in which six words change, and *rot13*, in which every letter does.

# %%
table = stored("rank", "paper")
ranks = sorted(set(column(table, "rank")))
left = {}
for voice in ("pirate", "rot13"):
    last = max(column(table, "step", corpus=voice))
    left[voice] = [np.mean(column(table, "excess", corpus=voice, rank=rank, step=last)) for rank in ranks]
    print(f"{voice:<7} after {last} steps:", {rank: f"{excess:.3f}" for rank, excess in zip(ranks, left[voice], strict=True)})
figure, axes = sheet(caption="all linear layers, alpha 16, mean of 3 seeds; minilora/lab/rank.py", height=3)
lines = {voice: (ranks, line) for voice, line in left.items()}
curves(axes, lines, "rank", "nats above the best", marker="o", xscale="log", xticks=ranks, xticklabels=ranks, ylim=(0, None))
axes.minorticks_off()
show(figure, "Loss against rank for two voices: flat for pirate; for rot13 it falls up to rank eight and is flat beyond.")

# %% [markdown]
# The rank that is needed is a property of the **task**, not a magic number: for pirate rank 1 does, for rot13 there is an elbow at 4 or 8.
# (Notebook 8 makes tasks whose rank is known exactly.) More rank than is needed costs numbers and, with $s = \alpha/r$, does no harm
# here.
#
# One row again, as always, of the shorter table:

# %%
again = ml.finetune(base, ml.LoRA(rank=8, alpha=16), "pirate", steps=30, learning_rate=7e-3, **{**RECIPE, "warmup": 10, "held_out": 16})
kept = column(stored("rank", "class"), "excess", corpus="pirate", rank=8, seed=0, step=30)[0]
print(f"pirate, rank 8, seed 0, 30 steps: {again.log[-1]['excess']:.4f}; stored {kept:.4f}")

# %% [markdown]
# ## The targets
#
# With a fixed budget of numbers, is it better to spend them on a few matrices at high rank, or on all at low rank? Nine sets, at most
# 13,824 numbers each, every one at a learning rate that was searched for it.

# %%
table = stored("targets", "class")
left = {}
for targets in dict.fromkeys(column(table, "targets")):
    rank = column(table, "rank", targets=targets)[0]
    left[f"{targets}, r = {rank}"] = np.mean(column(table, "excess", targets=targets))
left = dict(sorted(left.items(), key=lambda item: item[1]))
figure, axes = sheet(caption=f"pirate, {table[0]['steps']} steps of 4 x 192 letters, mean of 3 seeds; minilora/lab/targets.py", height=3.6)
bars(axes, left, "nats above the best (shorter is better)", write="{:.3f}")
later = stored("targets", "paper")  # the same, trained longer
ends = {name: np.mean(column(later, "excess", targets=name)) for name in ("all", "MLP", "attention", "q, v", "k")}
print(f"after {later[0]['steps']} steps: " + ", ".join(f"{name} {loss:.3f}" for name, loss in ends.items()))
show(figure, "Bars of loss at equal numbers of parameters: " + ", ".join(f"{name} {loss:.3f}" for name, loss in left.items()))

# %% [markdown]
# The habit of adapting only the attention comes from the first paper, which was about memory. At an equal budget it is not what one would
# choose here: all layers at rank 2 learn several times as fast as queries and values at rank 10. **Where** the numbers go matters more than
# how large the rank is. But look at the printed line: after ten times the steps the order is the same, and what is between them is next to
# nothing. A ranking after few steps is a ranking of speed. (A task about where to look, and not about which words to write, might order
# them otherwise.)
#
# ## Keeping it
#
# An adapter is a folder of two files in PEFT's format. **Predict** its size from the number of parameters.

# %%
with tempfile.TemporaryDirectory() as folder:
    lora.save(folder)
    for file in sorted(Path(folder).iterdir()):
        print(f"{file.name:<28} {file.stat().st_size:>8,} bytes")
    back = ml.load_adapter(folder, base)
print(f"{trainable:,} numbers x 4 bytes = {4 * trainable:,}")
print("read again, it says the same:", base.generate("one day", back, seed=2) == base.generate("one day", lora, seed=2))

# %% [markdown]
# And a last dial, which costs nothing here since the update stands apart: how *much* of the adapter? $W + t\,s\,AB$ is the base at $t = 0$
# and the adapted model at $t = 1$.


# %%
def strength(t=1.0):
    part = replace(lora, method=replace(method, alpha=t * method.alpha))
    losses = {corpus: base.held_out_loss(corpus, part, rows=16)[1] for corpus in ("pirate", "stories")}
    figure, axes = sheet(caption="above the best, nats a letter: " + base.generate("once upon a time", part, seed=1)[:95], height=1.9)
    bars(axes, losses, "", write="{:.3f}", inks=("#D55E00", "#0072B2"))
    axes.set(xlim=(0, 4))
    return show(
        figure,
        f"At strength {t:g} the loss above the best is {losses['pirate']:.3f} on pirate text and {losses['stories']:.3f} on stories.",
    )


dials(strength, t=(0.01, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0))

# %% [markdown]
# ## Questions
#
# 1. Why does the loss at step 0 with a fresh adapter equal the base's, to the bit?
# 2. You double the rank and leave alpha. What happens to the scale of the update, and what to the first steps under Adam?
# 3. A blog compares LoRA and full fine-tuning, both at a rate of 1e-4, and finds LoRA worse. What do you ask?
# 4. "The base is frozen, so LoRA cannot forget." What is right in that, and what is wrong?
# 5. The adapter's file is 0.1 MB and the base's 1.8 MB. By how much does the memory of *training* fall? What does not fall at all?
# 6. Which of the dials would you turn first if the loss falls, but slowly? Which if it jumps?
# 7. A colleague's LoRA code multiplies by alpha, not alpha / r. With r = 1 it works; with r = 16 it diverges. Why?
#
# Answers: [docs/answers/07.md](../docs/answers/07.md).
#
# ## What was not shown
#
# Several seeds in the live runs: the tables of the lab have them. Dropout on the low-rank path, weight decay on A and B. Longer training,
# in which differences between ranks grow or vanish. How the loss of a small model on made-up text relates to that of a large one on real
# text: it does not predict it.
