"""BitFit: only biases train.

Source: Ben Zaken et al. 2022, arXiv 2106.10199. y = x W + b, where b starts as the base's own or, since a Llama has none, at zero; db is
the sum of dy over tokens. The model does both wherever it finds a bias, so that no site is needed. Without a rotation a bias on the keys
would shift all scores of a query alike and do nothing; the rotation turns it by another angle at each position, and it does something.

The layers keep their biases after training, for the weights have no place for them: there is no merge, and no file of PEFT's holds them.
"""

from dataclasses import dataclass

import numpy as np

from minilora.methods.base import Method
from minilora.methods.targets import refuse_embedding, resolve


@dataclass(frozen=True)
class BitFit(Method):
    """A bias for each of the target modules."""

    targets: str | tuple = "all-linear"

    name = "bitfit"
    learning_rate = 3e-2

    def shapes(self, config):
        return {f"{name}.bias": (k,) for name, (_, k) in refuse_embedding(resolve(self.targets, config), self.name).items()}

    def init(self, config, base, rng):
        dtype = base["model.norm.weight"].dtype
        return {name: np.array(base[name]) if name in base else np.zeros(shape, dtype) for name, shape in self.shapes(config).items()}

    def count(self, config):
        """The sum of k over the adapted modules."""
        return sum(k for (k,) in self.shapes(config).values())
