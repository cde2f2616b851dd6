# %% [markdown]
# # 8. Is the update of fine-tuning really low-rank?
#
# **You will be able to** tell three questions apart that are usually asked as one, measure how many directions an update uses, compare the
# directions of two runs with what chance gives, and say what "amplification" and "intruders" are, and how much of each is left when a
# control stands beside it.
#
# **Run time:** about 30 s on two cores. **You need:** notebook 3, singular values; notebook 7, an adapter.

# %%
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

import minilora as ml
from minilora.analysis import spectrum, subspaces
from minilora.lab import ciphers, intruders, low_rank, rank_dial, table
from minilora.lab.updates import updates
from minilora.methods import Full
from minilora.pictures.lessons import matrix, sheet
from minilora.pictures.notebook import show
from minilora.pictures.style import LIGHT, house

# %% [markdown]
# ## Three questions in one sentence
#
# "LoRA works because the updates of fine-tuning have a low intrinsic rank." That sentence stands in most introductions. It mixes:
#
# 1. **Is there** an update of low rank that does the job?
# 2. **Does full fine-tuning find** one, when nobody asks it to?
# 3. **Do two runs find the same** directions, so that one could speak of *the* directions of the task?
#
# They have three different answers. We take them in turn, and measure.
#
# ## 1. A task whose rank is known
#
# For real tasks nobody knows the best update. So we make tasks for which we know it. A cipher writes some letters as others: `e` as `t` and
# `t` as `e`. A model that knows plain stories reads the cipher perfectly if two rows of its embedding change places, and two columns of its
# head; nothing in between has to change.
#
# **Predict.** The change of the embedding is a matrix of 256 x 96. Which rank has it for one swap? For four? For rot13, where all 26
# letters move?

# %%
threadpool_limits(1, "blas")  # small matrices: two threads would mostly wait for each other
base = ml.load("stories-base")
for name, swaps in ciphers.CIPHERS.items():
    exact = ciphers.exact_updates(base.weights, ciphers.meaning(swaps))
    print(f"{name:<11} {swaps:<38} rank of the exact updates:", [int(np.linalg.matrix_rank(update)) for update in exact.values()])

# %% [markdown]
# One for each swap. A swap moves two rows by opposite amounts, $+\delta$ and $-\delta$: a column $(\ldots, 1, \ldots, -1, \ldots)$ times one
# row $\delta$. So the rank that is *needed* is a property of the task. Now cut the exact update to less by SVD, and let the model read.


# %%
def cut(cipher, rank):
    """How far above plain reading the base is on a cipher, with the exact update cut to a rank."""
    exact = ciphers.exact_updates(base.weights, ciphers.meaning(ciphers.CIPHERS[cipher]))
    tuned = {name: (base.weights[name] + spectrum.approximate(update, rank)).astype(np.float32) for name, update in exact.items()}
    return rank_dial.loss(base.weights | tuned, ciphers.corpus(cipher)) - plain


plain = rank_dial.loss(base.weights, ciphers.plain())
ranks = {"one swap": (1, 2, 4), "four swaps": (1, 2, 3, 4, 8), "rot13": (1, 2, 4, 6, 8, 10, 12, 13, 16)}
losses = {cipher: [cut(cipher, rank) for rank in some] for cipher, some in ranks.items()}

# %%
figure, axes = sheet(caption="the exact update of embedding and head, cut to rank r by SVD; 16 held-out stories", height=3.4)
for (name, some), ink in zip(ranks.items(), (LIGHT.row, LIGHT.column, LIGHT.ink), strict=True):
    axes.plot(some, losses[name], "o-", color=ink, markersize=4)
    axes.annotate(name, (some[0], losses[name][0]), (8, 6), textcoords="offset points", color=ink)
axes.set(xlabel="rank r", ylabel="nats a character above plain", xticks=(1, 2, 4, 8, 13, 16))
for name, swaps in ciphers.CIPHERS.items():
    print(f"{name}: at rank {ciphers.rank(swaps)} it loses {losses[name][ranks[name].index(ciphers.rank(swaps))]:.1e} nats")
show(figure, "Loss against rank: one swap is at zero from rank 1, four swaps fall to zero at rank 4, rot13 falls and reaches zero at 13.")

