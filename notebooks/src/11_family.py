# %% [markdown]
# # 11. Which idea does each relative of LoRA add?
#
# **You will be able to** say in one sentence and one formula what rsLoRA, LoRA+, DoRA, PiSSA, VeRA, LoRA-FA and QLoRA change, see the
# change in a picture, and know which number to look at before you believe that it helps.
#
# **Run time:** about 20 s on two cores. **You need:** notebooks 3, 4 and 7.

# %%
import numpy as np

import minilora as ml
from minilora import lowrank
from minilora.analysis.spectrum import effective_rank
from minilora.lab.scale import first_step
from minilora.lab.table import column, stored
from minilora.methods import Method
from minilora.pictures.lessons import bars, curves, sheet
from minilora.pictures.notebook import show
from minilora.quantization import NF4, nf4
from minilora.transformer import model

# %% [markdown]
# ## One line, many places to change it
#
# $$ y = xW + s\,(xA)B $$
#
# There are not many things in that line. Each relative changes one of them, and keeps the rest:
#
# | what | who | the change |
# |---|---|---|
# | $s$ | rsLoRA | $\alpha/\sqrt r$ in place of $\alpha/r$ |
# | how fast | LoRA+ | $B$ learns faster than $A$ |
# | what trains | LoRA-FA | $A$ stays as it was drawn |
# | the shape | VeRA | $A$ and $B$ are random and shared; two vectors train |
# | the start | PiSSA | $A$ and $B$ begin as the largest part of $W$ |
# | around it | DoRA | the length of each column is a number of its own |
# | $W$ | QLoRA | the frozen matrix is kept in four bits |
#
# First the number that is easiest to know: how many parameters train? Each method has a formula, and the arrays must agree with it.

# %%
base = ml.load("stories-base")
family = [ml.LoRA(), ml.RsLoRA(), ml.LoRAPlus(), ml.DoRA(), ml.PiSSA(), ml.OLoRA(), ml.LoRAFA(), ml.LoRAXS(), ml.VeRA(rank=32)]
counts = {}
for method in family:
    arrays = method.init(base.config, base.weights, np.random.default_rng(0))
    counts[method.name] = sum(arrays[name].size for name in method.trainable(arrays))
    assert counts[method.name] == method.count(base.config)
figure, axes = sheet(caption="stories-base, all linear layers, rank 8 (VeRA: 32)", height=3.6)
bars(axes, counts, "numbers that train", write="{:,}")
show(
    figure,
    "Bars of trainable numbers: LoRA, rsLoRA, LoRA+, PiSSA and OLoRA equal, DoRA a little more, LoRA-FA about half, VeRA and LoRA-XS far fewer.",
)

# %% [markdown]
# Now one by one. For each there is an exact fact that can be checked in a moment, and a claim that cannot.
#
# ## rsLoRA: another scale
#
# $s = \alpha/\sqrt r$. The claim: with $\alpha / r$ the steps shrink as the rank grows, so that high ranks learn nothing. **Predict**
# before you look: for plain gradient descent, and for Adam, how does the *first* step of the product depend on $r$ under either scale?
#
# Think: $dB$ carries a factor $s$, and so does the update $s A B$. SGD's step is the gradient; Adam's has the size of the learning rate
# whatever the gradient's.

# %%
rows = stored("scale", "class")
ranks = sorted(set(column(rows, "rank")))


def relative(scale, optimiser):
    """The mean first step at each rank, per that at the smallest rank."""
    means = np.array([np.mean(column(rows, "progress", scale=scale, optimiser=optimiser, rank=r)) for r in ranks])  # (ranks,)
    return means / means[0]


# %%
figure, panels = sheet(2, f"first step along the way down, one {rows[0]['width']} x {rows[0]['width']} matrix, mean of 3 seeds", 9, 3.2)
how = {"xscale": "log", "yscale": "log", "marker": "o", "ylim": (0.01, 12)}
for axes, optimiser in zip(panels, ("SGD", "Adam"), strict=True):
    lines = {f"alpha / {scale[2:]}": (ranks, relative(scale, optimiser)) for scale in ("1/r", "1/sqrt(r)")}
    curves(axes, lines, "rank", "relative to rank 1" if optimiser == "SGD" else "", optimiser, **how)
