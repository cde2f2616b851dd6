"""LoRA-XS: between two frozen matrices, taken from the weight, a small square one trains.

Source: Balazy et al. 2024, arXiv 2405.17604, section 3. With W = U S V.T, A = U_r S_r (d, r) and B = V_r.T (r, k) are frozen, and

    y = x W + s ((x A) R) B,    R (r, r) ~ N(0, 1e-5^2).

The update turns and scales the r largest directions of W among themselves; it has r^2 numbers whatever d and k are. R starts small and
not at zero, so the layer begins near the base and not on it. Backward, with z = x A and v = z R:

    dv = s dy B.T,    dR = z.T dv,    dz = dv R.T,    dx = dy W.T + dz A.T.

There is no dA, hence no x in the cache. Once trained, A R and B are a LoRA of rank r: that is what is exported and merged.
"""

from dataclasses import dataclass

import numpy as np

from minilora.layers import add
from minilora.methods.lora import LoRASites
from minilora.methods.lora_fa import LoRAFA
from minilora.transformer.sites import Sites, add_grad


def square_forward(x, W, A, R, B, s):
    """y = x W + s ((x A) R) B.  x (N, d), W (d, k), A (d, r), R (r, r), B (r, k) -> y (N, k), cache."""
    z = x @ A  # (N, r)
    v = z @ R  # (N, r)
    return x @ W + s * (v @ B), (z, W, A, R, B, s)  # (N, k)


def square_backward(dy, cache, into=None, need_dx=True):
    """dy (N, k) -> dx (N, d), dR (r, r). `into` and need_dx as in lowrank.lowrank_backward."""
    z, W, A, R, B, s = cache
    dv = s * (dy @ B.T)  # (N, r)                       y = x W + s v B
    dR = z.T @ dv  # (r, r)                             v = z R
    if not need_dx:
        return into, dR
    return add(dy @ W.T + (dv @ R.T) @ A.T, into), dR  # (N, d)    z = x A


class LoRAXSSites(LoRASites):
    """Linear layers with a frozen pair and a square matrix between."""

    def linear_forward(self, name, x, W):
        if name not in self.scales:
            return Sites.linear_forward(self, name, x, W)
        A, B, s = self.pair(name)
        return square_forward(x, W, A, self.arrays[f"{name}.lora_R"], B, s)

    def linear_backward(self, name, dy, W, cache, grads, into=None, need_dx=True):
        if name not in self.scales:
            return Sites.linear_backward(self, name, dy, W, cache, grads, into, need_dx)
        dx, dR = square_backward(dy, cache, into, need_dx)
        add_grad(grads, f"{name}.lora_R", dR)
        return dx  # (N, d)


@dataclass(frozen=True)
class LoRAXS(LoRAFA):
    """LoRA's dials, save initialisation and dropout."""

    name = "lora-xs"
    learning_rate = 3e-2

    def init(self, config, base, rng):
        arrays = {}
        for name, r in self.ranks(config).items():
            W = base[f"{name}.weight"]
            U, S, Vt = np.linalg.svd(W, full_matrices=False)  # (d, m), (m,), (m, k) with m = min(d, k)
            arrays[f"{name}.lora_A"] = U[:, :r] * S[:r]  # (d, r)
            arrays[f"{name}.lora_B"] = Vt[:r].copy()  # (r, k)
            arrays[f"{name}.lora_R"] = rng.normal(0, 1e-5, (r, r)).astype(W.dtype)  # (r, r)
        return arrays

    def sites(self, config, arrays, ops=None, rng=None):
        return LoRAXSSites(arrays, self.scales(config), ops)

    def trainable(self, arrays):
        return [name for name in arrays if name.endswith(".lora_R")]

    def shapes(self, config):
        return super().shapes(config) | {f"{name}.lora_R": (r, r) for name, r in self.ranks(config).items()}

    def count(self, config):
        """The sum of r^2 over the adapted modules."""
        return sum(r * r for r in self.ranks(config).values())

    def merge(self, config, base, arrays):
        lora, pairs = self.exported(config, arrays)
        return lora.merge(config, base, pairs)

    def exported(self, config, arrays):
        lora, _ = super().exported(config, arrays)
        pairs = {}
        for name in self.ranks(config):
            pairs[f"{name}.lora_A"] = arrays[f"{name}.lora_A"] @ arrays[f"{name}.lora_R"]  # (d, r)
            pairs[f"{name}.lora_B"] = arrays[f"{name}.lora_B"]  # (r, k)
        return lora, pairs