# %% [markdown]
# At the task's own rank nothing at all is lost, to rounding. Well below it a lot is; the last swaps of rot13 cost next to nothing, since their
# letters are rare. So question 1 has the answer **yes, if the rank is at least
# the task's**, and there is no rank that is low enough for every task.
#
# Now a task for which the best update is *not* known: the pirate's voice.
#
# ## 2. What full fine-tuning finds
#
# We train all weights for a short while, and take what was added, $\Delta W$, for each of the 28 matrices of the layers.

# %%
recipe = {"corpus": "pirate", "steps": 50, "batch": 4, "length": 192, "warmup": 10, "held_out": 32, "progress": False}
full = ml.finetune(base, Full(), learning_rate=1e-3, **recipe)
lora = ml.finetune(base, ml.LoRA(rank=1, alpha=16), learning_rate=1e-2, **recipe)
dW = updates(base, full)  # module -> (d, k)
print(f"above the best: full fine-tuning {full.log[-1]['excess']:.3f}, LoRA of rank 1 {lora.log[-1]['excess']:.3f} nats a character")

# %% [markdown]
# Rank 1 is enough to learn this voice. So here, too, an update of low rank *exists*. **Predict:** how does the spectrum of full
# fine-tuning's update look: one large singular value and small ones, or a slope?

# %%
module = "model.layers.2.mlp.down_proj"
noise = np.random.default_rng(8).standard_normal(dW[module].shape)  # (d, k)
noise *= np.linalg.norm(dW[module]) / np.linalg.norm(noise)
kinds = {"LoRA, r = 1": updates(base, lora)[module], "full fine-tuning": dW[module], "noise of its norm": noise}
figure, axes = sheet(caption=f"{module}, 256 x 96, after 50 steps of 4 x 192 characters of pirate; seed 0", height=3.4)
for (name, M), ink in zip(kinds.items(), (LIGHT.row, LIGHT.column, LIGHT.quiet), strict=True):
    sigma = np.linalg.svd(M, compute_uv=False)[: np.linalg.matrix_rank(M)]  # (96,), or one
    axes.semilogy(np.arange(len(sigma)) + 1, sigma, "o-", color=ink, markersize=3)
    axes.annotate(name, (len(sigma), sigma[-1]), (8, -3), textcoords="offset points", color=ink)
axes.set(xlabel="singular value, by size", ylabel="its size", xlim=(-1, 118))
show(
    figure,
    "Singular values on a log scale: noise falls slowly, full fine-tuning from higher and more steeply; LoRA has one, ten times as large.",
)

# %% [markdown]
# A slope. It begins higher than noise and falls faster, so there is structure in it, but there is no place where one would cut it. LoRA
# has put everything into one direction, which is far larger than any of full fine-tuning's: keep that in mind for the intruders below. A
# number for the slope is the share of directions that hold 90 % of the energy, $\sum \sigma_i^2$, averaged over the matrices. For noise it is
# large, for a sharp update small.


# %%
def share_holding(matrices):
    """The mean share of a matrix's directions that hold 90 % of its energy."""
    return np.mean([spectrum.rank_holding(np.linalg.svd(M, compute_uv=False)) / min(M.shape) for M in matrices])


rng = np.random.default_rng(0)
print(f"full fine-tuning: {share_holding(dW.values()):.0%} of the directions hold 90 % of the update")
print(f"noise:            {share_holding(rng.standard_normal(M.shape) for M in dW.values()):.0%}")

# %% [markdown]
# Do the small ones matter, or are they only there? Keep the first $r$ directions of each update, throw the others away, and let the model
# speak pirate. The point of LoRA stands beside it: trained *under* the constraint, not cut down to it afterwards.


# %%
def truncated(rank):
    """The fully tuned model with the first `rank` directions alone of each layer's update."""
    arrays = {f"{name}.weight": base.weights[f"{name}.weight"] + spectrum.approximate(M, min(rank, *M.shape)) for name, M in dW.items()}
    return replace(full, arrays=full.arrays | {name: array.astype(np.float32) for name, array in arrays.items()})


kept = (1, 2, 4, 8, 16, 32, 96)
excess = [base.held_out_loss("pirate", truncated(rank), rows=32)[1] for rank in kept]

