"""Full fine-tuning, and what it shares with the methods that train some of the base's arrays: copies that stand in their place."""

from dataclasses import dataclass

import numpy as np

from minilora.methods.base import Method


class Copies(Method):
    """Some arrays of the base train as copies, which `shapes` names. The model finds a copy by its name, so that no site is needed."""

    def init(self, config, base, rng):
        return {name: np.array(base[name]) for name in self.shapes(config)}

    def count(self, config):
        """The sum of the sizes of the arrays that train."""
        return sum(int(np.prod(shape)) for shape in self.shapes(config).values())

    def merge(self, config, base, arrays):
        return {**base, **arrays}


@dataclass(frozen=True)
class Full(Copies):
    """Every array of the base trains. No method at all: the yardstick that the others are measured against."""

    name = "full"
    learning_rate = 2e-3

    def shapes(self, config):
        return config.shapes()
