# %% [markdown]
# # 6. When has a language model learned all there is to learn?
#
# **You will be able to** write a training loop of ten lines, read a loss as a distance from the best that is possible, say what a model
# has and has not learned at each stage, and choose a learning rate by looking.
#
# **Run time:** about 35 s on two cores. **You need:** notebook 5, or trust that `model.loss` and `model.loss_backward` do what they say.

# %%
import math
import re
from collections import Counter

import numpy as np
from threadpoolctl import threadpool_limits

import minilora as ml
from minilora import adamw, ops
from minilora.pictures.lessons import bars, curves, sheet, surprises
from minilora.pictures.notebook import dials, show
from minilora.training import corpora, loop, schedule, stories
from minilora.transformer import Sites, model

one_thread = threadpool_limits(1, "blas")  # small matrices: two threads would mostly wait for each other

# %% [markdown]
# ## A source that we know
#
# Real text has an entropy that nobody knows, so that with real text nobody can say how good a loss of 1.2 is. Here the text comes from a
# small grammar: a story is three sentences, each from one of three templates, whose slots are filled from lists of words. All choices are
# equally likely.


# %%
def lower(rng, held_out):
    return stories.draw(rng, held_out, upper_share=0)  # -> text, log p; nothing in upper case, for now


corpus, rng = corpora.Documents("stories in lower case", lower), np.random.default_rng(1)
for _ in range(3):
    print(lower(rng, False)[0], "\n")
print(f"{stories.COUNT:,} different stories")

# %% [markdown]
# To name one of $n$ equally likely things takes $\ln n$ nats ($\log_2 n$ bits). A story is one of more than eight thousand million, and
# it has about 150 letters. **Predict:** about how many nats a letter does the best possible model lose?

# %%
lengths = [len(lower(rng, False)[0]) + 1 for _ in range(1000)]  # with the newline at the end, which is predicted as well
choices, best = math.log(stories.COUNT), corpus.entropy(64)
print(f"ln {stories.COUNT:,} = {choices:.1f} nats for about {np.mean(lengths):.0f} letters: {choices / np.mean(lengths):.3f} a letter")
print(f"on the 64 held-out stories that we shall use: {best:.4f} nats a letter")

# %% [markdown]
# That is the **floor**. A model that reaches it knows everything about the source, and no model is below it on average. Held-out stories
# are never trained on: a checksum of the text decides which they are.
#
# ## Guessers without a network
#
# First the ladder that any model has to climb. Guess all 256 bytes alike; guess by how often a letter occurs; guess by the letter before;
# by the two before it ... An $n$-gram model is a table of counts.

# %%
seen, held = ([lower(rng, part)[0] + "\n" for _ in range(n)] for part, n in ((False, 2000), (True, 50)))


def windows(texts, order):
    """Every letter of the texts, after the `order` letters before it; before the first letter there is nothing but newlines."""
    for text in texts:
        padded = "\n" * order + text
        for i in range(order, len(padded)):
            yield padded[i - order : i], padded[i]


# %%
def ngram_loss(order):
    """The loss of counting: nats a letter on the held-out stories."""
    pairs, contexts = Counter(windows(seen, order)), Counter(context for context, _ in windows(seen, order))
    kinds = len(set("".join(seen)))
    counts = [(pairs[pair] + 0.01, contexts[pair[0]] + 0.01 * kinds) for pair in windows(held, order)]  # 0.01 for the never seen
    return -np.mean([math.log(this / all_) for this, all_ in counts])


# %%
ladder = {"all bytes alike": math.log(256)} | {f"{order} letters before": ngram_loss(order) for order in (0, 1, 2, 4, 6, 8, 12, 16)}
ladder["the source itself"] = best
figure, axes = sheet(caption=f"{len(''.join(seen)):,} letters counted, {len(held)} held-out stories", height=3.8)
bars(axes, ladder, "nats a letter")
show(figure, "Bars of the loss of guessers: falling with the letters of context, then rising again; the source lies below all.")

# %% [markdown]
# More context helps, until it hurts: with long contexts nearly every context is new, and the table has nothing to say. And no table of
# short contexts can know that the one who sits down at the end is the hero of the beginning. For that one needs something that
# *generalises*: a network.
#
# ## The loop
#
# Ten lines: draw a batch, loss, gradients, a step of AdamW on every array. The model is a small sister of the one that is shipped.

