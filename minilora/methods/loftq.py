"""LoftQ: LoRA on a quantised base, started so that base and pair together are nearest to the weight before it was quantised.

Source: Li et al. 2023, arXiv 2310.08659, algorithm 1 with one turn, which is PEFT's default: with W the weight and Q what stands for it in
four bits, s A B starts as the best approximation of W - Q of rank r. Everything after that is LoRA, and so is the file that PEFT reads. It
belongs to the quantised base: on the weights as they were, the start would be added on top.

Left out: further turns. They quantise W - s A B in place of W, and the base would no longer be everybody's.
"""

from dataclasses import dataclass

import numpy as np

from minilora.methods.lora import LoRA
from minilora.methods.pissa import PiSSA
from minilora.methods.targets import refuse_embedding


@dataclass(frozen=True)
class LoftQ(LoRA):
    """LoRA's dials. The base must have been quantised with keep=True; every target must be a matrix that was."""

    name = "loftq"

    factors = PiSSA.factors

    def ranks(self, config):
        return refuse_embedding(super().ranks(config), self.name)

    def init(self, config, base, rng):
        arrays, scales = {}, self.scales(config)
        for name, r in self.ranks(config).items():
            Q = base[f"{name}.weight"]
            W = getattr(Q, "original", None)  # (d, k)
            if W is None:
                raise ValueError(
                    f"loftq starts from what quantising lost, and of {name} that is not known: quantise the base with keep=True "
                    "(on the command line: --nf4)"
                )
            arrays[f"{name}.lora_A"], arrays[f"{name}.lora_B"] = self.factors(W - np.asarray(Q), r, scales[name])  # (d, r), (r, k)
        return arrays
