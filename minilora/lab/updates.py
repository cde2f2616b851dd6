"""What training added to each matrix of the layers, dW (d, k), whatever the method: the merged weight minus the base's.

The difference is taken in float64. In float32 the rounding of W + dW would give a LoRA update of rank 4 a spectrum without an end.
"""

import numpy as np

from minilora.methods.targets import resolve


def updates(base, adapter):
    """Module -> dW (d, k) in float64 of all linear layers, in the order of the forward pass; zero where the method trains nothing."""
    weights, arrays = ({name: array.astype(np.float64) for name, array in arrays.items()} for arrays in (base.weights, adapter.arrays))
    merged = adapter.method.merge(base.config, weights, arrays)
    return {name: merged[f"{name}.weight"] - weights[f"{name}.weight"] for name in resolve("all-linear", base.config)}  # (d, k) each
