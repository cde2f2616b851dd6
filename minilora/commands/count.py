"""`minilora count`: the numbers that train, and the operations of a step, for one matrix or for a whole model."""

import json
import math

from minilora.commands.options import add_json, add_method, method_of
from minilora.commands.sizes import add_batch, add_model, model_of, whole_number
from minilora.commands.table import table

HELP = "count parameters and FLOPs, of one matrix or of a model"
OF_A_MODEL = ("method", "alpha", "targets", "batch", "length")
STEPS_AS_LORA = ("lora", "rslora", "lora+", "pissa", "olora")  # the methods whose step multiplies the same matrices as LoRA's


def add_arguments(parser):
    parser.add_argument("--d", type=whole_number, help="rows of one matrix W (d, k), its inputs")
    parser.add_argument("--k", type=whole_number, help="columns of one matrix, its outputs")
    add_model(parser)
    add_method(parser, rank=8)
    add_batch(parser)
    add_json(parser)
    parser.set_defaults(parser=parser)


def run(args):
    a_model = args.model is not None or args.config is not None
    if a_model == (args.d is not None or args.k is not None) or (args.d is None) != (args.k is None):
        raise ValueError("count takes --d and --k together, or else --model or --config: name one matrix or one model")
    ignored = [name for name in OF_A_MODEL if getattr(args, name) != args.parser.get_default(name)]
    if ignored and not a_model:
        raise ValueError(f"--{ignored[0]} says nothing about one matrix: leave it out, or name a model")
    result, text = (count_model(args), model_text) if a_model else (count_pair(args.d, args.k, args.rank), pair_text)
    print(json.dumps(result) if args.json else text(result))


def count_pair(d, k, r):
    """What there is to say about W (d, k) and a pair of rank r. ValueError for a rank that such a matrix cannot have."""
    from minilora import counting

    lora = counting.lora_params(d, k, r)  # refuses what is no size
    if r > min(d, k):
        raise ValueError(f"rank {r} is outside 1..{min(d, k)}: a {d} x {k} matrix has no more than {min(d, k)} directions")
    return {
        "d": d,
        "k": k,
        "rank": r,
        "full_params": counting.full_params(d, k),
        "lora_params": lora,
        "saving": counting.saving(d, k, r),
        "break_even_rank": counting.break_even_rank(d, k),
        "full_flops": counting.full_flops(d, k),
        "lora_flops": counting.lora_flops(d, k, r),
        "flops_ratio": counting.flops_ratio(d, k, r),
        "break_even_flops_rank": counting.break_even_flops_rank(d, k),
    }


def pair_text(result):
    d, k, r = (result[name] for name in ("d", "k", "rank"))
    rows = [
        ("numbers: d k, and r (d + k)", result["full_params"], result["lora_params"]),
        ("training FLOPs a token: 6 d k, and 4 d k + 6 r (d + k)", result["full_flops"], result["lora_flops"]),
    ]
    rows = [(name, f"{full:,}", f"{lora:,}", f"{lora / full:.4f}") for name, full, lora in rows]
    share, star, third = result["saving"], result["break_even_rank"], result["break_even_flops_rank"]
    lines = [
        f"W is {d:,} x {k:,}; A is {d:,} x {r:,} and B is {r:,} x {k:,}",
        "",
        table(("", "W trains", f"LoRA, rank {r:,}", "LoRA / W"), rows),
        "",
        f"{abs(share):.2%} {'fewer' if share >= 0 else 'more'} numbers; as many at the break-even rank d k / (d + k) = {star:,.2f}",
        f"{'fewer' if r <= third else 'more'} FLOPs; as many at a third of that, rank {third:,.2f}",
    ]
    return "\n".join(lines)


def count_model(args):
    """What a method trains in a model, module by module; and the FLOPs of a step, if it multiplies the matrices that LoRA does."""
    from minilora import counting

    name, config = model_of(args)
    method, base = method_of(args), config.shapes()
    own = method.shapes(config)
    trains = {array: own[array] for array in method.trainable(own)}
    numbers, trainable = counting.total(base), method.count(config)
    everything = numbers + counting.total({array: shape for array, shape in trains.items() if array not in base})
    stored, trains = counting.by_module(base), counting.by_module(trains)
    result = {
        "model": name,
        "method": method.name,
        "base": numbers,
        "trainable": trainable,
        "all": everything,
        "percent": 100 * trainable / everything,
        "modules": [
            {
                "module": module,
                "shapes": sorted(set(stored.get(module, trains.get(module))), key=len, reverse=True),
                "base": sum(map(math.prod, stored.get(module, []))),
                "trainable": sum(map(math.prod, trains.get(module, []))),
            }
            for module in dict.fromkeys([*stored, *trains])
        ],
    }
    if method.name in STEPS_AS_LORA:
        full, lora = (counting.step_flops(config, args.batch, args.length, ranks) for ranks in (None, method.ranks(config)))
        result["step"] = {"batch": args.batch, "length": args.length, "full": full, method.name: lora}
    return result


def peft_line(result):
    """What PEFT's print_trainable_parameters says.

    A method's own frozen arrays are not among "all": PEFT keeps VeRA's pair as a buffer and takes PiSSA's first pair off the weight. (It
    does count the A of LoRA-FA, and as trainable: only its optimiser knows better.)
    """
    return f"trainable params: {result['trainable']:,} || all params: {result['all']:,} || trainable%: {result['percent']:.4f}"


def model_text(result):
    method, numbers = result["method"], lambda count: f"{count:,}" if count else "-"
    rows = [
        (
            row["module"],
            " x ".join(f"{size:,}" for size in row["shapes"][0]) if row["base"] else "-",
            numbers(row["base"]),
            numbers(row["trainable"]),
            f"{row['trainable'] / row['base']:.2%}" if row["base"] and row["trainable"] else "-",
        )
        for row in result["modules"]
    ]
    rows.append(("total", "", f"{result['base']:,}", f"{result['trainable']:,}", f"{result['trainable'] / result['base']:.2%}"))
    header = ("module, in all layers", "shape", "base", f"{method} trains", "of base")
    lines = [result["model"], "", table(header, rows), "", peft_line(result)]
    if "step" in result:
        lines += ["", step_text(result["step"], method)]
    return "\n".join(lines)


def step_text(step, method):
    full, lora = step["full"], step[method]
    rows = [(part, full[part], lora[part]) for part in full] + [("total", sum(full.values()), sum(lora.values()))]
    power, prefix = (12, "T") if rows[-1][1] >= 10**12 else (9, "G")
    rows = [(part, f"{a / 10**power:,.3f}", f"{b / 10**power:,.3f}", f"{b / a:.4f}" if a else "-") for part, a, b in rows]
    title = f"a training step on {step['batch']:,} x {step['length']:,} tokens, in {prefix}FLOP (10^{power}) of matrix products"
    return f"{title}\n\n{table(('part', 'full', method, f'{method} / full'), rows)}"