show(figure, "Under SGD alpha / r falls with the rank and alpha / sqrt r is flat; under Adam alpha / r is flat and alpha / sqrt r rises.")

# %%
again = first_step("1/r", "Adam", 16, rows[0]["width"], 0)["progress"]
print(f"one row run again: {again:.4f}; stored: {column(rows, 'progress', scale='1/r', optimiser='Adam', rank=16, seed=0)[0]:.4f}")

# %% [markdown]
# Both camps are right, each about another optimiser. Under Adam, with which nearly everybody trains, $\alpha/r$ keeps the first steps
# equal, and rsLoRA makes the update of high ranks *larger*: at rank 64 by a factor of eight. When it helps, ask whether a larger learning
# rate would have done the same.
#
# ## LoRA+: two learning rates
#
# $B$'s learning rate is $\lambda$ times $A$'s. Reason: $A$ starts with entries of some size and $B$ at zero, and in wide models equal
# rates move the output far more through one than through the other. How far do the two move in plain LoRA?

# %%
RECIPE = {"batch": 4, "length": 192, "warmup": 5, "held_out": 16, "progress": False}
pirate = {}
for method in (ml.LoRA(rank=4, alpha=8), ml.LoRAPlus(rank=4, alpha=8, ratio=16.0)):
    rate = {"lora": 1e-2, "lora+": 2.5e-3}[method.name]  # the geometric mean of A's and B's is the same
    pirate[method.name] = ml.finetune(base, method, "pirate", steps=40, learning_rate=rate, **RECIPE)

# %%
start = ml.LoRA(rank=4, alpha=8).init(base.config, base.weights, np.random.default_rng([0, 0]))  # as a run with seed 0 begins
for name, adapter in pirate.items():
    moved = {
        part: np.sqrt(sum(np.sum((adapter.arrays[n] - start[n]) ** 2) for n in start if n.endswith(part))) for part in ("lora_A", "lora_B")
    }
    size = np.sqrt(sum(np.sum(start[n] ** 2) for n in start))
    print(
        f"{name:<6} A moved {moved['lora_A'] / size:.2f} of its size, B by {moved['lora_B']:.2f}; above the best {adapter.log[-1]['excess']:.3f}"
    )

# %% [markdown]
# The picture is simple: with $\lambda = 16$ it is mostly $B$ that learns. What is exact is this: under Adam, multiplying $B$'s rate by
# $q$ and dividing $\alpha$ by $q$ is the same training (the lab's `alpha` shows it to the bit). **LoRA+ is LoRA with a larger $\alpha$,
# and a smaller rate for $A$.** Whether that is better is a question for a search over both rates, not for one run.
#
# ## LoRA-FA: A is frozen
#
# Why would one freeze half of it? Not for the parameters but for the **activations**: $dA = x^\top dz$ is the only line of the backward
# pass that needs $x$. Without it the layer keeps $z = xA$, of $r$ numbers a token, in place of $x$, of $d$. **Predict** the ratio for
# $d = 96$, $r = 8$.

# %%
rows_of_text, _ = base.corpus("pirate").train_batch(np.random.default_rng(0), 4, 128)


def where(array):
    return array.__array_interface__["data"][0]  # two arrays at one address share their memory


def inside(thing):
    """Address -> bytes of every array in nested tuples and lists."""
    if isinstance(thing, np.ndarray):
        return {where(thing): thing.nbytes}
    return {place: size for part in (thing if isinstance(thing, tuple | list) else ()) for place, size in inside(part).items()}


# %%
def kept(method):
    """The bytes that the forward pass hands to the backward pass: of all arrays in the cache, but for the weights and the method's own."""
    arrays = method.init(base.config, base.weights, np.random.default_rng(0))
    _, cache = model.forward(base.config, base.weights, rows_of_text, method.sites(base.config, arrays))
    known = {where(array) for array in [*base.weights.values(), *arrays.values()]}
    return sum(size for place, size in inside(cache).items() if place not in known)


