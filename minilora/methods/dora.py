"""DoRA: the size and the direction of each column of a weight are adapted apart.

Source: Liu et al. 2024, arXiv 2402.09353, equations 5, 6 and 11. Column j of the weight, which makes output j, becomes

    m_j V_j / |V_j|    with V = W + s A B (d, k),

so that the pair turns the columns and the magnitudes m (k,) set their lengths. With c = |V| (k,) by column and g = m / c the layer is

    y = g (x W + s (x A) B)

and V need not be formed: with M = A.T V = A.T W + s (A.T A) B (r, k),

    c^2 = |W|^2 + 2 s <A.T W, B> + s^2 <(A.T A) B, B> = |W|^2 + s <A.T W + M, B>,    each column by itself.

Backward, with u the bracket and du = g dy:  dm = sum over tokens of dy u / c;  the rest is LoRA's backward of du. c depends on A and B
too. The authors hold it constant (section 4.3), which is what `exact=False` does. In full, dL/d(c^2) = -g (dy u) / (2 c^2) and
d(c^2) = 2 V dV, so that V receives -V h with h = g sum(dy u) / c^2, and

    dA -= s (V h) B.T = s (W (h B).T + s A (B (h B).T)),        dB -= s A.T V h = s M h.

At the start m = |W| and B = 0: c is the same number, g = 1, and the layer is the base, bit for bit.

Left out: the embedding. With dropout PEFT also drops parts of x W wherever g differs from 1; here the mask acts on the pair alone.
"""

from dataclasses import dataclass

import numpy as np

from minilora import lowrank
from minilora.methods.lora import LoRA, LoRASites
from minilora.methods.targets import refuse_embedding
from minilora.transformer.sites import Sites, add_grad


def column_norms(W, A, B, s):
    """The lengths c (k,) of the columns of V = W + s A B, and M = A.T V (r, k). No array of W's size is made."""
    AtW = A.T @ W  # (r, k)
    M = AtW + s * (A.T @ A) @ B  # (r, k)
    squared = np.einsum("dk,dk->k", W, W)  # (k,)
    return np.sqrt(squared + s * np.sum((AtW + M) * B, axis=0)), M  # (k,), (r, k)


class DoRASites(LoRASites):
    """Linear layers with their pairs and magnitudes. The norms depend on the arrays alone, so they are worked out once."""

    def __init__(self, arrays, scales, ops, dropout=0.0, rng=None, exact=False):
        super().__init__(arrays, scales, ops, dropout, rng)
        self.exact, self.norms = exact, {}

    def linear_forward(self, name, x, W):
        if name not in self.scales:
            return Sites.linear_forward(self, name, x, W)
        if name not in self.norms:
            self.norms[name] = column_norms(W, *self.pair(name))
        c, M = self.norms[name]  # (k,), (r, k)
        u, cache = super().linear_forward(name, x, W)  # (N, k)
        g = self.arrays[f"{name}.magnitude"] / c  # (k,)
        return g * u, (cache, u, g, c, M)  # (N, k)

    def linear_backward(self, name, dy, W, cache, grads, into=None, need_dx=True):
        if name not in self.scales:
            return Sites.linear_backward(self, name, dy, W, cache, grads, into, need_dx)
        cache, u, g, c, M = cache
        dg = np.sum(dy * u, axis=0)  # (k,)                                 y = g u
        add_grad(grads, f"{name}.magnitude", dg / c)  #                     g = m / c
        dx = super().linear_backward(name, g * dy, W, cache, grads, into, need_dx)  # (N, d)
        if self.exact:
            A, B, s = self.pair(name)
            h = g * dg / c**2  # (k,)
            hB = h * B  # (r, k)
            add_grad(grads, f"{name}.lora_A", -s * ((hB @ W.T).T + s * (A @ (B @ hB.T))))  # (d, r)    c^2 = |W + s A B|^2
            add_grad(grads, f"{name}.lora_B", -s * (M * h))  # (r, k)
        return dx


@dataclass(frozen=True)
class DoRA(LoRA):
    """LoRA's dials; `exact` lets the gradient flow through the norm as well."""

    exact: bool = False

    name = "dora"

    @property
    def detached(self):
        return not self.exact

    def ranks(self, config):
        return refuse_embedding(super().ranks(config), self.name)

    def init(self, config, base, rng):
        arrays = super().init(config, base, rng)
        for name, s in self.scales(config).items():
            pair = arrays[f"{name}.lora_A"], arrays[f"{name}.lora_B"]
            arrays[f"{name}.magnitude"], _ = column_norms(base[f"{name}.weight"], *pair, s)  # (k,)
        return arrays

    def sites(self, config, arrays, ops=None, rng=None):
        return DoRASites(arrays, self.scales(config), ops, self.dropout, rng, self.exact)

    def shapes(self, config):
        shapes = super().shapes(config)
        return shapes | {f"{name}.magnitude": shapes[f"{name}.lora_B"][1:] for name in self.ranks(config)}

    def count(self, config):
        """LoRA's count, and k for each adapted module."""
        return super().count(config) + sum(shape[0] for name, shape in self.shapes(config).items() if name.endswith(".magnitude"))

    def merge(self, config, base, arrays):
        weights = dict(base)
        for name, s in self.scales(config).items():
            W, A, B = base[f"{name}.weight"], arrays[f"{name}.lora_A"], arrays[f"{name}.lora_B"]
            g = arrays[f"{name}.magnitude"] / column_norms(W, A, B, s)[0]  # (k,)
            weights[f"{name}.weight"] = g * lowrank.merge(W, A, B, s)  # (d, k)
        return weights

    def update_factors(self, config, arrays):
        return {}  # the magnitudes stretch the base as well

    def exported(self, config, arrays):
        return self, arrays

    @classmethod
    def reads(cls, settings):
        return settings.get("peft_type") == "LORA" and bool(settings.get("use_dora"))

    def peft_settings(self, config):
        return {**super().peft_settings(config), "use_dora": True}

    @classmethod
    def from_peft(cls, settings, config):
        return super().from_peft({**settings, "use_dora": False}, config)

    def peft_names(self, config):
        magnitudes = {f"{name}.magnitude": f"{name}.lora_magnitude_vector" for name in self.ranks(config)}
        return super().peft_names(config) | magnitudes
