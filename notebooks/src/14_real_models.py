# %% [markdown]
# # 14. Does an adapter from here work in a real model, and one from there work here?
#
# **You will be able to** read a Hugging Face folder byte by byte, say which weights are transposed and why, write an adapter that PEFT loads,
# load one that PEFT wrote, and tell which mistakes a reader can find and which no reader can.
#
# **Run time:** about 15 s on two cores. **You need:** notebook 7, an adapter and its dials.

# %%
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
from threadpoolctl import threadpool_limits

import minilora as ml

# %%
from minilora import counting
from minilora.files import huggingface, peft
from minilora.files.atomic import save_arrays
from minilora.files.safetensors import load_arrays
from minilora.pictures.lessons import bars, curves, matrices, sheet
from minilora.pictures.notebook import show
from minilora.pictures.style import LIGHT
from minilora.transformer.known import KNOWN
from minilora.transformer.model import loss, loss_backward

# %% [markdown]
# ## What a model on the hub is
#
# A folder. Take away what is for people (a page of text, a licence) and for the tokenizer, and two files are left: `config.json`, the
# dimensions, and `model.safetensors`, the numbers.
#
# In this project's tests there is such a folder, small enough to look at: a Llama of two layers with random weights, made and saved by
# `transformers`. Beside it lie an adapter that PEFT saved, and what PyTorch computed from the two. So in this notebook we meet the files
# and the numbers of the real programs, without having to install them.

# %%
threadpool_limits(1, "blas")  # small matrices: two threads would mostly wait for each other
golden = Path("../tests/golden")
settings = json.loads((golden / "base/config.json").read_text())
wanted = ("model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim")
for name in (*wanted, "rms_norm_eps", "rope_parameters", "tie_word_embeddings", "vocab_size"):
    print(f"{name:<22}{settings[name]}")

# %% [markdown]
# These are the fields of `minilora.Config`, under the same names. Those that are no sizes matter just as much: the epsilon of the norms,
# the base of the rotation, whether the head is the embedding. We shall see below what happens when one of them is wrong.
#
# ## The numbers, byte by byte
#
# The safetensors format is simple enough to read by hand: eight bytes that say how long the header is, a header in JSON, and then nothing
# but numbers.

# %%
data = (golden / "base/model.safetensors").read_bytes()
length = int.from_bytes(data[:8], "little")
header = json.loads(data[8 : 8 + length])
print(f"{len(data):,} bytes; the first eight are {data[:8].hex(' ')}: a header of {length:,}")
for name in ("model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.down_proj.weight"):
    print(name, header[name])

# %% [markdown]
# **Predict:** `q_proj` turns 20 numbers into 4 heads of 6. In this course its weight is `W (d, k)` = (20, 24). Which shape stands in the
# file?

# %%
entry = header["model.layers.0.self_attn.q_proj.weight"]
begin, end = (8 + length + place for place in entry["data_offsets"])
by_hand = np.frombuffer(data[begin:end], np.float32).reshape(entry["shape"])  # (out, in)
config, weights = huggingface.load_base(golden / "base")
W = weights["model.layers.0.self_attn.q_proj.weight"]  # (in, out)
print(f"in the file {by_hand.shape}, in memory {W.shape}; the same numbers, turned round: {np.array_equal(by_hand.T, W)}")
print("W is a view of the mapped file, no copy:", not W.flags.owndata, "and cannot be written to:", not W.flags.writeable)

# %% [markdown]
# ## Two orientations
#
# A file holds a linear layer as **(out, in)**, because PyTorch computes $y = x W^\top$. We compute $y = xW$ with rows as tokens, so that
# shapes chain from left to right, and hold it as **(in, out)**. Neither is better. What matters is that it is turned round in *one* room:
# in this project only `minilora/files/` transposes, and no number is copied for it, since a transposed view of an array runs as fast in a
# matrix product.
#
# The embedding is not turned: it is a table with a row for each token, (V, d), on both sides. And a LoRA pair is turned as its matrix is:

# %%
A, B = np.array([[1, -1], [2, 0], [0, 1], [-1, 2], [3, 1]]), np.array([[1, 0, 2, -1], [0, 1, -2, 3]])  # (5, 2), (2, 4)
pair = {"A": A, "B": B, "file: lora_A": A.T, "file: lora_B": B.T}
show(
    matrices(pair, "d = 5 in, k = 4 out, r = 2: two matrices here, and the same two in PEFT's file", digits=0),
    "Four small matrices: A is 5 by 2 and B 2 by 4 in memory; in the file lora_A is 2 by 5 and lora_B 4 by 2, their transposes.",
)

