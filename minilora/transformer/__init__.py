"""The base model: a Llama-style transformer that has never heard of any method that adapts it."""

from minilora.transformer.config import Config
from minilora.transformer.model import backward, forward, init, loss
from minilora.transformer.sites import Sites

__all__ = ["Config", "Sites", "backward", "forward", "init", "loss"]
