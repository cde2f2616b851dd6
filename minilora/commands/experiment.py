"""`minilora experiment NAME`: run one experiment of the lab, say what it found, and keep its table and figure.

A finding over seeds holds if the mean is on the right side of the bound and at least three standard deviations (+-) away from it.
"""

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
    from minilora.files.atomic import make_folder
    from minilora.lab.findings import how_to_read

    if args.name is None:
        questions = {name: lab.find(name).QUESTION for name in lab.NAMES}
        print(json.dumps(questions) if args.json else "\n".join(f"{name:<20} {question}" for name, question in questions.items()))
        return
    if args.seeds < 1 or args.jobs < 1:
        raise ValueError(f"seeds {args.seeds} and jobs {args.jobs} must be at least 1")
    experiment = lab.find(args.name)
    more = {"folder": args.folder} if args.folder else {}
    if not more.keys() <= inspect.signature(experiment.run).parameters.keys():
        raise ValueError(f"{args.name} reads no folder: --folder is for domain")
    if args.out:
        make_folder(args.out)  # where that cannot be, it is told before the work
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
    print(how_to_read(args.preset, args.seeds))


def keep(stem, experiment, rows):
    from minilora.files.atomic import write_bytes
    from minilora.lab import table
    from minilora.pictures.style import LIGHT, house, png

    table.save(stem.with_name(stem.name + ".csv"), rows)
    with house(LIGHT):
        write_bytes(stem.with_name(stem.name + ".png"), png(experiment.draw(rows)))
