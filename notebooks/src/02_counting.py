# %% [markdown]
# # 2. What does LoRA save, in numbers, in bytes and in work?
#
# **You will be able to** count the parameters of a LoRA in three ways that agree, read the line that PEFT prints, say
# what fits into 8 GB and why, and tell when a LoRA step costs *more* work than a full one.
#
# **Run time:** about 15 s on two cores. **You need:** notebook 1.

# %%
import time
from tempfile import TemporaryDirectory

import numpy as np
from threadpoolctl import threadpool_limits

import minilora as ml
from minilora import cli, counting, lowrank
from minilora.files.safetensors import load_arrays
from minilora.pictures.lessons import bars, curves, sheet
from minilora.pictures.notebook import dials, show
from minilora.transformer.known import KNOWN

# %% [markdown]
# ## One matrix
#
# A matrix of a 7B model has 4096 rows and 4096 columns. A pair of rank 16 for it: `A` is 4096 x 16, `B` is 16 x 4096.
#
# **Predict.** How many numbers have the matrix and the pair? Which share is that? (2^12 is 4096, and 2^4 is 16.)

# %%
d = k = 4096
r = 16
print(f"W: d k       = {counting.full_params(d, k):>12,}")
print(f"A, B: r(d+k) = {counting.lora_params(d, k, r):>12,}   {counting.lora_params(d, k, r) / counting.full_params(d, k):.2%} of it")

# %% [markdown]
# 2^24 against 2^17: a factor of 2^7 = 128, so 0.78 %. Drawn to scale:

# %%
figure, axes = sheet(caption=f"to scale: W {d} x {k}, A {d} x {r}, B {r} x {k}", width=4.2, height=4.2)
axes.fill_between([0, k], 0, d, color="#d4d4d4")
axes.fill_between([-300 - r, -300], 0, d, color="#D55E00", linewidth=0)
axes.fill_between([0, k], d + 300, d + 300 + r, color="#0072B2", linewidth=0)
for x, y, name in ((k / 2, d / 2, "W"), (-600, d / 2, "A"), (k / 2, d + 550, "B")):
    axes.text(x, y, name, ha="center", va="center", fontsize=14)
axes.set(aspect="equal", xlim=(-800, k), ylim=(0, d + 800))
axes.axis("off")
show(figure, "A grey square W; beside it a line as high as the square, A, and above it one as wide, B: both hair-thin.")

# %% [markdown]
# ## Three ways to one number
#
# Now a whole model: the base that comes with this course. It is small, but it has the parts that a Llama has. LoRA is
# put on all of its linear layers.
#
# Counting is easy to get wrong, and nobody notices: training works with the wrong number as well. So we count three
# times, each time starting from something else. **First**, the formula `r (d + k)`, added up over the layers:

# %%
base = ml.load("stories-base")
method = ml.LoRA(rank=8, alpha=16, targets="all-linear")
shapes = {name: shape for name, shape in base.config.shapes().items() if "_proj" in name}
by_formula = sum(counting.lora_params(d, k, method.rank) for d, k in shapes.values())
print(f"{len(shapes)} linear layers, from {min(shapes.values())} to {max(shapes.values())}")
print(f"by formula: {by_formula:,}")

# %% [markdown]
# **Second**, make the arrays and look how many numbers are in them. **Third**, train for one step, save the adapter as
# a file, and read the file.

# %%
arrays = method.init(base.config, base.weights, np.random.default_rng(0))
by_array = sum(array.size for array in arrays.values())

adapter = ml.finetune(base, method, "pirate", steps=1, batch=2, progress=False)
with TemporaryDirectory() as folder:
    adapter.save(folder)
    stored, _ = load_arrays(f"{folder}/adapter_model.safetensors")
    by_file = sum(array.size for array in stored.values())
print(f"by formula {by_formula:,}, by array {by_array:,}, by file {by_file:,}")

# %% [markdown]
# A relief. And how much of the base is that?

# %%
size = sum(array.size for array in base.weights.values())
print(f"the base has {size:,} numbers, the adapter {by_array:,}: {by_array / size:.1%}")
print(
    f"break-even: rank {counting.break_even_rank(96, 48):.0f} of the narrowest layer, {counting.break_even_rank(96, 256):.0f} of the widest"
)

