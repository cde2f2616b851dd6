"""Full fine-tuning: every array of the base trains, as a copy that stands in its place."""

from dataclasses import dataclass

import numpy as np

from minilora.methods.base import Method


@dataclass(frozen=True)
class Full(Method):
    """No method at all: the yardstick that the others are measured against."""

    name = "full"
    learning_rate = 2e-3

    def init(self, config, base, rng):
        return {name: np.array(base[name]) for name in config.shapes()}

    def shapes(self, config):
        return config.shapes()

    def count(self, config):
        return sum(int(np.prod(shape)) for shape in config.shapes().values())

    def merge(self, config, base, arrays):
        return {**base, **arrays}