# %%
class Nothing(Method):
    """The base as it is."""

    def init(self, config, base, rng):
        return {}


memory = {"no adapter": kept(Nothing()), "LoRA, rank 8": kept(ml.LoRA()), "LoRA-FA, rank 8": kept(ml.LoRAFA())}
figure, axes = sheet(caption=f"kept between forward and backward, {rows_of_text.size} tokens, stories-base", height=2.1)
bars(axes, {name: size / 1e6 for name, size in memory.items()}, "MB", write="{:.2f}")
show(
    figure,
    "LoRA keeps more than the base alone, LoRA-FA hardly more: "
    + ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in memory.items()),
)

# %% [markdown]
# A frozen layer without a pair keeps no input at all: LoRA *adds* to the activations, and LoRA-FA takes most of that back. (The rest of
# the caches, attention and norms, is the same for all.)
#
# What is given up: the update lives in the span of a random $A$ that never turns towards the task.
#
# ## VeRA: two vectors
#
# $y = xW + (xA \odot a)\,B \odot b$. One random pair $(A, B)$ is drawn once and **shared by all layers**; only the vectors $a$ (r) and
# $b$ (k) train. Its count hardly grows with the rank.

# %%
tried, kinds = (1, 2, 4, 8, 16, 32, 48), {"LoRA": ml.LoRA, "LoRA-XS": ml.LoRAXS, "VeRA": ml.VeRA}
lines = {name: (tried, [kind(rank=r).count(base.config) for r in tried]) for name, kind in kinds.items()}
figure, axes = sheet(caption="stories-base, all linear layers", height=3)
curves(axes, lines, "rank", "numbers that train", xscale="log", yscale="log", marker="o")
show(figure, "LoRA's count grows in proportion to the rank, LoRA-XS's with its square, VeRA's hardly at all.")

# %% [markdown]
# With $b$ set, all $d \times k$ entries of the update change: few numbers, and yet an update of rank up to $r$. Few numbers is not low
# rank, and low rank is not few numbers.
#
# ## PiSSA: start with what matters
#
# $A_0 B_0$ is the best rank-$r$ part of $W$ itself, and the frozen part is what is left. Two exact facts: nothing changes at the start,
# and both gradients are there from the first step.

# %%
method, name = ml.PiSSA(rank=8, alpha=8), "model.layers.1.mlp.down_proj"
arrays = method.init(base.config, base.weights, np.random.default_rng(0))
W, s = base.weights[f"{name}.weight"], method.scales(base.config)[name]
part = lowrank.delta(arrays[f"{name}.lora_A"], arrays[f"{name}.lora_B"], s)  # (d, k)
rest = W - part
print(f"rest + part = W up to {np.abs(rest + part - W).max():.0e}; the part holds {np.sum(part**2) / np.sum(W**2):.0%} of |W|²")
sigma = np.linalg.svd(W, compute_uv=False)
figure, axes = sheet(caption=f"{name} of stories-base, {W.shape[0]} x {W.shape[1]}", height=2.8)
axes.plot(np.arange(9, len(sigma) + 1), sigma[8:], ".", color="#0072B2")
axes.plot(np.arange(1, 9), sigma[:8], "o", markersize=5, color="#D55E00")
axes.annotate("trains", (9, sigma[2]), color="#D55E00")
axes.annotate("frozen", (40, sigma[30]), color="#0072B2")
axes.set(xlabel="singular value, from the largest", ylabel="size")
show(figure, "The singular values of a weight: the eight largest are what PiSSA trains, the others are frozen.")


# %%
def early(method, rate):
    return ml.finetune(base, method, "pirate", steps=20, learning_rate=rate, evaluate_every=4, **RECIPE).log


