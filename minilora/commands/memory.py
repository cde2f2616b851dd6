"""`minilora memory`: the bytes of training, part by part, and what fits into a budget. Arithmetic, not a measurement."""

import json

from minilora.commands.options import add_json, add_method, method_of
from minilora.commands.sizes import add_batch, add_model, model_of
from minilora.commands.table import table

HELP = "plan the memory of training: what fits into a budget?"
BASES = ("bf16", "nf4", "nf4-double")  # the forms of a frozen base
POWERS = {"GB": 9, "MB": 6}  # of ten, in bytes


def add_arguments(parser):
    parser.add_argument("--budget", default="8GB", help="as 8GB (10^9 bytes each) or 8GiB (2^30 bytes each) (%(default)s)")
    add_model(parser)
    add_method(parser, rank=16)
    add_batch(parser)
    parser.add_argument("--keep", action="store_true", help="keep all activations, in place of computing each block's again")
    add_json(parser)


def run(args):
    from minilora import counting
    from minilora.transformer import Config
    from minilora.transformer.known import KNOWN

    budget = counting.bytes_of(args.budget)
    if args.model is None and args.config is None:
        models = {name: config for name, config in KNOWN.items() if isinstance(config, Config)}
    else:
        models = dict([model_of(args)])
    for name, config in models.items():
        if not isinstance(config, Config):
            raise ValueError(f"{name} is no Llama, and what its layers keep is not known here: it can be counted only")
    plans, left_out = [], {}
    for name, config in models.items():
        try:
            plans.append(plan(name, config, args, budget))
        except ValueError as error:  # one of many models may be no place for the method
            left_out[name] = str(error)
    if not plans:
        raise ValueError(next(iter(left_out.values())))
    plans.sort(key=lambda each: each["parameters"])
    if args.json:
        print(json.dumps({"budget": budget, "batch": args.batch, "length": args.length, "recompute": not args.keep, "models": plans}))
        return
    print(overview(plans, args) if len(plans) > 1 else details(plans[0], args))
    print("\n" + assumptions(args))
    for name, reason in left_out.items():
        print(f"left out: {name}: {reason}")


def plan(name, config, args, budget):
    """A model's ways to be trained -> their bytes, part by part, whether they fit, and the most tokens a step that would."""
    from minilora import counting

    method = method_of(args)
    own, trainable, numbers = counting.total(method.shapes(config)), method.count(config), counting.total(config.shapes())
    ways = {"full float32": (numbers, numbers, None, 4), "full bf16": (numbers, numbers, None, 2)}
    if method.name != "full":
        ways |= {f"{method.name} {form}": (own, trainable, form, 4) for form in BASES}
    result = {"model": name, "parameters": numbers, "method": method.name, "trainable": trainable, "ways": {}}
    for way, arguments in ways.items():
        kept, again = (counting.ledger(config, *arguments, args.batch, args.length, recompute) for recompute in (False, True))
        parts = kept if args.keep else again
        total, growing = sum(parts.values()), parts["activations"] + parts["logits and their gradient"]
        a_token = growing // (args.batch * args.length)  # exactly: both are so much a token
        result["ways"][way] = {
            "parts": parts,
            "total": total,
            "fits": total <= budget,
            "tokens": max(0, (budget - total + growing) // a_token),
            "activations": {"recomputed": again["activations"], "kept": kept["activations"]},
        }
    result["cache"] = counting.cache_bytes(config, args.batch * args.length)
    return result


def amount(count, unit="GB"):
    return f"{count / 10 ** POWERS[unit]:,.2f}" if count else "-"


def overview(plans, args):
    """Models down, ways across."""
    ways = list(plans[0]["ways"])
    rows = [
        (
            each["model"],
            f"{each['parameters']:,}",
            f"{each['trainable']:,}",
            *(f"{amount(way['total'])} {'*' if way['fits'] else ' '}" for way in each["ways"].values()),
        )
        for each in plans
    ]
    title = f"training {args.batch:,} x {args.length:,} tokens a step, in GB (10^9 bytes); * fits into {args.budget}"
    return f"{title}\n\n{table(('model', 'parameters', plans[0]['method'] + ' trains', *(f'{way}  ' for way in ways)), rows)}"


def details(plan, args):
    """One model: parts down, ways across."""
    ways = plan["ways"].values()
    unit = "GB" if any(way["total"] >= 10 ** POWERS["GB"] for way in ways) else "MB"
    rows = [(part, *(amount(way["parts"][part], unit) for way in ways)) for part in next(iter(ways))["parts"]]
    rows.append(("total", *(amount(way["total"], unit) for way in ways)))
    rows.append((f"fits into {args.budget}", *("yes" if way["fits"] else "no" for way in ways)))
    rows.append(("most tokens a step that fit", *(f"{way['tokens']:,}" if way["tokens"] else "none" for way in ways)))
    rows.append(("activations if all are kept", *(amount(way["activations"]["kept"], unit) for way in ways)))
    rows.append(("activations if computed again", *(amount(way["activations"]["recomputed"], unit) for way in ways)))
    step = f"training {args.batch:,} x {args.length:,} tokens a step, in {unit} (10^{POWERS[unit]} bytes)"
    title = f"{plan['model']}, {plan['parameters']:,} parameters: {step}"
    cache = f"to generate so many tokens, a key/value cache of {amount(plan['cache'], unit)} {unit} in bf16 stands beside the weights"
    return f"{title}\n\n{table(('part', *plan['ways']), rows)}\n\n{cache}"


def assumptions(args):
    """What the numbers rest on."""
    how = "all activations are kept" if args.keep else "each block keeps its input, and is computed again in the backward pass"
    return f"""\
assumed: AdamW; a number that trains takes 16 bytes in float32 and 8 in bf16 (itself, its gradient,
         two moments); the adapter is float32 on a frozen base; nf4 is 4.5 bits a number in the
         layers' matrices, nf4-double 4.127, the rest bf16
         {how};
         2 bytes each, 4 in full float32
         attention keeps no probabilities; logits and their gradient are float32
not in:  what the runtime keeps for itself, temporary arrays, fragmentation: leave room for them"""
