"""(IA)3: keys, values and the inside of the MLP are stretched, feature by feature.

Source: Liu et al. 2022, arXiv 2205.05638, section 3.3. Each adapted module owns one vector l, which starts at one. It multiplies the output
of the key and value projections (before the rotation), and the input of the down projection:

    y = (x W) l,    l (1, k);            y = (x l.T) W,    l (d, 1).

Either way the weight in effect is W l, with l spread over rows or over columns: that is the merge. The update W (l - 1) has the rank of W
itself: few numbers do not mean low rank. Backward, for the output:  dl = column sums of dy (x W),  dx = (dy l) W.T;  for the input, with
v = x l.T:  dv = dy W.T,  dl = column sums of dv x,  dx = dv l.T.
"""

from dataclasses import dataclass

import numpy as np

from minilora.layers import add
from minilora.methods.base import Method
from minilora.methods.targets import from_peft_targets, refuse_embedding, resolve, shortest
from minilora.transformer.sites import Sites, add_grad


def stretched_output_forward(x, W, stretch):
    """y = (x W) l.  x (N, d), W (d, k), stretch l (1, k) -> y (N, k), cache."""
    u = x @ W  # (N, k)
    return u * stretch, (u, W, stretch)  # (N, k)


def stretched_output_backward(dy, cache, into=None, need_dx=True):
    """dy (N, k) -> dx (N, d), dl (1, k). `into` and need_dx as in lowrank.lowrank_backward."""
    u, W, stretch = cache
    dl = np.sum(dy * u, axis=0, keepdims=True)  # (1, k)        y = u l
    return add((dy * stretch) @ W.T, into) if need_dx else into, dl  # (N, d)    u = x W


def stretched_input_forward(x, W, stretch):
    """y = (x l.T) W.  x (N, d), W (d, k), stretch l (d, 1) -> y (N, k), cache."""
    return (x * stretch.T) @ W, (x, W, stretch)  # (N, k)


def stretched_input_backward(dy, cache, into=None, need_dx=True):
    """dy (N, k) -> dx (N, d), dl (d, 1)."""
    x, W, stretch = cache
    dv = dy @ W.T  # (N, d)                                     y = v W
    dl = np.sum(dv * x, axis=0)[:, None]  # (d, 1)              v = x l.T
    return add(dv * stretch.T, into) if need_dx else into, dl  # (N, d)


class IA3Sites(Sites):
    """Linear layers with a stretched output or input."""

    def __init__(self, arrays, outputs, inputs, ops):
        super().__init__(arrays, ops)
        self.outputs, self.inputs = outputs, inputs

    def linear_forward(self, name, x, W):
        if name in self.outputs:
            return stretched_output_forward(x, W, self.arrays[f"{name}.ia3_l"])
        if name in self.inputs:
            return stretched_input_forward(x, W, self.arrays[f"{name}.ia3_l"])
        return super().linear_forward(name, x, W)

    def linear_backward(self, name, dy, W, cache, grads, into=None, need_dx=True):
        if name in self.outputs:
            dx, dl = stretched_output_backward(dy, cache, into, need_dx)
        elif name in self.inputs:
            dx, dl = stretched_input_backward(dy, cache, into, need_dx)
        else:
            return super().linear_backward(name, dy, W, cache, grads, into, need_dx)
        add_grad(grads, f"{name}.ia3_l", dl)
        return dx  # (N, d)


@dataclass(frozen=True)
class IA3(Method):
    """The modules whose output is stretched, and those whose input is.

    Raises ValueError for a module that is named in both, and for an output with a bias.
    """

    outputs: str | tuple = ("k_proj", "v_proj")
    inputs: str | tuple = ("down_proj",)

    name = "ia3"
    learning_rate = 1e-1

    def modules(self, config):
        """-> stretched at the output: module -> (d, k), and stretched at the input."""
        outputs, inputs = (refuse_embedding(resolve(targets, config), self.name) for targets in (self.outputs, self.inputs))
        if both := outputs.keys() & inputs.keys():
            raise ValueError(f"{min(both)} is named in the outputs and in the inputs of ia3: choose one of them")
        if biased := [name for name in outputs if f"{name}.bias" in config.shapes()]:
            raise ValueError(f"{biased[0]} has a bias, which ia3 would have to stretch as well and does not: leave it out of the outputs")
        return outputs, inputs

    def init(self, config, base, rng):
        dtype = base["model.norm.weight"].dtype
        return {name: np.ones(shape, dtype) for name, shape in self.shapes(config).items()}

    def sites(self, config, arrays, ops=None, rng=None):
        return IA3Sites(arrays, *self.modules(config), ops)

    def shapes(self, config):
        outputs, inputs = self.modules(config)
        shapes = {f"{name}.ia3_l": (1, k) for name, (_, k) in outputs.items()}
        return shapes | {f"{name}.ia3_l": (d, 1) for name, (d, _) in inputs.items()}

    def count(self, config):
        """The sum of k over the outputs and of d over the inputs."""
        outputs, inputs = self.modules(config)
        return sum(k for _, k in outputs.values()) + sum(d for d, _ in inputs.values())

    def changes_nothing(self, config, arrays):
        return all((array == 1).all() for array in arrays.values())

    def merge(self, config, base, arrays):
        merged = {name: name.removesuffix(".ia3_l") + ".weight" for name in arrays}
        return {**base, **{weight: base[weight] * arrays[name] for name, weight in merged.items()}}  # (d, k) each

    peft_type = "IA3"

    def peft_settings(self, config):
        outputs, inputs = self.modules(config)
        return {
            "target_modules": shortest(outputs | inputs, config),
            "feedforward_modules": shortest(inputs, config),
            "init_ia3_weights": True,
            "fan_in_fan_out": False,
            "modules_to_save": None,
        }

    @classmethod
    def from_peft(cls, settings, config):
        defaults = {"target_modules": ["k_proj", "v_proj", "down_proj"], "feedforward_modules": ["down_proj"]}  # PEFT's for a Llama
        settings = {**defaults, **{name: value for name, value in settings.items() if value is not None}}
        adapted = resolve(from_peft_targets(settings, config), config)
        feedforward = (
            from_peft_targets({"target_modules": settings["feedforward_modules"]}, config) if settings["feedforward_modules"] else ()
        )
        inputs = adapted.keys() & resolve(feedforward, config).keys()
        return cls(tuple(shortest(adapted.keys() - inputs, config)), tuple(shortest(inputs, config)))

    def peft_names(self, config):
        return {name: name for name in self.shapes(config)}
