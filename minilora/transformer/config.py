"""The shape of a Llama-style model, under the names of Hugging Face's config.json."""

from dataclasses import dataclass

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
        shapes = {"model.embed_tokens.weight": (self.vocab_size, d)}
        for i in range(self.num_hidden_layers):
            shapes[f"model.layers.{i}.input_layernorm.weight"] = (d,)
            shapes |= {f"model.layers.{i}.{name}.weight": shape for name, shape in linears.items()}
            shapes |= {f"model.layers.{i}.{name}": shape for name, shape in biases.items()}
            shapes[f"model.layers.{i}.post_attention_layernorm.weight"] = (d,)
        shapes["model.norm.weight"] = (d,)
        if not self.tie_word_embeddings:
            shapes["lm_head.weight"] = (d, self.vocab_size)
        return shapes
