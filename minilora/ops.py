"""Which functions does the model run on? Chosen once, and passed on explicitly: threads do not inherit a context."""

from types import SimpleNamespace

from minilora import layers, lowrank


def reference():
    """The readable functions of layers.py and lowrank.py."""
    return SimpleNamespace(**{name: value for module in (layers, lowrank) for name, value in vars(module).items() if callable(value)})


def choose():
    """The functions to run on."""
    return reference()