# %%
config = ml.Config(hidden_size=64, intermediate_size=160, num_hidden_layers=2)
print(f"{sum(math.prod(shape) for shape in config.shapes().values()):,} numbers")


# %%
def train(steps, rate, seed=0, batch=4, length=160):
    """Yields (step, loss, weights) before each step; `weights` is changed in place."""
    weights = model.init(config, np.random.default_rng(seed), std=0.1)  # about 1 / sqrt(d)
    moments = {name: (np.zeros_like(W), np.zeros_like(W)) for name, W in weights.items()}
    sites = Sites(weights, ops.choose())
    for t in range(1, steps + 1):
        inputs, targets = corpus.train_batch(np.random.default_rng([seed, t]), batch, length)  # (batch, length) each
        loss, cache = model.loss(config, weights, inputs, targets, sites)
        yield t, loss, weights
        grads, share = model.loss_backward(cache), schedule.warmup_cosine(t - 1, steps, 20)
        for name, grad in grads.items():
            adamw.adamw_step(weights[name], grad, *moments[name], t, rate * share, beta2=0.99)


# %% [markdown]
# What should the very first loss be? The fresh model knows nothing. **Predict** it before you run.

# %%
first = np.mean([next(train(1, 1e-3, seed))[1] for seed in range(8)])
spread = config.hidden_size * 0.1**2  # the variance of a logit: d features of mean square 1, times weights of variance 0.01
print(f"first loss {first:.2f};  ln 256 = {math.log(256):.2f};  ln 256 + half the logits' variance = {math.log(256) + spread / 2:.2f}")

# %% [markdown]
# If all logits were equal, it would be $\ln V$ exactly. They are random with some variance $\sigma^2$, and a random opinion is worse than
# none, by $\sigma^2 / 2$. This is the cheapest test of a training program there is: a first loss far from that means a fault in the
# initialisation or in the loss.
#
# ## Learning, with samples
#
# A loss is a number; what does it *mean*? Every now and then we let the model speak, and count how many of its words are words of the
# source.

# %%
held_inputs, held_targets = corpus.held_out(64, 256)


def held_out_loss(weights):
    return model.loss(config, weights, held_inputs, held_targets, Sites({}, ops.choose()))[0]


def speak(weights, count=8):
    """Texts of the model as it is now, and the share of their words that the source has."""
    frozen = ml.Base("small", config, {name: W.copy() for name, W in weights.items()})
    texts = frozen.generate("", count=count, length=160, seed=3)
    words = [word for text in texts for word in re.findall("[a-z']+", text.lower())]
    return texts, sum(word in stories.WORDS for word in words) / max(len(words), 1)


# %%
LOOK = (1, 10, 20, 40, 80, 160, 320, 640)
log = []
for t, loss, weights in train(max(LOOK), 5e-3):
    if t in LOOK:
        texts, known = speak(weights)
        log.append({"step": t, "loss": loss, "held out": held_out_loss(weights), "words": known})
        written = re.sub("[^ -~]", "?", texts[0])  # what cannot be printed
        print(f"step {t - 1:>3}  above best {log[-1]['held out'] - best:5.3f}  known words {known:4.0%}  {written[:76]}")

# %% tags=["thumbnail"]
steps = [row["step"] for row in log]
figure, (left, right) = sheet(2, "one run, seed 0: 2 layers, d = 64, batches of 4 x 160 letters, rate 5e-3", 9.2, 3.4)
how = {"xscale": "log", "marker": "o"}
above = {"held out": (steps, [row["held out"] - best for row in log])}
curves(left, above, "step", "nats a letter above the source", yscale="log", **how)
for order in (0, 2, 8):
    name = f"{order} letters before"
    left.axhline(ladder[name] - best, color="#666666", linewidth=0.8, linestyle=":")
    left.annotate(name, (1, ladder[name] - best), (2, 2), textcoords="offset points", fontsize=8, color="#666666")
curves(right, {"words": (steps, [row["words"] for row in log])}, "step", "share of its words that exist", ylim=(0, 1.05), **how)
show(figure, "Left: the held-out loss falls, passing one guesser after the other. Right: the share of real words rises to nearly all.")

