# %% [markdown]
# # 9. Can one model have many voices at once?
#
# **You will be able to** keep several adapters beside one base, swap them, serve them in one batch, merge them and know what that costs,
# and say why the sum of two adapters is not one after the other.
#
# **Run time:** about 20 s on two cores. **You need:** notebook 7.

# %%
import time
from dataclasses import replace

import numpy as np

import minilora as ml
from minilora import ops
from minilora.adapters.combine import combine
from minilora.files.safetensors import digest
from minilora.lab.table import column, stored
from minilora.pictures.lessons import bars, curves, matrix, sheet
from minilora.pictures.notebook import dials, show
from minilora.training.voices import PIRATE, VOICES, Voice
from minilora.transformer import generate, model
from minilora.transformer.known import KNOWN

# %% [markdown]
# ## Three adapters
#
# One base, three short trainings. The base is only read, so the three know nothing of each other.

# %%
base = ml.load("stories-base")
before = digest(base.weights)
STEPS = {"shout": 40, "pirate": 80, "uwu": 100}
RECIPE = {"learning_rate": 1e-2, "batch": 4, "length": 192, "warmup": 5, "held_out": 16, "evaluate_every": 100, "progress": False}
voices = {voice: ml.finetune(base, ml.LoRA(rank=4, alpha=8), voice, steps=n, **RECIPE) for voice, n in STEPS.items()}
for voice, adapter in voices.items():
    print(f"{voice:<7} {base.generate('', adapter, seed=2, length=110)}")

# %% [markdown]
# A voice is made by a program, and so is its **checker**: the share of a text that stands in sentences which obey. **Predict** the table
# of all speakers against all checkers. What will the base score?


# %%
def scores(adapter, judges, texts=8):
    """Each judge's mean score of a few texts that begin with nothing."""
    written = base.generate("", adapter, count=texts, length=160, seed=7)
    return [float(np.mean([judge.score(text) for text in written])) for judge in judges.values()]


judges = {voice: VOICES[voice] for voice in voices}
table = np.array([scores(adapter, judges) for adapter in [*voices.values(), None]])  # (speakers, judges)
figure, axes = sheet(caption="share of the text that obeys; 8 texts of at most 160 letters each", width=5.6, height=4.2)
matrix(axes, table, digits=2, limit=1.2)
axes.set(xticks=range(3), xticklabels=voices, yticks=range(4), yticklabels=[*voices, "base"], xlabel="judged as", ylabel="speaker")
show(figure, "A table of four speakers and three judges: near one on the diagonal, near zero elsewhere.")

# %% [markdown]
# Clean, but for one number: the base itself shouts now and then. One story in six of its own source is in upper case.
#
# ## Swapping
#
# A `Bank` holds the base and any number of adapters by name. To activate one is to point at it: nothing is copied or added.

# %%
bank = ml.Bank(base)
for voice, adapter in voices.items():
    bank.attach(voice, adapter)
began = time.perf_counter()
for i in range(999):
    bank.activate(list(voices)[i % 3])
print(f"a swap takes less than 0.1 ms: {(time.perf_counter() - began) / 999 < 1e-4}")
print(f"after 999 of them the base is the same to the bit: {digest(base.weights) == before}")
for row in bank.status():
    print({key: row[key] for key in ("name", "rank", "targets", "bytes", "active")})

# %% [markdown]
# What do many voices cost in memory? **Predict** for a real model: one hundred adapters of rank 16 on Llama-3-8B, beside one hundred
# copies of it, in 16 bits.

# %%
shape, lora = KNOWN["Llama-3-8B"], ml.LoRA(rank=16, alpha=32, targets="q_proj,v_proj")
whole, small = 2 * sum(int(np.prod(s)) for s in shape.shapes().values()) / 1e9, 2 * lora.count(shape) / 1e9
print(f"one model {whole:.1f} GB, one adapter {1000 * small:.1f} MB")
print(f"a hundred models {100 * whole:,.0f} GB; one model and a hundred adapters {whole + 100 * small:.1f} GB")

