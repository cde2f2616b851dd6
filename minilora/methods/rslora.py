"""rsLoRA: LoRA with the scale s = alpha / sqrt(r), which keeps the size of the update the same at every rank under plain gradient descent.

Source: Kalajdzievski 2023, arXiv 2312.03732. Everything else is LoRA, and so is the file that PEFT reads (use_rslora).
"""

from dataclasses import dataclass

from minilora.methods.lora import LoRA


@dataclass(frozen=True)
class RsLoRA(LoRA):
    """LoRA under another scale."""

    rslora: bool = True

    name = "rslora"
