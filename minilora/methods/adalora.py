"""AdaLoRA: a budget of directions for the whole model, given to the modules where they matter most.

Source: Zhang et al. 2023, arXiv 2303.10512. The update is written like an SVD, s A diag(e) B, with e (1, r) starting at zero; A's columns
and B's rows are pulled towards orthonormal by a penalty (equation 4), so that an entry of e stands for its direction (equation 3):

    y = x W + s ((x A) e) B = x W + s (x (A e)) B,      loss + w mean over all A and B of |A.T A - I| or |B B.T - I|.

The layer is LoRA's with A e in A's place. Of its gradient G, dA = G e and de = the column sums of G A. A Frobenius norm |C| of
C = A.T A - I passes 2 A C / |C| on to A.

After each step every entry p of A, e and B is judged by the product of two running averages (equations 8 to 11): its sensitivity
|p dL/dp|, about what the loss would change without it, and how uncertain that is. A direction's importance is that of its e plus the
means over its column of A and its row of B (equation 7). At intervals the e of all but the most important directions are set to zero; how
many stay falls from r a module to the target, as a cube (equation 12). A direction may come back until the last allocation.

Left out: shrinking the arrays in the end. What is written holds zeros in e, where PEFT leaves the directions out and says so in a
rank_pattern; such a file is read as it is, and s remains that of the rank at first.
"""

from dataclasses import dataclass, field

import numpy as np

from minilora import lowrank
from minilora.counting import whole
from minilora.methods.base import Method
from minilora.methods.lora import LoRA, LoRASites
from minilora.methods.targets import from_peft_targets, modules, refuse_embedding, shortest
from minilora.transformer.sites import Sites, add_grad

PARTS = ("lora_A", "lora_E", "lora_B")
BETA = 0.85  # of both running averages: the paper's choice, and PEFT's default


class AdaLoRASites(LoRASites):
    """LoRA's, with A e in A's place."""

    def pair(self, name):
        A, B, s = super().pair(name)
        return A * self.arrays[f"{name}.lora_E"], B, s  # (d, r), (r, k), s

    def linear_backward(self, name, dy, W, cache, grads, into=None, need_dx=True):
        if name not in self.scales:
            return Sites.linear_backward(self, name, dy, W, cache, grads, into, need_dx)
        pair = {}
        dx = super().linear_backward(name, dy, W, cache, pair, into, need_dx)  # (N, d)
        G = pair[f"{name}.lora_A"]  # (d, r)
        add_grad(grads, f"{name}.lora_A", G * self.arrays[f"{name}.lora_E"])  # (d, r)          A e
        add_grad(grads, f"{name}.lora_E", np.sum(G * self.arrays[f"{name}.lora_A"], axis=0, keepdims=True))  # (1, r)
        add_grad(grads, f"{name}.lora_B", pair[f"{name}.lora_B"])  # (r, k)
        return dx


def orthogonality(P):
    """P (d, r) -> |P.T P - I| and its gradient (d, r)."""
    C = P.T @ P - np.eye(P.shape[1], dtype=P.dtype)  # (r, r)
    norm = np.linalg.norm(C)
    return float(norm), 2 * (P @ C) / max(norm, np.finfo(P.dtype).tiny)  # (d, r)