# %% [markdown]
# ## One batch, many voices
#
# A server has requests for different voices at the same moment. The expensive product, $xW$, is the same for all of them, and only the
# thin one differs. So all rows go through the base together, and each row gathers its own `A` and `B`.

# %%
names = ["shout", "pirate", None, "uwu"]  # None: the base itself
prompts = [VOICES[name].encode("one day a") if name else "one day a" for name in names]  # of one length
rows = np.array([base.encode(prompt) for prompt in prompts])  # (4, T)
mixed, _ = model.forward(base.config, base.weights, rows, bank.mixed_sites(names, ops.choose()))
mixed = mixed.reshape(len(names), -1, base.config.vocab_size)  # (4, T, V)
for row, name in enumerate(names):
    bank.activate(name)
    alone, _ = model.forward(base.config, base.weights, rows[row : row + 1], bank.sites(ops.choose()))
    print(f"{name or 'base':<7} in the mixed batch and alone: largest difference {np.abs(mixed[row] - alone).max():.0e}")

# %% [markdown]
# Now let the four rows *write*, in one batch.

# %%
out = generate.generate(base.config, base.weights, rows, 90, bank.mixed_sites(names, ops.choose()), seed=3, temperature=0.5)
for name, row in zip(names, out, strict=True):
    print(f"{name or 'base':<7} {base.decode(row)}")

# %% [markdown]
# How much work is shared? Per token and matrix: the base's product takes $dk$ multiplications, the row's own pair $r(d+k)$.

# %%
d, k, r = 4096, 4096, 16
work = {"frozen, shared by all rows": d * k / 1e6, "the row's own pair": r * (d + k) / 1e6}
figure, axes = sheet(caption=f"a {d} x {k} matrix, r = {r}", height=1.9)
bars(axes, work, "million multiplications a token", write="{:,.2f}")
show(figure, f"Two bars: the frozen product takes {d * k / (r * (d + k)):.0f} times the work of the pair.")

# %% [markdown]
# ## Merging, and back
#
# $W + sAB$ is one matrix: no second path, the speed of the base. The price is that the base is then no longer there, unless one kept it.
# The original code for LoRA does not: to go back it **subtracts**. **Predict:** is $(W + D) - D$ equal to $W$?

# %%
name = "model.layers.0.self_attn.q_proj"
W = base.weights[f"{name}.weight"]
A, sB = voices["pirate"].method.update_factors(base.config, voices["pirate"].arrays)[name]  # (d, r), (r, k)
back = (W + A @ sB) - A @ sB
print(f"float32: {np.mean(back != W):.0%} of the numbers differ, by {np.abs(back - W).max():.0e} at the most")
half, D = W.astype(np.float16), (A @ sB).astype(np.float16)
back = (half + D) - D
print(f"float16: {np.mean(back != half):.0%} of the numbers differ, by {np.abs(back - half).max():.0e} at the most")

# %% [markdown]
# One cycle is harmless. A server that swaps by adding and subtracting does it all day; the lab did it a thousand times
# (`minilora experiment merge_drift`).

# %%
drift = stored("merge_drift", "class")
forms = {
    form: [row for row in drift if row["way"] == "three in turn" and row["form"] == form] for form in dict.fromkeys(column(drift, "form"))
}
lines = {}
for form, found in forms.items():
    cycles = sorted(set(column(found, "cycle")))
    lines[form] = (cycles, [np.mean(column(found, "drift", cycle=cycle)) for cycle in cycles])
print("with the base kept beside:", max(row["drift"] for row in drift if "kept" in row["way"]))
figure, axes = sheet(caption="three adapters added and subtracted in turn; mean of the seeds; minilora/lab/merge_drift.py")
curves(axes, lines, "cycles", "|W - the base| / |base|", xscale="log", yscale="log", marker="o")
show(figure, "The drift grows with the number of cycles in each format; float32 lies far below the 16-bit formats.")

