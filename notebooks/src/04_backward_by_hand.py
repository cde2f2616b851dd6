# %% [markdown]
# # 4. How does a gradient find its way back through a layer?
#
# **You will be able to** write the backward pass of a layer by cutting its forward pass into atoms, check it with central differences,
# say which checks let which mistakes through, and derive the four lines that LoRA training consists of.
#
# **Run time:** about 10 s on two cores. **You need:** the product of two matrices, and what a derivative is.

# %%
import numpy as np

from minilora import counting, gradcheck, layers, lowrank
from minilora.methods import LoRA
from minilora.methods.check import check_method
from minilora.pictures.lessons import curves, matrices, sheet, verdicts
from minilora.pictures.notebook import show

# %% [markdown]
# ## What we look for
#
# A model ends in one number, the loss $L$. Training asks, for every array that may change, in which direction $L$ falls. The answer for
# an array $A$ is an array of the same shape, written `dA`: its entry $(i, j)$ says by how much $L$ changes, per unit, when $A_{ij}$ is
# nudged and nothing else is.
#
# Between the layer and the loss there is usually the rest of the model. We need to know nothing about it except one array: `dy`, the
# gradient with respect to the layer's output. To study one layer alone we invent it: a fixed random `dy`, and the loss
# $L = \sum_{nj} dy_{nj}\, y_{nj}$, whose gradient with respect to `y` is exactly that `dy`.

# %%
rng = np.random.default_rng(4)
N, d, k, r, s = 6, 5, 8, 2, 2.0  # tokens, in, out, rank, scale: no two sizes are equal
x, W = rng.normal(size=(N, d)), rng.normal(size=(d, k))
A, B = rng.normal(size=(d, r)), rng.normal(size=(r, k))
dy = rng.normal(size=(N, k))

# %% [markdown]
# Two choices in that cell will matter later: no two sizes are equal, and `B` is *not* zero although LoRA starts there. Keep them in mind.
#
# ## The forward pass, in atoms
#
# LoRA's layer is one line, $y = xW + s\,(xA)B$. Cut it until each line does one thing only.

# %%
u = x @ W  # (N, k)   the frozen path
z = x @ A  # (N, r)   down
v = z @ B  # (N, k)   up again
t = s * v  # (N, k)   scaled
y = u + t  # (N, k)
L = np.sum(dy * y)  # a number
show(
    matrices({"x": x, "A": A, "z = x A": z, "B": B, "v = z B": v}, "one layer: N = 6 tokens, d = 5, k = 8, r = 2", cell=0.36),
    "Five matrices as coloured cells with numbers: x is 6 by 5, A 5 by 2, z 6 by 2, B 2 by 8 and v 6 by 8. z is the narrow place.",
)

# %% [markdown]
# ## One rule is enough
#
# Every atom here is a sum, a product with a number, or a matrix product. Only the last needs thought. Take $z = xA$ and nudge $A$ by a
# small $\delta A$. Then $z$ moves by $x\,\delta A$, and the loss by
#
# $$\delta L = \sum_{nr} dz_{nr}\,(x\,\delta A)_{nr} = \langle dz,\; x\,\delta A\rangle = \langle x^\top dz,\; \delta A\rangle .$$
#
# The bracket is the sum of all products of entries; moving `x` to the other side transposes it. What stands beside $\delta A$ at the end
# *is* the gradient, so `dA = x.T @ dz`. By the same move `dx = dz @ A.T`.
#
# A check that costs nothing: shapes. `dA` must be (d, r); from `x` (N, d) and `dz` (N, r) there is only one product of that shape.
#
# **Predict** before you run the next cell: which of the five arrays `dy, du, dt, dv, dz` are the same numbers, and which array is a sum
# of two contributions?

# %%
du = dy  # y = u + t: a sum passes the gradient on, unchanged, to both
dt = dy
dv = s * dt  # t = s v
dz = dv @ B.T  # (N, r)   v = z B
dB = z.T @ dv  # (r, k)
dA = x.T @ dz  # (d, r)   z = x A
dx = dz @ A.T  # (N, d)   x is read twice ...
dx = dx + du @ W.T  # ... so that it receives twice: u = x W

