"""`minilora experiment NAME`: run one experiment of the lab, say what it found, and keep its table and figure."""

import inspect
import json

from minilora.commands.options import add_json, path

HELP = "run an experiment of the lab: a question about LoRA, its table, figure and findings"


def add_arguments(parser):
    parser.add_argument("name", nargs="?", help="which one; without a name they are listed")
    parser.add_argument("--preset", default="class", choices=("smoke", "class", "paper"), help="how long it may take (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="trials at a time (%(default)s)")
    parser.add_argument("--folder", type=path, help="for domain: a folder of your own text in place of minilora's source")
    parser.add_argument("--out", type=path, help="a folder for NAME.PRESET.csv and NAME.PRESET.png")
    add_json(parser)


def run(args):
    from minilora import lab

    if args.name is None:
        for name in lab.NAMES:
            print(f"{name:<20} {lab.find(name).QUESTION}")
        return
    if args.seeds < 1 or args.jobs < 1:
        raise ValueError(f"seeds {args.seeds} and jobs {args.jobs} must be at least 1")
    experiment = lab.find(args.name)
    more = {"folder": args.folder} if args.folder else {}
    if not more.keys() <= inspect.signature(experiment.run).parameters.keys():
        raise ValueError(f"{args.name} reads no folder: --folder is for domain")
    rows = experiment.run(args.preset, tuple(range(args.seeds)), args.jobs, **more)
    if args.out:
        keep(args.out / f"{args.name}.{args.preset}", experiment, rows)
    findings = experiment.check(rows)
    if args.json:
        print(json.dumps({"rows": rows, "findings": [vars(finding) for finding in findings]}))
        return
    print(experiment.QUESTION, *findings, sep="\n")
    if args.out:
        print(f"wrote {args.out / args.name}.{args.preset}.csv and .png")


def keep(stem, experiment, rows):
    from minilora.files.atomic import write_bytes
    from minilora.lab import table
    from minilora.pictures.style import LIGHT, house, png

    table.save(stem.with_name(stem.name + ".csv"), rows)
    with house(LIGHT):
        write_bytes(stem.with_name(stem.name + ".png"), png(experiment.draw(rows)))
