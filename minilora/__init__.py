"""minilora: the low-rank update, seen whole.

The names below are imported when they are first used, so that `import minilora` is quick.
"""

import importlib

__version__ = "0.1.0"

METHODS = (
    *("Full", "LoRA", "RsLoRA", "LoRAPlus", "LoRAFA", "DoRA", "PiSSA", "OLoRA", "VeRA", "LoRAXS", "AdaLoRA"),
    *("Houlsby", "Pfeiffer", "Prefix", "PrefixNetwork", "GatedPrefix", "Prompt", "IA3", "BitFit", "Norms", "LastLayers", "LoftQ"),
)
_HOMES = {
    **dict.fromkeys(("Adapter", "Base", "finetune", "load", "load_adapter", "pretrain"), "minilora.api"),
    **dict.fromkeys(METHODS, "minilora.methods"),
    **dict.fromkeys(("WithCopies",), "minilora.methods.with_copies"),
    **dict.fromkeys(("Bank",), "minilora.adapters.bank"),
    **dict.fromkeys(("Recipe",), "minilora.training.loop"),
    **dict.fromkeys(("Config",), "minilora.transformer"),
}
__all__ = [*sorted(_HOMES), "__version__"]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"minilora has no {name!r}; it has {', '.join(sorted(_HOMES))}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__():
    return __all__
