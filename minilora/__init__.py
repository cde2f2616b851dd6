"""minilora: the low-rank update, seen whole."""

__version__ = "0.1.0"