# %% [markdown]
# The backward pass reads the forward pass from its last line to its first; each line answers one forward line. Two patterns are worth
# keeping: **a sum copies** the gradient to both of its parts, and **what is read twice adds** what comes back. `x` is read by the frozen
# path and by the low-rank path, so `dx` has two terms.
#
# ## Is it right? Nudge and see
#
# The definition of the gradient is also a test of it. Take one entry, push it up a little and down a little, and look at the loss.


# %%
def loss():
    return np.sum(dy * (x @ W + s * (x @ A) @ B))


h, kept = 1e-5, A[0, 0]
A[0, 0] = kept + h
above = loss()
A[0, 0] = kept - h
below = loss()
A[0, 0] = kept
print(f"by hand {dA[0, 0]:.10f}   nudged {(above - below) / (2 * h):.10f}")

# %% [markdown]
# They agree to about ten digits. Not to sixteen, and that is expected: the nudge has errors of its own. Which step $h$ is best? Look at a
# function that is curved, unlike ours: the loss of a softmax, as the last layer of a language model has it.

# %%
logits, target = rng.normal(size=(1, 8)), np.array([3])
exact = layers.cross_entropy_backward(layers.cross_entropy_forward(logits, target)[1])[0, 0]


def cross_entropy(nudge, dtype=np.float64):
    moved = logits.astype(dtype)
    moved[0, 0] += dtype(nudge)
    return np.log(np.sum(np.exp(moved))) - moved[0, 3]  # in dtype's precision throughout


# %%
steps = 10.0 ** np.arange(-12, 0.1, 0.5)
errors = {
    "one side, float64": [(cross_entropy(h) - cross_entropy(0)) / h - exact for h in steps],
    "both sides, float64": [(cross_entropy(h) - cross_entropy(-h)) / (2 * h) - exact for h in steps],
    "both sides, float32": [(cross_entropy(h, np.float32) - cross_entropy(-h, np.float32)) / (2 * h) - exact for h in steps],
}
best = {name: steps[np.argmin(np.abs(error))] for name, error in errors.items()}
for name, error in errors.items():
    print(f"{name:<20} smallest error {np.abs(error).min():.0e} at h = {best[name]:.0e}")
figure, axes = sheet(caption="softmax cross-entropy over 8 classes, one logit nudged; an error of exactly 0 is drawn at 1e-13")
shown = {name: (steps, np.maximum(np.abs(error), 1e-13)) for name, error in errors.items()}
curves(axes, shown, "step h", "error of the numeric gradient", xscale="log", yscale="log")
show(figure, "Error against step: two Vs in float64, of which both sides reaches lowest; float32 stays far above, and flat at small steps.")

# %% [markdown]
# Each curve is a V, or half of one. On the right the step is so large that the curve of the function shows: the error grows as $h$ from one side, as
# $h^2$ from both. On the left it is so small that the two losses agree in most digits and their difference is rounding: the error grows
# as $1/h$. In float32, below 1e-6, the nudge itself is rounded away, the quotient is 0, and the error is the whole gradient.
#
# So: **both sides, float64, h = 1e-5**. In float32 the best that can be had is some hundred thousand times worse, and at another $h$; a
# small mistake, such as a factor of 1.000001, could hide behind it. `gradcheck` refuses float32.

# %%
try:
    gradcheck.numeric_grad(loss, A.astype(np.float32))
except TypeError as error:
    print(error)

# %% [markdown]
# Now every entry of every array. `gradcheck.check` does the loop and reports one number for each array, $|a - n| / (|a| + |n|)$ with the
# norms over the whole array: a single entry that happens to be near zero then cannot cry wolf.

# %%
rows = gradcheck.check(loss, {"x": x, "A": A, "B": B}, {"x": dx, "A": dA, "B": dB})
print(gradcheck.table(rows))