logs = {"LoRA": early(ml.LoRA(rank=8, alpha=16), 1e-2), "PiSSA": early(ml.PiSSA(rank=8, alpha=8), 2e-3)}
figure, axes = sheet(caption="pirate, rank 8, rates 1e-2 and 2e-3 (where each method's search began), 4 x 192 letters, seed 0", height=2.8)
curves(
    axes,
    {name: ([row["step"] for row in log], [row["excess"] for row in log]) for name, log in logs.items()},
    "step",
    "above the best",
    marker="o",
    yscale="log",
)
show(figure, "The first twenty steps of LoRA and of PiSSA at a learning rate of their own.")

# %% [markdown]
# What is lost is modularity: the frozen part is no longer the base that others have. `minilora` writes a PiSSA adapter as an ordinary
# LoRA of rank $2r$, $[A, A_0]$ over $[B; -B_0]$, which fits the base as everybody has it.
#
# ## DoRA: length and direction apart
#
# Each column of $W$ (it makes one output) has a length and a direction. DoRA gives the length a number of its own, $m_j$, and lets the
# pair turn the direction: column $j$ is $m_j V_j / |V_j|$ with $V = W + sAB$.
#
# Does it make a difference? Measure, for each column of a trained model, how much its length changed and how far it turned.


# %%
def changes(adapter):
    """For all columns of all adapted matrices: the relative change of length, and 1 - cosine of the turn."""
    tuned = adapter.method.merge(base.config, base.weights, adapter.arrays)
    lengths, turns = [], []
    for name in adapter.method.scales(base.config):
        old, new = base.weights[f"{name}.weight"], tuned[f"{name}.weight"]  # (d, k) each
        a, b = np.linalg.norm(old, axis=0), np.linalg.norm(new, axis=0)  # (k,) each
        lengths.append(b / a - 1)
        turns.append(1 - np.sum(old * new, axis=0) / (a * b))
    return np.concatenate(lengths), np.concatenate(turns)


dora = ml.finetune(base, ml.DoRA(rank=4, alpha=8), "pirate", steps=40, learning_rate=1e-2, **RECIPE)

# %% tags=["thumbnail"]
figure, panels = sheet(2, "each point a column of one of 28 matrices; pirate, rank 4, 40 steps, seed 0", 9, 3.4, sharex=True, sharey=True)
for axes, (name, adapter) in zip(panels, {"LoRA": pirate["lora"], "DoRA": dora}.items(), strict=True):
    length, turn = changes(adapter)
    axes.plot(turn, length, ".", markersize=2, color="#0072B2", alpha=0.5)
    r = np.corrcoef(np.abs(length), turn)[0, 1]
    axes.set(
        title=f"{name}: correlation {r:+.2f}",
        xlabel="turned by, 1 - cosine",
        ylabel="length changed by" if name == "LoRA" else "",
        xscale="log",
    )
show(figure, "Two clouds of points, change of length against turn, for LoRA and for DoRA.")

# %% [markdown]
# The paper's observation is that in LoRA the two go together (a strong positive correlation), and in full fine-tuning and in DoRA they do
# not. The numbers above the panels are ours: of one run of forty steps, a picture of the definitions rather than a confirmation.
#
# An exact fact instead: at the start DoRA *is* the base, since $m = |W|$ and $B = 0$.

# %%
fresh = ml.DoRA(rank=4, alpha=8)
arrays = fresh.init(base.config, base.weights, np.random.default_rng(0))
plain, _ = model.forward(base.config, base.weights, rows_of_text)
same, _ = model.forward(base.config, base.weights, rows_of_text, fresh.sites(base.config, arrays))
print("equal to the bit:", np.array_equal(plain, same))

# %% [markdown]
# ## QLoRA: four bits for what is frozen
#
# $W$ never changes, so it can be kept coarsely. NF4 keeps, for each block of 64 numbers, one scale and for each number one of **sixteen**
# values. They are spaced as a normal distribution's quantiles are, so that each would be used equally often if the numbers were spread
# as that distribution is. **Predict** whether they are, after the division by the largest of 64.