@dataclass(frozen=True)
class AdaLoRA(Method):
    """Directions a module at first (`rank`) and in the mean at last (`target_rank`, two thirds if not given), and the schedule between.

    `warmup` and `final` are the shares of all steps before the first and after the last allocation; `interval` steps lie between two.
    `left` says of the modules of an adapter that PEFT has shrunk how many directions they have: it is done training.
    """

    rank: int = 12
    target_rank: int | None = None
    alpha: float = 16.0
    targets: str | tuple = "all-linear"
    penalty_weight: float = 0.5
    warmup: float = 0.1
    final: float = 0.3
    interval: int = 10
    left: dict = field(default_factory=dict)

    name = "adalora"
    learning_rate = 3e-2

    def __post_init__(self):
        object.__setattr__(self, "rank", whole("rank", self.rank))
        if self.target_rank is None:
            object.__setattr__(self, "target_rank", max(1, round(self.rank / 1.5)))  # the paper starts at 1.5 times the target
        if not 1 <= self.target_rank <= self.rank:
            raise ValueError(f"target rank {self.target_rank} is outside 1..{self.rank}: adalora only takes directions away")
        if self.warmup < 0 or self.final < 0 or self.warmup + self.final >= 1 or self.interval < 1:
            raise ValueError(
                f"warmup {self.warmup} and final {self.final} are shares of the steps: together below 1, with an interval of 1 or more"
            )

    def modules(self, config):
        """Adapted module -> (d, k). The rank has to fit as LoRA's has to."""
        fitting, available = LoRA(self.rank, targets=self.targets).ranks(config), modules(config)
        return {name: available[name] for name in refuse_embedding(fitting, self.name)}

    def init(self, config, base, rng):
        if self.left:
            raise ValueError("an adalora that has been shrunk is done training: start with one that is not")
        arrays = {}
        for name, (d, k) in self.modules(config).items():
            dtype = base[f"{name}.weight"].dtype
            A, B = rng.normal(0, 0.02, (d, self.rank)), rng.normal(0, 0.02, (self.rank, k))  # (d, r), (r, k)
            pair = {"lora_A": A.astype(dtype), "lora_E": np.zeros((1, self.rank), dtype), "lora_B": B.astype(dtype)}
            for part, array in pair.items():
                arrays[f"{name}.{part}"] = array
                arrays[f"{name}.{part}.sensitivity"], arrays[f"{name}.{part}.uncertainty"] = np.zeros_like(array), np.zeros_like(array)
            arrays[f"{name}.kept"] = np.ones((1, self.rank), dtype)  # (1, r)    of the last allocation
        return arrays

    def scales(self, config):
        """Adapted module -> s. The small number is PEFT's, lest a module without directions divide by zero."""
        return dict.fromkeys(self.modules(config), self.alpha / (self.rank + 1e-5))

    def sites(self, config, arrays, ops=None, rng=None):
        return AdaLoRASites(arrays, self.scales(config), ops)

    def trainable(self, arrays):
        return [name for name in arrays if name.endswith(PARTS)]

    def penalty(self, arrays, grads):
        names = [name for name in arrays if name.endswith((".lora_A", ".lora_B"))]
        total, weight = 0.0, self.penalty_weight / len(names)
        for name in names:
            if name.endswith("A"):
                norm, gradient = orthogonality(arrays[name])  # (d, r)
            else:
                norm, gradient = orthogonality(arrays[name].T)  # (k, r)    the rows of B are what the columns of A are
                gradient = gradient.T  # (r, k)
            total += weight * norm
            add_grad(grads, name, weight * gradient)
        return total

    def budget(self, step, steps):
        """How many directions a module may have, in the mean, after a step."""
        first, last = self.warmup * steps, (1 - self.final) * steps
        remaining = np.clip((last - step) / (last - first), 0, 1)  # of the way from r to the target
        return self.target_rank + (self.rank - self.target_rank) * remaining**3

    def after_step(self, arrays, grads, step, steps):
        names = [name.removesuffix(".kept") for name in arrays if name.endswith(".kept")]
        last = round((1 - self.final) * steps)
        if step < last:
            for name in self.trainable(arrays):
                judge(arrays, name, grads[name])
        if step == last or self.warmup * steps < step < last and step % self.interval == 0:
            allocate(arrays, names, int(self.budget(step, steps) * len(names)))
        elif step > last:
            for name in names:
                arrays[f"{name}.lora_E"] *= arrays[f"{name}.kept"]

    def shapes(self, config):
        shapes = {}
        for name, (d, k) in self.modules(config).items():
            r = self.left.get(name, self.rank)
            shapes |= {f"{name}.lora_A": (d, r), f"{name}.lora_E": (1, r), f"{name}.lora_B": (r, k)}
        return shapes

    def count(self, config):
        """The sum of r (d + k + 1) over the adapted modules."""
        return sum(self.left.get(name, self.rank) * (d + k + 1) for name, (d, k) in self.modules(config).items())

    def update_factors(self, config, arrays):
        sites = self.sites(config, arrays)
        pairs = {name: sites.pair(name) for name in self.modules(config)}
        return {name: (A, s * B) for name, (A, B, s) in pairs.items()}  # (d, r), (r, k)

    def merge(self, config, base, arrays):
        weights = dict(base)
        for name, (A, B) in self.update_factors(config, arrays).items():
            weights[f"{name}.weight"] = lowrank.merge(base[f"{name}.weight"], A, B, 1)  # (d, k)
        return weights

    peft_type = "ADALORA"

    def peft_settings(self, config):
        return {
            "init_r": self.rank,
            "target_r": self.target_rank,
            "lora_alpha": self.alpha,
            "target_modules": shortest(self.modules(config), config),
            "orth_reg_weight": self.penalty_weight,
            "beta1": BETA,
            "beta2": BETA,
            "deltaT": self.interval,
            "rank_pattern": {f"{name}.lora_E": [i < r for i in range(self.rank)] for name, r in self.left.items()} or None,
            "lora_dropout": 0.0,
            "init_lora_weights": True,
            "bias": "none",
            "fan_in_fan_out": False,
            "layers_to_transform": None,
            "layers_pattern": None,
            "modules_to_save": None,
            "total_step": 1,  # PEFT asks for a number above zero, and schedules nothing for an adapter that no longer trains
        }

    @classmethod
    def from_peft(cls, settings, config):
        kept = settings.get("rank_pattern") or {}
        return cls(
            rank=settings.get("init_r", 12),
            target_rank=settings.get("target_r", 8),
            alpha=settings.get("lora_alpha", 8),
            targets=from_peft_targets(settings, config),
            penalty_weight=settings.get("orth_reg_weight", 0.5),
            interval=settings.get("deltaT", 1),
            left={name.replace(".default", "").removesuffix(".lora_E"): sum(directions) for name, directions in kept.items()},
        )

    def peft_names(self, config):
        return {name: name for name in self.shapes(config)}


