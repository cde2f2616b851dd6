"""The shape of a Llama-style model, under the names of Hugging Face's config.json."""

from dataclasses import dataclass

import numpy as np

LINEARS = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)


@dataclass(frozen=True)
class Llama3Scaling:
    """How Llama 3.1 and later turn the slow rotations slower still, so that positions far beyond those of its first training stay apart.

    A rotation of more than `high_freq_factor` turns within `original_max_position_embeddings` stays as it is, one of fewer than
    `low_freq_factor` turns is `factor` times slower, and those in between lie in between, by their number of turns. Dubey et al. 2024,
    "The Llama 3 herd of models", arXiv 2407.21783, section 3.4; the rule itself is in the code released with it.
    """

    factor: float = 8.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_position_embeddings: int = 8192

    def __post_init__(self):
        if not (self.factor >= 1 and 0 < self.low_freq_factor < self.high_freq_factor and self.original_max_position_embeddings >= 1):
            raise ValueError(f"{self} makes no sense: factor is at least 1, and low_freq_factor between 0 and high_freq_factor")

    def slowed(self, frequencies):
        """Radians a position, (c / 2,) -> (c / 2,)."""
        turns = self.original_max_position_embeddings * frequencies / (2 * np.pi)  # (c/2,)
        kept = np.clip((turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor), 0, 1)  # (c/2,)
        return frequencies * (kept + (1 - kept) / self.factor)  # (c/2,)


@dataclass(frozen=True)
class Config:
    """Dimensions and constants. Raises ValueError where they do not fit together."""

    vocab_size: int = 256
    hidden_size: int = 96
    intermediate_size: int = 256
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int | None = None  # hidden_size / num_attention_heads if not given
    max_position_embeddings: int = 256
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    tie_word_embeddings: bool = False
    attention_bias: bool = False  # q, k and v have a bias, as in Qwen2
    qk_norm: bool = False  # each head of q and k is normed before it is rotated, as in Qwen3
    rope_scaling: Llama3Scaling | None = None

    def __post_init__(self):
        if self.head_dim is None:
            object.__setattr__(self, "head_dim", self.hidden_size // self.num_attention_heads)
        for name in (
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, it must be at least 1")
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"{self.num_attention_heads} query heads cannot share {self.num_key_value_heads} key/value heads evenly: "
                "num_key_value_heads must divide num_attention_heads"
            )
        if self.head_dim % 2:
            raise ValueError(f"head_dim is {self.head_dim}, the rotary embedding needs pairs: choose an even number")

    def shapes(self):
        """Name -> shape of every array, in memory's orientation: a linear layer's weight is (in, out), the embedding (vocab, d)."""
        d, f = self.hidden_size, self.intermediate_size
        q, kv = self.num_attention_heads * self.head_dim, self.num_key_value_heads * self.head_dim
        linears = dict(zip(LINEARS, [(d, q), (d, kv), (d, kv), (q, d), (d, f), (d, f), (f, d)], strict=True))
        biases = {f"{name}.bias": linears[name][1:] for name in LINEARS[:3]} if self.attention_bias else {}
        norms = dict.fromkeys(("self_attn.q_norm.weight", "self_attn.k_norm.weight"), (self.head_dim,)) if self.qk_norm else {}
        shapes = {"model.embed_tokens.weight": (self.vocab_size, d)}
        for i in range(self.num_hidden_layers):
            shapes[f"model.layers.{i}.input_layernorm.weight"] = (d,)
            shapes |= {f"model.layers.{i}.{name}.weight": shape for name, shape in linears.items()}
            shapes |= {f"model.layers.{i}.{name}": shape for name, shape in (biases | norms).items()}
            shapes[f"model.layers.{i}.post_attention_layernorm.weight"] = (d,)
        shapes["model.norm.weight"] = (d,)
        if not self.tie_word_embeddings:
            shapes["lm_head.weight"] = (d, self.vocab_size)
        return shapes
