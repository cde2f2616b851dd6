"""`minilora export`: write an adapter again for those who read it: in another dtype, with its scale baked in, or merged into its base."""

from shlex import quote
from types import SimpleNamespace

from minilora.commands.options import path

HELP = "write an adapter in another dtype, with its scale baked in, or merged into its base"
DTYPES = ("float32", "float16", "bfloat16")


def add_arguments(parser):
    parser.add_argument("adapter", type=path, help="a folder that finetune or PEFT wrote")
    parser.add_argument("--out", type=path, required=True, help="a new folder")
    parser.add_argument("--base", help="a base of the package, or a Hugging Face folder (default: the one the adapter names)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--merge", action="store_true", help="write a whole model, for readers that know no adapters")
    how.add_argument("--bake-scale", action="store_true", help="write a lora of alpha = rank, for readers that take another scale or none")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="of the numbers that are written (%(default)s)")


def run(args):
    from minilora import api

    if args.out.is_dir() and any(args.out.iterdir()):
        raise ValueError(f"{args.out} is not empty, and the files of two exports would mix: name a new folder")
    base = api.load_base_of(args.adapter) if args.base is None else api.load(args.base)
    adapter = api.load_adapter(args.adapter, base)
    print(merged(adapter, base, args.out, args.dtype) if args.merge else rewritten(adapter, args.out, args.dtype, args.bake_scale))


def numpy_dtype(name):
    import ml_dtypes
    import numpy as np

    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def merged(adapter, base, out, dtype):
    """Write the base with the adapter's update added to its weights -> what was written, and how much the rounding lost of it."""
    from dataclasses import replace

    import numpy as np

    from minilora.files.peft import as_dtype

    whole = adapter.merge(base)  # in float32
    weights = {name: as_dtype(name, array, numpy_dtype(dtype)) for name, array in whole.weights.items()}
    replace(whole, weights=weights).save(out)
    changed = [name for name, array in whole.weights.items() if array is not base.weights[name]]
    largest = update = lost = 0.0
    for name in changed:
        change = whole.weights[name] - base.weights[name]
        largest = max(largest, float(np.abs(change).max()))
        update += float(np.sum(change**2))
        lost += float(np.sum((weights[name].astype(np.float32) - whole.weights[name]) ** 2))
    lines = [
        f"wrote {out}: a whole model in {dtype}, {size_of(out):,} bytes; {len(changed)} of its {len(weights)} arrays are new, "
        f"and no number in them differs from the base's by more than {largest:.3g}"
    ]
    if lost and update:
        lines.append(f"rounding to {dtype} moves these arrays by {(lost / update) ** 0.5:.2%} of the update (by norm)")
    lines += [
        f'read by: transformers, AutoModelForCausalLM.from_pretrained("{out}"), and all that read its folders',
        f"         minilora generate --base {quote(str(out))}",
    ]
    return "\n".join(lines)


def rewritten(adapter, out, dtype, bake):
    """Write the adapter in PEFT's format -> what was written, and who reads it."""
    from minilora.adapters.combine import combine
    from minilora.files.peft import save_adapter

    method, arrays, config = adapter.method, adapter.arrays, adapter.config
    if bake:
        if not method.update_factors(config, arrays):
            raise ValueError(f"{method.name} is no lora, nor can it be written as one: leave out --bake-scale, or --merge it")
        method, arrays, _ = combine([SimpleNamespace(method=method, arrays=arrays)], [1.0], config)
    save_adapter(out, config, method, arrays, adapter.base_name, numpy_dtype(dtype))
    method, _ = method.exported(config, arrays)
    return f"wrote {out}: {described(method, config)} in {dtype}, {size_of(out):,} bytes\n" + "\n".join(readers(method, config, out))


def described(method, config):
    if not hasattr(method, "ranks"):
        return method.name
    ranks, scales = (sorted(set(part.values())) for part in (method.ranks(config), method.scales(config)))
    return f"{method.name} of rank {', '.join(map(str, ranks))} and scale {', '.join(f'{s:g}' for s in scales)}"


def readers(method, config, out):
    """Who reads an adapter that is written so, and who does not."""
    from minilora.methods import LoRA, Method

    lines = [f'read by: PEFT, PeftModel.from_pretrained(model, "{out}")', f"         minilora generate --adapter {quote(str(out))}"]
    if type(method) is not LoRA:
        way_out = "" if type(method).merge is Method.merge else "; --merge is for them"
        return [*lines, f"not by:  vLLM and llama.cpp, which know plain lora alone and not {method.name}{way_out}"]
    if tables := [name for name in method.ranks(config) if name in ("model.embed_tokens", "lm_head")]:
        lines.append(f"not by:  llama.cpp's convert_lora_to_gguf.py, because of {tables[0]}")
    if set(method.scales(config).values()) != {method.alpha / method.rank}:
        lines.append(
            "beware:  llama.cpp's convert_lora_to_gguf.py takes lora_alpha / r for the scale, and is wrong here; --bake-scale is for it"
        )
    return lines


def size_of(folder):
    return sum(file.stat().st_size for file in folder.iterdir())
