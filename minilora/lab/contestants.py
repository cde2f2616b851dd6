"""Who takes part in `minilora compare`: every method of the registry with its own dials, LoRA at three more ranks, and QLoRA.

A method that is added to the registry takes part without a word here. What is known of a contestant before it is trained, its numbers and
whether it merges, is worked out from its arrays.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from threadpoolctl import threadpool_limits

from minilora.lab import fit
from minilora.methods import REGISTRY, LoftQ, LoRA, Method

DIALS = ("rank", "target_rank", "length", "width", "layers")  # those that set a contestant's size, in the words of its file


@dataclass(frozen=True)
class Contestant:
    """A method, and whether its base is in four bits (quantization.py)."""

    method: Method
    in_four_bits: bool = False

    def base(self):
        return in_four_bits() if self.in_four_bits else fit.base()

    @property
    def dials(self):
        """As "rank 8": what the size depends on; nothing for a method without a size."""
        return ", ".join(f"{dial.replace('_', ' ')} {getattr(self.method, dial)}" for dial in DIALS if hasattr(self.method, dial))


CONTESTANTS = {
    **{name: Contestant(method(), in_four_bits=method is LoftQ) for name, method in REGISTRY.items()},
    "lora r=1": Contestant(LoRA(rank=1, alpha=2)),
    "lora r=2": Contestant(LoRA(rank=2, alpha=4)),
    "lora r=32": Contestant(LoRA(rank=32, alpha=64)),
    "qlora": Contestant(LoRA(), in_four_bits=True),
}


@cache
def in_four_bits():
    """The shipped base with its matrices in four bits, and what they were before, which LoftQ starts from."""
    return fit.base().quantized(keep=True)


@cache
def facts(name):
    """What is known before any training: the numbers that train, their share of the base's, and what can be done with them after."""
    contestant = CONTESTANTS[name]
    method, base = contestant.method, contestant.base()
    with threadpool_limits(limits=1, user_api="blas"):  # decompositions of small matrices gain nothing from more
        arrays = method.init(base.config, base.weights, np.random.default_rng(0))
    trainable = sum(arrays[each].size for each in method.trainable(arrays))
    return {
        "dials": contestant.dials,
        "trainable": trainable,
        "share": trainable / sum(int(np.prod(shape)) for shape in base.config.shapes().values()),
        "family": isinstance(method, LoRA) or bool(method.update_factors(base.config, arrays)),  # LoRA's: the update is made of a thin pair
        "merges": merges(method, base, arrays),
    }


def merges(method, base, arrays):
    """Whether there are weights that behave as the base and the arrays together."""
    try:
        method.merge(base.config, base.weights, arrays)
    except ValueError:
        return False
    return True
