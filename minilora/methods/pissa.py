"""PiSSA: the pair starts as the largest part of the weight itself, and trains that part.

Source: Meng et al. 2024, arXiv 2404.02948, equations 2 to 4. With W = U S V.T, A0 = U_r sqrt(S_r / s) and B0 = sqrt(S_r / s) V_r.T, so
that s A0 B0 is the best approximation of W of rank r; what is left over is frozen, and the layer is

    y = x (W - s A0 B0) + s (x A) B,    A = A0 and B = B0 at the start.

PEFT writes W - s A0 B0 over the base. Here the base stays as it is, and A0 and B0 are kept frozen beside it:

    y = x W + s ((x A) B - (x A0) B0)

which begins as the base up to rounding. The gradients of A and B are LoRA's, and dx loses s (dy B0.T) A0.T. The update is
s (A B - A0 B0) = s [A, A0] [B; -B0], a LoRA of rank 2 r: that is what is exported, and it fits the base as everybody has it.

Left out: the randomised SVD that large matrices call for.
"""

from dataclasses import dataclass, replace

import numpy as np

from minilora import lowrank
from minilora.methods.lora import LoRA, LoRASites
from minilora.methods.targets import refuse_embedding


class PiSSASites(LoRASites):
    """Linear layers with a pair, and the pair that it started from, which is taken away."""

    def initial(self, name):
        return self.arrays[f"{name}.initial_A"], self.arrays[f"{name}.initial_B"]  # (d, r), (r, k)

    def linear_forward(self, name, x, W):
        y, cache = super().linear_forward(name, x, W)  # (N, k)
        if name in self.scales:
            A0, B0 = self.initial(name)
            y -= self.scales[name] * ((x @ A0) @ B0)
        return y, cache

    def linear_backward(self, name, dy, W, cache, grads, into=None, need_dx=True):
        dx = super().linear_backward(name, dy, W, cache, grads, into, need_dx)  # (N, d)
        if name in self.scales and need_dx:
            A0, B0 = self.initial(name)
            dx -= self.scales[name] * ((dy @ B0.T) @ A0.T)  #       y = ... - s (x A0) B0
        return dx


@dataclass(frozen=True)
class PiSSA(LoRA):
    """LoRA's dials, save the initialisation. Raises ValueError for a rank above half of a matrix's: exported, it is twice as high."""

    name = "pissa"
    learning_rate = 2e-3

    def factors(self, W, r, s):
        """W (d, k) -> A0 (d, r), B0 (r, k)."""
        U, S, Vt = np.linalg.svd(W, full_matrices=False)  # (d, m), (m,), (m, k) with m = min(d, k)
        root = np.sqrt(S[:r] / s)  # (r,)
        return U[:, :r] * root, root[:, None] * Vt[:r]  # (d, r), (r, k)

    def ranks(self, config):
        ranks = refuse_embedding(super().ranks(config), self.name)
        for name, r in ranks.items():
            most = min(config.shapes()[f"{name}.weight"]) // 2
            if r > most:
                raise ValueError(f"{self.name} of rank {r} becomes a lora of rank {2 * r}, too much for {name}: choose at most {most}")
        return ranks

    def init(self, config, base, rng):
        arrays, scales = {}, self.scales(config)
        for name, r in self.ranks(config).items():
            A0, B0 = self.factors(base[f"{name}.weight"], r, scales[name])  # (d, r), (r, k)
            arrays |= {f"{name}.lora_A": A0.copy(), f"{name}.lora_B": B0.copy(), f"{name}.initial_A": A0, f"{name}.initial_B": B0}
        return arrays

    def sites(self, config, arrays, ops=None, rng=None):
        return PiSSASites(arrays, self.scales(config), ops, self.dropout, rng)

    def trainable(self, arrays):
        return [name for name in arrays if ".initial_" not in name]

    def shapes(self, config):
        shapes = super().shapes(config)
        return shapes | {name.replace(".lora_", ".initial_"): shape for name, shape in shapes.items()}

    def merge(self, config, base, arrays):
        weights = super().merge(config, base, arrays)
        for name, s in self.scales(config).items():
            weights[f"{name}.weight"] -= lowrank.delta(arrays[f"{name}.initial_A"], arrays[f"{name}.initial_B"], s)
        return weights

    def exported(self, config, arrays):
        lora, _ = super().exported(config, arrays)
        growth = 2**0.5 if self.rslora else 2  # of alpha, so that s stays what it is at twice the rank
        doubled = replace(
            lora,
            rank=2 * self.rank,
            alpha=growth * self.alpha,
            rank_pattern={pattern: 2 * r for pattern, r in self.rank_pattern.items()},
            alpha_pattern={pattern: growth * alpha for pattern, alpha in self.alpha_pattern.items()},
        )
        pairs = {}
        for name in self.ranks(config):
            pairs[f"{name}.lora_A"] = np.concatenate([arrays[f"{name}.lora_A"], arrays[f"{name}.initial_A"]], axis=1)  # (d, 2 r)
            pairs[f"{name}.lora_B"] = np.concatenate([arrays[f"{name}.lora_B"], -arrays[f"{name}.initial_B"]])  # (2 r, k)
        return doubled, pairs
