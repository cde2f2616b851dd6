# %% [markdown]
# # 5. What happens inside a transformer, on the way up and on the way down?
#
# **You will be able to** walk a sentence through every layer with its shapes, read the backward pass as the forward pass in a mirror, see
# what a head attends to, and follow a gradient from the loss down to a letter.
#
# **Run time:** about 15 s on two cores. **You need:** notebook 4, or the habit of writing `dA` for the gradient of `A`.

# %%
from types import SimpleNamespace

import numpy as np

import minilora as ml
from minilora import gradcheck, layers, ops
from minilora.methods import Full
from minilora.methods.check import check_method
from minilora.pictures.lessons import attention, curves, matrix, sheet
from minilora.pictures.notebook import show
from minilora.training import corpora, stories
from minilora.transformer import Sites, model

# %% [markdown]
# ## The whole of it
#
# The model that comes with this course was trained on small stories (notebook 6). It reads bytes and says, after each of them, how likely
# each byte is to come next. Its shape is that of Llama, in small.

# %%
base = ml.load("stories-base")
config, weights = base.config, base.weights
print(base.generate("once upon a time"))
size = sum(W.size for W in weights.values())
print(f"\n{size:,} numbers in {len(weights)} arrays; {config.num_hidden_layers} layers, d = {config.hidden_size}")

# %%
layer = "model.layers.0."
for name, W in weights.items():
    if name.startswith(layer) or ".layers." not in name:
        print(f"{name:<50} {' x '.join(map(str, W.shape)):>10}  {W.size:>7,}")

# %% [markdown]
# One layer has seven matrices and two gains; the other three layers look the same. Every row of text goes up through the layers as a row
# of $d = 96$ numbers, the **residual stream**: each sub-layer reads it, computes something, and *adds* the result to it.
#
# ```
# tokens -> embedding -> x
#                        x = x + attention(norm(x))      \  four times
#                        x = x + mlp(norm(x))            /
#                        logits = norm(x) @ lm_head  ->  softmax  ->  the next byte
# ```
#
# ## Up, by hand
#
# Let us take a text and do it. `N` is the number of tokens, here one row of them.

# %%
text = "once upon a time r"
tokens = np.array(base.encode(text))  # (N,)   the begin mark, then bytes
x, _ = layers.embedding_forward(tokens, weights["model.embed_tokens.weight"])  # (N, d)
print(tokens)
print(f"{len(tokens)} tokens -> x {x.shape}")

# %% [markdown]
# Attention compares positions. Each token asks with a **query**, offers a **key**, and hands over a **value**. Four heads ask; two sets
# of keys and values answer, each for two heads (*grouped queries*, which save memory when text is generated). Before they are compared,
# queries and keys are rotated by an angle that grows with the position; we come to that.

# %%
H, G, eps = config.num_attention_heads, config.num_key_value_heads, config.rms_norm_eps
cos, sin = model.rotations(config, 0, len(tokens), x.dtype)  # (N, c/2) each


def attend(x, W):
    """x (N, d) -> what the attention of one layer adds to it, (N, d). W: name -> matrix of that layer."""
    q = layers.split_heads(x @ W["self_attn.q_proj"], 1, H)  # (1, H, N, c)
    k = layers.split_heads(x @ W["self_attn.k_proj"], 1, G)  # (1, G, N, c)
    v = layers.split_heads(x @ W["self_attn.v_proj"], 1, G)  # (1, G, N, c)
    o, _ = layers.attention_forward(layers.rope_forward(q, cos, sin), layers.rope_forward(k, cos, sin), v)  # (1, H, N, c)
    return layers.join_heads(o) @ W["self_attn.o_proj"]  # (N, d)


# %% [markdown]
# The second sub-layer works on each token alone. It makes $f = 256$ numbers twice, lets one set gate the other, and comes back to $d$.


# %%
def think(x, W):
    """x (N, d) -> what the MLP of one layer adds to it, (N, d)."""
    h, _ = layers.swiglu_forward(x @ W["mlp.gate_proj"], x @ W["mlp.up_proj"])  # (N, f)
    return h @ W["mlp.down_proj"]  # (N, d)


# %%
def norm(x, gain):
    return layers.rmsnorm_forward(x, gain, eps)[0]  # (N, d)


for i in range(config.num_hidden_layers):
    W = {name.removeprefix(f"model.layers.{i}.").removesuffix(".weight"): W for name, W in weights.items() if f"layers.{i}." in name}
    x = x + attend(norm(x, W["input_layernorm"]), W)  # (N, d)
    x = x + think(norm(x, W["post_attention_layernorm"]), W)  # (N, d)
