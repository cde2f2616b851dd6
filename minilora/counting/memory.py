"""The bytes of training and of generating, part by part: what LoRA saves, and what it does not.

Weights stay, frozen or not; quantising them is what makes them small. Gradients and Adam's two moments exist for what trains, and
that is LoRA's saving. Activations and logits do not care what trains.

    full fine-tuning          weight, gradient, m, v: 16 bytes a number in float32, 8 in bfloat16
    an adapter                the base, frozen, and 16 bytes (float32) for each number of its own

Left out: what the runtime keeps for itself, fragmentation, temporary arrays, attention's probabilities (a fused kernel makes them anew),
and the few inputs that a frozen layer without an adapter need not keep. Korthikanti et al. 2022, arXiv 2205.05198, do the same sum for GPT.
"""

import math
import os
import re

from minilora.counting.pair import whole, within_limit
from minilora.quantization import BLOCK, BLOCKS

FLOAT32, BFLOAT16 = 4, 2  # bytes
FORMATS = ("float32", "bf16", "nf4", "nf4-double")
UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def bytes_of(text):
    """ "8GB" -> 8,000,000,000. ValueError for what is no amount of memory."""
    amount = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if not amount or amount[2] not in UNITS or float(amount[1]) == 0:
        raise ValueError(f"{text!r} is no amount of memory: write it with its unit, as 8GB, 7.5GiB or 500MB")
    return int(float(amount[1]) * UNITS[amount[2]])


def nf4_bytes(n, double=False):
    """n numbers in NF4: 4 bits each and a float32 scale for each 64, in all 4.5 bits a number.

    With double quantisation the scales take 8 bits, and 256 of them a float32: 4.127 bits. The one mean that is taken off a
    matrix's scales before is not counted.
    """
    blocks = math.ceil(n / BLOCK)
    return math.ceil(n / 2) + (blocks + 4 * math.ceil(blocks / BLOCKS) if double else 4 * blocks)


def weight_bytes(config, form):
    """The base's weights in "float32", "bf16", "nf4" or "nf4-double". As in QLoRA, the matrices within the layers are quantised;
    embedding, head, norms and biases stay in bfloat16. ValueError for another form.
    """
    if form not in FORMATS:
        raise ValueError(f"there is no form {form!r} of weights; there are {', '.join(FORMATS)}")
    count = 0
    for name, shape in config.shapes().items():
        n = math.prod(shape)
        if form.startswith("nf4") and len(shape) == 2 and name.startswith("model.layers."):
            count += nf4_bytes(n, form == "nf4-double")
        else:
            count += n * (FLOAT32 if form == "float32" else BFLOAT16)
    return within_limit("the weights' bytes", count)


def activations(config, tokens, recompute):
    """The numbers that a backward pass finds waiting for it. With q and kv as in model_params, a block keeps for each token

    4 d + 2      the input and the output of both norms, and a scale of each
    2 q + 2 kv   q, k, v, and what attention hands to o_proj
    3 f          gate, up, and their product

    and the last norm 2 d + 1. With recomputation every block keeps its input alone, d, and one block at a time is computed again.
    """
    d, f, L = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    q, kv = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    block = 4 * d + 2 + 2 * q + 2 * kv + 3 * f
    return tokens * ((L * d + block if recompute else L * block) + 2 * d + 1)


def ledger(config, own, trainable, form=None, number=FLOAT32, batch=1, length=2048, recompute=True):
    """Training with AdamW on `batch` rows of `length` tokens -> part -> bytes.

    own: the numbers in the method's arrays, of which `trainable` train; each of them, its gradient and its moments take `number` bytes.
    form: the frozen base's, see weight_bytes; None in full fine-tuning, where the method's arrays stand in its place. Activations take
    the width of the base's numbers, 2 bytes where it is quantised; logits and their gradient are in float32.
    """
    tokens = whole("batch", batch) * whole("length", length)
    wide = form == "float32" or (form is None and number == FLOAT32)
    parts = {
        "base, frozen": weight_bytes(config, form) if form else 0,
        "weights of the method": own * number,
        "gradients": trainable * number,
        "Adam's moments": 2 * trainable * number,
        "activations": activations(config, tokens, recompute) * (FLOAT32 if wide else BFLOAT16),
        "logits and their gradient": 2 * tokens * config.vocab_size * FLOAT32,
    }
    within_limit("the sum of all bytes", sum(parts.values()))
    return parts


def cache_bytes(config, tokens, number=BFLOAT16):
    """The key/value cache of a text of so many tokens while it is generated: a key and a value in each layer, 2 L kv a token."""
    kv = config.num_key_value_heads * config.head_dim
    return within_limit("2 L kv a token", 2 * config.num_hidden_layers * kv * number * whole("tokens", tokens))


def machine_bytes():
    """The memory of this machine, where the system says how much that is; otherwise infinite."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else math.inf


def refuse_beyond(count, what, advice):
    """ValueError for what takes more bytes than the machine has: the system would end the process in the midst of it, without a word."""
    if count > machine_bytes():
        raise ValueError(f"{what} would take {count / 1e9:,.0f} GB, and this machine has {machine_bytes() / 1e9:,.0f}: {advice}")
