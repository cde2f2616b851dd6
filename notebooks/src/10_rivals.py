# %% [markdown]
# # 10. What else can one put beside a frozen model, and how does it fare?
#
# **You will be able to** say where bottleneck adapters, prefixes, prompts, (IA)3 and BitFit plug in and what each can and cannot do,
# count them all on one model, and read a comparison table with the right questions.
#
# **Run time:** about 25 s on two cores. **You need:** notebooks 5 and 7.

# %%
import numpy as np

import minilora as ml
from minilora import layers
from minilora.lab import common_table, compare, comparison
from minilora.lab.table import column, stored
from minilora.methods import REGISTRY
from minilora.methods.check import check_method
from minilora.pictures.lessons import bars, matrices, sheet, verdicts
from minilora.pictures.notebook import Still, show
from minilora.transformer import model

# %% [markdown]
# ## Four places
#
# A frozen transformer can be changed at four kinds of place. Every method that is in use picks one, or more, of them:
#
# | place | what is done there | who |
# |---|---|---|
# | a linear layer | its matrix gets an update, its output a bias or a factor | LoRA and its family, BitFit, (IA)3 |
# | the keys and values of an attention | more of them, which are learned | prefix tuning |
# | the output of a sub-layer | a small network of its own after it | bottleneck adapters (Houlsby, Pfeiffer) |
# | the input | learned vectors before the text | prompt tuning |
#
# And beside them the oldest answer: let the base's own numbers train, all of them (full fine-tuning), or some (norm gains, the last
# layers).
#
# The base never changes. What differs is what stands beside it.