# %% tags=["thumbnail"]
figure, axes = sheet(caption="pirate after 50 steps; 28 matrices cut at once; embedding, head and norms as trained; seed 0", height=3.4)
axes.loglog(kept, excess, "o-", color=LIGHT.column, markersize=4)
axes.plot(1, lora.log[-1]["excess"], "s", color=LIGHT.row, markersize=8)
axes.annotate("full fine-tuning, cut down", (kept[1], excess[1]), (10, 4), textcoords="offset points", color=LIGHT.column)
axes.annotate("LoRA, trained at rank 1", (1, lora.log[-1]["excess"]), (12, -3), textcoords="offset points", color=LIGHT.row)
axes.set(xlabel="directions kept", ylabel="nats a character above best", xticks=kept, xticklabels=kept)
axes.minorticks_off()
show(
    figure,
    "Full fine-tuning cut to one direction loses much, and is whole from sixteen on. LoRA trained at rank 1 is nearly as good as that.",
)

# %% [markdown]
# That is the answer to question 2: **no**. Full fine-tuning's update is spread over many directions, and its first one alone does not do
# the job, although an update of rank 1 that does it exists. Gradient descent goes where the gradient points, in all directions at once;
# nothing in it asks for few. Biderman et al. (2024) found the same in a 7-billion model: 90 % of the variance took about half of all
# directions, more with more training. LoRA does not work *because* full fine-tuning is low-rank. It works because there are many solutions,
# and some are.
#
# The stored table has three seeds, two voices, and the growth in time. It is made by `minilora experiment low_rank`; a row of it
# is run again here.

# %%
rows = table.stored("low_rank", "class")
with house(LIGHT):
    figure = low_rank.draw(rows)
show(figure, "Four panels: the share of directions in training; the loss with few of them; phi of A and B; the weight along the update.")

# %%
for finding in low_rank.check(rows)[:5]:
    print(finding)
told = table.column(rows, "excess", part="LoRA", corpus="pirate", seed=0)[0]
print(f"run again above: LoRA of rank 1 {lora.log[-1]['excess']:.4f}, in the table {told:.4f}")

# %% [markdown]
# ## 3. Do two runs find the same directions?
#
# Two runs, and for each the directions of `A` (what is read) and of `B` (what is written). How alike are two subspaces? The LoRA paper uses
# $\varphi(i, j) = \lVert U^\top V\rVert_F^2 / \min(i, j)$ for the first $i$ directions of one and the first $j$ of the other: 0 if they are
# at right angles, 1 if one contains the other.
#
# **Predict:** two *random* subspaces of 8 directions in a space of 96. Is their $\varphi$ zero?


# %%
def orthonormal(d, r):
    return np.linalg.qr(rng.standard_normal((d, r)))[0]  # (d, r)


