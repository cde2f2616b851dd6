"""Is a method's backward pass right in a whole model? A model small enough for central differences, and the comparison."""

import numpy as np

from minilora import gradcheck, layers
from minilora.methods.loftq import LoftQ
from minilora.quantization import quantize
from minilora.transformer import Config, model


def tiny_model(tied=False, seed=0):
    """A grouped-query model with all sizes different -> config, weights, tokens, targets (2, 5 each), in float64.

    Weights have deviation 0.2: at 0.02 rounding would hide an error, at 0.6 curvature would feign one. Gains are not one, and one
    target is ignored.
    """
    config = Config(13, 12, 10, 2, 4, 2, 6, max_position_embeddings=16, tie_word_embeddings=tied)
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(name.endswith("norm.weight"), 0.2, shape) for name, shape in config.shapes().items()}
    tokens, targets = rng.integers(0, 13, (2, 2, 5))  # (2, 5) each
    targets[0, 1] = layers.IGNORED
    return config, weights, tokens, targets


def midway(method, config, weights, seed=1):
    """The method's arrays as they are in the midst of training: none is zero, so that no gradient vanishes."""
    arrays = method.init(config, weights, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    return {name: array + rng.normal(0, 0.3, array.shape) for name, array in arrays.items()}


def bind(method, config, arrays, ops=None):
    """The method's sites with the same dropout masks at each call."""
    return method.sites(config, arrays, ops, np.random.default_rng(5))


def check_method(method, ops=None, tied=False):
    """The rows of gradcheck.check for every trainable array of the method in the tiny model, its penalty included.

    A method with a detached quantity keeps its sites, and with them that quantity, while the differences are taken.
    """
    config, weights, tokens, targets = tiny_model(tied)
    if isinstance(method, LoftQ):  # which starts from what quantising lost
        weights = quantize(weights, keep=True)
    arrays = midway(method, config, weights)
    kept = bind(method, config, arrays, ops)

    def run():
        return model.loss(config, weights, tokens, targets, kept if method.detached else bind(method, config, arrays, ops))

    grads = model.loss_backward(run()[1])
    method.penalty(arrays, grads)
    return gradcheck.check(lambda: run()[0] + method.penalty(arrays, {}), {name: arrays[name] for name in method.trainable(arrays)}, grads)
