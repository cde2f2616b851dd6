"""`minilora claims`: what is commonly said about LoRA, what was measured here, and the verdict."""

import json
import shutil
import sys
import textwrap

from minilora.commands.options import add_json, path
from minilora.commands.sizes import whole_number

HELP = "the common claims about LoRA, what was measured, and the verdict on each"
USUAL = {"preset": "class", "seeds": 3, "jobs": 2}  # of a run
WIDEST = 120  # characters a line


def add_arguments(parser):
    parser.add_argument("--only", type=whole_number, action="append", metavar="N", help="this claim alone; may be given more than once")
    parser.add_argument(
        "--run", dest="anew", action="store_true", help="run the experiments behind them anew, in place of the tables that are stored"
    )
    parser.add_argument("--preset", choices=("class", "paper"), help=f"with --run: how long they may take ({USUAL['preset']})")
    parser.add_argument("--seeds", type=whole_number, help=f"with --run: how many seeds ({USUAL['seeds']})")
    parser.add_argument("--jobs", type=whole_number, help=f"with --run: trials at a time ({USUAL['jobs']})")
    parser.add_argument("--write", type=path, metavar="PATH", help="write the page of all claims in Markdown, as docs/claims.md")
    add_json(parser)


def run(args):
    from minilora.files.atomic import make_folder, write_bytes
    from minilora.lab import ledger
    from minilora.lab.ledger.page import page

    dials = {name: value for name, value in vars(args).items() if name in USUAL and value is not None}
    if dials and not args.anew:
        raise ValueError(f"--{next(iter(dials))} is for a new run: give it together with --run")
    if args.only and args.write:
        raise ValueError("the page that --write writes is of all claims: leave out --only")
    if args.write:  # before the work
        make_folder(args.write.parent)
        if args.write.is_dir():
            raise IsADirectoryError(f"{args.write} is a folder: name the page in it, as {args.write / 'claims.md'}")
    claims = [ledger.find(number) for number in args.only or sorted(ledger.CLAIMS)]
    names = list(dict.fromkeys(name for claim in claims for name in claim.tables))
    tables = measured(names, **{**USUAL, **dials}) if args.anew else ledger.stored_tables(names)
    answers = {claim: claim.answer({name: tables[name] for name in claim.tables}) for claim in claims}
    if args.write:
        write_bytes(args.write, page(answers).encode())
    if args.json:
        print(json.dumps([row(claim, answer) for claim, answer in answers.items()]))
    elif args.write:
        print(f"wrote {args.write}")
    else:
        print("\n\n".join(text(claim, answer) for claim, answer in answers.items()))


def measured(names, preset, seeds, jobs):
    """The tables, one experiment after the other."""
    from minilora.lab import ledger

    tables = {}
    for n, name in enumerate(names, 1):
        print(f"[{n}/{len(names)}] {name}", file=sys.stderr, flush=True)
        tables |= ledger.run_tables([name], preset, seeds, jobs)
    return tables


def row(claim, answer):
    return {"number": claim.number, "claim": claim.says, **vars(answer), "run": claim.commands}


def text(claim, answer):
    """A claim for people, in lines of a terminal."""
    lines = [f"{claim.number:>2}. {claim.says}", f"{answer.verdict.upper()}. {answer.measured}", f"size: {answer.size}"]
    lines.append("run:  " + "; ".join(claim.commands))
    width = min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns)
    return "\n".join(
        textwrap.fill(line, width, initial_indent="" if n == 0 else "    ", subsequent_indent="    ") for n, line in enumerate(lines)
    )