# %% [markdown]
# ## From atoms to the formula
#
# The atoms were for us. Substituting `dv = s * dy` everywhere leaves the lines that this whole project exists for:
#
# ```
# dz = s * (dy @ B.T)             # (N, r)
# dA = x.T @ dz                   # (d, r)
# dB = s * (z.T @ dy)             # (r, k)
# dx = dy @ W.T + dz @ A.T        # (N, d)
# ```
#
# They are `lowrank_backward` in `minilora/lowrank.py`, and nothing else trains an adapter here.

# %%
y_again, cache = lowrank.lowrank_forward(x, W, A, B, s)
dx_again, dA_again, dB_again = lowrank.lowrank_backward(dy, cache)
for name, mine, theirs in [("dx", dx, dx_again), ("dA", dA, dA_again), ("dB", dB, dB_again)]:
    print(f"{name}: largest difference {np.abs(mine - theirs).max():.0e}")

# %% [markdown]
# ### What is not there
#
# There is no `dW`. It would be `x.T @ dy`, as large as the matrix and as much work as the forward pass; since `W` is frozen, nobody needs
# it. But `dy @ W.T` stays: the layers *below* need their `dy`, and it comes through this frozen matrix. "Frozen" saves the weight's
# gradient, not the way through the weight.
#
# **Predict:** would the order `dy @ W.T + s * (dy @ B.T) @ A.T` or `dy @ (W + s * A @ B).T` be cheaper for one token? For a million?

# %%
wide = 4096
for tokens in (1, 1_000_000):
    apart, summed = 8 * 2 * wide * tokens, wide * wide * 8  # beyond dy @ W.T, at rank 8: the thin products; A B, once
    print(f"{tokens:>9,} tokens: {apart:>15,} multiplications beside W, {summed:,} to add A B to W")
for rank in (1, 16, 256):
    ratio = counting.flops_ratio(wide, wide, rank)
    print(f"r = {rank:3}: a LoRA step takes {ratio:.3f} of a full step's multiplications in a {wide} x {wide} layer")

# %% [markdown]
# One token goes beside W, a million through the sum; they are even at N = d k / (d + k) tokens, here 2,048. The rank does not matter. And of a
# step at most a third is saved: three products became two, and six thin ones were added. (Notebook 2 counts them.)
#
# ### The first step
#
# LoRA starts with `B` at zero. **Predict:** which of `dA`, `dB` is zero then?

# %%
fresh_A, fresh_B = lowrank.init(d, k, r, rng, dtype=np.float64)
_, fresh = lowrank.lowrank_forward(x, W, fresh_A, fresh_B, s)
_, fresh_dA, fresh_dB = lowrank.lowrank_backward(dy, fresh)
print(f"before the first step: |dA| = {np.linalg.norm(fresh_dA):.3f}, |dB| = {np.linalg.norm(fresh_dB):.3f}")

fresh_B -= 0.01 * fresh_dB
_, second = lowrank.lowrank_forward(x, W, fresh_A, fresh_B, s)
_, fresh_dA, fresh_dB = lowrank.lowrank_backward(dy, second)
print(f"after it:              |dA| = {np.linalg.norm(fresh_dA):.3f}, |dB| = {np.linalg.norm(fresh_dB):.3f}")

# %% [markdown]
# `dA` goes through `B`, and `B` is zero: at the first step only `B` moves, from the second on both do. If both started at zero, both
# gradients would be zero, and stay so for ever: try it.
#
# ## Which check catches which mistake?
#
# A check that passes may mean that the gradient is right, or that the check is blind. To learn which, we turn the game round: take a
# right backward pass, **put a mistake in on purpose**, and see whether the check notices. Such a mistaken copy is called a mutant.
#
# Here is the right backward pass as text, and fifteen ways to get it wrong with a single edit. All of them look plausible at a glance.

# %%
RIGHT = """
dz = s * (dy @ B.T)
dA = x.T @ dz
dB = s * (z.T @ dy)
dx = dy @ W.T + dz @ A.T
"""


def backward(lines, x, W, A, B, s, dy):
    """dx, dA, dB by the given lines of code."""
    known = {"np": np, "x": x, "W": W, "A": A, "B": B, "s": s, "dy": dy, "z": x @ A}
    exec(lines, known)
    return {name: known[f"d{name}"] for name in ("x", "A", "B")}