# %% [markdown]
# So the product $AB$ of this course is written $BA$ in the paper and in PEFT: $(AB)^\top = B^\top A^\top$. Same matrices, same roles: **A
# reads x, B writes y**, whatever the order in which they are written down.
#
# ## The same numbers?
#
# The proof of a reader is not that it raises no error. It is that the model then says the same. PyTorch's logits for 44 tokens are in
# `expected.safetensors`, computed in float64 from the very same float32 weights.

# %%
expected, made_by = load_arrays(golden / "expected.safetensors")
tokens, targets = expected["tokens"][0], expected["targets"][0]  # (4, 11) each
print("made by", {name: made_by[name] for name in ("torch", "transformers", "peft")})
for dtype in (np.float32, np.float64):
    logits, _ = ml.transformer.forward(config, {name: array.astype(dtype) for name, array in weights.items()}, tokens)  # (44, 29)
    apart = np.abs(logits - expected["base/logits"]).max() / np.abs(logits).max()
    print(f"{np.dtype(dtype).name}: no logit is further from PyTorch's than {apart:.0e} of the largest")

# %% [markdown]
# That is rounding and nothing else: seven digits in float32, fifteen in float64. And the adapter that PEFT wrote?

# %%
method, arrays = peft.load_adapter(golden / "adapter", config)
print(f"rank {method.rank}, alpha {method.alpha}, {method.count(config):,} numbers train")
stored, _ = load_arrays(golden / "adapter/adapter_model.safetensors")
shown = [name for name in stored if "layers.0.self_attn.q_proj" in name or "layers" not in name]
for name in shown:
    print(f"{name.removeprefix(peft.PREFIX):<46}{stored[name].shape}")

# %% [markdown]
# Every name in the file begins with `base_model.model.`, which is cut off here: PEFT wraps the model twice. Two things in that list are
# worth a second look. For the embedding the names are other ones (`lora_embedding_A`), and PEFT has put the *whole* embedding and the
# whole head beside the pair (`base_layer.weight`), as it does when they are targets. They are the base's own and are not read.
#
# Now the strictest test that we have: not only logits, but the loss and the gradient of every array, base and adapter, against PyTorch's
# autograd.


# %%
def compare(dtype):
    """Name -> the largest difference from PyTorch, as a share of the largest value, for the gradients of the adapter's arrays."""
    W, pairs = ({name: array.astype(dtype) for name, array in part.items()} for part in (weights, arrays))
    value, cache = loss(config, W, tokens, targets, method.sites(config, pairs))
    found, shares = loss_backward(cache), {"the loss": abs(value / expected["adapter/loss"][0] - 1)}
    for name, key in peft.file_names(method, config).items():
        wanted = expected[f"adapter/gradient/{key}"].T  # PyTorch's orientation -> ours
        shares[name] = np.abs(found[name] - wanted).max() / np.abs(wanted).max()
    return shares


# %%
single, double = compare(np.float32), compare(np.float64)
places = np.arange(1, len(single) + 1)
figure, axes = sheet(caption=f"the loss and {len(single) - 1} gradients of a LoRA of rank 3; 44 tokens; sorted by their error", height=3.2)
series = {"float32": (places, sorted(single.values())), "float64": (places, np.maximum(sorted(double.values()), 1e-17))}
curves(axes, series, "array", "difference from PyTorch, relative", marker="o", yscale="log", ylim=(1e-17, 1e-4), xlim=(0, len(single) + 1))
print(f"the worst of them: {max(single.values()):.0e} in float32, {max(double.values()):.0e} in float64")
show(figure, "Relative differences from PyTorch's gradients: all float32 points lie below 1e-5, all float64 points near 1e-15.")

# %% [markdown]
# A hand-written backward pass and an autograd engine that knows nothing of it agree in every array, up to the rounding of the type they
# compute in. The line that does it for PEFT's `lora_A` is `dA = x.T @ dz`, from notebook 4.
#
# ## Mistakes that no shape finds
#
# If a transposition is forgotten where sizes differ, the program crashes, which is the friendliest of all outcomes. But in real models many
# matrices are square: `q_proj` and `o_proj` of Llama-2-7B are 4096 x 4096. Our base has square ones too. Here are six ways to read its
# folder wrongly that give no error of any kind.
#
# **Predict** which is the worst, and which will hardly be seen.

