"""The command line: `minilora COMMAND --help` explains each command. A user's mistake is one line on stderr and exit code 2."""

import argparse
import json
import sys
from pathlib import Path

EXAMPLES = """\
examples:
  minilora demo                                             see everything once, in about a minute
  minilora finetune --corpus pirate --rank 4 --out pirate   adapt the base that comes with the package
  minilora generate --adapter pirate "once upon a time"     let it speak
  minilora gradcheck --method lora                          is the backward pass right?
"""


def parser():
    top = argparse.ArgumentParser(
        prog="minilora", description="LoRA by hand, on a CPU.", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="the whole story in one command", description="The whole story in one command.")
    demo.add_argument("--figures", type=Path, default=Path("figures"), help="folder for the figure (%(default)s)")
    demo.set_defaults(run=run_demo)

    pretrain = commands.add_parser(
        "pretrain", help="train a base from random weights", description="Train a base from random weights, as a Hugging Face folder."
    )
    pretrain.add_argument("--preset", default="stories-base", help="the recipe (%(default)s)")
    pretrain.add_argument("--out", type=Path, required=True, help="folder to write")
    pretrain.add_argument("--steps", type=int, help="stop after fewer steps than the preset's, to try it out")
    pretrain.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    pretrain.set_defaults(run=run_pretrain)

    finetune = commands.add_parser(
        "finetune", help="adapt a base to a text", description="Adapt a base to a text. Writes an adapter in PEFT's format."
    )
    add_base(finetune)
    finetune.add_argument("--method", default="lora", help="lora or full (%(default)s)")
    finetune.add_argument("--rank", type=int, default=4, help="columns of A and rows of B (%(default)s)")
    finetune.add_argument("--alpha", type=float, help="the update is scaled by alpha / rank (default: 2 x rank)")
    finetune.add_argument(
        "--targets", default="all-linear", help="all-linear, attention, mlp, or names such as q_proj,v_proj (%(default)s)"
    )
    text = finetune.add_mutually_exclusive_group(required=True)
    text.add_argument("--corpus", help="stories, shout, pirate, uwu, piglatin, rot13, pydoc or stdlib")
    text.add_argument("--text", help="a file or folder of your own, in UTF-8")
    finetune.add_argument("--steps", type=int, default=300, help="(%(default)s)")
    finetune.add_argument("--learning-rate", type=float, help="default: the method's own")
    finetune.add_argument("--batch", type=int, default=16, help="rows of text a step (%(default)s)")
    finetune.add_argument("--length", type=int, default=192, help="characters a row (%(default)s)")
    finetune.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    finetune.add_argument("--out", type=Path, required=True, help="folder for the adapter and its checkpoint")
    finetune.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    finetune.add_argument("--json", action="store_true", help="print the log as JSON")
    finetune.set_defaults(run=run_finetune)

    generate = commands.add_parser("generate", help="let a base speak, with or without an adapter")
    generate.add_argument("prompt", nargs="?", default="once upon a time", help="(%(default)s)")
    add_base(generate)
    generate.add_argument("--adapter", help="a folder that finetune or PEFT wrote")
    generate.add_argument("--count", type=int, default=1, help="texts to draw (%(default)s)")
    generate.add_argument("--length", type=int, help="characters at the most")
    generate.add_argument("--temperature", type=float, default=0.8, help="0 takes the likeliest (%(default)s)")
    generate.add_argument("--top-k", type=int, default=0, help="draw from the k likeliest (0: all)")
    generate.add_argument("--top-p", type=float, default=1.0, help="draw from the likeliest that make up this probability (%(default)s)")
    generate.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    generate.set_defaults(run=run_generate)

    check = commands.add_parser("gradcheck", help="compare every gradient with central differences")
    check.add_argument("--method", default="lora", help="lora or full (%(default)s)")
    check.add_argument("--targets", default="all-linear", help="(%(default)s)")
    check.add_argument("--json", action="store_true", help="print the table as JSON")
    check.set_defaults(run=run_gradcheck)
    return top


def add_base(command):
    command.add_argument("--base", default="stories-base", help="a base of the package, or a Hugging Face folder (%(default)s)")


def method_of(name, **settings):
    """The method of this name; settings that it does not have are left out. ValueError for a name that there is not."""
    from minilora.methods import REGISTRY

    if name not in REGISTRY:
        raise ValueError(f"there is no method {name!r}; there are {', '.join(sorted(REGISTRY))}")
    fields = REGISTRY[name].__dataclass_fields__
    return REGISTRY[name](**{key: value for key, value in settings.items() if key in fields})


def run_demo(args):
    from minilora.demo import demo

    demo(args.figures)


def run_pretrain(args):
    from minilora import api
    from minilora.files.atomic import write_json
    from minilora.training.presets import find

    preset = find(args.preset)
    recipe = {**preset["recipe"], **({"steps": args.steps} if args.steps else {})}
    base, log = api.pretrain(args.preset, preset["config"], preset["corpus"], args.out, args.resume, **recipe)
    base.save(args.out)
    write_json(args.out / "recipe.json", {"corpus": preset["corpus"], **recipe})
    write_json(args.out / "log.json", log)
    print(f"wrote {args.out}; try: minilora generate --base {args.out}")


def run_finetune(args):
    from minilora import api

    method = method_of(args.method, rank=args.rank, alpha=args.alpha or 2.0 * args.rank, targets=args.targets)
    recipe = {"steps": args.steps, "batch": args.batch, "length": args.length, "seed": args.seed}
    if args.learning_rate is not None:
        recipe["learning_rate"] = args.learning_rate
    base = api.load(args.base)
    corpus = args.corpus or Path(args.text)
    adapter = api.finetune(base, method, corpus, folder=args.out, resume=args.resume, progress=not args.json, **recipe)
    adapter.save(args.out)
    if args.json:
        print(json.dumps(adapter.log))
        return
    for row in adapter.log:
        excess = "" if row["excess"] is None else f", {row['excess']:.3f} above the generator's own"
        print(f"step {row['step']}: loss {row['loss']:.3f}, held out {row['held_out']:.3f} nats a character{excess}")
    print(f'wrote {args.out}; try: minilora generate --adapter {args.out} "once upon a time"')


def run_generate(args):
    from minilora import api

    base = api.load(args.base)
    adapter = api.load_adapter(args.adapter, base) if args.adapter else None
    texts = base.generate(args.prompt, adapter, args.length, args.seed, args.temperature, args.top_k, args.top_p, args.count)
    print("\n".join([texts] if isinstance(texts, str) else texts))


def run_gradcheck(args):
    from minilora import gradcheck
    from minilora.methods.check import check_method

    rows = check_method(method_of(args.method, rank=2, alpha=6.0, targets=args.targets))
    print(json.dumps([{**row, "ok": bool(row["ok"])} for row in rows]) if args.json else gradcheck.table(rows))
    return 0 if all(row["ok"] for row in rows) else 1


def main(arguments=None):
    args = parser().parse_args(arguments)
    try:
        return args.run(args) or 0
    except KeyboardInterrupt as stopped:
        print(f"\nminilora: {stopped or 'stopped'}", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"minilora: {error}", file=sys.stderr)
        return 2