logits = norm(x, weights["model.norm.weight"]) @ weights["lm_head.weight"]  # (N, V)

# %% [markdown]
# That was a transformer. The library's forward pass does the same (and keeps what the backward pass will want). They should agree up to
# rounding, since some products are taken in another order.

# %%
theirs, cache = model.forward(config, weights, tokens[None])  # (N, V)
print(f"largest difference {np.abs(logits - theirs).max():.0e} where the largest logit is {np.abs(theirs).max():.0f}")
p = np.exp(logits[-1] - logits[-1].max())
p /= p.sum()
print(f"after {text!r} it expects:", {chr(t): f"{p[t]:.0%}" for t in np.argsort(-p)[:3]})
print("heroes:", [name for name in stories.SLOTS["hero"] if name[0] == "r"])

# %% [markdown]
# Three heroes begin with that letter. **Check:** what would a model say that knows the source exactly?
#
# ## The layers, one idea each
#
# Each layer in `minilora/layers.py` is a pair of functions, `<layer>_forward` and right below it `<layer>_backward`. None keeps anything:
# what the backward pass needs comes out of the forward pass as a `cache`. Before we look at single ones, all of them against central
# differences.

# %%
rng = np.random.default_rng(0)


def against(name, forward, backward, *arrays):
    """One line of the table: a layer of `arrays`, with a random gradient at its output."""
    out, cache = forward(*arrays)
    dy = rng.normal(size=np.shape(out)) if np.ndim(out) else np.float64(1)
    grads = backward(dy, cache)
    grads = grads if isinstance(grads, tuple) else (grads,)
    named = {f"{i}": a for i, a in enumerate(arrays[: len(grads)])}
    rows = gradcheck.check(lambda: np.sum(dy * forward(*arrays)[0]), named, {f"{i}": g for i, g in enumerate(grads)})
    shapes = ", ".join("x".join(map(str, row["shape"])) for row in rows)
    print(f"{name:<14} {shapes:<34} worst error {max(row['error'] for row in rows):.0e}")


# %%
def draw(*shape):
    return rng.normal(size=shape)


turn = layers.rope_tables(np.arange(5), np.array([1.0, 0.1, 0.01]), np.float64)  # (5, 3) each
labels = np.array([1, 0, 6, 3])
ids = np.array([2, 0, 2, 5])  # the token 2 twice
W = draw(6, 7)
against("linear", lambda x: (x @ W, W), layers.linear_backward, draw(4, 6))
against("embedding", lambda E: layers.embedding_forward(ids, E), layers.embedding_backward, draw(8, 6))
against("rmsnorm", lambda x: layers.rmsnorm_forward(x, np.arange(1.0, 7), 1e-5), layers.rmsnorm_backward, draw(4, 6))
against("rope", lambda x: (layers.rope_forward(x, *turn), turn), lambda dy, c: layers.rope_backward(dy, *c), draw(1, 2, 5, 6))
against("attention", layers.attention_forward, layers.attention_backward, draw(2, 4, 3, 6), draw(2, 2, 5, 6), draw(2, 2, 5, 6))
against("swiglu", layers.swiglu_forward, layers.swiglu_backward, draw(4, 6), draw(4, 6))
against("cross-entropy", lambda z: layers.cross_entropy_forward(z, labels), lambda _, c: layers.cross_entropy_backward(c), draw(4, 7))

# %% [markdown]
# Every error is below 1e-7, the bound of notebook 4, with orders to spare. Attention's row has queries for the last 3 of 5 positions and
# two heads to a group: the awkward case is the one worth checking.
#
# ### Embedding: rows are added
#
# The forward pass looks rows up; a letter that occurs twice uses its row twice. **Predict** the mistake in writing `dE[tokens] = dx`.

# %%
dx = np.ones((3, 2))
dE = layers.embedding_backward(dx, (np.array([1, 1, 0]), (3, 2)))
wrong = np.zeros((3, 2))
wrong[[1, 1, 0]] = dx
print("added:   ", dE.tolist(), "\nassigned:", wrong.tolist())

# %% [markdown]
# ### Rotation: only the distance counts
#
# The rotary embedding turns each pair of features of `q` and `k` by an angle proportional to the position. Turning both by the same angle
# does not change their product. So the product of a query at position $t$ with a key at position $u$ depends on $t - u$ alone.