# %%
base = ml.load("stories-base")
layers = range(base.config.num_hidden_layers)


def changed(change, **settings):
    """The base read wrongly: with other settings, and each layer's matrices changed by `change`, short name -> matrix."""
    W = dict(base.weights)
    for i in layers:
        short = {name: f"model.layers.{i}.{place}_proj.weight" for name, place in PLACES.items()}
        W |= {short[name]: M for name, M in change({name: W[short[name]] for name in PLACES}).items()}
    return ml.Base("misread", replace(base.config, **settings), W)


PLACES = {**{name: f"self_attn.{name}" for name in "qkvo"}, "gate": "mlp.gate", "up": "mlp.up"}

# %% [markdown]
# One of them needs a word. The rotary embedding turns *pairs* of features. Meta's own files pair neighbours, (0, 1), (2, 3), ...; Hugging
# Face pairs feature $i$ with feature $i + c/2$, and has reordered the columns of `q_proj` and `k_proj` to suit. Take weights of the one
# kind for the other, and all shapes are right.

# %%
c = base.config.head_dim
neighbours = np.arange(c).reshape(2, c // 2).T.ravel()  # 0, c/2, 1, c/2 + 1, ...: Meta's order of what Hugging Face keeps


def as_meta(M):
    """The columns of each head (d, heads c), in Meta's order."""
    return M.reshape(len(M), -1, c)[:, :, neighbours].reshape(M.shape)


# %%
misread = {
    "as it should be": base,
    "norms with eps 1e-6, not 1e-5": changed(lambda W: {}, rms_norm_eps=1e-6),
    "gate and up exchanged": changed(lambda W: {"gate": W["up"], "up": W["gate"]}),
    "rotation with theta 500,000, not 10,000": changed(lambda W: {}, rope_theta=5e5),
    "q and o not transposed": changed(lambda W: {"q": W["q"].T, "o": W["o"].T}),
    "heads of k and v exchanged": changed(lambda W: {"k": np.roll(W["k"], c, 1), "v": np.roll(W["v"], c, 1)}),
    "rotary pairs: Meta's order": changed(lambda W: {"q": as_meta(W["q"]), "k": as_meta(W["k"])}),
}
losses = {name: model.held_out_loss("stories", rows=8)[0] for name, model in misread.items()}

# %%
figure, axes = sheet(caption="8 held-out rows of 256 characters; each bar but the first is the same file, read wrongly", height=3.2)
axes.axvline(np.log(256), color=LIGHT.quiet, linestyle=":")
bars(axes, losses, "nats a character; dotted: ln 256, all bytes alike")
for number in axes.texts:
    number.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})  # the dotted line passes behind
show(figure, "Bars of loss: 0.15 as it should be, the same with a wrong epsilon, and 2 to 6 for every other way of misreading.")

# %% [markdown]
# No error, no warning, no wrong shape. The epsilon is the one that nobody notices: the mean squares that it is added to are far larger
# than either value. All others ruin the model, in different ways. Some are *below* the dotted line, better than a model that knows nothing, and write
# something like the language; they would pass for a model that is not very good.

# %%
for name in list(misread)[1:5]:
    print(f"{name}: {misread[name].generate('once upon a time ', length=70, seed=1, temperature=0.5)}\n")

# %% [markdown]
# This is why "it runs" is no test, and why the comparison with PyTorch above asks for digits. It also shows what to compare when you write
# a reader of your own: logits on a fixed text, with weights that are not square and gains that are not 1.
#
# ## From here to there
#
# Now the other way. We train an adapter, shortly, and save it.

# %%
adapter = ml.finetune(base, ml.LoRA(rank=4, alpha=8), corpus="pirate", steps=60, batch=8, length=128, progress=False)
folder = Path(tempfile.mkdtemp())
adapter.save(folder / "pirate")
print(f"{adapter.log[-1]['excess']:.2f} nats a character above the best, after {adapter.log[-1]['step']} steps")
for file in sorted((folder / "pirate").iterdir()):
    print(f"{file.name:<28}{file.stat().st_size:>9,} bytes")
said = json.loads((folder / "pirate/adapter_config.json").read_text())
print({name: said[name] for name in ("peft_type", "r", "lora_alpha", "target_modules", "base_model_name_or_path")})

