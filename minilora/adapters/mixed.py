"""A batch whose rows use different adapters, or none: one pass through the base for all of them.

The frozen product x W is the same for every row, and is taken at once. What differs is thin: each row gathers its own pair A, B from a
stack of pairs (Chen et al. 2023, Punica, arXiv 2310.18547). Only LoRA's linear layers can be mixed so; inference only.
"""

import numpy as np

from minilora.methods.lora import LoRA, LoRASites
from minilora.transformer.sites import Sites


class MixedSites(Sites):
    """Row i of the batch uses adapters[which[i]]; no adapter where which[i] is -1."""

    def __init__(self, stacks, which, ops):
        super().__init__({}, ops)
        self.stacks, self.which = stacks, which

    def input_forward(self, x):
        if len(x) != len(self.which):
            raise ValueError(f"the batch has {len(x)} rows and {len(self.which)} adapters are named: name one for each row, or None")
        return x

    def linear_forward(self, name, x, W):
        y, cache = super().linear_forward(name, x, W)  # (N, k)
        if name in self.stacks:
            rows = len(self.which)
            self.ops.lowrank_gathered(x.reshape(rows, -1, x.shape[1]), self.which, *self.stacks[name], y.reshape(rows, -1, y.shape[1]))
        return y, cache


def stack_pairs(config, adapters):
    """Module -> A (adapters, d, r), B (adapters, r, k), s (adapters,), for all modules that one of the adapters changes.

    r is the largest rank among them; a smaller pair is filled up with zeros, and an adapter that leaves the module alone has s = 0.
    """
    scales = [adapter.method.scales(config) for adapter in adapters]
    stacks = {}
    for name in dict.fromkeys(name for part in scales for name in part):
        pairs = [
            (adapter.arrays[f"{name}.lora_A"], adapter.arrays[f"{name}.lora_B"]) if name in part else None
            for adapter, part in zip(adapters, scales, strict=True)
        ]
        (d, k), r = next((len(A), B.shape[1]) for A, B in filter(None, pairs)), max(len(B) for _, B in filter(None, pairs))
        At, B = np.zeros((len(adapters), r, d), np.float32), np.zeros((len(adapters), r, k), np.float32)  # (n, r, d), (n, r, k)
        for i, pair in enumerate(pairs):
            if pair is not None:
                At[i, : len(pair[1])], B[i, : len(pair[1])] = pair[0].T, pair[1]
        s = np.array([part.get(name, 0.0) for part in scales], np.float32)  # (n,)
        stacks[name] = At.transpose(0, 2, 1), B, s  # (n, d, r), (n, r, k), (n,)
    return stacks


def mixed_sites(config, adapters, ops):
    """Sites for a batch with one adapter, or None, for each row. Raises ValueError for an adapter that cannot be mixed."""
    different = list({id(adapter): adapter for adapter in adapters if adapter is not None}.values())
    for adapter in different:
        method = adapter.method
        plain = isinstance(method, LoRA) and type(method.sites(config, adapter.arrays)) is LoRASites
        if not plain or "model.embed_tokens" in method.scales(config):
            raise ValueError(
                f"an adapter of {method.name} cannot share a batch: only LoRA on linear layers can; give it a batch of its own"
            )
    index = {id(adapter): i for i, adapter in enumerate(different)}
    which = np.array([-1 if adapter is None else index[id(adapter)] for adapter in adapters])  # (batch,)
    return MixedSites(stack_pairs(config, different), which, ops)
