"""Prompt tuning: a few learned vectors stand before the text, as if they were words.

Source: Lester et al. 2021, arXiv 2104.08691. x = [P; E[tokens]] with P (p, d); the p positions are the context's first, go through every
layer, and have no logits. dP is the sum over the batch of what the backward pass leaves there. As in PEFT the text begins at position p.

P starts as the embeddings of tokens drawn at random ("vocab", best in the paper's section 3.2), or from N(0, 1) ("normal", PEFT's default).
There is no merge: what P does depends on the text.
"""

from dataclasses import dataclass

import numpy as np

from minilora.methods.base import Method
from minilora.transformer.sites import Sites, add_grad


class PromptSites(Sites):
    """The input embedding with P (p, d) before it."""

    @property
    def positions(self):
        return len(self.arrays["prompt"])

    def input_forward(self, x):
        P = self.arrays["prompt"]  # (p, d)
        return np.concatenate([np.broadcast_to(P, (len(x), *P.shape)), x], axis=1)  # (batch, p + T, d)

    def input_backward(self, dx, grads):
        p = self.positions
        add_grad(grads, "prompt", dx[:, :p].sum(axis=0))  # (p, d)
        return dx[:, p:]  # (batch, T, d)


def check_length(method):
    """ValueError for a method whose `length` is below one."""
    if method.length < 1:
        raise ValueError(f"length {method.length} of {method.name} must be at least 1")


@dataclass(frozen=True)
class Prompt(Method):
    """`length` is p. It is taken from the context."""

    length: int = 8
    init_scheme: str = "vocab"

    name = "prompt"
    learning_rate = 1e-1

    def __post_init__(self):
        check_length(self)
        if self.init_scheme not in ("vocab", "normal"):
            raise ValueError(f"unknown initialisation {self.init_scheme!r} of prompt: use 'vocab' or 'normal'")

    @property
    def positions(self):
        return self.length

    def init(self, config, base, rng):
        E = base["model.embed_tokens.weight"]  # (V, d)
        if self.init_scheme == "vocab":
            return {"prompt": E[rng.integers(0, len(E), self.length)]}  # (p, d)
        return {"prompt": rng.standard_normal((self.length, config.hidden_size)).astype(E.dtype)}  # (p, d)

    def sites(self, config, arrays, ops=None, rng=None):
        return PromptSites(arrays, ops)

    def shapes(self, config):
        return {"prompt": (self.length, config.hidden_size)}

    def count(self, config):
        """p d."""
        return self.length * config.hidden_size

    peft_type = "PROMPT_TUNING"

    def peft_settings(self, config):
        return {
            "num_virtual_tokens": self.length,
            "token_dim": config.hidden_size,
            "num_attention_heads": config.num_attention_heads,
            "num_layers": config.num_hidden_layers,
            "num_transformer_submodules": 1,
            "prompt_tuning_init": "RANDOM",
        }

    @classmethod
    def from_peft(cls, settings, config):
        return cls(settings["num_virtual_tokens"], "normal")

    def peft_names(self, config):
        return {"prompt": "prompt_embeddings"}