# %%
base = ml.load("stories-base")
RIVALS = ("full", "last-layers", "houlsby", "pfeiffer", "lora", "prefix", "bitfit", "norms", "ia3", "prompt")
methods = {name: REGISTRY[name]() for name in RIVALS if name in REGISTRY}
counts = {name: method.count(base.config) for name, method in methods.items()}
counts = dict(sorted(counts.items(), key=lambda item: -item[1]))
figure, axes = sheet(caption="stories-base, each with its default size", height=3.6)
bars(axes, counts, "numbers that train", write="{:,}")
axes.set(xscale="log", xlim=(500, 3e6))
show(figure, "Bars of trainable numbers on a log scale: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))

# %% [markdown]
# Each has a backward pass of its own, written by hand like the others. The same check for all of them: a small model in float64, central
# differences, every array that trains.

# %%
for name, method in methods.items():
    if name != "full":  # notebook 5 has done it
        rows = check_method(method if not hasattr(method, "rank") else ml.LoRA(rank=2, alpha=4))
        worst, fine = max(row["error"] for row in rows), all(row["ok"] for row in rows)
        print(f"{name:<12} {len(rows):>3} arrays, worst error {worst:.0e}, all ok: {fine}")

# %% [markdown]
# ## BitFit: only biases
#
# $y = xW + b$, and only $b$ trains: $db = \sum_n dy_n$. The smallest thing one can add to a layer: every token gets the *same* push,
# whatever it is.
#
# ## (IA)3: only factors
#
# $y = (xW) \odot l$. **Predict** the rank of the update that $k$ numbers make here: $W\,\mathrm{diag}(l) - W$.

# %%
W = base.weights["model.layers.0.self_attn.v_proj.weight"]  # (96, 48)
stretch = 1 + 0.1 * np.random.default_rng(0).normal(size=(1, W.shape[1]))
update = W * stretch - W
rank = np.linalg.matrix_rank(update)
print(f"{stretch.size} numbers, an update of rank {rank} of {min(W.shape)}; a LoRA of rank 1 has {sum(W.shape)} numbers")

# %% [markdown]
# Full rank from 48 numbers. **Few numbers is not low rank.** What is small is not the rank but the *choice*: each output can be made
# louder or softer, and no output can learn to look at another direction of $x$.
#
# ## Bottleneck adapters: a network after the sub-layer
#
# $o = h + \varphi(hD + a)\,U + b$, with $D$ (d, m) and $U$ (m, d): down, bend, up. Without the bend $\varphi$ it would be a LoRA after
# the layer. **Predict:** because of the bend, what can it *not* do that LoRA can?

# %%
houlsby = ml.Houlsby()
arrays = houlsby.init(base.config, base.weights, np.random.default_rng(0))
try:
    houlsby.merge(base.config, base.weights, arrays)
except ValueError as error:
    print(error)
row = np.array([base.encode("one day a brave fox")])
plain, _ = model.forward(base.config, base.weights, row)
fresh, _ = model.forward(base.config, base.weights, row, houlsby.sites(base.config, arrays))
print(
    f"at the start it is nearly the base: the logits differ by {np.abs(fresh - plain).max():.1e}, and are as large as {np.abs(plain).max():.0f}"
)

# %% [markdown]
# It cannot be merged: no matrix does what a bend does. It stays in the way of every token for ever, one small step after the other, and
# small steps one after the other are what makes a single request slow.
#
# ## Prefix and prompt: change what is seen
#
# A **prompt** is $p$ learned vectors before the text. A **prefix** puts $p$ learned keys and values into *every* attention. Neither
# touches a matrix. What can they do? With a prefix a query's attention is shared between the prefix and the text:
#
# $$ o' = (1 - \lambda)\,\mathrm{softmax}(qK^\top)V + \lambda\,\mathrm{softmax}(qP_K^\top)P_V , $$
#
# where $\lambda$ is the share that goes to the prefix. So within one layer **the proportions among the words of the text stay as they
# were**. Check it with numbers.

# %%
rng = np.random.default_rng(1)
T, c, p = 6, 8, 3
q, k, v = rng.normal(size=(3, 1, 1, T, c))  # (1, 1, T, c) each: one head
PK, PV = rng.normal(size=(2, 1, 1, p, c))  # (1, 1, p, c) each
without, (*_, attention_plain) = layers.attention_forward(q, k, v)
within, (*_, attention_prefix) = layers.attention_forward(q, np.concatenate([PK, k], axis=2), np.concatenate([PV, v], axis=2))
share = attention_prefix[..., :p].sum(axis=-1, keepdims=True)  # (1, 1, T, 1): lambda
again = attention_prefix[..., p:] / (1 - share)  # (1, 1, T, T): among the words alone
print(f"proportions among the words: largest difference {np.abs(again - attention_plain).max():.0e}")

# %%
shown = {"without": attention_plain[0, 0], "with a prefix of 3": attention_prefix[0, 0], "its words, rescaled": again[0, 0]}
show(
    matrices(shown, "one head, 6 tokens, random queries, keys and values; each row sums to one", digits=2),
    "Attention without a prefix, with three more columns for a prefix, and the words' part rescaled: the same as without.",
)

# %% [markdown]
# A prefix can *add* something to what a layer says, in a direction of its own; it cannot make a layer look elsewhere. (In deeper layers
# it can, indirectly, since what the layer below added has changed the queries.) LoRA on `q_proj` and `k_proj` can at once.
#
# Two more facts about prefixes. **No prefix is exactly nothing**: even zeros take their share of the attention. And they cost
# **positions**: here a context of 256 has `p` fewer.

# %%
zeros = ml.Prefix(length=8, init_scheme="zero")
start = zeros.init(base.config, base.weights, np.random.default_rng(0))
changed, _ = model.forward(base.config, base.weights, row, zeros.sites(base.config, start))
print(f"a prefix of zeros changes the logits by up to {np.abs(changed - plain).max():.1f}, of at most {np.abs(plain).max():.0f}")
losses = [base.held_out_loss("stories", adapter, rows=16)[1] for adapter in (None, ml.Adapter(zeros, start, base.config, base.name))]
print(f"stories, above the best: the base {losses[0]:.4f}, with a prefix of zeros {losses[1]:.4f}")

# %% [markdown]
# ## What each can do after training
#
# Does it begin as the base? Does it merge? Does it leave the context alone? Can PEFT read it? Instead of a table from memory, ask the
# code.


# %%
def traits(method):
    arrays = method.init(base.config, base.weights, np.random.default_rng(0))
    logits, _ = model.forward(base.config, base.weights, row, method.sites(base.config, arrays))
    try:
        method.merge(base.config, base.weights, arrays)
        merges = True
    except ValueError:
        merges = False
    return [np.allclose(logits, plain, atol=0.1), merges, method.positions == 0, method.peft_type is not None]


asked = ("begins as\nthe base", "merges", "takes no\ncontext", "has a place\nin PEFT's files")
figure, axes = sheet(caption="asked of the code: logits within 0.1 at the start, merge(), positions, peft_type", width=7, height=4)
verdicts(axes, [traits(method) for method in methods.values()], list(methods), asked)
show(figure, "A grid of methods against four properties, with ticks and dashes.")

# %% [markdown]
# ## How they fare
#
# Now the table that everybody wants. The lab ran every method on one task, `piglatin`, at a learning rate that was **searched for each by
# itself**, with several seeds (`minilora compare --preset full`; it takes a while, and its rows come with the package).
#
# **Predict** two things before you look. Which method is best at the task? And of those with few parameters, which gives most for its
# numbers?

# %%
runs, (rows, task, sweep) = stored("compare", "full"), comparison.stored()
print(f"{task}; {len(set(column(runs, 'seed')))} seeds each")
print(f"{'':<16} {'trains':>8} {'share':>7} {'rate':>7} {'above best':>16} {'forgotten':>10}  merges")
for each in rows:
    size = f"{each['trainable']:>8,} {each['share']:>7.2%} {each['learning_rate']:>7g}"
    told = f"{each['excess']:>8.3f} ± {each['excess_spread']:.3f} {each['forgotten']:>10.2f}"
    print(f"{each['contestant']:<16} {size} {told:>16}  {'yes' if each['merges'] else 'no'}")

# %% tags=["thumbnail"]
words, pictures = comparison.alts(rows), comparison.stored_pictures()
Still(pictures[comparison.QUALITY], words[comparison.QUALITY])

# %% [markdown]
# Read it from the left: how little can one train? And along the line of LoRA's ranks: what does a point above or below that line say
# about its method?
#
# What was learned is one side. The other is what was **forgotten**: how far the loss on plain stories rose while the adapter was on. Two
# methods are shown at their other learning rates as well: follow their lines, and ask how much of the difference between methods is a
# difference of *rates*.

# %%
Still(pictures[comparison.FORGETTING], words[comparison.FORGETTING])

# %% [markdown]
# ### One row again
#
# Never believe a table of which you cannot make a row yourself. Here is one of its runs, from the same seed and rate.

# %%
kept = next(run for run in runs if run["contestant"] == "ia3" and run["seed"] == 0)
again = compare.train("ia3", kept["learning_rate"], 0, **task)
print(f"(IA)3, seed 0: {again['excess']:.4f} above the best now, {kept['excess']:.4f} in the table")

# %% [markdown]
# ## The common table, sentence by sentence
#
# Nearly every page on this subject has a table that says: full fine-tuning is excellent, LoRA trains 0.1 to 1 % and is very good,
# adapters train 2 to 4 % and are good, prefix tuning trains 0.01 % and is limited. The shares come from *different models and papers*.
# Here is what our one model says to each sentence.

# %%
for verdict in common_table.verdicts(runs, rows, sweep):
    print("*", verdict)

# %% [markdown]
# "Contradicts" does not say that the table is wrong everywhere; it says that the sentence does not hold *here*, at this size, on this
# task. A sentence about methods that does not name its model, its task and how the learning rates were found cannot be checked at all.
#
# For comparison, somebody else's table, of one large model:

# %%
published = common_table.PUBLISHED
print(published["source"], "\n", published["caveat"], "\n")
print(f"{'':<32} {'trains':>19} {'accuracy':>9} {'forgotten':>10} {'seconds':>8}")
for name, trains, share, accuracy, forgotten, seconds, *_ in published["rows"]:
    print(f"{name:<32} {trains / 1e6:>8.2f} M {share:>8.3%} {accuracy:>8.3f} {forgotten:>10.3f} {seconds:>8,}")

# %% [markdown]
# ## Questions
#
# 1. Which of the four places does each of these need: making one output louder; looking at another word; adding the same vector to every
#    token?
# 2. (IA)3's update has full rank and 48 numbers. Why does it not beat a LoRA with far more numbers but rank 8?
# 3. Why can a prefix of one layer not change the proportions among the words, and how can a prefix in *all* layers do so after all?
# 4. A bottleneck adapter has as many numbers as a LoRA. Name one thing that it can compute and LoRA cannot, and one that LoRA can do
#    after training and it cannot.
# 5. A paper compares five methods at one learning rate. Whom does that favour?
# 6. In the figure of forgetting, is the method that forgets least the best? What would a method that learns nothing look like?
# 7. "Prefix tuning trains 0.01 % of the parameters." Of which model?
#
# Answers: [docs/answers/10.md](../docs/answers/10.md).
#
# ## What was not shown
#
# Other tasks, on which the order may be another: a task that needs attention to move would be hard on prefixes. Combinations, such as
# LoRA with trained norms. Methods that are gated or reparametrised (`gated-prefix`, `prefix-network`) and prompts that start from words.
# Memory and time, which `minilora compare` measures on your machine.
