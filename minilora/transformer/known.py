"""The dimensions of well-known models by name, to count with: no weights are here, and none are fetched.

All but one are Llama-style, and their totals equal the published ones to the last digit. GPT-3 is not: it has its own class, with the
arrays of GPT-2's design (Radford et al. 2019) in the sizes of Brown et al. 2020, arXiv 2005.14165, table 2.1. Its weights were never
published, and the 175,255.8 million that Hu et al. 2021 (table 4) give for it do not follow from these sizes: 174,604.3 million do.

Left out: what has no parameters, as the scaling of the rotation in Llama 3.2 and the sliding window of Mistral.
"""

import difflib
import re
from dataclasses import dataclass

from minilora.transformer.config import Config


@dataclass(frozen=True)
class GPT:
    """A decoder of GPT-2's design: learned positions, layer norms and linear layers with biases, two matrices in the MLP, a tied head.

    The arrays bear this project's names, so that methods and targets find them; q, k and v are kept apart, as in the LoRA paper.
    """

    vocab_size: int = 50257
    hidden_size: int = 12288
    intermediate_size: int = 4 * 12288
    num_hidden_layers: int = 96
    num_attention_heads: int = 96
    num_key_value_heads: int = 96
    head_dim: int = 128
    max_position_embeddings: int = 2048
    tie_word_embeddings: bool = True

    def shapes(self):
        """Name -> shape: 12 d^2 + 13 d numbers a layer, (V + positions) d in the tables, 2 d in the last norm."""
        d, f = self.hidden_size, self.intermediate_size
        linears = dict.fromkeys(("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"), (d, d))
        linears |= {"mlp.up_proj": (d, f), "mlp.down_proj": (f, d)}
        shapes = {"model.embed_tokens.weight": (self.vocab_size, d), "model.embed_positions.weight": (self.max_position_embeddings, d)}
        for i in range(self.num_hidden_layers):
            for norm in ("input_layernorm", "post_attention_layernorm"):
                shapes |= {f"model.layers.{i}.{norm}.weight": (d,), f"model.layers.{i}.{norm}.bias": (d,)}
            for name, (width, out) in linears.items():
                shapes |= {f"model.layers.{i}.{name}.weight": (width, out), f"model.layers.{i}.{name}.bias": (out,)}
        return shapes | {"model.norm.weight": (d,), "model.norm.bias": (d,)}


KNOWN = {
    "SmolLM2-135M": Config(49152, 576, 1536, 30, 9, 3, 64, 8192, 1e-5, 1e5, tie_word_embeddings=True),
    "TinyLlama-1.1B": Config(32000, 2048, 5632, 22, 32, 4, 64, 2048, 1e-5, 1e4),
    "Llama-2-7B": Config(32000, 4096, 11008, 32, 32, 32, 128, 4096, 1e-5, 1e4),
    "Llama-3-8B": Config(128256, 4096, 14336, 32, 32, 8, 128, 8192, 1e-5, 5e5),
    "Llama-3.2-1B": Config(128256, 2048, 8192, 16, 32, 8, 64, 131072, 1e-5, 5e5, tie_word_embeddings=True),
    "Llama-3.2-3B": Config(128256, 3072, 8192, 28, 24, 8, 128, 131072, 1e-5, 5e5, tie_word_embeddings=True),
    "Mistral-7B-v0.1": Config(32000, 4096, 14336, 32, 32, 8, 128, 32768, 1e-5, 1e4),
    "Qwen2.5-0.5B": Config(151936, 896, 4864, 24, 14, 2, 64, 32768, 1e-6, 1e6, tie_word_embeddings=True, attention_bias=True),
    "GPT-3": GPT(),
}


def _plain(name):
    """meta-llama/Llama-2-7b-hf -> llama27b: the owner, punctuation, and what does not change a dimension are taken off."""
    name = re.sub(r"[^a-z0-9]", "", name.rpartition("/")[2].lower())
    return re.sub(r"(hf|chat|instruct)$", "", name)


def find(name):
    """The name of a known model as KNOWN has it. Case and punctuation do not matter, and the beginning will do where it is unique.

    ValueError for a name that fits none of them or several, naming the closest.
    """
    plain = {_plain(known): known for known in KNOWN}
    wanted = _plain(name)
    found = [plain[wanted]] if wanted in plain else [known for key, known in plain.items() if wanted and key.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{name!r} may be {' or '.join(found)}: write a little more of the name")
    closest = plain[difflib.get_close_matches(wanted, plain, n=1, cutoff=0.0)[0]]
    raise ValueError(
        f"there is no known model {name!r}; the closest is {closest} (there are {', '.join(KNOWN)}; any other by its config.json)"
    )