# %%
EDITS = {
    "scale forgotten in dz": ("s * (dy @ B.T)", "dy @ B.T"),
    "scale twice in dz": ("s * (dy @ B.T)", "s * s * (dy @ B.T)"),
    "scale forgotten in dB": ("s * (z.T @ dy)", "z.T @ dy"),
    "dB from dz, not z": ("z.T @ dy", "dz.T @ dy"),
    "dy forgotten in dB": ("z.T @ dy", "z.T @ np.ones_like(dy)"),
    "dB summed too early": ("z.T @ dy", "np.outer(z.sum(0), dy.mean(0))"),
    "scale twice in dA": ("x.T @ dz", "s * x.T @ dz"),
    "dA from z, not dz": ("x.T @ dz", "x.T @ z"),
}
# %%
EDITS |= {
    "dA averaged over tokens": ("x.T @ dz", "x.T @ dz / len(x)"),
    "dA summed too early": ("x.T @ dz", "np.outer(x.sum(0), dz.mean(0))"),
    "low-rank path missing in dx": (" + dz @ A.T", ""),
    "frozen path missing in dx": ("dy @ W.T + ", ""),
    "scale twice in dx": ("dz @ A.T", "s * dz @ A.T"),
    "W not transposed in dx": ("dy @ W.T", "dy @ W"),
    "B not transposed in dz": ("dy @ B.T", "dy @ B"),
}
MUTANTS = {name: RIGHT.replace(*edit) for name, edit in EDITS.items()}
print(len(MUTANTS), "mutants; every edit applies:", all(lines != RIGHT for lines in MUTANTS.values()))

# %% [markdown]
# And the checks: eight set-ups, each of them comparing with central differences. They differ only in the numbers that
# they are run on. Seven are in use; the last one is the one you have seen above.
#
# | check | what is special about it |
# |---|---|
# | fresh | B = 0, as LoRA starts |
# | y.sum() | the loss is the sum of the outputs: `dy` is all ones |
# | s = 1 | alpha = r, as many examples have it |
# | no dx | only `dA` and `dB` are compared |
# | one token | N = 1 |
# | square | d = k = r: all sizes equal |
# | loose | weights of 0.02, the mean over 256 tokens, a difference of 0.02 is allowed |
# | house | none of these |
#
# **Predict:** which of them will miss "scale forgotten in dz"? Which mistakes will the fresh layer miss?


# %%
def setup(N=6, d=5, k=8, r=2, s=2.0, fresh=False, ones=False, small=False):
    rng = np.random.default_rng(0)
    x, W, A, B, dy = (rng.normal(size=shape) for shape in [(N, d), (d, k), (d, r), (r, k), (N, k)])
    B, dy = (0 * B if fresh else B), (np.ones_like(dy) if ones else dy)
    if small:
        W, A, B, dy = 0.02 * W, 0.02 * A, 0.02 * B, dy / N
    return {"x": x, "W": W, "A": A, "B": B, "s": s, "dy": dy}


# %%
CHECKS = {
    "fresh": (setup(fresh=True), "xAB", None),
    "y.sum()": (setup(ones=True), "xAB", None),
    "s = 1": (setup(s=1.0), "xAB", None),
    "no dx": (setup(), "AB", None),
    "one token": (setup(N=1), "xAB", None),
    "square": (setup(d=6, k=6, r=6), "xAB", None),
    "loose": (setup(N=256, small=True), "xAB", 2e-2),
    "house": (setup(), "xAB", None),
}


# %%
def numeric(known, names):
    """Central differences of sum(dy y) for each of the named arrays."""
    x, W, A, B, s, dy = known.values()
    return {name: gradcheck.numeric_grad(lambda: np.sum(dy * (x @ W + s * (x @ A) @ B)), known[name]) for name in names}