# %%
q, k = draw(1, 1, 1, 24), draw(1, 1, 1, 24)  # one query, one key


def score(t, u):
    at_t, at_u = (layers.rope_tables(np.array([place]), model.frequencies(config), np.float64) for place in (t, u))
    return float(np.vdot(layers.rope_forward(q, *at_t), layers.rope_forward(k, *at_u)))


print(f"t, u = 7, 4: {score(7, 4):.12f}\nt, u = 107, 104: {score(107, 104):.12f}\nt, u = 7, 5: {score(7, 5):.12f}")

# %% [markdown]
# The backward pass of a rotation is the rotation back: its matrix is orthogonal, and the transpose of an orthogonal matrix is its
# inverse. No cache is needed.
#
# ### SwiGLU: a gate
#
# `silu(gate) * up`. Where the gate is far below zero, nothing passes, and no gradient comes back either; where it is far above, `up`
# passes as it is.

# %%
g = np.linspace(-6, 3, 91)
value, cache = layers.swiglu_forward(g, np.ones_like(g))
slope, _ = layers.swiglu_backward(np.ones_like(g), cache)
figure, axes = sheet(caption="silu(g) = g / (1 + exp(-g))", height=2.8)
curves(axes, {"silu(g)": (g, value), "its slope": (g, slope)}, "gate g", "")
show(figure, "silu is near zero for negative gates and near the identity for positive ones; its slope rises from 0 to 1.")

# %% [markdown]
# ### Attention: seen
#
# The model asks its `Sites` at each place where a method could plug in. We plug in a spy that changes nothing and keeps the
# probabilities.


# %%
class Spy(Sites):
    """Changes nothing, and keeps the attention (H, T, T) of each layer for the one text that it sees."""

    def __init__(self):
        super().__init__()
        self.p = {}

    def attention_forward(self, layer, q, k, v):
        o, cache = super().attention_forward(layer, q, k, v)
        self.p[layer] = cache[3][0]  # (H, T, T)
        return o, cache


# %% tags=["thumbnail"]
story = "rosie the fox saw a fox. rosie"
spy = Spy()
row = np.array([base.encode(story)])  # (1, T)
model.forward(config, weights, row, spy)
letters = ["^", *story.replace(" ", "_")]
i = 2
figure, axes = sheet(2, f"stories-base, layer {i}, heads 0 and 1; ^ is the begin mark, _ a space", 9, 5)
for head, one in enumerate(axes):
    attention(one, spy.p[i][head], letters, f"head {head}")
show(figure, "Two attention maps, lower triangular. Each row is a letter that asks, each column one that it looks at.")

# %% [markdown]
# Each row sums to one, and nothing stands above the diagonal: a letter cannot look ahead. What do the heads look for? Measure two simple
# habits: how much of a head's attention goes to the **letter just before**, and how much to **earlier places where the same letter
# stood** (the start of "what came after it last time?").

# %%
T = row.shape[1]
same = (row[0][:, None] == row[0]) & np.tri(T, k=-1, dtype=bool)  # (T, T)
has = same.any(axis=1)
for layer in range(config.num_hidden_layers):
    p = spy.p[layer]  # (H, T, T)
    before = p[:, np.arange(1, T), np.arange(T - 1)].mean(axis=1)  # (H,)
    again = (p * same)[:, has].sum(axis=-1).mean(axis=1)  # (H,)
    print(f"layer {layer}   the letter before: {np.round(before, 2)}   the same letter earlier: {np.round(again, 2)}")

# %% [markdown]
# Different heads, different habits; nobody wrote them down. Change `story` and look again.
#
# ## Down: the mirror
#
# Now the gradient. To see the order of things we wrap every layer function so that it notes its own name, and take one layer's model up
# and down.

# %%
calls = []


def noted(name, function):
    def call(*args, **kwargs):
        calls.append(name)
        return function(*args, **kwargs)

    return call


watched = SimpleNamespace(**{name: noted(name, function) for name, function in vars(ops.reference()).items()})

# %%
small = ml.Config(vocab_size=11, hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2)
tiny = model.init(small, rng, std=0.2, dtype=np.float64)
E = {"model.embed_tokens.weight": tiny["model.embed_tokens.weight"]}  # only the lowest array trains: the gradient must go all the way
batch, targets = rng.integers(0, 11, (2, 2, 5))
value, cache = model.loss(small, tiny, batch, targets, Sites(E, watched))
model.loss_backward(cache)
up = [name.removesuffix("_forward") for name in calls if name.endswith("_forward")]
down = [name.removesuffix("_backward") for name in calls if name.endswith("_backward")]
print("up:  ", " ".join(up))
print("down:", " ".join(down))
print("down, read backwards, is up:", down[::-1] == up)

