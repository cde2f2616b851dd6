# %% [markdown]
# # 0. What is LoRA, in five minutes?
#
# **You will be able to** say what LoRA trains and what it leaves alone, teach a small language model to talk like a
# pirate, and find your way through this course.
#
# **Run time:** about 15 s on two cores. **You need:** nothing. In Jupyter, `Shift` + `Enter` runs a cell and goes on to
# the next.

# %%
import minilora as ml
from minilora.pictures.lessons import curves, sheet
from minilora.pictures.notebook import show

# %% [markdown]
# ## A model that tells stories
#
# This small transformer comes with the course. It was trained on simple stories, letter by letter.

# %%
base = ml.load("stories-base")
print(f"{sum(array.size for array in base.weights.values()):,} numbers")
print(base.generate("once upon a time", seed=1))

# %% [markdown]
# Now it shall tell them like a pirate. One way is to train all its numbers some more. LoRA's way: leave every number as
# it is, and put beside each matrix `W` two thin ones, `A` and `B`. Only these are trained.
#
# ```
# y = x W                        before
# y = x W + s (x A) B            after: W is (d, k), A is (d, r), B is (r, k), and the rank r is small
# ```
#
# **Predict.** For rank r = 4: how many numbers will be trained, per hundred of the model's?

# %%
method = ml.LoRA(rank=4, alpha=8, targets="all-linear")
total = sum(array.size for array in base.weights.values())
print(f"{method.count(base.config):,} of {total:,} numbers: {method.count(base.config) / total:.1%}")

# %% [markdown]
# In a model of 7 billion numbers it would be 0.15 %: the wider the matrices, the more is saved (notebook 2).
#
# Train them. Some seconds, most of them for Numba to compile what is used for the first time:

# %%
adapter = ml.finetune(base, method, corpus="pirate", steps=150, batch=8, evaluate_every=15, progress=False)

# %%
steps = [0] + [row["step"] for row in adapter.log]
above_best = [base.held_out_loss("pirate")[1]] + [row["excess"] for row in adapter.log]
print(f"from {above_best[0]:.2f} to {above_best[-1]:.3f} nats a character above the best possible")
figure, axes = sheet(caption="LoRA rank 4 on all linear layers, 150 steps of 8 rows, seed 0; stories that it never saw")
curves(axes, {"": (steps, above_best)}, "step", "nats a character above the best", marker="o", yscale="log")
show(figure, f"The loss above the best falls from {above_best[0]:.1f} to {above_best[-1]:.3f}, most of it in thirty steps.")

# %% [markdown]
# "The best possible" is known here, as the stories come from a grammar whose own surprise can be computed. So this
# curve has a floor, and you see how far it is.
#
# **Predict.** Ask the base with and without the adapter. Has the base forgotten how to tell a plain story?

# %%
print("with the adapter:   ", base.generate("once upon a time", adapter=adapter, seed=1))
print("without the adapter:", base.generate("once upon a time", seed=1))

# %% [markdown]
# Word for word the story from above. The base was not touched: an adapter is a few arrays that lie beside it, and
# taking it off is not naming it. You can keep a hundred of them for one base.

# %%
largest = max(adapter.arrays, key=lambda name: adapter.arrays[name].size)
print(f"{len(adapter.arrays)} arrays, as {largest}: {adapter.arrays[largest].shape}")
print("may the base be written to?", any(array.flags.writeable for array in base.weights.values()))

# %% [markdown]
# `adapter.save("pirate")` writes the format of PEFT, so that the usual tools can read it, and
# `ml.load_adapter("pirate")` brings it back.
#
# That was LoRA. What remains are the questions: why is so little enough? When is it not? Who computes the gradients?
# What do the dials do?
#
# ## The map
#
# Each notebook asks one question. Before most cells you are asked to **predict** what comes: do it, if possible in
# writing. Being wrong is how this works.
#
# | | question |
# |---|---|
# | [1](01_low_rank.ipynb) | Can 26 numbers stand for 40? The trick itself, with a film |
# | [2](02_counting.ipynb) | What does LoRA save, in numbers, in bytes and in work? |
# | [3](03_svd_pca_lora.ipynb) | What is the best that a pair of rank r can do? SVD, PCA, a picture |
# | [4](04_backward_by_hand.ipynb) | How does a gradient find its way back through a layer? |
# | [5](05_transformer.ipynb) | What happens inside a transformer, on the way up and on the way down? |
# | [6](06_train.ipynb) | When has a language model learned all there is to learn? |
# | [7](07_finetune.ipynb) | What does LoRA change, what does it leave alone, and how are its dials set? |
# | [8](08_is_it_low_rank.ipynb) | Is the update of fine-tuning really low-rank? |
# | [9](09_modular.ipynb) | Can one model have many voices at once? |
# | [10](10_rivals.ipynb) | The other ways to fine-tune, measured beside LoRA |
# | [11](11_family.ipynb) | LoRA's relatives, one idea each |
# | [12](12_kindred.ipynb) | What else can be said with few numbers? Winograd, depthwise, Kronecker |
# | [13](13_when.ipynb) | When is LoRA the right tool, and when is it not? |
# | [14](14_real_models.ipynb) | Does an adapter from here work in a real model, and one from there here? |
#
# To do it yourself: the [exercises](../exercises/README.md), which check themselves.
#
# In a hurry? 0, 1, 7, 13. To understand how it is computed: 1, 4, 5, then the exercises. To decide whether to use it:
# 2, 10, 11, 13.
#
# ## How to run things
#
# | | |
# |---|---|
# | `make lab` | opens these notebooks in JupyterLab |
# | `make demo` | the whole story in a terminal, in about a minute |
# | `minilora --help` | every command; most have a notebook that explains them |
# | `MINILORA_OPS=reference` | runs everything on the readable NumPy files, without Numba, more slowly |
#
# *A cell hangs before it starts, in VS Code above all?* Some versions of the Jupyter kernel do: `pip install
# "ipykernel<7"`. *No module named minilora?* The notebook runs in another Python than the one it was installed in:
# choose the kernel of `.venv`, or start with `make lab`. *Dials do not move?* They need a running kernel and
# `ipywidgets`; the pictures beside them say the same. *The first training is slow?* Numba compiles once, and keeps the
# result. Where it may not write to the disk, it compiles every time.
#
# The names of things are always the same; [NOTATION.md](../NOTATION.md) has them on one page.

# %% [markdown]
# ## Questions
#
# 1. Which arrays change when a LoRA is trained, and which do not?
# 2. What would `base.generate` answer with an adapter that was never trained?
# 3. A hundred voices are wanted from one base. What has to be stored, with LoRA and with full fine-tuning?
#
# Answers: [docs/answers/00.md](../docs/answers/00.md).
#
# ## What was not shown
#
# Everything, really. Above all: whether full fine-tuning would have been better (notebook 7), and a task at which this
# adapter would fail (notebook 13).