# %% [markdown]
# Not "less than 1 %". The share of one square matrix is `2 r / d`, and here `d` is 96 where a large model has
# thousands. Small models are good for learning how LoRA works and bad for showing how little it is. Keep this in mind
# for every number in this course.
#
# ## Real models
#
# The sizes of real models are public, so they can be counted without their weights. **Predict**: for the same rank,
# which model has the smaller *share* of trainable numbers, one of 1B or one of 7B?

# %%
names = ("SmolLM2-135M", "TinyLlama-1.1B", "Llama-2-7B", "Llama-3-8B", "GPT-3")
narrow = ml.LoRA(rank=8, targets=("q_proj", "v_proj"))
wide = ml.LoRA(rank=16, targets="all-linear")
print(f"{'':<16}{'numbers':>16}{'q, v at rank 8':>18}{'all-linear at 16':>20}")
for name in names:
    config = KNOWN[name]
    total, q_v, everything = counting.total(config.shapes()), narrow.count(config), wide.count(config)
    print(f"{name:<16}{total:>16,}{q_v:>12,}{q_v / total:>6.2%}{everything:>14,}{everything / total:>6.2%}")

# %%
figure, axes = sheet(2, "LoRA's numbers per number of the base; the stories base is the one of this course", width=8, height=2.8)
configs = {"stories base": base.config} | {name: KNOWN[name] for name in names}
for one, method, title in zip(axes, (narrow, wide), ("q and v, rank 8", "all linear layers, rank 16"), strict=True):
    share = {name: 100 * method.count(config) / counting.total(config.shapes()) for name, config in configs.items()}
    bars(one, share, "% of the base", title, write="{:.3g} %")
    one.set(xscale="log", xlim=(0.005, 300))
axes[1].set(yticklabels=[])
show(figure, "Bars on a logarithmic axis: the share that LoRA trains falls from tens of percent in the small base to hundredths in GPT-3.")

# %% [markdown]
# The wider the model, the smaller the share: the pair grows with the width, the matrix with its square. "LoRA trains
# 0.1 % to 1 % of the parameters" is about right for models of one to ten billion numbers, and wrong at both ends of
# this picture.
#
# When PEFT wraps Llama-2-7B in a LoRA of rank 8 on q and v, it prints a line. Ours should be the same to the last
# digit:

# %%
config = KNOWN["Llama-2-7B"]
trainable, total = narrow.count(config), counting.total(config.shapes())
everything = total + trainable
share = 100 * trainable / everything
print(f"trainable params: {trainable:,} || all params: {everything:,} || trainable%: {share:.4f}")

# %% [markdown]
# The same line, to the last digit. Note "all params": it holds the adapter, too.
#
# The command line does the same for any model and method: `minilora count --model llama-2-7b --rank 8 --targets
# q_proj,v_proj`.
#
# ## Bytes
#
# **Predict.** Training Llama-2-7B in full with Adam, in float32. How many bytes does each number take? (Adam keeps two
# running means of each gradient.)
#
# Itself 4, its gradient 4, its two means 8: sixteen. What does not train needs only itself, and may be kept in fewer
# bits.

# %%
GB = 1e9
full = counting.ledger(config, total, total, None, batch=1, length=2048)
lora = counting.ledger(config, trainable, trainable, "bf16", batch=1, length=2048)
qlora = counting.ledger(config, trainable, trainable, "nf4-double", batch=1, length=2048)
print(f"{'GB':<28}{'full':>9}{'LoRA':>9}{'QLoRA':>9}")
for part in full:
    print(f"{part:<28}{full[part] / GB:>9.2f}{lora[part] / GB:>9.2f}{qlora[part] / GB:>9.2f}")
print(f"{'total':<28}", *(f"{sum(each.values()) / GB:>8.2f}" for each in (full, lora, qlora)))

# %% [markdown]
# Three different savings stand in this table:
#
# - **LoRA** takes away the gradients and Adam's moments: what does not train has none. That is most of it.
# - The **base stays**, every number of it. LoRA does not make a model smaller. It *allows* the base to be kept in 16 bits, or in four (QLoRA),
#   because nothing is ever added to it.
# - **Activations stay**, too. The backward pass has to go through the frozen layers, and needs what was computed there.
#
# ## What fits into 8 GB?
#
# **Predict** for each of these models: full fine-tuning, LoRA on a bf16 base, on a four-bit base? A star will say that
# it fits.

# %%
status = cli.main("memory --budget 8GB --rank 8 --targets q_proj,v_proj --length 512".split())

# %% [markdown]
# It is arithmetic and not a measurement; the last lines say what it leaves out. Which model fits, by which way:


