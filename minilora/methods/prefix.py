"""Prefix tuning: each attention sees p more keys and values, which are learned.

Source: Li and Liang 2021, arXiv 2101.00190. In layer i, k' = [K_i; k] and v' = [V_i; v], for every query. As in PEFT, which hands them over
as if they were a past, the learned keys are not rotated and the text begins at position p. The backward pass is the attention's own:
the first p rows of dk' and dv', summed over the batch, are dK_i and dV_i; k and v receive the rest.

What it can do (He et al. 2022, arXiv 2110.04366, equation 7): with lambda the attention that a query pays to the prefix, its output is

    (1 - lambda) softmax(q k.T) v + lambda softmax(q K.T) V.

The weights among the words of the text keep their proportions. Even K = V = 0 takes lambda > 0 away: no prefix is the base.

All of it is one array P (p, 2 L G c), laid out as PEFT's file has it: for each position K_0, V_0, K_1, V_1 and so on. It starts as the
keys and values that the base computes for p random tokens ("vocab": Li and Liang's section 7.4 finds words better than noise), from
N(0, 1) ("normal", PEFT's default), or at zero. There is no merge: what a prefix does depends on the query.
"""

from dataclasses import dataclass

import numpy as np

from minilora.methods.base import Method
from minilora.methods.prompt import check_length
from minilora.transformer.model import forward
from minilora.transformer.sites import Sites


def by_layer(P, config):
    """P (p, 2 L G c) -> a view (L, 2, G, p, c): the keys and the values of each layer."""
    split = P.reshape(len(P), config.num_hidden_layers, 2, config.num_key_value_heads, config.head_dim)  # (p, L, 2, G, c)
    return split.transpose(1, 2, 3, 0, 4)  # (L, 2, G, p, c)


class Recorder(Sites):
    """The base as it is, with the keys and values of the first row of a batch kept as they pass."""

    def __init__(self):
        super().__init__()
        self.layers = []

    def attention_forward(self, layer, q, k, v):
        self.layers.append((k[0], v[0]))  # (G, T, c) each
        return super().attention_forward(layer, q, k, v)


def computed_prefix(config, base, tokens):
    """The keys and values that the base itself computes for tokens (p,) -> P (p, 2 L G c)."""
    recorder = Recorder()
    forward(config, base, tokens[None], recorder)
    layers = np.array(recorder.layers)  # (L, 2, G, p, c)
    return layers.transpose(3, 0, 1, 2, 4).reshape(len(tokens), -1)  # (p, 2 L G c)


class PrefixSites(Sites):
    """Attentions with learned keys and values before those of the text."""

    def __init__(self, arrays, P, config, ops):
        super().__init__(arrays, ops)
        self.P, self.config, self.layers = P, config, by_layer(P, config)  # (p, 2 L G c), (L, 2, G, p, c)
        self.position_offset = self.positions = len(P)

    def attention_forward(self, layer, q, k, v):
        K, V = (np.broadcast_to(part, (len(k), *part.shape)) for part in self.layers[layer])  # (batch, G, p, c) each
        return super().attention_forward(layer, q, np.concatenate([K, k], axis=2), np.concatenate([V, v], axis=2))

    def attention_backward(self, layer, do, cache, grads):
        dq, dk, dv = super().attention_backward(layer, do, cache, grads)  # (batch, H, T, c), twice (batch, G, p + S, c)
        p = self.positions
        self.add_prefix_grad(layer, dk[:, :, :p].sum(axis=0), dv[:, :, :p].sum(axis=0), grads)
        return dq, dk[:, :, p:], dv[:, :, p:]

    def add_prefix_grad(self, layer, dK, dV, grads):
        """Add dK and dV (G, p, c) of a layer to their part of dP."""
        if "prefix" not in grads:
            grads["prefix"] = np.zeros_like(self.P)  # (p, 2 L G c)
        part = by_layer(grads["prefix"], self.config)[layer]  # (2, G, p, c), a view
        part += np.stack([dK, dV])


@dataclass(frozen=True)
class Prefix(Method):
    """`length` is p. It is taken from the context."""

    length: int = 8
    init_scheme: str = "vocab"

    name = "prefix"
    learning_rate = 2e-1

    def __post_init__(self):
        check_length(self)
        if self.init_scheme not in ("vocab", "normal", "zero"):
            raise ValueError(f"unknown initialisation {self.init_scheme!r} of {self.name}: use 'vocab', 'normal' or 'zero'")

    @property
    def positions(self):
        return self.length

    def init(self, config, base, rng):
        shape, dtype = self.shapes(config)["prefix"], base["model.norm.weight"].dtype
        if self.init_scheme == "vocab":
            return {"prefix": computed_prefix(config, base, rng.integers(0, config.vocab_size, self.length))}
        if self.init_scheme == "normal":
            return {"prefix": rng.standard_normal(shape).astype(dtype)}
        return {"prefix": np.zeros(shape, dtype)}

    def sites(self, config, arrays, ops=None, rng=None):
        return PrefixSites(arrays, arrays["prefix"], config, ops)

    def shapes(self, config):
        return {"prefix": (self.length, 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim)}

    def count(self, config):
        """2 p L G c."""
        return self.length * self.shapes(config)["prefix"][1]

    peft_type = "PREFIX_TUNING"

    def peft_settings(self, config):
        width = config.num_key_value_heads * config.head_dim
        return {
            "num_virtual_tokens": self.length,
            "token_dim": width,
            "num_attention_heads": config.num_key_value_heads,
            "num_layers": config.num_hidden_layers,
            "num_transformer_submodules": 1,
            "encoder_hidden_size": width,
            "prefix_projection": False,
        }

    @classmethod
    def from_peft(cls, settings, config):
        return cls(settings["num_virtual_tokens"])

    def peft_names(self, config):
        return {"prefix": "prompt_embeddings"}
