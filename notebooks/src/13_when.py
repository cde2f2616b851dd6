# %% [markdown]
# # 13. When is LoRA the right tool, and when is it not?
#
# **You will be able to** compare a task with an adapter's capacity before you train, tell a new voice from a new ability, weigh what is
# learned against what is forgotten, say what LoRA saves and what it does not, and check a claim about it against a table that you can make
# again.
#
# **Run time:** about 30 s on two cores. **You need:** notebook 7, an adapter and its dials; notebook 8, the spectrum of an update.

# %%
from collections import Counter

import numpy as np
from threadpoolctl import threadpool_limits

import minilora as ml
from minilora import counting, ops
from minilora.lab import capacity, forgetting, ledger, rank, rank_dial, table
from minilora.lab.voyages import VOYAGES
from minilora.methods import Full

# %%
from minilora.pictures.lessons import curves, sheet
from minilora.pictures.measure import watched
from minilora.pictures.notebook import dials, show
from minilora.pictures.style import LIGHT, house
from minilora.training import corpora
from minilora.training.loop import Recipe, train
from minilora.transformer.known import KNOWN

threadpool_limits(1, "blas")  # small matrices: two threads would mostly wait for each other
base = ml.load("stories-base")

# %% [markdown]
# ## Four questions before you train
#
# 1. **Does it fit?** An adapter has few numbers, and a number holds only so much.
# 2. **Is it there already?** A new way to say what the base knows is another thing than a new ability.
# 3. **What will be lost?** Learning one thing changes what the model does with all others.
# 4. **What is saved?** Memory, time, disk: not the same, and not always.
#
# We go through them with numbers, and end with the ledger: the claims that are commonly made about LoRA, each with what came out when it
# was measured here.
#
# ## 1. Does it fit? Capacity in bits
#
# Knowledge can be counted if it is random. A *fact* is three random symbols and a fourth that has to be told from them, one of 16: four
# bits, which no rule could save. How many facts does an adapter hold?
#
# To make it hard, the base is a small transformer with **random** weights, frozen. It knows nothing, and everything that is recalled
# afterwards is in the adapter.
#
# **Predict.** LoRA of rank 1 has 1,088 numbers in this model. Does it learn 128 facts (512 bits)? And 512 facts (2,048 bits)?

# %%
for facts in (128, 512):
    found = capacity.memorise(rank=1, facts=facts, learning_rate=1e-2, steps=300, seed=0)
    bits = f"{found['bits']:,.0f} of {4 * facts:,} bits in {found['trained']:,} numbers"
    print(f"{facts} facts: {found['recalled']:.0%} recalled, {bits}: {found['bits'] / found['trained']:.2f} bits a number")

# %% [markdown]
# 128 facts go in, on a base that knows nothing: each answer is the likeliest of the 16. The bits count how sure it is of them, and are fewer
# as long as it is not certain. 512 do not: about one bit a number, and the adapter is full. The stored table (`minilora
# experiment capacity`) has all ranks and three seeds; the two lines above are rows of it, run again.

# %%
rows = table.stored("capacity", "class")
with house(LIGHT):
    figure = capacity.draw(rows)
told = table.column(rows, "bits", facts=512, rank=1, learning_rate=0.01, seed=0)[0]
print(f"in the table: {told:,.0f} bits for 512 facts at rank 1, seed 0")
show(figure, "Left the share of facts recalled, right the bits stored, both over the numbers that train: rank 1 runs out at 512 facts.")

# %% [markdown]
# Two things to take along:
#
# * **A budget, and no law against what is new.** "LoRA cannot teach new knowledge" is wrong as it stands: it taught a random model 512 facts
#   as soon as the rank was high enough.
# * **The budget is about a bit a number** here, after 300 times past each fact. With a thousand times and more, *two* bits were measured, for
#   whole models (Allen-Zhu and Li 2024). Between 1 and 2 is what to reckon with.
#
# ### So: how high a rank does my data need?
#
# Count the bits that your data holds and the base does not know: what it loses on them, in bits, times their number of tokens. Then count
# numbers.


# %%
def holds(config, r):
    """How many bits LoRA of this rank on all linear layers holds, at one bit a number."""
    return ml.LoRA(rank=r).count(config)


data = {
    "a voice: 1,000 bits": 1e3,
    "1,000 questions, 20 bits in each answer": 2e4,
    "a book: 150,000 tokens, 2 bits each": 3e5,
    "a wiki: 20 million tokens, 2 bits": 4e7,
    "a new language: 10 billion tokens, 2 bits": 2e10,
}