# %%
def memory(length):
    need = {}
    for name in ("Llama-3.2-1B", "Llama-3.2-3B", "Llama-2-7B", "Llama-3-8B"):
        config = KNOWN[name]
        total, own = counting.total(config.shapes()), narrow.count(config)
        ways = {"full": (total, total, None), "LoRA bf16": (own, own, "bf16"), "LoRA nf4": (own, own, "nf4-double")}
        for way, what in ways.items():
            need[f"{name}, {way}"] = sum(counting.ledger(config, *what, length=length).values()) / GB
    return need


# %%
def picture(budget=8, length=512):
    need = memory(length)
    figure, axes = sheet(caption=f"LoRA rank 8 on q and v, one row of {length} tokens a step; the grey is {budget} GB")
    bars(axes, need, "GB", write="{:.1f}", inks=("#666666", "#0072B2", "#D55E00"))
    axes.axvspan(0.5, budget, color="#ececec", zorder=0)
    axes.set(xscale="log", xlim=(0.5, 400))
    fits = [name for name, size in need.items() if size <= budget]
    return show(figure, f"Memory of four models trained in three ways. Into {budget} GB fit: {', '.join(fits) or 'none'}.")


dials(picture, budget=(4, 8, 16, 24, 80), length=(128, 512, 2048, 8192))

# %% [markdown]
# Move `length`, and watch the three bars of the smallest model come nearer to each other: with long texts the activations
# and the logits are what fills the memory, and they do not care what trains. (They do care about the bytes of a number: here
# full fine-tuning keeps four, the other two ways two.) With a large model the bar of full fine-tuning stays far above: its
# weights, gradients and moments outweigh even 8,192 tokens.

# %% [markdown]
# ## Work
#
# Memory is LoRA's great saving. Is it faster, too? Count multiplications and additions (FLOPs). A linear layer takes
# part in three products: forward `y = x W`, backward `dx = dy W.T` and `dW = x.T dy`. Each costs `2 d k` for a token.
#
# **Predict.** Which of the three does LoRA leave out, and what does it add?

# %%
d = k = 4096
for r in (1, 16, 256, 1024):
    full, lora = counting.full_flops(d, k), counting.lora_flops(d, k, r)
    print(f"r = {r:>4}: full 6 d k = {full:,}   LoRA 4 d k + 6 r (d + k) = {lora:>11,}   ratio {lora / full:.3f}")

# %% [markdown]
# There is no `dW`, as `W` does not move: one product of three is saved. The pair adds six thin ones. Together
#
# $$\frac{\text{LoRA}}{\text{full}} = \frac{2}{3} + \frac{r}{r^*}, \qquad r^* = \frac{d\,k}{d + k},$$
#
# with the same break-even rank r* as in notebook 1. In a layer LoRA cannot save more than a third of the work, however
# small its rank; and from a third of r* on it costs more than full fine-tuning. (A whole model saves a little more: below
# its lowest pair nobody needs `dx`.)