# %%
def passes(lines, known, wanted, absolute):
    """Whether a backward pass survives a check. One that crashes, or returns another shape, does not."""
    try:
        found = backward(lines, **known)
    except ValueError:
        return False
    for name, n in wanted.items():
        error = gradcheck.relative_error(found[name], n) if found[name].shape == n.shape else np.inf
        if (error > 1e-7) if absolute is None else (np.abs(found[name] - n).max() > absolute):
            return False
    return True


# %%
wanted = {name: numeric(known, names) for name, (known, names, _) in CHECKS.items()}
caught = np.array(
    [[not passes(lines, CHECKS[c][0], wanted[c], CHECKS[c][2]) for c in CHECKS] for lines in MUTANTS.values()]
)  # (mutants, checks)
assert all(passes(RIGHT, CHECKS[c][0], wanted[c], CHECKS[c][2]) for c in CHECKS), "the right backward must pass every check"

# %% tags=["thumbnail"]
figure, axes = sheet(caption="✓ caught, – slipped through; computed in the cells above, float64", width=8.2, height=5.6)
columns = [f"{name}\n{missed} missed" for name, missed in zip(CHECKS, (~caught).sum(axis=0), strict=True)]
verdicts(axes, caught, list(MUTANTS), columns)
show(figure, "A grid of fifteen mistakes against eight checks: the fresh layer, the sum and four others let several through.")

# %% [markdown]
# Read it by columns. The numbers on top count what each check let through. All of them are green on the right code, and six of them are
# blind to something that they were meant to find:
#
# * **fresh**: with `B` at zero, `dz`, `dA` and the low-rank part of `dx` are zero. A factor that is wrong there, or a part that is missing,
#   cannot show.
# * **y.sum()**: a `dy` of ones is the same for all tokens and all outputs, so sums and products may change places.
# * **s = 1**: a factor that is forgotten, or applied twice, is a factor of one.
# * **no dx**: the layer is then right, and every layer below it wrong.
# * **one token**: a mean over one token is its sum.
# * **square** lets nothing through here: the differences find a missing transpose. What equal sizes cost is the crash that unequal ones
#   would have given, the friendliest of all messages.
# * **loose**: the gradients themselves are smaller than the error that is allowed. An all-zero gradient would pass.

# %%
zero = "dz = 0; dA = np.zeros_like(A); dB = np.zeros_like(B); dx = np.zeros_like(x)"
print({name: "passes" if passes(zero, known, wanted[name], absolute) else "caught" for name, (known, _, absolute) in CHECKS.items()})

# %% [markdown]
# So the house rule, for every backward pass in this project: float64, central differences with h = 1e-5, every argument, random `dy`,
# nothing zero, s other than 1, all sizes different, and an error *relative* to the gradient's own size below 1e-7. And the tests are
# tested: `tests/mutants/` holds more than three hundred one-line mistakes in the real source, and a test run must find each of them.
#
# ## A backward pass with a mean in it
#
# Matrix products are the easy part. RMSNorm divides each token by the root of its mean square, so that each output depends on *every*
# input of its token:
#
# $$ n_i = \rho\, x_i, \qquad \rho = \Big(\tfrac1d \sum_j x_j^2\Big)^{-1/2}, \qquad y_i = g_i\, n_i .$$
#
# Atoms again: a square, a mean, a power, two products. Try it on paper before you look.

# %%
gain = rng.normal(1, 0.2, size=d)
square = x * x  # (N, d)
mean = square.mean(axis=1, keepdims=True)  # (N, 1)
rho = mean**-0.5  # (N, 1)
n = x * rho  # (N, d)
y = n * gain  # (N, d)

# %%
dy_norm = rng.normal(size=(N, d))
dn = dy_norm * gain  # (N, d)    y = n gain
dx = dn * rho  # (N, d)    n = x rho, the direct way
drho = np.sum(dn * x, axis=1, keepdims=True)  # (N, 1)    the way through rho
dmean = drho * -0.5 * mean**-1.5  # (N, 1)    rho = mean^(-1/2)
dsquare = np.ones_like(x) * dmean / d  # (N, d)    a mean hands the same share to all
dx = dx + dsquare * 2 * x  # (N, d)    square = x x

