"""An adapter: a method, its trained arrays, and what it was trained on. It is a value: nothing here changes one."""

import warnings
from dataclasses import dataclass, field, replace
from os import PathLike
from os.path import abspath

from minilora.files import huggingface, peft
from minilora.files.strict_json import short
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
        """A new Base with the update added to its weights: it costs what the base costs. Raises ValueError where a method cannot merge.

        Warns of a base that has another name than the one that the adapter was trained on.
        """
        refuse_name(base, "load(name)")
        note_another_base("the adapter", self.base_name, base)
        weights = self.method.merge(base.config, base.weights, self.arrays)
        return replace(base, name=f"{base.name}+{self.method.name}", weights=weights)


def refuse_name(value, advice):
    """ValueError for the name of a folder in the place of what is in it."""
    if isinstance(value, str | PathLike):
        raise ValueError(f"{str(value)!r} is a name, and what it names is wanted here: {advice} first")


def refuse_other(value):
    """ValueError for what is no adapter: a name, or a method without its arrays."""
    refuse_name(value, "load_adapter(folder, base)")
    if not hasattr(value, "arrays"):
        raise ValueError(f"{short(value)} is no adapter: finetune and load_adapter return one")


def note_another_base(what, named, base):
    """A warning where an adapter names another base than the one that it is put on: shapes alone do not tell two bases apart."""
    if named and abspath(named) != abspath(base.name):
        warnings.warn(f"{what} was trained on {short(named)} and is put on {short(base.name)}: are they the same?", stacklevel=3)


def read_adapter(folder, base):
    """The adapter in a PEFT folder, for a base. Raises FileNotFoundError, or ValueError where they do not fit.

    Warns of a base that has another name than the folder's.
    """
    method, arrays = peft.load_adapter(folder, base.config)
    note_another_base(folder, peft.read_settings(folder).get("base_model_name_or_path"), base)
    return Adapter(method, arrays, base.config, base.name)