# %% [markdown]
# It climbs the ladder of guessers, rung by rung: first which letters are frequent, then which follow which, then words, then sentences.
# The samples say the same in their way. The rungs are drawn on the left: where the curve crosses one, the network knows as much as that
# table.
#
# **Is it overfitting?** Compare the loss on what it trains on with the held-out loss.

# %%
for row in log[-3:]:
    print(f"step {row['step'] - 1}: this batch {row['loss']:.3f}, held out {row['held out']:.3f}")

# %% [markdown]
# No gap beyond the noise of a single batch: with a source that never repeats itself there is nothing to learn by heart.
#
# ## Where is the loss?
#
# The mean hides where it comes from. Here is one held-out story, each letter on a ground as dark as the letter was surprising. First our
# small model, then the base that is shipped, which trained for 3,000 steps in larger batches (`minilora pretrain` makes it again).

# %%
base = ml.load("stories-base")


def surprise(config, weights, story):
    """-ln p of each letter of the story (letters,), in nats."""
    row = np.array([corpora.encode(story)])
    logits, _ = model.forward(config, weights, row[:, :-1])  # (letters, V)
    shifted = logits - logits.max(axis=1, keepdims=True)
    return (np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(shifted)), row[0, 1:]]).astype(float)


# %%
story = held[0].strip()
small = surprise(config, weights, story)
shipped = surprise(base.config, base.weights, story)
figure, (upper, lower) = sheet(1, "darkest: 3 nats or more, a letter that was given a probability of 1/20 or less", 8.4, 3.4, rows=2)
for axes, nats, name in [(upper, small, "small model"), (lower, shipped, "shipped base")]:
    surprises(axes, story, nats)
    axes.set_title(f"{name}: {nats.sum():.1f} nats in all", fontsize=10)
show(figure, "The same story twice, surprising letters dark. Under the shipped base only the first letters of chosen words are.")

# %% [markdown]
# Under the base, what is dark is what the grammar *chose*: the first letters of the hero, the kind, the thing, the place. The rest of
# each word follows.
#
# Look at the first letter of the last sentence. It can begin with the hero's name, with "so" or with "and", and all three are equally
# likely. **Predict** what the letter costs one who knows who the hero was, and one who does not.

# %%
at = story.rindex(". ") + 2
told = f"ln 3 = {math.log(3):.2f}, ln 3 + ln 16 heroes = {math.log(48):.2f}"
print(f"{story[at : at + 12]!r}: {told}; shipped base {shipped[at]:.2f}, small model {small[at]:.2f}")

# %% [markdown]
# Add up the nats of the whole story. **Predict** the sum for a perfect model, from the number of stories there are.

# %%
print(f"perfect {choices:.1f}; shipped base {shipped.sum():.1f}; small model {small.sum():.1f}")
print(f"mean of 64 held-out stories: the base is {base.held_out_loss('stories')[1]:.4f} nats a letter above its source")

# %% [markdown]
# The base has learned a source in which one story in six is in upper case. For not being so, this story costs it $\ln 6/5 = 0.18$ nats
# more. (On one story a model can be lucky and lie below the source; on the mean of many it cannot.)
#
# ## The learning-rate dial
#
# One number decides more than any other whether training works. **Predict** the shape of the curve: the loss after 80 steps against the
# learning rate, over three powers of ten.

# %%
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)


def after(rate, steps=80, seed=0):
    """The losses on the way, and the held-out loss at the end."""
    with np.errstate(all="ignore"):
        course = list(train(steps, rate, seed, length=96))
        return [loss for _, loss, _ in course], held_out_loss(course[-1][2])


runs = {(rate, seed): after(rate, seed=seed) for rate in RATES for seed in (0, 1)}

# %%
figure, (left, right) = sheet(2, "80 steps of 4 x 96 letters, warm-up 20, seeds 0 and 1 (left), 0 (right)", 9.2, 3.4)
ends = {f"seed {seed}": (RATES, [runs[rate, seed][1] for rate in RATES]) for seed in (0, 1)}
curves(left, ends, "learning rate", "held-out loss after 80 steps", marker="o", xscale="log")
print(f"best of these: {min(RATES, key=lambda rate: runs[rate, 0][1] + runs[rate, 1][1]):g}")
some = {f"{rate:g}": (np.arange(80), runs[rate, 0][0]) for rate in (1e-4, 1e-3, 1e-2, 1e-1)}
curves(right, some, "step", "loss of the batch", ylim=(0, 6))
show(figure, "Left: a U-shaped curve of final loss against learning rate. Right: the course of the loss at four of the rates.")