for d in (96, 12288 // 8, 12288):
    drawn = np.mean([subspaces.similarity(orthonormal(d, 8), orthonormal(d, 8)) for _ in range(5)])
    print(f"8 directions of {d:>6}: drawn {drawn:.4f}, by formula max(i, j) / d = {subspaces.similarity_by_chance(d, 8, 8):.4f}")

# %% [markdown]
# In the paper's 12,288 directions chance gives nothing, and need not be spoken of. Here it gives 8 %, and with 32 directions a third. So we
# subtract it. A measure without its value by chance is not a measurement.
#
# There is a second trap. Both runs must not start from the same `A`: what training leaves in `A` may be the start. To see how much, we run
# three times: the same start with another task (`uwu`), and another start with the same task. The batches differ in all of them.


# %%
@dataclass(frozen=True)
class Started(ml.LoRA):
    """LoRA whose A is drawn from a seed of its own, so that two runs can share their start and not their batches."""

    start: int = 0

    def init(self, config, base, rng):
        return super().init(config, base, np.random.default_rng(self.start))


# %%
def run(start, batches, task):
    method = Started(rank=8, alpha=16, start=start)
    return ml.finetune(base, method, learning_rate=1e-2, seed=batches, **{**recipe, "corpus": task, "steps": 30})


first, other_task, other_start = run(0, 0, "pirate"), run(0, 1, "uwu"), run(1, 1, "pirate")
start = first.method.init(base.config, base.weights, None)
ends = [(start[name], first.arrays[name]) for name in start if name.endswith("lora_A")]  # (d, r) each
moved = np.mean([np.linalg.norm(A - A0) / np.linalg.norm(A0) for A0, A in ends])
cosine = np.mean([np.sum(A * A0) / np.linalg.norm(A) / np.linalg.norm(A0) for A0, A in ends])
print(f"A has moved by {moved:.2f} of its size; its cosine with where it began is {cosine:.2f}")


# %%
FIRST = (1, 2, 4, 8)


def grid(one, other, part):
    """phi (4, 4) of the first i and the first j directions of A or of B, less chance, in the mean of the 28 matrices."""
    found = []
    for name in dW:
        U, V = (spectrum.truncated_svd(run.arrays[f"{name}.lora_{part}"].astype(np.float64), 8) for run in (one, other))
        U, V = (svd[0] if part == "A" else svd[2].T for svd in (U, V))  # (d, 8) or (k, 8)
        chance = [[subspaces.similarity_by_chance(len(U), i, j) for j in FIRST] for i in FIRST]  # (4, 4)
        found.append([[subspaces.similarity(U[:, :i], V[:, :j]) for j in FIRST] for i in FIRST] - np.array(chance))
    return np.mean(found, axis=0)


# %%
pairs = {"same start, other task": other_task, "other start, same task": other_start}
figure, axes = sheet(2, "phi(i, j) less chance, of the first 1, 2, 4, 8 directions; 28 matrices; LoRA r = 8, 30 steps", 6.4, 6.2, rows=2)
for row, (name, other) in zip(axes, pairs.items(), strict=True):
    for one, part in zip(row, "AB", strict=True):
        matrix(one, grid(first, other, part), f"{part}: {name}", limit=1, digits=2)
        one.set(xticks=range(4), yticks=range(4), xticklabels=FIRST, yticklabels=FIRST)
show(figure, "Four 4 by 4 grids of phi: A is alike if the start was the same, B if the task was the same; the other two are nearly empty.")

# %% [markdown]
# Read it as a table of two by two.
#
# * **A remembers where it started.** With the same start it looks alike even though the tasks differ. With another start little is left,
#   most of it in the first direction. `A` has moved, and still points largely to where it began: the cosine is printed above.
# * **B remembers the task.** It starts at zero, so that all that is in it was learned. Two runs on the same task agree far beyond chance
#   from different starts, and the top row says where: the *first* direction of one run lies to a large part within the eight of the other.
#
# The answer to question 3 is **some**: few directions of the output are shared, and it is `B` that shows them. Whoever compares two
# adapters by their `A` compares mostly random numbers. (Zhu et al. 2024 found this in large models.)
#
# ## What the update does to the weight
#
# Does it strengthen what `W` already stresses, or something else? Take the first $r$ directions of the update, and measure how strong `W`
# itself is along them: $\lVert U^\top W V\rVert$. Beside it stand the same for W's own first directions, and for random ones. The random
# column needs no experiment: it is $\lVert W\rVert\, r / \sqrt{dk}$. As a check, the paper's table 7 for GPT-3 prints 0.02 and 0.33:

# %%
for r in (4, 64):
    print(f"GPT-3, W_q of norm 61.95, r = {r:>2}: by chance {subspaces.strength_by_chance(61.95, 12288, 12288, r):.4f}")

found = low_rank.amplified(first)
print(f"\nhere, r = 8, in multiples of chance: along the update's directions {found['update']:.2f}, along W's own first {found['own']:.1f}")
print(f"and the update is {found['amplification']:.1f} times as strong there as W is")

# %% [markdown]
# So the update lives in directions in which `W` is barely stronger than chance, and there it is *much* stronger than `W`: it **amplifies
# directions that the base has but does not stress**. The paper finds 21.5 at rank 4 and 1.9 at rank 64, and that is often read as "the
# less rank, the sharper".
#
# **Predict:** the paper held alpha fixed while the rank went from 4 to 64. What happens to $s = \alpha/r$, and so to the size of the
# update?

# %%
strengths = [row for row in rows if row["part"] == "strength"]
for rank, alpha in sorted({(row["rank"], row["alpha"]) for row in strengths}):
    chosen = {"rank": rank, "alpha": alpha}
    factor, along = (np.array(table.column(strengths, name, **chosen)) for name in ("amplification", "update"))
    print(
        f"rank {rank:>2}, alpha {alpha:>4g}: amplified {factor.mean():4.1f} +- {factor.std(ddof=1):.1f}, W along it {along.mean():.2f} times chance"
    )

# %% [markdown]
# At a fixed alpha part of the fall is the scale: the update is smaller because it is *multiplied* by less. With alpha in proportion to the
# rank the fall is what is left, and it has a plain cause as well: the later directions of an update are weaker than the first.
#
# ## Intruders
#
# The last idea of the kind: compare the largest directions of $W + \Delta W$ with those of $W$. One that is like none of the old ones (no
# cosine above 0.5) is called an **intruder**. Shuttleworth et al. (2024) find them after LoRA and not after full fine-tuning, and hold
# them responsible for forgetting.
#
# When does a new direction come to the top? Ask for one: add $\theta\,uv^\top$ to a random matrix whose largest singular value is 2.
# Random matrix theory gives an exact law: below $\theta = 1$ the addition drowns, above it stands out.

# %%
for theta in (0.5, 0.9, 1.1, 1.5, 2, 3, 5):
    drawn = [intruders.spike(200, theta, seed) for seed in range(3)]
    largest, cosine = (np.mean([each[name] for each in drawn]) for name in ("largest", "cosine2"))
    by_law = subspaces.spike_law(theta)
    print(f"theta {theta:>3}: largest {largest:.2f} (law {by_law[0]:.2f}), squared cosine with v {cosine:.2f} (law {by_law[1]:.2f})")

# %% [markdown]
# So whether there is an intruder is a matter of **size**: of the update's largest singular value against the spectrum that it is added to.
# LoRA puts its whole update into few directions, which makes them large; full fine-tuning spreads the same over many. With that alone one
# expects intruders from LoRA, whatever it learned. The stored table has the controls for it: the same singular values *in random
# directions*, and noise of the same norm.

# %%
rows = table.stored("intruders", "class")
with house(LIGHT):
    figure = intruders.draw(rows)
show(figure, "Left the law of a spike; right the intruders of five trainings, each beside random directions of the same singular values.")

# %%
for finding in intruders.check(rows)[4:]:
    print(finding)
again = intruders.spike(400, 3.0, 0)
kept = next(row for row in rows if row["part"] == "law" and row["theta"] == 3 and row["seed"] == 0)
print(f"\nrun again: theta = 3 gives {again['largest']:.6f}, in the table {kept['largest']:.6f}")

# %% [markdown]
# The published observation is there: LoRA has intruders and full fine-tuning has none, at equal loss. But:
#
# * random directions with LoRA's singular values make as many, and where its update is largest, at rank 1 or three times the rate, noise of
#   its norm makes some as well. Their number says how *large* the update is in its few directions, and
#   nothing of what was learned;
# * at three times the learning rate full fine-tuning has some as well;
# * and at equal loss the one with intruders forgets no more than the one without. Who forgets is decided by how far training went, in this
#   small model.
#
# That differs from the paper, which studied models of thousands of directions. It is what a control is for: the count is real, and the
# explanation needs more.
#
# ## The three answers
#
# | question | answer here |
# |---|---|
# | Is there an update of low rank that does the job? | Yes, from the task's own rank on: 1 for a swap of two letters, 13 for rot13. |
# | Does full fine-tuning find it? | No. It uses many directions, and needs several of them. |
# | Do two runs find the same directions? | A few of the output (B), hardly any of the input (A), unless they started alike. |
#
# ## Questions
#
# 1. Which rank has the exact update for a cipher that turns three letters in a circle, a to b, b to c, c to a?
# 2. LoRA of rank 1 learns the pirate's voice, and full fine-tuning's update needs eight directions and more for the same loss. Why is
#    that no contradiction?
# 3. You compare two adapters of rank 16 in a space of 64 directions and find $\varphi = 0.25$. What do you conclude?
# 4. Why does the similarity of `A` between two runs say so little, and that of `B` more?
# 5. The amplification factor falls from rank 4 to rank 64. Name a cause that has nothing to do with the task.
# 6. Somebody shows you intruder dimensions in an adapter as a proof of "new knowledge". Which control do you ask for?
# 7. An update has 90 % of its energy in half of its directions. Can you compress it to rank 8 without loss? And train one of rank 8?
#
# Answers: [docs/answers/08.md](../docs/answers/08.md).
#
# ## What was not shown
#
# Intrinsic *dimension* (how many numbers, in a random subspace of all weights), which is another question: `minilora experiment
# intrinsic_dimension`. How the rank of full fine-tuning's update grows over thousands of steps. Which *layers* need which rank (AdaLoRA
# asks that). And models with thousands of directions: chance gives much less there, and what is said here about counts of intruders may
# look otherwise.