# %% [markdown]
# That folder is what PEFT reads. On a machine that has it, with the base saved beside it by `base.save("stories")`:
#
# ```python
# from peft import PeftModel
# from transformers import AutoModelForCausalLM
#
# model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("stories"), "pirate")
# ```
#
# We do not have it here, but we can do what it does, from the files alone and in PyTorch's orientation: $y = xW^\top + \frac{\alpha}{r}
# (x A^\top) B^\top$, with $A$ and $B$ as they lie in the file. And then load the folder again: it should hold the same bits.

# %%
tensors, _ = load_arrays(folder / "pirate/adapter_model.safetensors")
module = "model.layers.2.mlp.down_proj"
lora_A, lora_B = (tensors[f"{peft.PREFIX}{module}.lora_{part}.weight"] for part in "AB")  # (r, in), (out, r)
x = np.random.default_rng(0).normal(size=(7, lora_A.shape[1])).astype(np.float32)  # (7, in)
theirs = x @ base.weights[f"{module}.weight"] + said["lora_alpha"] / said["r"] * (x @ lora_A.T) @ lora_B.T  # (7, out)

sites = adapter.method.sites(base.config, adapter.arrays)
ours, _ = sites.linear_forward(module, x, base.weights[f"{module}.weight"])  # (7, out)
print(f"lora_A {lora_A.shape}, lora_B {lora_B.shape}; {np.abs(ours - theirs).max():.0e} apart, and of size {np.abs(ours).max():.0f}")
again = ml.load_adapter(folder / "pirate", base)
print("the same bits:", all(np.array_equal(again.arrays[name], array) for name, array in adapter.arrays.items()))
print(base.generate("once upon a time ", adapter=again, length=90, seed=3, temperature=0.5))

# %% [markdown]
# ## When an adapter does nothing
#
# The most common complaint about adapters in the wild is not a crash. It is: *I loaded it, and the model is as before.* A LoRA whose
# tensors are not found starts as LoRA starts, with B at zero, and is the identity. PEFT reports missing tensors in a warning, and tensors
# that it has no use for not at all.
#
# Here an adapter fits as a whole or is refused as a whole. We spoil the file in eight ways and look at what is said.


# %%
def spoil(tensors=lambda T: T, **settings):
    """What is said when the saved adapter is loaded after its tensors and its settings were changed."""
    place = folder / "spoiled"
    place.mkdir(exist_ok=True)
    save_arrays(place / "adapter_model.safetensors", tensors(dict(TENSORS)), {"format": "pt"})
    (place / "adapter_config.json").write_text(json.dumps({**said, **settings}))
    try:
        ml.load_adapter(place, base)
    except ValueError as error:
        return str(error).replace(f"{place}/", "")
    return "loaded, without a word"


TENSORS = tensors
first = f"{peft.PREFIX}model.layers.0.self_attn.q_proj.lora_A.weight"

# %%
spoiled = {
    "another prefix": spoil(lambda T: {name.removeprefix("base_model."): array for name, array in T.items()}),
    "a tensor lost": spoil(lambda T: {name: array for name, array in T.items() if name != first}),
    "one too many": spoil(lambda T: T | {first.replace("layers.0", "layers.4"): T[first]}),
    "transposed": spoil(lambda T: T | {first: np.ascontiguousarray(T[first].T)}),
    "another rank": spoil(r=8),
    "not a number": spoil(lambda T: T | {first: np.full_like(T[first], np.nan)}),
    "a wrong target": spoil(target_modules=["q_proj", "kproj"]),
    "another alpha": spoil(lora_alpha=4),
}
for name, message in spoiled.items():
    print(f"{name}: {message}\n")

# %% [markdown]
# Seven of the eight are found, each in one line that names the tensor, what was expected and a likely cause. **Predict:** why can the last
# one not be found, by any reader?
#
# ## What no reader can find
#
# The scale is in no tensor. It is $s = \alpha / r$, computed from two numbers in a JSON file, and if one of them is wrong, or the formula
# is, everything fits and everything is finite. There are other programs that read adapters, and they have read them with $s = \alpha$,
# with $\alpha/\sqrt r$ in place of $\alpha/r$ or the other way round, and with no scale at all.


# %%
def excess(scale):
    """How far above the source's entropy the adapter is when its scale is read as this; at 0 it is not there."""
    misread = replace(adapter, method=replace(adapter.method, alpha=scale * adapter.method.rank)) if scale else None
    return base.held_out_loss("pirate", misread, rows=8)[1]


