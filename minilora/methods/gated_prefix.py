"""A prefix behind a gate that starts shut, so that the model starts as the base.

Source: Zhang et al. 2023, "LLaMA-Adapter", arXiv 2303.16199, section 3.2. The learned keys and values K, V (G, p, c) of a layer get a
softmax of their own, and head h adds its result times a gate g_h, which starts at zero:

    o = softmax(q k.T / sqrt(c)) v + g_h softmax(q K.T / sqrt(c)) V.

No attention is taken from the text, whose positions stay as they are. While g = 0 only the gates have a gradient. Backward of the
second term, with a = p V, p = softmax(s), s = q K.T / sqrt(c):

    dg = sum of do a,    da = g do,    dV = sum of p.T da,    dp = da V.T,    ds = p (dp - sum over the keys of dp p),
    dq += ds K / sqrt(c),    dK = sum of ds.T q / sqrt(c),    the sums over the batch, the positions and the heads of a group.

Left out: the paper gates the last layers alone, passes g through tanh, and makes K and V from a learned prompt by the layer's own frozen
k_proj and v_proj. PEFT (ADAPTION_PROMPT) does so too, with one gate for a layer, so this one has no place in its format.
"""

from dataclasses import dataclass

import numpy as np

from minilora.methods.base import Method
from minilora.methods.prefix import Prefix, PrefixSites
from minilora.methods.prompt import check_length


def gated_forward(q, K, V, gate):
    """g softmax(q K.T / sqrt(c)) V, seen by all queries.  q (batch, H, T, c), K and V (G, p, c), gate (H,) -> (batch, H, T, c), cache."""
    batch, heads, T, width = q.shape
    qg = q.reshape(batch, len(K), -1, width)  # (batch, G, H/G * T, c)     heads of a group share K and V
    scores = qg @ K.swapaxes(-1, -2) * width**-0.5  # (batch, G, H/G * T, p)
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))  # (batch, G, H/G * T, p)
    p /= p.sum(axis=-1, keepdims=True)
    a = (p @ V).reshape(q.shape)  # (batch, H, T, c)
    return gate[:, None, None] * a, (qg, K, V, gate, p, a)  # (batch, H, T, c)


def gated_backward(do, cache):
    """do (batch, H, T, c) -> dq (batch, H, T, c), dK and dV (G, p, c), dgate (H,)."""
    qg, K, V, gate, p, a = cache
    dgate = np.sum(do * a, axis=(0, 2, 3))  # (H,)                         o = g a
    da = (gate[:, None, None] * do).reshape(qg.shape)  # (batch, G, H/G * T, c)
    dV = np.sum(p.swapaxes(-1, -2) @ da, axis=0)  # (G, p, c)              a = p V
    dp = da @ V.swapaxes(-1, -2)  # (batch, G, H/G * T, p)
    ds = p * (dp - np.sum(dp * p, axis=-1, keepdims=True))  #              p = softmax(s)
    ds *= qg.shape[-1] ** -0.5  #                                          s = q K.T / sqrt(c)
    dK = np.sum(ds.swapaxes(-1, -2) @ qg, axis=0)  # (G, p, c)
    return (ds @ K).reshape(do.shape), dK, dV, dgate


class GatedPrefixSites(PrefixSites):
    """Attentions with a gated prefix beside them: no position of the text is moved, and none of the context is taken."""

    def __init__(self, arrays, P, config, ops):
        super().__init__(arrays, P, config, ops)
        self.position_offset = self.positions = 0

    def attention_forward(self, layer, q, k, v):
        o, cache = self.ops.attention_forward(q, k, v)  # (batch, H, T, c)
        added, gated = gated_forward(q, *self.layers[layer], self.arrays["gate"][layer])  # (batch, H, T, c)
        return o + added, (cache, gated)

    def attention_backward(self, layer, do, cache, grads):
        cache, gated = cache
        dq, dk, dv = self.ops.attention_backward(do, cache)
        added, dK, dV, dgate = gated_backward(do, gated)
        self.add_prefix_grad(layer, dK, dV, grads)
        if "gate" not in grads:
            grads["gate"] = np.zeros_like(self.arrays["gate"])  # (L, H)
        grads["gate"][layer] += dgate
        return dq + added, dk, dv


@dataclass(frozen=True)
class GatedPrefix(Method):
    """`length` is p."""

    length: int = 8

    name = "gated-prefix"
    learning_rate = 1e-1

    def __post_init__(self):
        check_length(self)

    def init(self, config, base, rng):
        """K and V are those that the base computes for p random tokens; the gates are shut."""
        prefix = Prefix(self.length).init(config, base, rng)
        return prefix | {"gate": np.zeros(self.shapes(config)["gate"], prefix["prefix"].dtype)}

    def sites(self, config, arrays, ops=None, rng=None):
        return GatedPrefixSites(arrays, arrays["prefix"], config, ops)

    def shapes(self, config):
        return Prefix(self.length).shapes(config) | {"gate": (config.num_hidden_layers, config.num_attention_heads)}

    def count(self, config):
        """2 p L G c, and L H gates."""
        return Prefix(self.length).count(config) + config.num_hidden_layers * config.num_attention_heads
