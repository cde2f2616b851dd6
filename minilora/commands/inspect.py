"""`minilora inspect`: what is in a folder, an adapter's or a model's. An adapter is checked against its base as it is when it is loaded."""

import json
import math
import re

from minilora.commands.options import add_json, path
from minilora.commands.table import table
from minilora.files.strict_json import short

HELP = "say what is in an adapter's or a model's folder, and whether it is whole"


def add_arguments(parser):
    parser.add_argument("folder", type=path, help="a folder that finetune, PEFT or transformers wrote, or a base of the package")
    parser.add_argument("--base", help="check an adapter against this base (default: the one it names)")
    add_json(parser)


def run(args):
    from minilora.api import find

    found = find(str(args.folder))
    if found and (found / "config.json").is_file() and not (found / "adapter_config.json").is_file():
        if args.base is not None:
            raise ValueError(f"{args.folder} holds a model, and --base is what an adapter is checked against: leave it out")
        result, text = inspect_base(found), base_text
    else:
        result, text = inspect_adapter(args.folder, args.base), adapter_text
    print(json.dumps(result) if args.json else text(result))
    return 1 if result.get("fault") else 0


def inspect_adapter(folder, base=None):
    """What an adapter's folder holds. Raises what files/peft.py raises where it does not fit its base, if there is one here."""
    from minilora.api import find
    from minilora.files import peft
    from minilora.files.architectures import read_config

    settings = peft.read_settings(folder)
    name = base or settings.get("base_model_name_or_path")
    found = find(name) if name else None
    if base and not found:
        raise FileNotFoundError(f"there is no base {base}: name one of the package, or a Hugging Face folder")
    _, stored, has_digest = peft.read_tensors(folder)
    result = {
        **{"kind": "adapter", "folder": str(folder), "base": name, "peft_type": settings.get("peft_type"), "checked": bool(found)},
        "digest": "ok" if has_digest else "absent",
        "tensors": tensors_of(stored),
        "settings": settings,
    }
    return result | fitted(folder, read_config(found)) if found else result


def fitted(folder, config):
    """What can be said once the adapter is loaded for a base: the method, its scales, what trains, the size of each module's update."""
    from minilora.files import peft

    method, arrays = peft.load_adapter(folder, config)
    scales = method.scales(config) if hasattr(method, "scales") else {}
    factors = method.update_factors(config, arrays)  # module -> A (d, r), B (r, k)
    return {
        "method": method.name,
        "scales": scales,
        "ranks": method.ranks(config) if hasattr(method, "ranks") else {module: len(B) for module, (_, B) in factors.items()},
        "trainable": method.count(config),
        "update_norms": {module: product_norm(A, B) for module, (A, B) in factors.items()},
    }


def product_norm(A, B):
    """|A B|, Frobenius, of A (d, r) and B (r, k) without the d x k product: |A B|^2 is the sum over A.T A times B B.T."""
    import numpy as np

    A, B = A.astype(np.float64), B.astype(np.float64)
    return float(np.sqrt(max(0.0, np.sum((A.T @ A) * (B @ B.T)))))  # (r, r) each


def inspect_base(folder):
    """What a model's folder holds, without reading its numbers, and what is wrong with its tensors: `fault`, None if nothing is.

    ValueError for a model that cannot be run here, or a broken file.
    """
    from minilora import counting
    from minilora.files.architectures import read_config
    from minilora.files.huggingface import check_tensors, read_tensors, shards

    config = read_config(folder)
    stored, shapes, fault = read_tensors(folder, config), config.shapes(), None
    try:
        check_tensors(folder, config, stored)
    except ValueError as error:
        fault = str(error)
    return {
        **{"kind": "model", "folder": str(folder), "config": vars(config) | {"rope_scaling": str(config.rope_scaling)}},
        "parameters": counting.total(shapes),
        "files": shards(folder),
        "fault": fault,
        "missing": sorted(shapes.keys() - stored.keys()),
        "unexpected": sorted(stored.keys() - shapes.keys()),
        "tensors": tensors_of(stored),
    }


