"""`minilora pretrain`: a base from random weights, as a Hugging Face folder."""

import shlex

from minilora.commands.options import path

HELP = "train a base from random weights"


def add_arguments(parser):
    parser.add_argument("--preset", default="stories-base", help="the recipe (%(default)s)")
    parser.add_argument("--out", type=path, required=True, help="a new folder, for the base and its checkpoint")
    parser.add_argument("--steps", type=int, help="in which the learning rate rises and falls (default: the preset's)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")


def run(args):
    from minilora import api
    from minilora.files.atomic import write_json
    from minilora.training.presets import find

    preset = find(args.preset)
    recipe = {**preset["recipe"], **({"steps": args.steps} if args.steps is not None else {})}
    base, log = api.pretrain(args.preset, preset["config"], preset["corpus"], args.out, args.resume, **recipe)
    base.save(args.out)
    write_json(args.out / "recipe.json", {"corpus": preset["corpus"], **recipe})
    write_json(args.out / "log.json", log)
    print(f"wrote {args.out}; try: minilora generate --base {shlex.quote(str(args.out))}")