# %%
series = {}
for name in ("SmolLM2-135M", "Llama-3.2-1B", "Llama-3-8B"):
    widest = KNOWN[name].num_key_value_heads * KNOWN[name].head_dim  # of k_proj: no rank is higher
    ranks = 2 ** np.arange(0, int(np.log2(widest)) + 1)  # (ranks,)
    series[name] = (ranks, [holds(KNOWN[name], int(r)) for r in ranks])

# %%
figure, axes = sheet(
    caption="LoRA on all linear layers at one bit a number, up to the rank that its narrowest matrix allows; counted", height=4
)
for name, bits in data.items():
    axes.hlines(bits, 1, 512, color=LIGHT.quiet, linewidth=0.8, linestyle=":")
    at, side = (512, "right") if bits < 1e6 else (1, "left")  # where the models' lines are not
    axes.annotate(name, (at, bits), (0, 3), textcoords="offset points", ha=side, fontsize=8, color=LIGHT.quiet)
curves(axes, series, "rank", "bits", xscale="log", yscale="log", ylim=(2e2, 6e10))
show(
    figure,
    "Bits over rank for three models, with dotted lines for data: a voice fits anywhere, a wiki needs rank 16 and more, a language nowhere.",
)

# %% [markdown]
# This is arithmetic with a rough price, and it says what experience says. A style, a format, a thousand questions with their answers fit at
# *any* rank, and a book just so. A large body of knowledge needs a high one. Pre-training on billions of tokens is not LoRA's business.
# It is also why reinforcement learning gets by with rank 1 (Schulman et al. 2025): an episode tells its success or failure, a bit or so.
#
# ## 2. Is it there already?
#
# Bits are an upper bound. The other half of the question is what the base can do. A voice that says old things in other words moves the
# model in few directions; a cipher is a new alphabet, thirteen exchanges of letters (notebook 8 counts them), although its rule fits into
# one sentence.

# %%
rows = table.stored("rank", "paper")
with house(LIGHT):
    figure = rank.draw(rows)
    figure.set_size_inches(7.6, 5.2)
show(
    figure,
    "Loss over steps and over rank: on pirate rank 1 is nearly as good as 32; on rot13 ranks 1 and 2 stay behind, and 8 is as good as 32.",
)

# %%
for finding in rank.check(rows):
    print(finding)

# %% [markdown]
# Rank 1 does for the voice. For the cipher it does not, and rank 8 does nearly as well as rank 32, for a quarter of the numbers. So before you
# choose a rank, ask the task and not a table of usual values: is it *another way to say* what the base says, or something it has never done?
# The first is what LoRA is famous for.
#
# ## 3. What will be lost?
#
# "W is frozen, so LoRA cannot forget." "LoRA learns less and forgets less." Both are said. Let us see.
#
# The base knows stories. It shall learn *voyages*, a second little grammar that contradicts nothing in the first: other heroes, other
# words. What happens to the stories? We watch both losses on the way, for full fine-tuning and for LoRA, each at the learning rate that
# did best for it on another task (`minilora experiment learning_rate`).

# %%
texts = {"voyages": VOYAGES, "stories": corpora.load("stories")}
print(f"a voyage: {VOYAGES.draw(np.random.default_rng(1), False)[0]}")


def losses(weights):
    """How far the base with these weights is above the best on each of the two texts, in nats a character."""
    return {name: rank_dial.loss(weights, text) - text.entropy(rank_dial.HELD_OUT) for name, text in texts.items()}


# %%
def learn(method, rate):
    """-> the losses every 15 steps, and the merged weights at the end."""
    watcher, kept = watched(method, 15)
    recipe = Recipe(steps=90, batch=4, length=192, learning_rate=rate, warmup=10, evaluate_every=90, held_out=8)
    train(base.config, base.weights, watcher, VOYAGES, recipe, ops.choose(), progress=False)
    merged = [method.merge(base.config, base.weights, arrays) for arrays in kept.values()]
    return [losses(weights) for weights in merged], merged[-1]


# %% [markdown]
# **Predict**, before you run: who forgets more of the stories when both have learned the voyages *equally well*?

# %%
before = losses(base.weights)
runs = {"full fine-tuning": learn(Full(), 1e-3), "LoRA, r = 8": learn(ml.LoRA(rank=8, alpha=16), 1e-2)}

# %%
figure, axes = sheet(caption="a point each 15 steps of 4 x 192 characters of voyages; 16 held-out texts; seed 0", height=3.8)
for (name, (seen, _)), ink in zip(runs.items(), (LIGHT.column, LIGHT.row), strict=True):
    learned, forgotten = ([point[text] for point in [before, *seen]] for text in ("voyages", "stories"))
    axes.plot(learned, forgotten, "o-", color=ink, markersize=4)
    axes.annotate(name, (learned[-1], forgotten[-1]), (0, 8), textcoords="offset points", color=ink, ha="right")