scales = np.array([0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 6, 8])
curve = [excess(scale) for scale in scales]

# %% tags=["thumbnail"]
named = {0: "not found: the base", 1: "no scale", 2: "alpha / r", 4: "alpha / sqrt(r)", 8: "alpha"}
figure, axes = sheet(caption="LoRA of rank 4 and alpha 8 on pirate, 60 steps, seed 0; 8 held-out rows of 256 characters", height=3.6)
axes.plot(scales, curve, color=LIGHT.column, marker="o", markersize=4)
for scale, name in named.items():
    height = curve[list(scales).index(scale)]
    axes.annotate(f"{name}: {height:.2f}", (scale, height), (8, -4), textcoords="offset points", fontsize=9, color=LIGHT.ink)
axes.set(xlabel="the scale s that is applied", ylabel="nats a character above best", xlim=(-0.2, 9.4), yscale="log", ylim=(0.05, 20))
print(f"trained with s = 2; lowest of these: {min(curve):.3f} at s = {scales[np.argmin(curve)]:g}, and {excess(2):.3f} at 2")
show(figure, "Loss against scale: a valley at 1.5 to 2, where alpha / r is, and steep walls. Five ways to read the scale are marked.")

# %% [markdown]
# The valley is where the adapter was trained. (Its lowest point need not be at $s$ itself: a run as short as this one stops while its steps
# are still large, and a little less of such an update can be better.) Up the left wall the adapter gets weaker, which is easily taken for
# one that was not trained long enough; up the right wall it destroys the model. So whoever hands an adapter on can do one thing for the reader: **bake the scale
# in**, multiply `B` by $s$ and write `alpha = r`, so that $\alpha/r$, $\alpha / \alpha$ and "no scale" all read 1. `minilora export
# --bake-scale` writes that.
#
# ## Sixteen bits, and merging
#
# Real checkpoints are mostly in bfloat16: the range of float32 with 8 bits for the digits in place of 24. What does rounding do to an
# update? That depends on *where* it is rounded. An adapter kept apart is rounded by itself. A merged weight is rounded as a whole, and the
# update is a small part of it. (The base is taken to be in the same type to begin with, so that what is lost is lost of the update.)


# %%
def lost(dtype, part):
    """The share of the update, made smaller by `part`, that rounding takes, by norm: pair kept apart, and merged into the weight."""
    apart = merged = update = 0.0
    for module, (A, B) in adapter.method.update_factors(base.config, adapter.arrays).items():
        B = np.float32(part) * B  # (r, k)
        delta, W = A @ B, base.weights[f"{module}.weight"].astype(dtype).astype(np.float32)  # (d, k) each; the scale is in B
        rounded = A.astype(dtype).astype(np.float32) @ B.astype(dtype).astype(np.float32)  # (d, k)
        apart += np.sum((rounded - delta) ** 2)
        merged += np.sum(((W + delta).astype(dtype).astype(np.float32) - (W + delta)) ** 2)
        update += np.sum(delta**2)
    return np.sqrt(apart / update), np.sqrt(merged / update)


# %%
parts, updates = 10.0 ** -np.arange(0, 3.1, 0.5), adapter.method.update_factors(base.config, adapter.arrays)
ratio = np.mean([np.linalg.norm(A @ B) / np.linalg.norm(base.weights[f"{module}.weight"]) for module, (A, B) in updates.items()])
kinds = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
shares = {name: np.array([lost(dtype, part) for part in parts]) for name, dtype in kinds.items()}  # (parts, 2)
series = {f"{name}, merged": (ratio * parts, both[:, 1]) for name, both in shares.items()}
series |= {f"{name}, apart": (ratio * parts, both[:, 0]) for name, both in shares.items()}
figure, axes = sheet(caption="LoRA of rank 4 on pirate, 28 matrices together, times 1, 0.32, 0.1, ...; by Frobenius norm", height=3.6)
labels = {"xlabel": "size of the update, as a share of its weight", "ylabel": "share of it rounded away"}
curves(axes, series, **labels, marker="o", xscale="log", yscale="log", xlim=(0.6, 2e-4))
apart, merged = shares["bfloat16"][0]
print(f"this adapter has {ratio:.0%} of the norm of its weights; in bfloat16 {apart:.2%} of it is lost apart, {merged:.2%} merged")
show(figure, "Kept apart, the same small share is rounded away at every size; merged it grows as the update shrinks, up to all of it.")

