"""`minilora compare`: every way to fine-tune on the same task, measured, in one table and two figures, beside a published table.

A run that was stopped goes on when it is started again with the same folder.
"""

import json
from pathlib import Path

from minilora.commands.options import add_json, path
from minilora.commands.sizes import whole_number
from minilora.commands.table import table

FOLDER = Path("runs", "compare")
HELP = "compare every way to fine-tune: parameters, memory, seconds, learned, forgotten"


def add_arguments(parser):
    parser.add_argument(
        "--preset",
        default="quick",
        choices=("quick", "full", "stored"),
        help="quick takes the learning rates that a full run found, full searches them, stored shows that run again (%(default)s)",
    )
    parser.add_argument("--methods", help="only these, as lora,prefix; a wrong name lists them (default: all)")
    parser.add_argument("--jobs", type=whole_number, default=2, help="trainings at a time (%(default)s)")
    parser.add_argument("--out", type=path, help="a folder for trials, tables and figures (runs/compare; what is stored is only shown)")
    parser.add_argument("--again", action="store_true", help="measure memory and seconds again; trainings that are there are kept")
    add_json(parser)


def run(args):
    from minilora.lab import compare, footprint
    from minilora.lab import table as tables

    names, progress = chosen(args.methods), not args.json
    only_shown = args.preset == "stored" and not args.again
    out = args.out or (None if only_shown else FOLDER)
    if args.preset == "stored":
        runs, sweep = tables.stored("compare", "full"), tables.stored("compare.sweep", "full")
        runs, sweep = ([row for row in rows if row["contestant"] in names] for rows in (runs, sweep))
        footprints = tables.stored("compare.footprint", "full")
        if not runs:
            raise ValueError(f"the stored run has none of {', '.join(names)}: train them with --preset quick")
    else:
        runs, sweep = compare.run(args.preset, names, out / "trials", args.jobs, progress)
    if not only_shown:
        sizes = {key: runs[0][key] for key in ("voice", "batch", "length")}
        try:
            footprints = footprint.measure(names, out / "footprints", **sizes, again=args.again, progress=progress)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"stopped; what is done is kept in {out}: start it again to go on") from None
    report(args, out, runs, sweep, footprints)


def chosen(methods):
    """The names that were asked for, in the order of the contestants. ValueError for one that there is not."""
    from minilora.lab.contestants import CONTESTANTS

    wanted = [name.strip() for name in methods.split(",")] if methods is not None else list(CONTESTANTS)
    for name in wanted:
        if name not in CONTESTANTS:
            raise ValueError(f"there is no method {name!r} to compare; there are {', '.join(CONTESTANTS)}")
    return [name for name in CONTESTANTS if name in wanted]


def report(args, out, runs, sweep, footprints):
    """Print what was found, and keep it in the folder `out`, if there is one: tidy tables, all of it as JSON, two figures."""
    from minilora.lab import compare
    from minilora.lab.common_table import PUBLISHED, verdicts

    rows = compare.summary(runs, footprints)
    task, found = compare.task_of(runs), verdicts(runs, rows, sweep)
    everything = {"base": "stories-base", "task": task, "target": compare.TARGET, "methods": rows}
    everything |= {"common_table": [vars(verdict) for verdict in found], "published": PUBLISHED}
    if out:
        keep(out, "full" if args.preset == "stored" else args.preset, runs, sweep, footprints, rows, task, everything)
    if args.json:
        print(json.dumps(everything))
        return
    recipe = f"{task['steps']} steps of {task['batch']} x {task['length']} tokens"
    print(f"stories-base learns {task['voice']}: {recipe}, seeds: {rows[0]['seeds']}\n")
    print(measured(rows), notes(compare.TARGET), sep="\n\n")
    print(f"\nthe common table, against this base of {round(rows[0]['trainable'] / rows[0]['share']):,} numbers:", *found, sep="\n  ")
    print(f"\nbeside it {PUBLISHED['source']} ({PUBLISHED['caveat']}):\n\n{published(PUBLISHED['rows'])}")
    if out:
        print(f"\nwrote tables and figures to {out}")


def keep(out, preset, runs, sweep, footprints, rows, task, everything):
    from minilora.files.atomic import write_bytes, write_json
    from minilora.lab import comparison
    from minilora.lab import table as tables

    kept = {"compare": runs, "compare.sweep": sweep, "compare.footprint": footprints}
    for name, content in kept.items():
        if content:
            tables.save(out / f"{name}.{preset}.csv", content)
    write_json(out / f"compare.{preset}.json", everything)
    for name, data in comparison.pictures(rows, task, sweep).items():
        write_bytes(out / name, data)


def measured(rows):
    """The table for people; what is not known is a dash."""
    from minilora.lab.common_table import percent

    header = ("method", "numbers", "share", "rate", "above best", "obeyed", "forgotten")
    header += ("grads+Adam", "peak", "ms/step", "s to goal", "ms/token", "merges")
    lines = []
    for row in rows:
        update = row["gradient_bytes"] + row["optimiser_bytes"]
        measures = [spread(row, "excess", 3), spread(row, "obeyed", 2), spread(row, "forgotten", 2)]
        costs = [f"{update / 1e3:,.0f} kB", number(row["peak_bytes"], 1e-6, 0, " MB"), number(row["ms_a_step"], 1, 0)]
        costs += [number(row["seconds_to_target"], 1, 1), added(row), "yes" if row["merges"] else "no"]
        lines.append((row["contestant"], f"{row['trainable']:,}", percent(row["share"]), f"{row['learning_rate']:g}", *measures, *costs))
    return table(header, lines)


def spread(row, key, digits):
    """A mean and its standard deviation over seeds."""
    if row[key] is None:
        return "-"
    text = f"{row[key]:.{digits}f}"
    return text if row[f"{key}_spread"] is None else f"{text} +- {row[f'{key}_spread']:.{digits}f}"


def number(value, unit, digits, suffix=""):
    return "-" if value is None else f"{unit * value:,.{digits}f}{suffix}"


def added(row):
    """What a token takes longer than with the base alone."""
    if row["ms_a_token"] is None:
        return "-"
    return f"{row['ms_a_token'] / row['ms_a_token_of_base'] - 1:+.0%}"


def notes(target):
    return f"""\
above best  held-out loss on the new voice minus the generator's entropy, nats a character; +- is the standard deviation over seeds
obeyed      the voice's checker on 16 new texts, 0 to 1
forgotten   how far the loss on stories has risen while the adapter is on; taken off, nothing is
peak        memory that training adds to a fresh process, the base included; grads+Adam is a part of it
s to goal   seconds of training until the loss is {target} nats above best; a dash where no run, or not every one, comes there
ms/token    how much longer a token takes at batch 1 than with the base alone, while the update is not merged"""


def published(rows):
    """The other model's table, as it was published."""
    from minilora.lab.common_table import percent

    header = ("method", "numbers", "share", "accuracy", "forgotten", "seconds", "memory", "file")
    lines = []
    for method, numbers, share, accuracy, forgotten, seconds, memory, file in rows:
        costs = (f"{seconds:,}", f"{memory} GB", f"{file:,} MB")
        lines.append((method, f"{numbers:,.0f}", percent(share), f"{accuracy:.3f}", f"{forgotten:.3f}", *costs))
    return table(header, lines)
