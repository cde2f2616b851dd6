"""LoRA+: B learns faster than A, by a fixed ratio.

Source: Hayou et al. 2024, arXiv 2402.12354. A has d inputs and random entries, B starts at zero; for both to move the output by a like
amount as the model grows wider, B's learning rate must be the larger. Forward, backward and count are LoRA's.

Left out: the embedding's own rate, for which PEFT has a setting. There A starts at zero and B random, and both keep the plain rate.
"""

from dataclasses import dataclass

from minilora.methods.lora import EMBEDDING, LoRA


@dataclass(frozen=True)
class LoRAPlus(LoRA):
    """LoRA with the learning rate of every B multiplied by `ratio`: 16 is what PEFT's documentation recommends."""

    ratio: float = 16.0

    name = "lora+"
    learning_rate = 1e-3  # of A

    def learning_rates(self, arrays):
        faster = {name for name in arrays if name.endswith(".lora_B") and not name.startswith(EMBEDDING)}
        return {name: self.ratio if name in faster else 1.0 for name in arrays}