# %% [markdown]
# The remedy costs nothing: **keep the base and make new matrices**. That is what the `Bank` does, and why it is exact.

# %%
bank.merge("pirate")
merged, _ = model.forward(base.config, bank.weights, rows, bank.sites(ops.choose()))
bank.unmerge()
print(f"merged, unmerged; the base is the same to the bit: {digest(bank.weights) == before}")
try:
    bank.merge("pirate")
    bank.merge("uwu")
except ValueError as error:
    print(error)
bank.unmerge()

# %% [markdown]
# ## Adding
#
# Two updates of the same matrix can be added: $D_1 + D_2$. As a pair that is $[A_1\; A_2]$ over $[B_1; B_2]$, exact, and of rank
# $r_1 + r_2$. What it is *not* is the product of the sums. **Predict** what $(A_1 + A_2)(B_1 + B_2)$ contains besides.

# %%
pairs = [voices[v].method.update_factors(base.config, voices[v].arrays)[name] for v in ("shout", "pirate")]
(A1, B1), (A2, B2) = pairs  # (d, r), (r, k) each; the scale is in B
total = A1 @ B1 + A2 @ B2
cat = np.concatenate([A1, A2], axis=1) @ np.concatenate([B1, B2])
summed = (A1 + A2) @ (B1 + B2)
print(f"[A1 A2][B1; B2]: off by {np.linalg.norm(cat - total) / np.linalg.norm(total):.0e}, rank {np.linalg.matrix_rank(cat, tol=1e-5)}")
away = [np.linalg.norm(summed - times * total) / np.linalg.norm(total) for times in (1, 2)]
print(f"(A1 + A2)(B1 + B2): off by {away[0]:.2f} of its norm, and from twice the sum by {away[1]:.2f}")

# %% [markdown]
# The cross terms $A_1B_2$ and $A_2B_1$ belong to nobody. Averaging the *factors* of adapters, as is often done, makes this mistake.
#
# Now to the sum of two voices. `SHOUT` and `pirate` could be had both at once: a pirate in upper case. **Predict** what the sum of the
# two updates says.


# %%
def add(one, other, weights=(1.0, 1.0)):
    method, arrays, _ = combine([voices[one], voices[other]], list(weights), base.config)
    return ml.Adapter(method, arrays, base.config, base.name)


both = {
    **judges,
    "loud pirate": Voice("pirate in upper case", lambda word: PIRATE.get(word, word).upper(), ", ARR."),
}
loud = add("shout", "pirate")
for seed in (1, 2, 3):
    print(base.generate("", loud, seed=seed, length=110))
print({name: f"{score:.2f}" for name, score in zip(both, scores(loud, both), strict=True)})

# %% [markdown]
# The sum is an update that neither training has seen. Whether it does what both wanted is an empirical question, with an answer for each
# pair of tasks; the scores above are one such answer.
#
# And one case in which the answer is known beforehand. Putting in the pirate's words **twice** changes nothing more, since a word that is the
# pirate's already stays as it is; and upper case stays upper case. Is "pirate + pirate" pirate?

# %%
once = "hello my friend and you and the fox".split()
for _ in range(2):
    once = [PIRATE.get(word, word) for word in once]
    print(" ".join(once))
for voice in ("pirate", "shout"):
    for name, adapter in [(voice, voices[voice]), (f"{voice} + {voice}", add(voice, voice))]:
        loss, score = base.held_out_loss(voice, adapter, rows=16)[1], scores(adapter, {voice: VOICES[voice]})[0]
        print(f"{name:<16} {loss:.3f} above the best, score {score:.2f}: {base.generate('', adapter, seed=2, length=50)}")

# %% [markdown]
# The sum of an update with itself is the update at strength two. The pirate does not survive that, and the shouter with a scratch or two.
# **Adapters add, they do not compose.** Composition is a matter of running the text through twice; addition happens inside, at every
# matrix.
#
# The lab has the case that is most often asked for: `rot13`, which moves every letter thirteen places on. Applied twice it is plain text.
# **Predict** what rot13 + rot13 writes.

