"""An adapter: a method, its trained arrays, and what it was trained on. It is a value: nothing here changes one."""

from dataclasses import dataclass, field, replace
from os import PathLike

from minilora.files import huggingface, peft
from minilora.files.tokenizer import Tokenizer
from minilora.methods import Full, Method
from minilora.transformer import Config


@dataclass(frozen=True)
class Adapter:
    """A method and its trained arrays, and the log of its training. The tokenizer is the base's, for what is saved as a whole model."""

    method: Method
    arrays: dict = field(repr=False)
    config: Config
    base_name: str
    log: list = field(default_factory=list, repr=False)
    tokenizer: Tokenizer | None = field(default=None, repr=False)

    def save(self, folder):
        """Write the folder that PEFT reads (adapter_config.json, adapter_model.safetensors); full fine-tuning writes a whole model."""
        if isinstance(self.method, Full):
            huggingface.save_model(folder, self.config, self.arrays, self.tokenizer)
        else:
            peft.save_adapter(folder, self.config, self.method, self.arrays, self.base_name)

    def merge(self, base):
        """A new Base with the update added to its weights: it costs what the base costs. Raises ValueError where a method cannot merge."""
        weights = self.method.merge(base.config, base.weights, self.arrays)
        return replace(base, name=f"{base.name}+{self.method.name}", weights=weights)


def refuse_name(value, advice):
    """ValueError for the name of a folder in the place of what is in it."""
    if isinstance(value, str | PathLike):
        raise ValueError(f"{str(value)!r} is a name, and what it names is wanted here: {advice} first")


def read_adapter(folder, base):
    """The adapter in a PEFT folder, for a base. Raises FileNotFoundError, or ValueError where they do not fit."""
    method, arrays = peft.load_adapter(folder, base.config)
    return Adapter(method, arrays, base.config, base.name)
