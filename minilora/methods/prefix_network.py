"""A prefix that a small network makes from a smaller array, which steadies its training.

Source: Li and Liang 2021, arXiv 2101.00190, section 4.3; the network and its start are those of PEFT's prefix_projection:

    P = tanh(H D + a) U + b,    H (p, G c), D (G c, e), a (e,), U (e, 2 L G c), b (2 L G c,).

All layers of the model add to dP (minilora/methods/prefix.py); when the backward pass has come down to the input, dP is complete and
goes through the network. Once trained the network is thrown away, and P is an ordinary prefix: that is what is exported.
"""

from dataclasses import dataclass

import numpy as np

from minilora.methods.base import Method
from minilora.methods.prefix import Prefix, PrefixSites
from minilora.methods.prompt import check_length
from minilora.transformer.sites import add_grad

PARTS = ("prefix_input", "prefix_down", "prefix_down_bias", "prefix_up", "prefix_up_bias")


def network_forward(H, D, a, U, b):
    """P = tanh(H D + a) U + b -> P (p, 2 L G c), cache."""
    t = np.tanh(H @ D + a)  # (p, e)
    return t @ U + b, (H, D, U, t)


def network_backward(dP, cache):
    """dP (p, 2 L G c) -> dH (p, G c), dD (G c, e), da (e,), dU (e, 2 L G c), db (2 L G c,)."""
    H, D, U, t = cache
    dU, db = t.T @ dP, dP.sum(axis=0)  # (e, 2 L G c), (2 L G c,)       P = t U + b
    dz = (dP @ U.T) * (1 - t * t)  # (p, e)                             t = tanh(z)
    dD, da = H.T @ dz, dz.sum(axis=0)  # (G c, e), (e,)                 z = H D + a
    return dz @ D.T, dD, da, dU, db


class PrefixNetworkSites(PrefixSites):
    """A prefix made by the network."""

    def __init__(self, arrays, config, ops):
        P, self.cache = network_forward(*(arrays[name] for name in PARTS))  # (p, 2 L G c)
        super().__init__(arrays, P, config, ops)

    def input_backward(self, dx, grads):
        for name, gradient in zip(PARTS, network_backward(grads.pop("prefix"), self.cache), strict=True):
            add_grad(grads, name, gradient)
        return dx


@dataclass(frozen=True)
class PrefixNetwork(Method):
    """`length` is p, taken from the context; `width` is e, the network's inner width."""

    length: int = 8
    width: int = 64

    name = "prefix-network"
    learning_rate = 3e-2

    def __post_init__(self):
        check_length(self)
        if self.width < 1:
            raise ValueError(f"width {self.width} of prefix-network must be at least 1; 'prefix' does without a network")

    @property
    def positions(self):
        return self.length

    def init(self, config, base, rng):
        """H from N(0, 1), each matrix and its bias uniform within 1 / sqrt(its inputs): PyTorch's defaults for the two kinds."""
        arrays = {}
        for name, shape in self.shapes(config).items():
            bound = 1 / np.sqrt(self.width if "up" in name else self.shapes(config)["prefix_down"][0])
            drawn = rng.standard_normal(shape) if name == "prefix_input" else rng.uniform(-bound, bound, shape)
            arrays[name] = drawn.astype(base["model.norm.weight"].dtype)
        return arrays

    def sites(self, config, arrays, ops=None, rng=None):
        return PrefixNetworkSites(arrays, config, ops)

    def shapes(self, config):
        p, out = Prefix(self.length).shapes(config)["prefix"]
        e, narrow = self.width, config.num_key_value_heads * config.head_dim
        return dict(zip(PARTS, [(p, narrow), (narrow, e), (e,), (e, out), (out,)], strict=True))

    def count(self, config):
        """p G c + (G c + 1) e + (e + 1) 2 L G c."""
        narrow = config.num_key_value_heads * config.head_dim
        return self.length * narrow + (narrow + 1) * self.width + (self.width + 1) * 2 * config.num_hidden_layers * narrow

    def exported(self, config, arrays):
        P, _ = network_forward(*(arrays[name] for name in PARTS))  # (p, 2 L G c)
        return Prefix(self.length), {"prefix": P}