# %%
table = stored("modular", "class")
for speaker in ("rot13", "rot13 + rot13"):
    obeys = {judge: np.mean(column(table, judge, speaker=speaker)) for judge in ("rot13", "stories")}
    losses = {corpus: np.mean(column(table, f"excess on {corpus}", speaker=speaker)) for corpus in ("rot13", "stories")}
    print(
        f"{speaker:<14} obeys",
        {name: f"{x:.2f}" for name, x in obeys.items()},
        " above the best",
        {name: f"{x:.2f}" for name, x in losses.items()},
    )

# %% [markdown]
# Neither: the sum writes no rot13 and no plain text.
#
# ## Strength
#
# What lies between the base and the adapter, and beyond it? $W + t\,sAB$ for $t$ from 0 to 2.


# %%
def weaker(adapter, t):
    return replace(adapter, method=replace(adapter.method, alpha=t * adapter.method.alpha))


# %% tags=["thumbnail"]
strengths = (0.01, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
courses = {
    corpus: [base.held_out_loss(corpus, weaker(voices["pirate"], t), rows=8)[1] for t in strengths] for corpus in ("pirate", "stories")
}
figure, axes = sheet(caption="pirate adapter, rank 4; 8 held-out texts of each kind")
named = {f"on {name}": (strengths, line) for name, line in courses.items()}
curves(axes, named, "strength t", "nats a letter above the best", marker="o", yscale="log")
show(
    figure, "On pirate text the loss falls to its minimum near strength one and rises again beyond; on stories it rises, from a quarter on."
)


# %%
def at(t=0.75, voice="pirate"):
    figure, axes = sheet(caption=base.generate("", weaker(voices[voice], t), seed=2, length=100), height=1.9)
    judged = dict(zip(judges, scores(weaker(voices[voice], t), judges, texts=4), strict=True))
    bars(axes, judged, "share of the text that obeys", write="{:.2f}", inks=("#D55E00", "#0072B2"))
    axes.set(xlim=(0, 1.1))
    return show(figure, f"{voice} at strength {t:g}: " + ", ".join(f"{name} {score:.2f}" for name, score in judged.items()))


dials(at, t=strengths, voice=list(voices))

# %% [markdown]
# ## Smaller again
#
# The exact sum has the sum of the ranks. If that is too much, its best approximation of a smaller rank is its truncated SVD, which can be
# had without ever forming the large matrix.

# %%
losses = {}
for rank in (1, 2, 4, 6, 8):
    method, arrays, lost = combine([voices["shout"], voices["uwu"]], [1.0, 1.0], base.config, kind="svd", rank=rank)
    losses[f"rank {rank}"] = float(np.mean(list(lost.values())))
figure, axes = sheet(caption="shout + uwu, rank 4 each; mean over 28 matrices", height=2.4)
bars(axes, losses, "share of the update's norm that is lost", write="{:.0%}")
show(figure, "The share that is lost falls to nothing at rank eight, the sum of the two ranks.")

# %% [markdown]
# ## Questions
#
# 1. Why can four requests with four adapters share the product with `W` but not the one with `A`?
# 2. A server swaps by adding and subtracting updates in bfloat16. What do you advise, and what does your advice cost?
# 3. Two adapters were trained from the same random `A`. Is $(A_1 + A_2)(B_1 + B_2)$ then closer to the sum?
# 4. Why is "pirate + pirate" not pirate, although the pirate's words put in twice are the words put in once?
# 5. An adapter for French and one for politeness are added. What can be said beforehand about the result?
# 6. An adapter is merged twice by mistake. At which strength does the model speak?
#
# Answers: [docs/answers/09.md](../docs/answers/09.md).
#
# ## What was not shown
#
# Rules for merging that are more careful than a sum (TIES, DARE, task arithmetic with searched weights). Routers that choose an adapter
# for each token. Paging adapters in and out of a GPU's memory. Adapters for similar tasks, which share directions and disturb each other
# more than these do.