axes.annotate("the base", (before["voyages"], before["stories"]), (-6, -3), textcoords="offset points", ha="right", color=LIGHT.quiet)
axes.set(
    xlabel="voyages: nats a character above best",
    ylabel="stories: above best",
    xscale="log",
    xlim=(14, 0.02),
    xticks=(10, 1, 0.1),
    xticklabels=(10, 1, 0.1),
)
show(figure, "Loss on stories against loss on voyages, learning goes to the right: LoRA's curve lies far above that of full fine-tuning.")

# %% [markdown]
# Both forget, and at the same loss on voyages **LoRA forgets more** in this run. That is the opposite of the common account, which comes
# from models of 7 billion numbers (Biderman et al. 2024); PEFT's own comparison of methods, at 3 billion and with one seed, has full
# fine-tuning forget less, as here. Look at the updates for a cause:


# %%
def size(weights):
    """The largest singular value of each update, relative to that of its weight, in the mean."""
    names = [name for name, W in base.weights.items() if W.ndim == 2 and "layers" in name]
    return np.mean([np.linalg.norm(weights[name] - base.weights[name], 2) / np.linalg.norm(base.weights[name], 2) for name in names])


for name, (seen, weights) in runs.items():
    print(f"{name:<17} voyages {seen[-1]['voyages']:.2f}, stories {seen[-1]['stories']:.2f}; largest direction {size(weights):.2f} of W's")

# %% [markdown]
# LoRA puts what it learns into few directions, which makes them large, nearly twice the weight's own. Full fine-tuning spreads the same over
# many small changes. Is that the cause? It is a guess: a large model may have room for a few large directions beside what is known, where one of
# 96 dimensions has none. Notebook 8 has a case against it, where large directions forget no more than small ones. So neither "LoRA forgets less" nor "LoRA forgets more" is a law. It is a thing to **measure**, at equal learning.
#
# ### The dial
#
# There is one more thing to know: an update can be put on in part, $W + t\,\Delta W$. What lies between the base and the tuned model?

# %%
strengths = np.linspace(0, 1, 9)
between = {
    name: [losses({key: W + np.float32(t) * (weights[key] - W) for key, W in base.weights.items()}) for t in strengths]
    for name, (_, weights) in runs.items()
}


# %% tags=["thumbnail"]
def picture(t=1.0):
    figure, panels = sheet(2, "the update applied in part, W + t dW; 16 held-out texts; seed 0", 8.4, 3.0)
    for axes, text in zip(panels, texts, strict=True):
        lines = {name: (strengths, [point[text] for point in points]) for name, points in between.items()}
        curves(axes, lines, "strength t", "nats above best", text, (LIGHT.column, LIGHT.row), "o", ylim=(-0.2, 8))
        axes.axvline(t, color=LIGHT.quiet, linewidth=1, linestyle=":")
    told = "; ".join(f"{name}: {points[list(strengths).index(t)]['stories']:.2f} on stories" for name, points in between.items())
    return show(figure, f"Loss on voyages and on stories against the strength of the update, at t = {t:g}. {told}.")


dials(picture, t=[float(t) for t in strengths])

# %%
for name, points in between.items():
    half = points[4]
    print(f"{name:<17} at half strength: voyages {half['voyages']:.2f} (from {before['voyages']:.2f}), stories {half['stories']:.2f}")

# %% [markdown]
# Half of full fine-tuning's update has taught most of the voyages, and cost little of the stories. So forgetting is also a matter of *how
# far* one goes, and the last part of the way is the dear one.
#
# What is LoRA's alone is at the left end: with the adapter off the model **is** the base, to the bit, because nothing was ever written to
# it. Full fine-tuning can only go back if somebody kept a copy.
#
# The stored table compares ranks and learning rates, and tells the loss on what comes *after* a story's first sentence, where the text itself
# has said that it is a story.

# %%
rows = table.stored("forgetting", "class")
with house(LIGHT):
    figure = forgetting.draw(rows)
show(
    figure, "What is forgotten of stories against what is learned of voyages, by method and learning rate, and the update applied in part."
)

# %%
for finding in forgetting.check(rows):
    print(finding)

# %% [markdown]
# With three seeds and another rank the order is the same, each method at the rate at which it forgets least: LoRA forgets more here. And there is a second thing to see, which is
# as large as the first: **a lower learning rate forgets less**, at the same loss on the new task, for either method. In our own run LoRA had
# its higher rate, so that a part of the gap was the rate's. Whoever compares two methods in forgetting has to compare rates as well.
#
# ## 4. What is saved?
#
# Gradients and the moments of Adam exist only for what trains. Weights and activations are there in any case. **Predict:** full fine-tuning
# of Llama-2-7B in 16 bits takes how many GB, and LoRA of rank 16? What does it take to get below 8?

