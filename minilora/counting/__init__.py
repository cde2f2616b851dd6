"""The arithmetic: how many numbers, how many operations, how many bytes.

Formulas with a name each, over whole numbers that fit 64 bits. pair.py counts one matrix and its low-rank pair, sweep.py a million of
them at once, model.py a whole model, flops.py the operations of a training step, memory.py the bytes. A method's own count is in its file
in minilora/methods/; `minilora count` and `minilora memory` join them.
"""

from minilora.counting.flops import break_even_flops_rank, flops_ratio, full_flops, lora_flops, step_flops
from minilora.counting.memory import bytes_of, cache_bytes, ledger, nf4_bytes, weight_bytes
from minilora.counting.model import by_module, model_params, total
from minilora.counting.pair import break_even_rank, full_params, lora_params, saving, whole
from minilora.counting.sweep import count_pairs, sweep

__all__ = [
    "break_even_flops_rank",
    "break_even_rank",
    "by_module",
    "bytes_of",
    "cache_bytes",
    "count_pairs",
    "flops_ratio",
    "full_flops",
    "full_params",
    "ledger",
    "lora_flops",
    "lora_params",
    "model_params",
    "nf4_bytes",
    "saving",
    "step_flops",
    "sweep",
    "total",
    "weight_bytes",
    "whole",
]
