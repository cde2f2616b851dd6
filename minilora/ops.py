"""Which functions does the model run on? Chosen once, and passed on explicitly: threads do not inherit a context."""

import functools
import os
import warnings
from types import SimpleNamespace

from minilora import adamw, layers, lowrank, quantization, sampling


def _public(*modules):
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__
    }


@functools.cache
def reference():
    """The readable functions of layers.py, lowrank.py, quantization.py, adamw.py and sampling.py."""
    return SimpleNamespace(**_public(layers, lowrank, quantization, adamw, sampling))


@functools.cache
def compiled():
    """The readable functions, with their compiled twins in place of those that have one. ImportError without Numba.

    From then on the process keeps the memory that it frees.
    """
    from minilora.kernels import adamw as fast_adamw
    from minilora.kernels import layers as fast_layers
    from minilora.kernels import lowrank as fast_lowrank
    from minilora.kernels import quantization as fast_quantization
    from minilora.kernels import sampling as fast_sampling
    from minilora.kernels.memory import keep_freed_memory

    keep_freed_memory()
    readable = vars(reference())
    fast = _public(fast_layers, fast_lowrank, fast_quantization, fast_adamw, fast_sampling)
    fast = {name: value for name, value in fast.items() if name in readable}
    return SimpleNamespace(**readable | fast)


def choose():
    """The compiled functions; the readable ones without Numba, or with MINILORA_OPS=reference in the environment."""
    if os.environ.get("MINILORA_OPS") == "reference":
        return reference()
    try:
        return compiled()
    except ImportError:
        return without_numba()


@functools.cache
def without_numba():
    """The readable functions, and, once, a word to the person who is going to wait for them."""
    warnings.warn("without Numba everything runs on the readable functions, several times more slowly: pip install numba", stacklevel=3)
    return reference()