# %%
config, lora = KNOWN["Llama-2-7B"], ml.LoRA(rank=16)
numbers, own = counting.total(config.shapes()), lora.count(config)
ways = {
    "full, all in 16 bits": counting.ledger(config, numbers, numbers, None, 2),
    "LoRA r = 16, base in 16 bits": counting.ledger(config, own, own, "bf16"),
    "LoRA r = 16, base in 4 bits": counting.ledger(config, own, own, "nf4-double"),
}
for name, parts in ways.items():
    print(
        f"{name}: {sum(parts.values()) / 1e9:.0f} GB: "
        + ", ".join(f"{part} {count / 1e9:.1f}" for part, count in parts.items() if count > 1e8)
    )
flops = {kind: sum(counting.step_flops(config, 1, 2048, ranks).values()) for kind, ranks in (("full", None), ("lora", lora.ranks(config)))}
print(f"operations of a step: {flops['lora'] / flops['full']:.0%} of full fine-tuning's")
print(f"kept on disk for each task: {4 * own / 1e6:.0f} MB in place of {2 * numbers / 1e6:,.0f} MB")

# %% [markdown]
# A step costs two thirds and a little. Memory falls by what gradients and moments took; it is the *4 bits* that bring it under 8 GB. And
# disk falls by a factor of nearly a hundred for every task but the first. That is where LoRA is without a rival: **many tasks on one base**.
#
# ## The ledger
#
# All of this is kept as claims, each with a function from tables to a verdict. No verdict is typed in: when a table says otherwise, the
# sentence changes.

# %%
answers = {number: claim.answer(ledger.stored_tables(claim.tables)) for number, claim in sorted(ledger.CLAIMS.items())}
for number, answer in answers.items():
    print(f"{number:>2}  {answer.verdict:<27}{ledger.CLAIMS[number].says[:88]}")
print()
for verdict, count in Counter(answer.verdict for answer in answers.values()).most_common():
    print(f"{count:>2} of {len(answers)}: {verdict}")

# %% [markdown]
# Most are true *with a condition*, and the condition is what the common account leaves out. Two of them in full:

# %%
for number in (26, 25):
    claim, answer = ledger.find(number), answers[number]
    print(f"{claim.says}\n-> {answer.verdict}. {answer.measured}\n   size: {answer.size}; run: {', '.join(claim.commands)}\n")

# %% [markdown]
# `minilora claims` prints them all, and `minilora claims --run` measures anew. Here are the experiments that this lesson showed, run at their
# smallest size, to show that they are alive; at this size they prove nothing.

# %%
for experiment in (capacity, rank, forgetting):
    found = experiment.run("smoke", seeds=(0,), jobs=1)
    print(f"{experiment.QUESTION} {len(found)} rows, with the columns {', '.join(found[0])}")

# %% [markdown]
# ## In one table
#
# | LoRA is the tool for | because |
# |---|---|
# | a voice, a format, a task that the base nearly does | few directions; any rank does |
# | many tasks on one base | a hundredth of the disk; swapped by a pointer |
# | a machine that does not hold gradients and moments of all weights | they exist for what trains only |
# | trying out | what was done can be taken off, to the bit |
#
# | Look elsewhere for | because |
# |---|---|
# | a large body of knowledge | about a bit a number: it runs out |
# | a faster model | merged it is as fast as the base, beside it slower |
# | a smaller model | the base is as large as ever |
# | another architecture | there is no $\Delta W$ for a layer that is not there |
#
# ## Questions
#
# 1. You have 2,000 question-and-answer pairs about your product, on average 40 tokens that the base predicts at 1.5 bits each. How many
#    numbers do you need at one bit a number?
# 2. "LoRA cannot learn new facts." What was measured here, and how would you say it better?
# 3. Two methods are compared after 1,000 steps each: A has learned more and forgotten more. What can you conclude about forgetting, and
#    which comparison would you rather see?
# 4. Why can LoRA's forgetting be taken off, and full fine-tuning's not? What would you have to keep?
# 5. A step of LoRA takes two thirds of the operations. Why is its memory so much less than two thirds?
# 6. Which of the four questions decides for a chat model that shall answer in your company's tone? Which for one that shall know its
#    archives?
# 7. A claim "does not hold here". What are the possible reasons, and what would you do before you believe the opposite?
#
# Answers: [docs/answers/13.md](../docs/answers/13.md).
#
# ## What was not shown
#
# Whether what was learned is *useful*: a loss is not a user. Retrieval, which for knowledge that changes is often the better tool than any
# training. Reinforcement learning. Models of billions of numbers, where forgetting may come out the other way, and the price of a bit may
# differ. And money: where a machine is rented by the hour, the two thirds count, and so does the time until the first result.