# %% [markdown]
# A valley with two different walls. On the left nothing is wrong, only slow. On the right the steps are longer than the landscape is
# smooth. Two habits follow. Search by factors of about three: on this scale a valley is one or two points wide. And search again when
# anything changes that sets the size of a step: the method, the width, the rank, the number of steps. Comparing two methods at *one* rate
# compares how well that rate suits each.
#
# Move the dial yourself: the loss on the way, at each of the rates.


# %%
def course(rate=1e-2):
    figure, axes = sheet(caption="80 steps of 4 x 96 letters, warm-up 20, seed 0", width=6.4, height=3)
    curves(axes, {f"{rate:g}": (np.arange(80), runs[rate, 0][0])}, "step", "loss of the batch", ylim=(0, 6))
    return show(figure, f"The loss of the batch over 80 steps at a learning rate of {rate:g}; it ends at {runs[rate, 0][0][-1]:.2f}.")


dials(course, rate=RATES)

# %% [markdown]
# ## What a loop needs in earnest
#
# The loop above is honest but bare. `minilora/training/loop.py` adds what long runs need, and each of the additions answers an accident
# that happens: a limit on the gradient's length (a bad batch), weight decay on matrices only, evaluation and a way back to the last good
# state (divergence), checkpoints that resume *to the bit* (a power cut), shards that make the result independent of the number of
# workers.
#
# The last one can be shown in two lines: the same six steps with one worker and with two.

# %%
recipe = loop.Recipe(steps=6, batch=4, length=96, learning_rate=3e-3, warmup=2, evaluate_every=6, held_out=4)
start = model.init(config, np.random.default_rng(0))
one, two = (loop.train(config, start, ml.Full(), corpus, recipe, ops.choose(), num_workers=n, progress=False) for n in (1, 2))
print("bit for bit the same:", all(np.array_equal(one.arrays[name], two.arrays[name]) for name in one.arrays))

# %% [markdown]
# ## Temperature: the last dial
#
# A model gives probabilities; to write, one draws from them. The **temperature** divides the logits first: near 0 the likeliest letter
# wins always, at 1 the model speaks as it believes, above 1 it speaks more wildly than it believes. **Predict** at which of these
# temperatures words begin to break.


# %%
def words_known(texts):
    words = [word for text in texts for word in re.findall("[a-z']+", text.lower())]
    return sum(word in stories.WORDS for word in words) / len(words)


for temperature in (0.0, 0.5, 1.0, 1.5, 2.0):
    texts = base.generate("one day", count=8, temperature=temperature, length=150, seed=5)
    print(f"{temperature:.1f}  {len(set(texts))} different texts of 8, {words_known(texts):4.0%} known words  {texts[0][:72]!r}")

# %% [markdown]
# At 0 all eight texts are one. At 1 they differ, and are stories (a word that is cut off at the end counts as unknown). Above that the
# model is made to say what it does not believe. Had it learned the source exactly, temperature 1 would write exactly like the source.
#
# ## Questions
#
# 1. A friend's model of English has a loss of 1.3 nats a letter. Is that good? What would you have to know?
# 2. Why is the first loss $\ln 256$ or a little more, although only about 30 different bytes ever occur?
# 3. Why does the table of 16 letters of context do worse than that of 8?
# 4. The batch's loss is sometimes below the source's entropy. Is the model better than perfect?
# 5. In the story under the shipped base the first letter of `pip` is dark where he is named first, and the second is not. Why? Would it be
#    the same for `hazel`?
# 6. You double the batch and the number of layers. Which of the dials do you look at first?
# 7. A held-out story was in the training text by mistake. What would you see, and would you notice in this notebook?
#
# Answers: [docs/answers/06.md](../docs/answers/06.md).
#
# ## What was not shown
#
# Real text (`ml.pretrain` takes "pydoc" for a corpus, or a path of your own), for which there is no floor to compare with. Tokens longer than a byte,
# which make sequences shorter and losses a token larger. Scaling laws: how far more data and a wider model would go. Other optimisers,
# and the momentum's $\beta$, which was 0.99 here because runs are short. Several seeds for the curve with samples: it is one run.