# %% [markdown]
# The pair keeps its own digits, whatever the size of `W`: floating point does not care. Merged, the update competes with the weight for
# the same few digits, and the smaller it is, the more of it goes. This adapter was trained with a high learning rate and is large, so that
# little is lost. An update of one percent of its weight, merged in bfloat16, loses more than a tenth of itself; at a tenth of a percent
# most of it is gone.

# %% [markdown]
# So keep adapters apart for as long as you can, and merge in float32. If a reader knows no adapters at all, a merged folder is the way:

# %%
merged = adapter.merge(base)
merged.save(folder / "merged")
whole = ml.load(folder / "merged")
for name, (model, beside) in {"base and adapter": (base, adapter), "merged, saved, loaded": (whole, None)}.items():
    print(f"{name:<22}{model.held_out_loss('pirate', beside, rows=8)[0]:.6f} nats a character")
sizes = [(folder / file).stat().st_size for file in ("merged/model.safetensors", "pirate/adapter_model.safetensors")]
print(f"{sizes[0]:,} bytes for a merged model, {sizes[1]:,} for the adapter")

# %% [markdown]
# ## At real sizes
#
# Nothing in these files depends on the size. `minilora.load` takes any folder of the Llama family (Llama, Mistral, Qwen2 and 3, SmolLM2),
# and counts are exact, so that the size of an adapter file can be told before it is trained: four bytes a number, and a header.

# %%
print(f"{'':<18}{'parameters':>16}{'bf16':>10}{'LoRA r = 16':>14}{'float32':>10}   of the base's file")
for name in ("SmolLM2-135M", "Qwen2.5-0.5B", "Llama-3.2-1B", "Llama-2-7B", "Llama-3-8B"):
    known = KNOWN[name]
    whole, small = counting.total(known.shapes()), ml.LoRA(rank=16).count(known)
    row = f"{name:<18}{whole:>16,}{2 * whole / 1e9:>7.2f} GB{small:>14,}{4 * small / 1e6:>7.1f} MB"
    print(f"{row}   {4 * small / (2 * whole):.1%}")

# %% [markdown]
# To try it with a model that you have on disk (SmolLM2-135M is a good first one; `pip install 'minilora[hf]'` brings its tokenizer):
#
# ```
# minilora inspect path/to/SmolLM2-135M
# minilora finetune --base path/to/SmolLM2-135M --text notes.txt --rank 8 --out notes
# minilora inspect notes
# minilora generate --base path/to/SmolLM2-135M --adapter notes "Once upon a time"
# ```
#
# `inspect` says what is in a folder, names, shapes and sizes, and checks an adapter against its base.

# %% [markdown]
# ## Questions
#
# 1. A file holds `lora_A.weight` of shape (8, 4096) and `lora_B.weight` of shape (11008, 8). Which shapes have `A` and `B` in this course,
#    and what is the shape of the matrix that is adapted?
# 2. Why can a transposition that was forgotten stay unnoticed in Llama-2-7B's attention, and not in its MLP?
# 3. You load an adapter and the model speaks as before. Name two causes, and how you would tell them apart.
# 4. An adapter of rank 64 and alpha 16 was trained with `use_rslora`. In another program it is eight times too weak. Which scale was it
#    trained with, and which formula does that program use?
# 5. Why is less lost when a pair is stored in bfloat16 than when the merged weight is?
# 6. The gradients agree with PyTorch's to 1e-7 in float32 and 1e-15 in float64. What would a difference of 1e-7 in *float64* tell you?
# 7. Two adapters have the same rank, targets and base size, and somebody has exchanged their tensor files. Will a reader notice?
#
# Answers: [docs/answers/14.md](../docs/answers/14.md).
#
# ## What was not shown
#
# A model of a real size at work: none is shipped, and this notebook needs no network. Tokenizers, which turn text into a real model's
# tokens (a byte is a token here), and chat templates. Checkpoints in several shards and in 16 bits, which are read as well; checkpoints
# that are quantised in the file, and pickled ones, which are refused. Adapters whose training changed the base (PiSSA, OLoRA as PEFT
# saves them), which need a conversion first. Other readers, such as vLLM and llama.cpp: `minilora export` says of an adapter who can read
# it.
