"""Ways to adapt a frozen base. A new method is a new file and a line here."""

from minilora.methods.base import Method
from minilora.methods.full import Full
from minilora.methods.lora import LoRA

REGISTRY = {method.name: method for method in (Full, LoRA)}

__all__ = ["REGISTRY", "Full", "LoRA", "Method"]