def tensors_of(stored):
    return [
        {"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "bytes": array.nbytes}
        for name, array in sorted(stored.items())
    ]


def module_of(name):
    """ "base_model.model.model.layers.3.mlp.up_proj.lora_A.weight" -> "model.layers.3.mlp.up_proj"."""
    return re.sub(r"\.(lora_|ia3_l|vera_lambda|ln_tuning|base_layer|weight$|bias$).*", "", name.removeprefix("base_model.model."))


def kind_of(module):
    """The same modules of all layers together: "model.layers.3.mlp.up_proj" -> "up_proj"."""
    return module.rsplit(".", 1)[-1]


def grouped(result):
    """Kind of module -> its tensors, in the order in which they come."""
    groups = {}
    for tensor in result["tensors"]:
        groups.setdefault(kind_of(module_of(tensor["name"])), []).append(tensor)
    return groups


def adapter_text(result):
    norms, rows = result.get("update_norms", {}), []
    for kind, tensors in grouped(result).items():
        modules = {module_of(tensor["name"]) for tensor in tensors}
        found = [norms[module] for module in modules if module in norms]
        sizes = (f"{sum(found) / len(found):.4f}", f"{max(found):.4f}") if found else ("-", "-")
        rows.append((kind, len(modules), *sums(tensors), *sizes))
    rows.append(("total", sum(row[1] for row in rows), *sums(result["tensors"]), "", ""))
    header = ("target", "modules", "numbers", "bytes", *(("|update|, mean", "largest") if norms else ()))
    rows = [tuple(cell if isinstance(cell, str) else f"{cell:,}" for cell in row[: len(header)]) for row in rows]
    base = result["base"] or "a base that it does not name"
    lines = [f"{result['folder']}: {result.get('method', result['peft_type'])} for {base if base.isprintable() else short(base)}"]
    if result.get("ranks"):
        alpha = f", alpha {result['settings'].get('lora_alpha', 8):g}, scale {listed(result['scales'])}" if result["scales"] else ""
        lines.append(f"rank {listed(result['ranks'])}{alpha}")
    fits = f"fits the base, where {result['trainable']:,} numbers train" if result["checked"] else "not checked: the base is not here"
    lines.append(f"{fits}; {dtypes(result)}; digest {result['digest']}")
    return "\n".join([*lines, "", table(header, rows)])


def base_text(result):
    config = result["config"]
    heads = f"{config['num_attention_heads']} heads of {config['head_dim']} on {config['num_key_value_heads']} of keys and values"
    lines = [
        f"{result['folder']}: {config['num_hidden_layers']} layers of width {config['hidden_size']:,}, "
        f"{config['intermediate_size']:,} in the MLP, {heads}",
        f"vocabulary {config['vocab_size']:,}, context {config['max_position_embeddings']:,}, "
        f"the head is {'the embedding' if config['tie_word_embeddings'] else 'its own'}",
        f"{result['parameters']:,} parameters; {dtypes(result)}; in {', '.join(result['files'])}",
    ]
    for what in ("missing", "unexpected"):
        if names := result[what]:
            lines.append(f"{what}: {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}")
    rows = [
        (kind, " x ".join(map(str, tensors[0]["shape"])), f"{len(tensors):,}", *(f"{count:,}" for count in sums(tensors)))
        for kind, tensors in grouped(result).items()
    ]
    rows.append(("total", "", f"{len(result['tensors']):,}", *(f"{count:,}" for count in sums(result["tensors"]))))
    whole = "whole: the tensors have the names and shapes that config.json asks for (their numbers were not looked at)"
    verdict = f"not whole: {result['fault']}" if result["fault"] else whole
    return "\n".join([*lines, "", table(("tensor, as in the file", "shape", "tensors", "numbers", "bytes"), rows), "", verdict])


def sums(tensors):
    """The numbers and the bytes in some tensors."""
    return sum(math.prod(tensor["shape"]) for tensor in tensors), sum(tensor["bytes"] for tensor in tensors)


def dtypes(result):
    return " and ".join(sorted({tensor["dtype"] for tensor in result["tensors"]})) or "no tensors"


def listed(numbers):
    """The values of a table in a few words."""
    values = sorted(set(numbers.values()))
    return ", ".join(f"{value:g}" for value in values) if len(values) < 5 else f"{values[0]:g} to {values[-1]:g}"