# %% [markdown]
# That is the whole rule for a backward pass without autograd: **the same list, from its end**. In `model.py` each `..._backward` stands
# below its `..._forward`, and its lines answer those above in reverse.
#
# ### What trains decides how far down it goes
#
# The gradient goes no further down than the lowest block that holds something that trains. If only the head trains, no block's backward
# runs at all. **Predict** the three counts before you run.


# %%
def backward_calls(*trained):
    calls.clear()
    arrays = {name: weights[name] for name in trained}
    _, cache = model.loss(config, weights, row[:, :-1], row[:, 1:], Sites(arrays, watched))
    model.loss_backward(cache)
    return sum(name.endswith("_backward") for name in calls)


for trained in ("lm_head.weight", "model.layers.3.mlp.down_proj.weight", "model.embed_tokens.weight"):
    print(f"{trained:<40} {backward_calls(trained):>3} backward calls")

# %% [markdown]
# An adapter on the top layer alone is cheap to train for that reason, and an adapter on all layers has to send its gradient through
# nearly all of the frozen base. (Within its lowest block `model.py` cuts less finely: of the thirteen calls most come after the one for
# `down_proj`, and serve nobody.)
#
# ## A gradient flowing down
#
# How large is the gradient on its way? A second spy keeps it where it passes each sub-layer and where it comes out at the bottom. We take
# the loss of next letters in a few stories, for the trained base and for the same model with fresh random weights.


# %%
class Flow(Sites):
    """Changes nothing, and keeps the gradient as it passes. The embedding trains, so that it goes all the way down."""

    def __init__(self, weights, ops=None):
        super().__init__({"model.embed_tokens.weight": weights["model.embed_tokens.weight"]}, ops)
        self.passed = {}

    def sublayer_backward(self, name, dh, cache, grads):
        self.passed[name] = dh.copy()  # (N, d)   what is below adds to it in place
        return dh

    def embedding_backward(self, dx, cache, grads):
        self.passed["embedding"] = dx  # (N, d)


# %%
inputs, targets = corpora.load("stories").held_out(4, 200)
fresh = model.init(config, np.random.default_rng(0))


def flow(weights):
    """Where the gradient passes, from the top down -> its norm there."""
    spy = Flow(weights, ops.choose())
    _, cache = model.loss(config, weights, inputs, targets, spy)
    model.loss_backward(cache)
    return {name: float(np.linalg.norm(dh)) for name, dh in spy.passed.items()}


# %%
trained, random = flow(weights), flow(fresh)
marks = [name.replace("model.layers.", "").replace(".self_attn", "\nattn").replace(".mlp", "\nmlp") for name in trained]
places = np.arange(len(marks))
print({name: f"{line['embedding'] / list(line.values())[0]:.2f}" for name, line in [("trained", trained), ("fresh", random)]})
figure, axes = sheet(caption="|dx| of the mean loss of 4 held-out stories, where it passes each sub-layer, from the top, layer 3")
lines = {"trained": (places, list(trained.values())), "fresh": (places, list(random.values()))}
curves(axes, lines, "", "|dx|", marker="o", yscale="log", xticks=places, xticklabels=marks)
show(figure, "The gradient's norm at nine places from the top to the embedding, for trained and for fresh weights.")

# %% [markdown]
# In the fresh model it hardly changes. In the trained one it grows on its way down, since every sub-layer adds what it sends back; but it
# grows by *sums*. It does not die, and the reason is the plus sign. $x_{out} = x + f(x)$ gives
# $dx = dx_{out} + (\text{what comes back through } f)$: a copy passes every layer untouched. Take the plus away and every layer
# multiplies. Here are 24 layers of random matrices, with and without it.

# %%
deep, width = 24, 64
mats = [np.random.default_rng(i).normal(0, 0.5 / np.sqrt(width), (width, width)) for i in range(deep)]
plain, residual = [np.ones(width)], [np.ones(width)]
for M in mats:
    plain.append(M.T @ plain[-1])
    residual.append(residual[-1] + M.T @ residual[-1] / np.sqrt(deep))
