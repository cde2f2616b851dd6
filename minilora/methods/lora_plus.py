"""LoRA+: B learns faster than A, by a fixed ratio.

Source: Hayou et al. 2024, arXiv 2402.12354. A has d inputs and random entries, B starts at zero; for both to move the output by a like
amount as the model grows wider, B's learning rate must be the larger. Forward, backward and count are LoRA's.

Left out: the embedding's own rate, for which PEFT has a setting. There A starts at zero and B random, and both keep the plain rate.
"""

import math
from dataclasses import dataclass

from minilora.methods.lora import EMBEDDING, LoRA


@dataclass(frozen=True)
class LoRAPlus(LoRA):
    """LoRA with the learning rate of every B multiplied by `ratio`: 16 is what PEFT's documentation recommends."""

    ratio: float = 16.0

    name = "lora+"
    learning_rate = 1e-3  # of A

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.ratio < math.inf:
            raise ValueError(f"ratio {self.ratio} must be above 0 and finite: B's learning rate is A's times this")

    def learning_rates(self, arrays):
        faster = {name for name in arrays if name.endswith(".lora_B") and not name.startswith(EMBEDDING)}
        return {name: self.ratio if name in faster else 1.0 for name in arrays}