# %% [markdown]
# Collapse it: `drho` and the powers of the mean combine into `n` again, and what remains is one line,
#
# `dx = rho * (dn - n * mean(dn * n))`.
#
# It has a meaning. The norm throws away the length of `x`, so a push along `x` cannot change the output: the formula takes that part out
# of the gradient. **Predict** the product of `dx` and `x`, token by token.

# %%
formula = rho * (dn - n * np.mean(dn * n, axis=1, keepdims=True))  # (N, d)
print(f"atoms against formula: {np.abs(dx - formula).max():.0e}")
sizes = np.linalg.norm(dx) * np.linalg.norm(x)
print(f"<dx, x> of each token: {np.abs(np.sum(dx * x, axis=1)).max():.0e}   while |dx| |x| is about {sizes:.0f}")
y_lib, cache = layers.rmsnorm_forward(x, gain, eps=0.0)
print(f"against layers.py:     {np.abs(dx - layers.rmsnorm_backward(dy_norm, cache)).max():.0e}")

# %% [markdown]
# ## And one that collapses to almost nothing
#
# Softmax and cross-entropy together: exponentials, a sum, a division, a logarithm. Atom by atom it is a page. Collapsed it is the
# difference between what the model believes and what came: $d\text{logits} = (p - \text{onehot}) / N$.

# %%
logits, targets = rng.normal(size=(3, 8)), np.array([1, 6, 2])
value, cache = layers.cross_entropy_forward(logits, targets)
p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)  # (3, 8)
onehot = np.eye(8)[targets]  # (3, 8)
show(
    matrices({"p": p, "onehot": onehot, "p - onehot": p - onehot}, "3 tokens, 8 classes; dlogits is the last one divided by 3", digits=2),
    "Three 3 by 8 matrices: the softmax probabilities, ones at the targets, and their difference, negative only at the targets.",
)

# %%
rows = gradcheck.check(
    lambda: layers.cross_entropy_forward(logits, targets)[0], {"logits": logits}, {"logits": layers.cross_entropy_backward(cache)}
)
print(gradcheck.table(rows))
sums = layers.cross_entropy_backward(cache).sum(axis=1)  # (3,)
print(f"each row of dlogits sums to {np.abs(sums).max():.0e}: what one logit gains, the others lose")

# %% [markdown]
# ## The same check for a whole model
#
# A transformer's backward pass is these pieces in the opposite order of the forward pass (notebook 5). The check does not change: nudge
# an entry, look at the loss. Here is LoRA in a two-layer model with grouped queries, all sizes different: the first rows of the table
# that `minilora gradcheck --method lora` prints.

# %%
rows = check_method(LoRA(rank=2, alpha=4, targets="all-linear"))
print(gradcheck.table(rows[:6]))
print(f"... {len(rows)} arrays in all, the largest error {max(row['error'] for row in rows):.0e}, all ok: {all(row['ok'] for row in rows)}")

# %% [markdown]
# ## Questions
#
# 1. Why does `dx` of a LoRA layer have two terms, and why does `dW` not appear although `W` does?
# 2. `y = a + a`. What is `da`? Which of the two patterns (a sum copies, what is read twice adds) does it use?
# 3. A colleague checks gradients with `loss = y.mean()`. Name a mistake that this cannot find, and one that it can.
# 4. Your central differences agree with your backward pass to 1e-3 in float32. Is the backward pass right?
# 5. At h = 1e-10 the error of the central difference is larger than at 1e-5. Where does it come from?
# 6. Both A and B start at zero. What happens in training? What if both start random?
# 7. The gradient through RMSNorm has no part along x. What does that say about what a step of training does to the length of x?
#
# Answers: [docs/answers/04.md](../docs/answers/04.md).
#
# ## What was not shown
#
# Autograd, which does mechanically what you did here: it records the atoms and replays them backwards. Kinks, where no derivative exists
# (ReLU at 0) and where central differences mislead. Complex steps and dual numbers, which have no rounding error to balance. And the
# memory of a backward pass: each atom here kept its inputs, and choosing what to keep is an art of its own (`minilora/layers.py` keeps
# what the backward reads and no more).
