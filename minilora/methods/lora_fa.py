"""LoRA-FA: A stays as it was drawn, B alone trains, and x need not be kept.

Source: Zhang et al. 2023, arXiv 2308.03303. The backward pass of y = x W + s (x A) B needs x for dA alone. Without dA the cache holds
z = x A (N, r) where LoRA holds x (N, d): that is the memory that is saved, beside half of the gradients and moments.

Left out: the gradient that PEFT's optimiser preconditions with (A.T A)^-1; dropout, whose mask would have to be kept in place of x.
"""

from dataclasses import dataclass

from minilora.layers import add
from minilora.methods.lora import LoRA, LoRASites
from minilora.methods.targets import refuse_embedding
from minilora.transformer.sites import Sites, add_grad


def frozen_a_forward(x, W, A, B, s):
    """y = x W + s (x A) B.  x (N, d), W (d, k), A (d, r), B (r, k) -> y (N, k), cache: it holds z (N, r), not x."""
    z = x @ A  # (N, r)
    return x @ W + s * (z @ B), (z, W, A, B, s)  # (N, k)


def frozen_a_backward(dy, cache, into=None, need_dx=True):
    """dy (N, k) -> dx (N, d), dB (r, k): LoRA's backward without dA. `into` and need_dx as in lowrank.lowrank_backward."""
    z, W, A, B, s = cache
    dB = s * (z.T @ dy)  # (r, k)                       y = x W + s z B
    if not need_dx:
        return into, dB
    dz = s * (dy @ B.T)  # (N, r)
    return add(dy @ W.T + dz @ A.T, into), dB  # (N, d)    z = x A


class LoRAFASites(LoRASites):
    """Linear layers with a pair of which B trains."""

    def linear_forward(self, name, x, W):
        if name not in self.scales:
            return Sites.linear_forward(self, name, x, W)
        return frozen_a_forward(x, W, *self.pair(name))

    def linear_backward(self, name, dy, W, cache, grads, into=None, need_dx=True):
        if name not in self.scales:
            return Sites.linear_backward(self, name, dy, W, cache, grads, into, need_dx)
        dx, dB = frozen_a_backward(dy, cache, into, need_dx)
        add_grad(grads, f"{name}.lora_B", dB)
        return dx  # (N, d)


@dataclass(frozen=True)
class LoRAFA(LoRA):
    """LoRA with A frozen. Raises ValueError for dropout, and for the embedding, whose A starts at zero and would stay there."""

    name = "lora-fa"

    def __post_init__(self):
        super().__post_init__()
        if self.dropout:
            raise ValueError(f"{self.name} saves memory by not keeping x, and dropout would keep a mask of its size: set dropout to 0")

    def ranks(self, config):
        return refuse_embedding(super().ranks(config), self.name)

    def sites(self, config, arrays, ops=None, rng=None):
        return LoRAFASites(arrays, self.scales(config), ops)

    def trainable(self, arrays):
        return [name for name in arrays if name.endswith(".lora_B")]

    def count(self, config):
        """The sum of r k over the adapted modules."""
        shapes = self.shapes(config)
        return sum(r * shapes[f"{name}.lora_B"][1] for name, r in self.ranks(config).items())
