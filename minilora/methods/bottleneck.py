"""Bottleneck adapters: a small network of its own after a sub-layer, around which the sub-layer's output passes unchanged.

    o = h + phi(h D + a) U + b,    D (d, m), a (m,), U (m, d), b (d,), with m much smaller than d.

Houlsby et al. 2019, arXiv 1902.00751, section 2.1: one after the attention and one after the MLP of each block, before the residual is
added. Pfeiffer et al. 2021, arXiv 2005.00247: after the MLP alone. The nonlinearities are those of the AdapterHub library's configurations:
phi(z) = z sigmoid(z) in Houlsby's, max(z, 0) in Pfeiffer's. Backward, with z = h D + a and p = phi(z):

    dU = p.T do,    dp = do U.T,    dz = dp phi'(z),    dD = h.T dz,    dh = do + dz D.T.

phi stands between D and U, so that no matrix does what the adapter does: it cannot be merged, and costs time for ever.

Left out: the layer norms that AdapterHub can add; PEFT does not have these adapters.
"""

from dataclasses import dataclass

import numpy as np

from minilora import layers
from minilora.methods.base import Method
from minilora.transformer.sites import Sites, add_grad


def relu_forward(z):
    """p = max(z, 0) -> p, cache."""
    return np.maximum(z, 0), z


def relu_backward(dp, z):
    return dp * (z > 0)


def silu_forward(z):
    """p = z sigmoid(z) -> p, cache: a SwiGLU whose other factor is one."""
    return layers.swiglu_forward(z, np.ones_like(z))


def silu_backward(dp, cache):
    return layers.swiglu_backward(dp, cache)[0]


ACTIVATIONS = {"relu": (relu_forward, relu_backward), "silu": (silu_forward, silu_backward)}


def bottleneck_forward(h, D, a, U, b, activation):
    """o = h + phi(h D + a) U + b.  h (N, d) -> o (N, d), cache."""
    z = h @ D + a  # (N, m)
    p, cp = ACTIVATIONS[activation][0](z)  # (N, m)
    return h + p @ U + b, (h, D, U, p, cp, activation)  # (N, d)


def bottleneck_backward(do, cache):
    """do (N, d) -> dh (N, d), dD (d, m), da (m,), dU (m, d), db (d,)."""
    h, D, U, p, cp, activation = cache
    dU, db = p.T @ do, do.sum(axis=0)  # (m, d), (d,)               o = h + p U + b
    dz = ACTIVATIONS[activation][1](do @ U.T, cp)  # (N, m)         p = phi(z)
    dD, da = h.T @ dz, dz.sum(axis=0)  # (d, m), (m,)               z = h D + a
    return do + dz @ D.T, dD, da, dU, db  # (N, d)


PARTS = ("adapter_down", "adapter_down_bias", "adapter_up", "adapter_up_bias")


class BottleneckSites(Sites):
    """Sub-layers with an adapter after them."""

    def __init__(self, arrays, activation, ops):
        super().__init__(arrays, ops)
        self.activation = activation

    def sublayer_forward(self, name, h):
        if f"{name}.adapter_down" not in self.arrays:
            return h, None
        return bottleneck_forward(h, *(self.arrays[f"{name}.{part}"] for part in PARTS), self.activation)

    def sublayer_backward(self, name, dh, cache, grads):
        if f"{name}.adapter_down" not in self.arrays:
            return dh
        dh, *gradients = bottleneck_backward(dh, cache)
        for part, gradient in zip(PARTS, gradients, strict=True):
            add_grad(grads, f"{name}.{part}", gradient)
        return dh  # (N, d)


@dataclass(frozen=True)
class Bottleneck(Method):
    """`width` is m. Subclasses say after which sub-layers the adapters stand."""

    width: int = 8

    learning_rate = 2e-2

    def __post_init__(self):
        if self.width < 1:
            raise ValueError(f"width {self.width} of {self.name} must be at least 1")

    def shapes(self, config):
        d, m, shapes = config.hidden_size, self.width, {}
        for i in range(config.num_hidden_layers):
            for place in self.places:
                names = [f"model.layers.{i}.{place}.{part}" for part in PARTS]
                shapes |= dict(zip(names, [(d, m), (m,), (m, d), (d,)], strict=True))
        return shapes

    def init(self, config, base, rng):
        """Biases zero, matrices small: the model begins near the base, and not on it."""
        dtype = base["model.norm.weight"].dtype
        return {
            name: np.zeros(shape, dtype) if name.endswith("bias") else self.draw(shape, rng).astype(dtype)
            for name, shape in self.shapes(config).items()
        }

    def sites(self, config, arrays, ops=None, rng=None):
        return BottleneckSites(arrays, self.activation, ops)

    def count(self, config):
        """(2 d m + m + d) for each place in each layer."""
        d, m = config.hidden_size, self.width
        return config.num_hidden_layers * len(self.places) * (2 * d * m + m + d)


class Houlsby(Bottleneck):
    """Two in a block. Drawn from N(0, 0.01^2) cut off at two deviations, as in the paper."""

    name = "houlsby"
    places, activation = ("self_attn", "mlp"), "silu"

    def draw(self, shape, rng):
        drawn = rng.normal(0, 0.01, shape)
        while (outside := np.abs(drawn) > 0.02).any():
            drawn[outside] = rng.normal(0, 0.01, outside.sum())
        return drawn


class Pfeiffer(Bottleneck):
    """One in a block. Drawn from N(0, 0.02^2), as BERT's own weights were and as AdapterHub does."""

    name = "pfeiffer"
    places, activation = ("mlp",), "relu"

    def draw(self, shape, rng):
        return rng.normal(0, 0.02, shape)
