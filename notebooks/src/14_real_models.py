# %% [markdown]
# # 14. How do you get from here to a real model, and back?
#
# **You will be able to** read a checkpoint of Hugging Face with forty lines of your own, take an adapter to PEFT and bring one from
# there, and prove that the numbers are the same on both sides.
#
# **Run time:** about 20 s on two cores, no network. **You need:** notebook 7.

# %%
import json
import struct
import tempfile
from pathlib import Path

import ml_dtypes
import numpy as np

import minilora as ml
from minilora.files.atomic import save_arrays
from minilora.files.huggingface import load_base, save_base, turned
from minilora.files.peft import PREFIX, load_adapter
from minilora.files.safetensors import load_arrays
from minilora.pictures.lessons import bars, matrices, sheet
from minilora.pictures.notebook import show
from minilora.transformer import Sites, model
from minilora.transformer.known import KNOWN

# %% [markdown]
# ## A folder
#
# A model on Hugging Face is a folder: `config.json` says the dimensions, `model.safetensors` holds the numbers. We write one, tiny and
# random, in a temporary place.

# %%
place = Path(tempfile.mkdtemp())
config = ml.Config(vocab_size=29, hidden_size=24, intermediate_size=34, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
weights = model.init(config, np.random.default_rng(14), std=0.2)
save_base(place / "tiny", config, weights)
for file in sorted((place / "tiny").iterdir()):
    print(f"{file.name:<20} {file.stat().st_size:>7,} bytes")

# %% [markdown]
# ### Reading it without a library
#
# The format is as plain as formats get: eight bytes say how long the header is, the header is JSON (name, type, shape, where), and then
# come the numbers, one array after the other. There is no code in it that could run, which is why it took the place of pickle.

# %%
data = (place / "tiny" / "model.safetensors").read_bytes()
(length,) = struct.unpack("<Q", data[:8])
header = json.loads(data[8 : 8 + length])
for name, entry in list(header.items())[:4]:
    print(name, entry)


# %%
def read(name):
    """One array, by hand."""
    begin, end = header[name]["data_offsets"]
    return np.frombuffer(data[8 + length + begin : 8 + length + end], np.float32).reshape(header[name]["shape"])


k_proj = "model.layers.0.self_attn.k_proj.weight"
print(
    "in the file",
    read(k_proj).shape,
    "- in memory",
    weights[k_proj].shape,
    "- transposed equal:",
    np.array_equal(read(k_proj).T, weights[k_proj]),
)

# %% [markdown]
# ### The one trap: orientation
#
# PyTorch keeps a linear layer's weight as (out, in) and computes `x @ weight.T`. Here tokens are rows and `y = x @ W` with `W` (in, out).
# So everything is turned **once, at the border**, in `minilora/files/`, and nowhere else. The embedding is a table of rows on both sides
# and is *not* turned.

# %%
small = np.round(np.random.default_rng(0).normal(size=(3, 5)), 1)
show(
    matrices({"W in memory": small, "weight in the file": small.T}, "in = 3, out = 5; the same numbers"),
    "A 3 by 5 matrix and its transpose, 5 by 3, with the same coloured numbers.",
)

# %% [markdown]
# A square matrix does not complain when it is turned the wrong way. **Predict:** what does a model with its square matrices turned say?
# We do the experiment on the shipped base, where `q_proj` and `o_proj` are 96 x 96.

# %%
base = ml.load("stories-base")
wrong = {name: np.ascontiguousarray(W.T) if W.shape == (96, 96) else W for name, W in base.weights.items()}
print("right:", base.generate("once upon a time", seed=4, length=70))
print("wrong:", repr(ml.Base("turned", base.config, dict(wrong)).generate("once upon a time", seed=4, length=70)))

# %% [markdown]
# No error, no warning, nonsense. This is why the comparison of *numbers* below matters more than the fact that a file loads.
#
# ## The same numbers as PyTorch
#
# In `tests/golden/` lie a base that the library *transformers* wrote, an adapter that *PEFT* wrote, and what PyTorch computed with them:
# logits, the loss, and the gradient of every array. We load the two folders with our own readers and compare, without PyTorch being here.

# %%
golden = Path("../tests/golden")
config, weights = load_base(golden / "base")
method, arrays = load_adapter(golden / "adapter", config)
expected, about = load_arrays(golden / "expected.safetensors")
print(f"written by transformers {about['transformers']}, peft {about['peft']}, torch {about['torch']}")
print(method)


# %%
def wide(part):
    return {name: array.astype(np.float64) for name, array in part.items()}


def apart(found, wanted):
    """The largest difference, relative to the largest entry."""
    return np.abs(found - wanted).max() / np.abs(wanted).max()


tokens, targets = expected["tokens"][0], expected["targets"][0]  # (rows, T) each
for dtype, part in (("float64", wide), ("float32", dict)):
    logits, _ = model.forward(config, part(weights), tokens)
    adapted, _ = model.forward(config, part(weights), tokens, method.sites(config, part(arrays)))
    print(f"{dtype}: base {apart(logits, expected['base/logits']):.0e}, with the adapter {apart(adapted, expected['adapter/logits']):.0e}")

# %% [markdown]
# In float64 the two programs agree to rounding; in float32 to its rounding. Gradients next: our backward pass by hand against autograd,
# for every array of the base and for every array of the adapter.

# %%
sites = Sites(wide(weights))
_, cache = model.loss(config, wide(weights), tokens, targets, sites)
mine = model.loss_backward(cache)
errors = {name: apart(grad, turned(name, expected[f"base/gradient/{name}"])) for name, grad in mine.items()}
print(f"base: {len(errors)} gradients, largest difference {max(errors.values()):.0e}")

# %%
_, cache = model.loss(config, wide(weights), tokens, targets, method.sites(config, wide(arrays)))
mine = model.loss_backward(cache)
stored_as = {name: PREFIX + key for name, key in method.peft_names(config).items()}
theirs = {name: expected[f"adapter/gradient/{key}"].T for name, key in stored_as.items()}
adapter_errors = {name: apart(mine[name], theirs[name]) for name in theirs}
print(f"adapter: {len(adapter_errors)} gradients, largest difference {max(adapter_errors.values()):.0e}")

# %%
figure, axes = sheet(caption="each point one array: float64, the largest difference relative to the largest entry", height=2.8)
for row, values in enumerate([errors, adapter_errors]):
    axes.plot(list(values.values()), [row] * len(values), "|", markersize=16, color=("#0072B2", "#D55E00")[row])
axes.axvline(1e-12, color="#666666", linestyle=":", linewidth=1)
axes.annotate("bound of the tests", (1e-12, 1.35), fontsize=9, color="#666666", ha="right", xytext=(-4, 0), textcoords="offset points")
axes.set(
    xscale="log",
    xlim=(1e-17, 1e-11),
    ylim=(-0.5, 1.6),
    yticks=(0, 1),
    yticklabels=("base", "adapter"),
    xlabel="difference from PyTorch's gradient",
)
show(figure, "All gradients of the base and of the adapter differ from PyTorch's by less than 1e-12.")

# %% [markdown]
# ## PEFT's folder
#
# An adapter is a folder too. Train a small one and look inside.

# %%
adapter = ml.finetune(
    base, ml.LoRA(rank=4, alpha=8, targets="q_proj,v_proj"), "pirate", steps=20, batch=4, length=128, held_out=8, progress=False
)
adapter.save(place / "pirate")
settings = json.loads((place / "pirate" / "adapter_config.json").read_text())
print({name: settings[name] for name in ("peft_type", "r", "lora_alpha", "target_modules", "use_rslora", "base_model_name_or_path")})

# %%
tensors, _ = load_arrays(place / "pirate" / "adapter_model.safetensors")
for name in list(tensors)[:4]:
    print(f"{name:<66} {tensors[name].shape}")
A, B = (adapter.arrays[f"model.layers.0.self_attn.q_proj.lora_{part}"] for part in "AB")
print("A in memory", A.shape, " B", B.shape)

# %% [markdown]
# Their `lora_A.weight` is our `A` turned, (r, in); their `lora_B.weight` our `B` turned, (out, r). The *roles* are the same: A reads, B
# writes and starts at zero. The scale is not in the file: a reader computes `lora_alpha / r`, or `lora_alpha / sqrt(r)` where
# `use_rslora` is true. So a flag in a small JSON file can change what the same numbers mean.
#
# **Predict** by which factor.

# %%
path = place / "pirate" / "adapter_config.json"
path.write_text(json.dumps({**settings, "use_rslora": True}))
other = ml.load_adapter(place / "pirate", base)
path.write_text(json.dumps(settings))
name = "model.layers.0.self_attn.q_proj"
print(f"scale {adapter.method.scales(base.config)[name]:g} becomes {other.method.scales(base.config)[name]:g}")

# %% [markdown]
# The way out and the way back, to the bit:

# %%
back = ml.load_adapter(place / "pirate", base)
print("every array equal:", all(np.array_equal(back.arrays[name], adapter.arrays[name]) for name in adapter.arrays))
print(base.generate("one day", back, seed=1, length=60) == base.generate("one day", adapter, seed=1, length=60))

# %% [markdown]
# ## What goes wrong, and whether anybody says so
#
# An adapter whose names do not match loads as *nothing*: `B` stays at zero, the model is the base, and the only symptom is that the
# fine-tuning "did not work". In other readers that is silent. Four accidents that happen, and what they say here.


# %%
def spoiled(change_names=None, change_settings=None):
    """Load the adapter after a change of its tensors' names or of its settings, and say what happens."""
    folder = Path(tempfile.mkdtemp(dir=place))
    changed = {change_names(name) if change_names else name: np.array(array) for name, array in tensors.items()}
    save_arrays(folder / "adapter_model.safetensors", {name: array for name, array in changed.items() if name}, {"format": "pt"})
    (folder / "adapter_config.json").write_text(json.dumps({**settings, **(change_settings or {})}))
    try:
        ml.load_adapter(folder, base)
        return "loaded without a word"
    except ValueError as error:
        return str(error).replace(str(folder), "FOLDER")


# %%
accidents = {
    "prefix of another wrapper": spoiled(lambda name: name.replace("base_model.model.", "model.")),
    "one tensor lost": spoiled(lambda name: name if "layers.3.self_attn.v_proj.lora_B" not in name else None),
    "a target misspelt": spoiled(change_settings={"target_modules": ["q_prj", "v_proj"]}),
    "another rank in the settings": spoiled(change_settings={"r": 8}),
}
for name, said in accidents.items():
    print(f"* {name}:\n    {said}")

# %% [markdown]
# ## Merged, for readers that know no adapters
#
# `W + s A B` is an ordinary model. It is as large as the base, costs what the base costs, and cannot be taken apart again.

# %%
merged = adapter.merge(base)
merged.save(place / "merged")
again = ml.load(place / "merged")
row = np.array([base.encode("once upon a time ruby")])
with_adapter, _ = model.forward(base.config, base.weights, row, adapter.method.sites(base.config, adapter.arrays))
with_merged, _ = model.forward(again.config, again.weights, row)
print(f"largest difference of the logits, relative to the largest: {apart(with_merged, with_adapter):.0e}")

# %% [markdown]
# Not zero: the sums are taken in another order. In 16 bits the rounding is far larger, and may swallow a small update. How much of the
# update survives in each type?

# %%
name = "model.layers.0.self_attn.q_proj.weight"
update = merged.weights[name].astype(np.float64) - base.weights[name]
lost = {}
for dtype in (np.float32, np.float16, ml_dtypes.bfloat16):
    kept = merged.weights[name].astype(dtype).astype(np.float64) - base.weights[name].astype(dtype).astype(np.float64)
    lost[np.dtype(dtype).name] = np.linalg.norm(kept - update) / np.linalg.norm(update)
figure, axes = sheet(caption="q_proj of layer 0 after 20 steps: |what is left of the update - the update| / |update|", height=2.1)
bars(axes, lost, "share of the update that the rounding changed", write="{:.1%}")
show(figure, "Rounding hardly touches the update in float32, some of it in float16, and a large part in bfloat16.")

# %% [markdown]
# That is a reason to keep adapters apart, or to merge in float32 and to round last. `minilora export` says what is lost when it writes.
#
# ## To a real model
#
# Everything above is what happens with 135 million numbers, or with eight thousand million. What changes is time and memory; both can be
# computed before a download.

# %%
print(f"{'model':<16} {'numbers':>14} {'16-bit weights':>15} {'LoRA r=8 all-linear':>20} {'its file':>9}")
for name in ("SmolLM2-135M", "Qwen2.5-0.5B", "Llama-3.2-1B", "Llama-3-8B"):
    shape, lora = KNOWN[name], ml.LoRA(rank=8, alpha=16)
    numbers, trains = sum(int(np.prod(s)) for s in shape.shapes().values()), lora.count(shape)
    print(f"{name:<16} {numbers:>14,} {2 * numbers / 1e9:>12.2f} GB {trains:>20,} {4 * trains / 1e6:>6.0f} MB")

# %% [markdown]
# With a folder on your disk (from `huggingface-cli download`, or a colleague's stick):
#
# ```
# minilora inspect SmolLM2-135M                                        # is it whole, and what is in it?
# minilora finetune --base SmolLM2-135M --text notes/ --rank 8 --out notes
# minilora generate --base SmolLM2-135M --adapter notes "Dear diary"
# minilora export notes --out notes-16 --dtype bfloat16                # for PEFT, vLLM and others
# ```
#
# And in Python with PEFT: `PeftModel.from_pretrained(model, "notes")`. A CPU is slow with such models; what you learned about shapes,
# scales, gradients and rates is the same on any machine.
#
# ## Questions
#
# 1. A file holds `lora_A.weight` of shape (8, 4096) and `lora_B.weight` of shape (1024, 8). What are d, k and r? Could it be a `k_proj`?
# 2. Why is a wrong orientation of `gate_proj` found at once and one of `q_proj` not?
# 3. `lora_alpha` is 16, `r` is 64 and `use_rslora` is true. What is s? What would a reader take that ignores the flag?
# 4. An adapter was loaded, and the model's output is exactly the base's. Name three causes.
# 5. Why can two right programs differ by 1e-6 in float32? What difference in float64 would make you suspicious?
# 6. You merge into bfloat16 weights and the evaluation falls a little. What happened, and what do you do?
#
# Answers: [docs/answers/14.md](../docs/answers/14.md).
#
# ## What was not shown
#
# Tokenizers: the shipped base reads bytes, real models read pieces of words (`minilora[hf]` brings the reader). Sharded checkpoints,
# models in 4 bits (`minilora/quantization.py`), other architectures than Llama's. Servers that hold many adapters at once. And the live
# comparison with PyTorch, transformers and PEFT for each of the methods: `make parity`.
