"""Do the tensors of an adapter's file fit the method and the base? If not: which one, what was expected, what came, and the likely cause.

PEFT loads what fits and passes over the rest, so that an adapter made for another base, or under other names, may load as one that does
nothing. Here an adapter fits as a whole or is refused as a whole.
"""

import re

import numpy as np

from minilora.files.strict_json import short

PREFIX = "base_model.model."
FLOATS = ("float64", "float32", "float16", "bfloat16")
RANK_AXES = {  # endings of names -> the axis that is the rank's, in the file
    **dict.fromkeys(("lora_A.weight", "lora_embedding_A", "lora_E", "vera_lambda_d", "vera_A"), 0),
    **dict.fromkeys(("lora_B.weight", "lora_embedding_B", "vera_B"), 1),
}


def without_adapter_name(stored, path):
    """Older versions of PEFT leave the adapter's name, "default", in the names of the tensors: the same tensors without it."""
    renamed = {re.sub(r"\.default(?=\.|$)", "", name): array for name, array in stored.items()}
    if len(renamed) < len(stored):
        raise ValueError(f"{path} has tensors both with and without the adapter's name 'default': two adapters were written into one file")
    return renamed


def check_tensors(path, stored, shapes, optional, config):
    """ValueError unless `stored`, name -> array, has just the tensors of `shapes`, name -> shape in the file, all of finite floats.

    Those of `optional` may be there too.
    """
    missing, unexpected = shapes.keys() - stored.keys(), stored.keys() - shapes.keys() - optional.keys()
    if missing or unexpected:
        what, names = ("lacks the tensor", missing) if missing else ("has the unexpected tensor", unexpected)
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        fit = f"{len(shapes) - len(missing)} of the {len(shapes)} that are expected are there"
        cause = _why_other_names(sorted(missing, key=_natural), sorted(unexpected, key=_natural), stored, config)
        raise ValueError(f"{path} {what} {_shown(min(names, key=_natural))}{more} ({fit}): {cause}")
    for name in sorted(stored, key=_natural):
        _check_one(path, name, stored[name], {**optional, **shapes}[name])


def _shown(name):
    """A name as it is, if it is one that may stand in a line."""
    return name if name.isprintable() and len(name) <= 200 else short(name)


def _natural(name):
    """Layer 2 before layer 10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _why_other_names(missing, unexpected, stored, config):
    if not stored:
        return "the file holds no tensor at all, as if it had been saved before the weights were gathered"
    for name in missing:
        rest = name.removeprefix(PREFIX).removeprefix("model.")
        alike = next((other for other in unexpected if other == rest or other.endswith(f".{rest}")), None)
        if alike is not None:
            found, wanted = alike.removesuffix(rest), name.removesuffix(rest)
            return f"its names begin with {short(found)} and PEFT's with {wanted!r}: save the adapter with PEFT, or rename its tensors"
    layers = config.num_hidden_layers
    here = max((layer for name in stored if (layer := _layer(name)) is not None), default=-1)
    if here >= layers:
        return f"it goes up to layer {here} and this base has the layers 0 to {layers - 1}: load the base that the adapter was made for"
    if missing and not unexpected and all((_layer(name) or 0) > here >= 0 for name in missing):
        return f"it ends with layer {here} and this base goes up to layer {layers - 1}: load the base that the adapter was made for"
    if any(name.endswith("lora_magnitude_vector") for name in (*missing, *unexpected)):
        return "magnitudes belong to DoRA: use_dora in adapter_config.json is not what the adapter was trained with"
    if unexpected and unexpected[0].endswith("lora_B.bias"):
        return "biases of B are not supported: train with lora_bias = false"
    if unexpected and unexpected[0].removeprefix(PREFIX) in config.shapes():
        return "the adapter brings along a whole module that modules_to_save does not name, as PEFT does after a change of the vocabulary"
    if unexpected and not missing:
        return (
            f"adapter_config.json says nothing of {short(unexpected[0].removeprefix(PREFIX))}: it is not the one the adapter was saved with"
        )
    return "the file was not saved as a whole, or adapter_config.json is not the one it was saved with"


def _layer(name):
    found = re.search(r"\.layers\.(\d{1,9})\.", name)
    return int(found[1]) if found else None


def _check_one(path, name, array, wanted):
    found = array.shape
    if found != wanted:
        raise ValueError(f"{path}: {name} is {found} and {wanted} is expected: {_why_another_shape(name, found, wanted)}")
    if array.dtype.name not in FLOATS:
        raise ValueError(f"{path}: {name} holds {array.dtype.name}, and floats are expected: a quantised adapter is not read")
    finite = np.isfinite(array)
    if not finite.all():
        raise ValueError(
            f"{path}: {name} holds {finite.size - finite.sum():,} numbers that are not finite, of {finite.size:,}: "
            "the training diverged, or the file is broken"
        )
    with np.errstate(over="ignore"):
        if array.dtype == np.float64 and not np.isfinite(array.astype(np.float32)).all():
            raise ValueError(f"{path}: {name} holds float64 numbers that float32 cannot: the training diverged, or the file is broken")


def _why_another_shape(name, found, wanted):
    if 0 in found:
        return "it is empty, as DeepSpeed's ZeRO-3 leaves what it has not gathered: gather the weights and save the adapter again"
    if len(found) == len(wanted) == 2 and found == wanted[::-1]:
        return "it is transposed"
    axis = next((axis for ending, axis in RANK_AXES.items() if name.endswith(ending)), None)
    other = [i for i in range(len(wanted)) if len(found) == len(wanted) and found[i] != wanted[i]]
    if other == [axis]:
        return f"adapter_config.json gives it rank {wanted[axis]} and the file has rank {found[axis]}: the two do not belong together"
    if name == "prompt_embeddings" and other == [0]:
        return f"adapter_config.json says num_virtual_tokens = {wanted[0]}, and the file has {found[0]}: the two do not belong together"
    if len(other) == 1:
        return f"the base has the size {wanted[other[0]]} where it was made for {found[other[0]]}: load the base that it was made for"
    return "load the base that it was made for, with the adapter_config.json that it was saved with"