# %% tags=["thumbnail"]
figure, axes = sheet(caption="arithmetic, per token, of one linear layer; the dots: r = r* / 3")
for width, ink in ((96, "#D55E00"), (512, "#0072B2"), (4096, "#1b1b1b")):
    ranks = np.arange(1, width // 2 + 1)  # (width / 2,)
    axes.semilogx(ranks, [counting.flops_ratio(width, width, int(r)) for r in ranks], color=ink)
    axes.plot(counting.break_even_flops_rank(width, width), 1, "o", color=ink)
    axes.annotate(f"{width} x {width}", (ranks[-1], 5 / 3), (-6, -4), textcoords="offset points", ha="right", color=ink)
axes.set(xlabel="rank r", ylabel="FLOPs: LoRA / full", ylim=(0.6, 1.75))
axes.axhline(1, color="#666666", linewidth=1, linestyle=":")
axes.axhline(2 / 3, color="#666666", linewidth=1, linestyle=":")
show(figure, "Three curves start at two thirds and rise with the rank; they cross 1 at r = 16 for width 96, 85 for 512 and 683 for 4096.")

# %% [markdown]
# ## Does the clock agree?
#
# FLOPs are not seconds. Let us time the three products of full fine-tuning against LoRA's forward and backward pass,
# for one matrix and in one thread.


# %%
def seconds(step, repeats=9):
    times = []
    for _ in range(repeats):
        began = time.process_time()
        with threadpool_limits(1):
            step()
        times.append(time.process_time() - began)
    return min(times)  # what disturbs a measurement only ever adds to it


# %%
d = k = 1024
N = 512  # tokens
rng = np.random.default_rng(0)
W = rng.normal(size=(d, k)).astype(np.float32)  # (d, k)
x, dy = rng.normal(size=(2, N, d)).astype(np.float32)  # (N, d), (N, k)


def full_step():
    return x @ W, dy @ W.T, x.T @ dy


def lora_step(A, B):
    y, cache = lowrank.lowrank_forward(x, W, A, B, 2.0)
    return y, lowrank.lowrank_backward(dy, cache)


# %%
ranks = np.array([1, 4, 16, 64, 128, 256, 512])  # (7,)
full_time, ratios = seconds(full_step), []
for r in ranks:
    A = rng.normal(size=(d, r)).astype(np.float32)  # (d, r)
    B = rng.normal(size=(r, k)).astype(np.float32)  # (r, k)
    ratios.append(seconds(lambda A=A, B=B: lora_step(A, B)) / full_time)
counted = [counting.flops_ratio(d, k, int(r)) for r in ranks]
print("rank     ", *(f"{r:>5}" for r in ranks))
print("counted  ", *(f"{ratio:>5.2f}" for ratio in counted))
print("measured ", *(f"{ratio:>5.2f}" for ratio in ratios))

# %%
figure, axes = sheet(caption=f"one {d} x {k} matrix, {N} tokens, float32, NumPy, one thread; best of 9 runs")
lines = {"counted": (ranks, counted), "measured": (ranks, ratios)}
curves(axes, lines, "rank r", "LoRA / full", marker="o", xscale="log", ylim=(0, None))
axes.axhline(1, color="#666666", linewidth=1, linestyle=":")
show(figure, "Counted and measured ratio of LoRA's step to a full step over the rank; both rise with the rank and pass 1.")

# %% [markdown]
# Your numbers will differ from these: they depend on the processor and on what else it does. Two things should hold
# everywhere. At small ranks there is a saving, of less than the third that is counted, and at large ranks it is a loss.
# What lies between the lines is the price of thin products and of temporary arrays: a processor is at its best with
# square, large ones. `minilora bench` times whole training steps.
#
# A model is more than its linear layers. Count a whole step, with attention and the head. **Predict**: will the small
# base or Llama-2-7B come closer to two thirds?


# %%
def step_ratio(config, method, batch=8, length=128):
    ranks = method.ranks(config)
    full = counting.step_flops(config, batch, length)
    lora = counting.step_flops(config, batch, length, ranks)
    return sum(lora.values()) / sum(full.values())


for name, config in (("stories base", base.config), ("Llama-2-7B", KNOWN["Llama-2-7B"])):
    for rank in (1, 8, 32):
        ratio = step_ratio(config, ml.LoRA(rank=rank, targets="all-linear"))
        print(f"{name:<14} all-linear, rank {rank:>2}: {ratio:.3f} of a full step")

# %% [markdown]
# The large one. Its pairs are small beside its matrices, and what has no weights (attention's own products, which LoRA
# does not make cheaper) is a small part of the whole. In the small base rank 32 is beyond break-even: its LoRA step is
# *more* work than a full one.
#
# ## Questions
#
# 1. LoRA of rank 4 on one 1024 x 4096 matrix: how many numbers? What is its break-even rank?
# 2. Rank 8 on q and v, or rank 4 on q, k, v and o of a model in which all four are square: which trains more numbers?
# 3. Why does LoRA not reduce the memory of activations? For which layers could it?
# 4. A friend says: "LoRA trains 0.1 % of the numbers, so it is a thousand times faster." What is the most that it can be, by FLOPs?
# 5. In QLoRA the base takes about 4.1 bits a number. Why may the base be rounded so coarsely, and the adapter not?
# 6. At which rank does a LoRA step on a 96 x 96 matrix cost as much as a full one?
# 7. Two adapters of one base are on a server. How much memory do two fine-tuned copies of Llama-2-7B in bf16 take, and how much one base with two
#    adapters of rank 8 on q and v?
#
# Answers: [docs/answers/02.md](../docs/answers/02.md).
#
# ## What was not shown
#
# What quantising costs in quality (notebook 11). The time of a whole training step against PyTorch and PEFT
# (`benchmarks/`). GPUs, where memory is moved at another price than here and where thin products are slower still by
# comparison. And whether fewer numbers are *enough*: counting says what is saved, and nothing about what is lost.
