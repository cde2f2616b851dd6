"""VeRA: one random pair for the whole model, frozen; each layer trains two vectors that scale it.

Source: Kopiczko et al. 2024, arXiv 2310.11454, equation 2 and section 3.3. A and B are as large as the largest adapted matrix asks for,
and a smaller one takes the first rows of A and the first columns of B:

    y = x W + (((x A) a) B) b,    a (r,) starts at 0.1 and b (k,) at zero

(the paper's d and b; d is taken here). The update A diag(a) B diag(b) has rank r from r + k numbers, and r can be large since only a and b
are stored for a task. Backward, with u = x A and v = u a:

    db = sum over tokens of dy (v B) = column sums of (v.T dy) B,    dv = (dy b) B.T,    da = sum of dv u,    dx = dy W.T + (dv a) A.T.

A is frozen, so the cache holds u (N, r) in place of x.

Left out: the dropout that PEFT offers; a second adapter on the same pair.
"""

from dataclasses import dataclass

import numpy as np

from minilora import lowrank
from minilora.counting import whole
from minilora.layers import add
from minilora.methods.base import Method
from minilora.methods.targets import from_peft_targets, refuse_embedding, refuse_settings, resolve, shortest
from minilora.transformer.sites import Sites, add_grad


def vera_forward(x, W, A, B, a, b):
    """y = x W + (((x A) a) B) b.  x (N, d), W (d, k), A (d, r), B (r, k), a (r,), b (k,) -> y (N, k), cache."""
    u = x @ A  # (N, r)
    return x @ W + ((u * a) @ B) * b, (u, W, A, B, a, b)  # (N, k)


def vera_backward(dy, cache, into=None, need_dx=True):
    """dy (N, k) -> dx (N, d), da (r,), db (k,). `into` and need_dx as in lowrank.lowrank_backward."""
    u, W, A, B, a, b = cache
    db = np.sum(((u * a).T @ dy) * B, axis=0)  # (k,)       y = x W + (v B) b
    dv = (dy * b) @ B.T  # (N, r)
    da = np.sum(dv * u, axis=0)  # (r,)                     v = u a
    if not need_dx:
        return into, da, db
    return add(dy @ W.T + (dv * a) @ A.T, into), da, db  # (N, d)    u = x A


class VeRASites(Sites):
    """Linear layers that share A (d, r) and B (r, k)."""

    def __init__(self, arrays, A, B, names, ops):
        super().__init__(arrays, ops)
        self.A, self.B, self.names = A, B, names

    def linear_forward(self, name, x, W):
        if name not in self.names:
            return super().linear_forward(name, x, W)
        d, k = W.shape
        return vera_forward(x, W, self.A[:d], self.B[:, :k], self.arrays[f"{name}.vera_a"], self.arrays[f"{name}.vera_b"])

    def linear_backward(self, name, dy, W, cache, grads, into=None, need_dx=True):
        if name not in self.names:
            return super().linear_backward(name, dy, W, cache, grads, into, need_dx)
        dx, da, db = vera_backward(dy, cache, into, need_dx)
        add_grad(grads, f"{name}.vera_a", da)
        add_grad(grads, f"{name}.vera_b", db)
        return dx  # (N, d)


@dataclass(frozen=True)
class VeRA(Method):
    """The rank of the shared pair, the adapted modules, and what a starts from."""

    rank: int = 256
    targets: str | tuple = "all-linear"
    a_initial: float = 0.1

    name = "vera"
    learning_rate = 3e-2

    def __post_init__(self):
        object.__setattr__(self, "rank", whole("rank", self.rank))

    def modules(self, config):
        """Adapted module -> (d, k)."""
        return refuse_embedding(resolve(self.targets, config), self.name)

    def init(self, config, base, rng):
        shapes = self.shapes(config)
        dtype = base["model.norm.weight"].dtype
        arrays = {}
        for name in ("vera_A", "vera_B"):  # Kaiming: variance 2 / fan-in, uniform; the fan-in of B is r
            bound = np.sqrt(6 / shapes[name][0])
            arrays[name] = rng.uniform(-bound, bound, shapes[name]).astype(dtype)  # (d, r), (r, k)
        for name in self.modules(config):
            arrays[f"{name}.vera_a"] = np.full(shapes[f"{name}.vera_a"], self.a_initial, dtype)  # (r,)
            arrays[f"{name}.vera_b"] = np.zeros(shapes[f"{name}.vera_b"], dtype)  # (k,)
        return arrays

    def sites(self, config, arrays, ops=None, rng=None):
        trained = {name: arrays[name] for name in self.trainable(arrays)}
        return VeRASites(trained, arrays["vera_A"], arrays["vera_B"], self.modules(config), ops)

    def trainable(self, arrays):
        return [name for name in arrays if name not in ("vera_A", "vera_B")]

    def shapes(self, config):
        sizes = self.modules(config)
        widest = [max(shape[axis] for shape in sizes.values()) for axis in (0, 1)]
        shapes = {"vera_A": (widest[0], self.rank), "vera_B": (self.rank, widest[1])}
        for name, (_, k) in sizes.items():
            shapes |= {f"{name}.vera_a": (self.rank,), f"{name}.vera_b": (k,)}
        return shapes

    def count(self, config):
        """The sum of r + k over the adapted modules."""
        return sum(self.rank + k for _, k in self.modules(config).values())

    def update_factors(self, config, arrays):
        A, B = arrays["vera_A"], arrays["vera_B"]  # (d, r), (r, k) of the widest module
        return {
            name: (A[:d] * arrays[f"{name}.vera_a"], B[:, :k] * arrays[f"{name}.vera_b"])  # (d, r), (r, k)
            for name, (d, k) in self.modules(config).items()
        }

    def merge(self, config, base, arrays):
        weights = dict(base)
        for name, (A, B) in self.update_factors(config, arrays).items():
            weights[f"{name}.weight"] = lowrank.merge(base[f"{name}.weight"], A, B, 1)  # (d, k)
        return weights

    peft_type = "VERA"

    def peft_settings(self, config):
        return {
            "r": self.rank,
            "target_modules": shortest(self.modules(config), config),
            "d_initial": self.a_initial,
            "projection_prng_key": 0,
            "save_projection": True,
            "vera_dropout": 0.0,
            "bias": "none",
            "fan_in_fan_out": False,
            "modules_to_save": None,
            "layers_to_transform": None,
            "layers_pattern": None,
        }

    @classmethod
    def from_peft(cls, settings, config):
        refuse_settings(settings, {"save_projection": True})
        return cls(settings.get("r", 256), from_peft_targets(settings, config), settings.get("d_initial", 0.1))

    def peft_names(self, config):
        names = {"vera_A": "base_model.vera_A", "vera_B": "base_model.vera_B"}
        for name in self.modules(config):
            names |= {f"{name}.vera_a": f"{name}.vera_lambda_d", f"{name}.vera_b": f"{name}.vera_lambda_b"}
        return names
