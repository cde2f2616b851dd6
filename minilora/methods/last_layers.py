"""Last layers only: the oldest way to train a part of a network, and the row "FT-Top2" of the table in Hu et al. 2021.

All arrays of the last blocks train as copies, and those above them. Nothing is propagated below: no backward pass is shorter.
"""

from dataclasses import dataclass

from minilora.methods.full import Copies
from minilora.transformer.sites import lowest_layer


@dataclass(frozen=True)
class LastLayers(Copies):
    """The last `layers` blocks, the last norm, and the head if it is not tied to the embedding. Raises ValueError if there are fewer."""

    layers: int = 1

    name = "last-layers"
    learning_rate = 1e-3

    def shapes(self, config):
        if not 1 <= self.layers <= config.num_hidden_layers:
            raise ValueError(f"last-layers of {self.layers} is outside 1..{config.num_hidden_layers}, the layers of this base")
        first = config.num_hidden_layers - self.layers
        return {name: shape for name, shape in config.shapes().items() if lowest_layer((name,), config.num_hidden_layers) >= first}