figure, axes = sheet(caption=f"linear layers of width {width}, weights of deviation 0.5 / sqrt(width); seeds 0 to {deep - 1}")
depth = np.arange(deep + 1)
sizes = {name: (depth, [np.linalg.norm(v) for v in line]) for name, line in [("x + f(x)", residual), ("f(x) alone", plain)]}
curves(axes, sizes, "layers on the way down", "|dx|", yscale="log")
show(figure, "With the plus sign the gradient's norm keeps its order over 24 layers; without it it falls by many.")

# %% [markdown]
# ### Which arrays does it reach?
#
# The same backward pass hands each matrix its gradient. Compare the size of the gradient with the size of the matrix.

# %%
full = Sites(dict(weights), ops.choose())
_, cache = model.loss(config, weights, inputs, targets, full)
grads = model.loss_backward(cache)
linears = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
table = np.array(
    [
        [
            next(np.linalg.norm(grads[n]) / np.linalg.norm(weights[n]) for n in weights if f"layers.{i}." in n and f".{name}." in n)
            for name in linears
        ]
        for i in reversed(range(4))
    ]
)  # (L, 7)

# %%
figure, axes = sheet(caption="|dW| / |W| in thousandths; stories-base, mean loss of 4 held-out stories", height=3.2)
matrix(axes, 1000 * table, digits=2)
axes.set(
    xticks=np.arange(7),
    xticklabels=[name.removesuffix("_proj") for name in linears],
    yticks=np.arange(4),
    yticklabels=[f"layer {i}" for i in reversed(range(4))],
)
show(figure, "A table of four layers by seven matrices, each cell the gradient's size relative to the weight's.")

# %% [markdown]
# ## Down to a letter
#
# The gradient does not have to begin at the loss. Start it at *one* prediction, and what arrives at the embedding says how much each
# earlier letter mattered to it. Doing so for every position gives a picture of who depends on whom.


# %%
def influence(story):
    """Entry (t, u): the norm, at letter u, of the gradient of the likeliest next letter's logit after letter t -> (T, T)."""
    row = np.array([base.encode(story)])
    spy = Flow(weights)
    logits, cache = model.forward(config, weights, row, spy)
    result = []
    for t, best in enumerate(logits.argmax(axis=1)):
        dlogits = np.zeros_like(logits)
        dlogits[t, best] = 1
        model.backward(dlogits, cache)
        result.append(np.linalg.norm(spy.passed["embedding"], axis=1))  # (T,)
    return np.array(result)


# %%
reach = influence(story)
print(f"largest entry above the diagonal: {np.abs(np.triu(reach, 1)).max()}")
figure, axes = sheet(caption="each row divided by its largest entry; stories-base", width=6.4, height=5.8)
attention(axes, reach / reach.max(axis=1, keepdims=True), letters, "what the prediction after a letter (left) depends on (top)")
show(figure, "A lower triangular map: each prediction depends most on the last letters, and in places on the same word earlier.")

# %% [markdown]
# Exactly zero above the diagonal: the mask works in both directions. Nothing about the future reaches a prediction, and no gradient of a
# prediction reaches the future.
#
# ## All of it, checked
#
# One number to trust the rest by: every array of a small two-layer model with grouped queries, in float64, against central differences.

# %%
rows = check_method(Full())
nudged, worst = sum(np.prod(row["shape"]) for row in rows), max(row["error"] for row in rows)
print(f"{len(rows)} arrays, {nudged:,} numbers nudged; worst error {worst:.0e}")
print("all ok:", all(row["ok"] for row in rows))

# %% [markdown]
# ## Questions
#
# 1. Why does the backward pass of a rotation need no cache, while that of RMSNorm needs its input?
# 2. Two query heads share one key/value head. How does `dk` of that head come about?
# 3. Where in `x = x + attend(norm(x))` does the gradient split, and where do the parts meet again?
# 4. LoRA adapts only `q_proj` and `v_proj` of layer 3. Which parts of the backward pass can be left out?
# 5. Why must the forward pass keep `p`, the attention's probabilities, and why is that the array that grows fastest with the length of
#    the text?
# 6. What in the picture of influence would tell you that the causal mask had been forgotten?
# 7. The mean loss is divided by the number of counted tokens. What would change in `grads` if a batch were twice as large?
#
# Answers: [docs/answers/05.md](../docs/answers/05.md).
#
# ## What was not shown
#
# Recomputing activations instead of keeping them, which trades time for memory. Fused attention, which never writes `p` down. Mixed
# precision and its scaled losses. Biases on q, k and v and norms on q and k, which some models have and `model.py` knows. How the
# compiled twins in `minilora/kernels/` do the same in less time: same names, same results.