def judge(arrays, name, gradient):
    """Move the running averages of an array's sensitivity |p dL/dp| and of its uncertainty one step on, in place."""
    sensitivity, uncertainty = arrays[f"{name}.sensitivity"], arrays[f"{name}.uncertainty"]
    now = np.abs(arrays[name] * gradient)
    sensitivity += (1 - BETA) * (now - sensitivity)
    uncertainty += (1 - BETA) * (np.abs(now - sensitivity) - uncertainty)


def importance(arrays, name):
    """-> (r,), a number for each direction of a module."""
    A, E, B = (arrays[f"{name}.{part}.sensitivity"] * arrays[f"{name}.{part}.uncertainty"] for part in PARTS)  # (d, r), (1, r), (r, k)
    return E[0] + A.mean(axis=0) + B.mean(axis=1)  # (r,)


def allocate(arrays, names, budget):
    """Keep the `budget` most important directions of all modules, and set the e of the others to zero, in place."""
    scores = np.concatenate([importance(arrays, name) for name in names])  # (modules * r,)
    kept = np.zeros(len(scores), bool)  # (modules * r,)
    kept[np.argsort(-scores, kind="stable")[:budget]] = True
    for name, part in zip(names, kept.reshape(len(names), 1, -1), strict=True):
        arrays[f"{name}.kept"][...] = part  # (1, r)
        arrays[f"{name}.lora_E"] *= part