# %%
W = base.weights["model.layers.1.mlp.up_proj.weight"]
flat = W.T.ravel().reshape(-1, 64)
scaled = (flat / np.abs(flat).max(axis=1, keepdims=True)).ravel()  # what is to be rounded, in -1 .. 1
used = np.bincount(np.abs(scaled[:, None] - NF4).argmin(axis=1), minlength=16) / scaled.size  # (16,)
print("each value is used by, %:", *(f"{100 * share:.1f}" for share in used))
figure, axes = sheet(caption="up_proj of layer 1; the 16 values of NF4 as lines", height=2.6)
axes.hist(scaled, bins=120, color="#d4d4d4")
for level in NF4:
    axes.axvline(level, color="#D55E00", linewidth=1)
axes.set(xlabel="weight, divided by the largest of its block", yticks=[])
show(figure, "A bell-shaped histogram of scaled weights with sixteen vertical lines, close together in the middle and wider apart outside.")

# %% [markdown]
# They are not: the largest of 64 lies far out, so that the others crowd about zero, and the outer values are used several times less often
# than the inner ones.

# %%
small = nf4(W)
print(f"{W.nbytes:,} bytes become {small.nbytes:,}: {8 * small.nbytes / W.size:.2f} bits a number")
error = W - np.asarray(small)
print(
    f"what is lost: {np.linalg.norm(error) / np.linalg.norm(W):.1%} of |W|; effective rank of the loss {effective_rank(np.linalg.svd(error, compute_uv=False)):.0f} of {min(W.shape)}"
)
coarse = base.quantized()
print(
    {name: f"{which.held_out_loss('stories', rows=32)[1]:.4f}" for name, which in [("as it was", base), ("in four bits", coarse)]},
    "above the best",
)

# %% [markdown]
# The error looks like noise (its effective rank is nearly full), so a low-rank pair cannot repair much of it directly; but training goes
# *through* the quantised weights and learns around them.

# %%
qlora = ml.finetune(coarse, ml.LoRA(rank=4, alpha=8), "pirate", steps=40, learning_rate=1e-2, **RECIPE)
print(f"pirate, above the best: LoRA {pirate['lora'].log[-1]['excess']:.3f}, QLoRA {qlora.log[-1]['excess']:.3f} after 40 steps, one seed")

# %% [markdown]
# ## Which one, then?
#
# None of the pictures above says which relative is *better*. A fair answer needs each method at a learning rate that was searched for it,
# several seeds and one task on which methods differ: that is `minilora compare`, and the next best thing is to read its table in notebook
# 10. What each costs can be said at once:
#
# | | trains | at inference | fits the shared base |
# |---|---|---|---|
# | LoRA, rsLoRA, LoRA+ | $r(d+k)$ | merges | yes |
# | LoRA-FA | $rk$ | merges | yes |
# | VeRA | $r + k$ | merges | yes, with the shared pair |
# | PiSSA, OLoRA | $r(d+k)$ | merges | as a LoRA of rank $2r$ |
# | DoRA | $r(d+k) + k$ | merges | yes |
# | QLoRA | $r(d+k)$ | not into four bits without loss | a base in four bits |
#
# ## Questions
#
# 1. A paper shows that rsLoRA beats LoRA at rank 256, both at the same learning rate and alpha, with Adam. What else could explain it?
# 2. Which line of the backward pass does LoRA-FA leave out, and why does that save memory in the *forward* pass?
# 3. VeRA's update has rank up to r and r + k trained numbers. Why does it not reach what LoRA of rank r reaches?
# 4. Where does PiSSA's name for "nothing changes at the start" differ from LoRA's?
# 5. DoRA is merged. Is the update, tuned minus base, of low rank?
# 6. In QLoRA, which gradient flows through the quantised weight, and which is never computed?
#
# Answers: [docs/answers/11.md](../docs/answers/11.md).
#
# ## What was not shown
#
# AdaLoRA, which moves its budget of ranks between modules while it trains, and LoftQ, which starts the pair from what quantising lost:
# `minilora finetune --method adalora`, `--method loftq`. LoRA-GA and EVA, whose start is taken from gradients or activations. Mixtures of
# adapters. Long runs.
