"""The numbers in a whole model, by formula and by array.

`config` is a minilora.transformer.Config, or anything with its sizes and its `shapes()`.
"""

import math
import re

from minilora.counting.pair import within_limit


def total(shapes):
    """The numbers in all arrays, name -> shape. ValueError past 64 bits."""
    return within_limit("the sum over all arrays", sum(math.prod(shape) for shape in shapes.values()))


def model_params(config):
    """The numbers in a Llama-style model, in closed form. With q and kv the widths of all query heads and of all key/value heads:

    V d                             the embedding, and the same again for the head unless the two are tied
    + L (2 d q + 2 d kv + 3 d f     per layer: q and o, k and v, gate, up and down
         + 2 d)                                two norms, and q + 2 kv more where q, k and v have a bias,
                                    2 c where queries and keys, c wide, have a norm
    + d                             the last norm
    """
    V, d, f, L = config.vocab_size, config.hidden_size, config.intermediate_size, config.num_hidden_layers
    q, kv = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    bias = q + 2 * kv if config.attention_bias else 0
    norms = 2 * config.head_dim if config.qk_norm else 0
    tables = V * d if config.tie_word_embeddings else 2 * V * d
    return within_limit("V d + L (...) + d", tables + L * (2 * d * q + 2 * d * kv + 3 * d * f + 2 * d + bias + norms) + d)


def by_module(shapes):
    """Module -> the shapes of its arrays in all layers: "model.layers.7.self_attn.q_proj.weight" counts for "self_attn.q_proj".

    An array that belongs to no module, as a learned prefix, stands under its own name.
    """
    modules = {}
    for name, shape in shapes.items():
        name = re.sub(r"^model\.(layers\.\d+\.)?", "", name)
        modules.setdefault(name.rpartition(".")[0] or name, []).append(shape)
    return modules
