"""`minilora claims`: what is commonly said about LoRA, what was measured here, and the verdict."""

import json
import sys
import textwrap

from minilora.commands.options import add_json, path
from minilora.commands.sizes import whole_number

HELP = "the common claims about LoRA, what was measured, and the verdict on each"


def add_arguments(parser):
    parser.add_argument("--only", type=whole_number, action="append", metavar="N", help="this claim alone; may be given more than once")
    parser.add_argument(
        "--run", dest="anew", action="store_true", help="run the experiments behind them anew, in place of the tables that are stored"
    )
    parser.add_argument("--preset", default="class", choices=("class", "paper"), help="with --run: how long they may take (%(default)s)")
    parser.add_argument("--seeds", type=whole_number, default=3, help="with --run (%(default)s)")
    parser.add_argument("--jobs", type=whole_number, default=2, help="with --run: trials at a time (%(default)s)")
    parser.add_argument("--write", type=path, metavar="PATH", help="write a page in Markdown, as docs/claims.md")
    add_json(parser)


def run(args):
    from minilora.files.atomic import write_bytes
    from minilora.lab import ledger
    from minilora.lab.ledger.page import page

    claims = [ledger.find(number) for number in args.only or sorted(ledger.CLAIMS)]
    names = list(dict.fromkeys(name for claim in claims for name in claim.tables))
    tables = measured(names, args) if args.anew else ledger.stored_tables(names)
    answers = {claim: claim.answer({name: tables[name] for name in claim.tables}) for claim in claims}
    if args.write:
        write_bytes(args.write, page(answers).encode())
    if args.json:
        print(json.dumps([row(claim, answer) for claim, answer in answers.items()]))
    elif args.write:
        print(f"wrote {args.write}")
    else:
        print("\n\n".join(text(claim, answer) for claim, answer in answers.items()))


def measured(names, args):
    """The tables, one experiment after the other."""
    from minilora.lab import ledger

    tables = {}
    for n, name in enumerate(names, 1):
        print(f"[{n}/{len(names)}] {name}", file=sys.stderr, flush=True)
        tables |= ledger.run_tables([name], args.preset, args.seeds, args.jobs)
    return tables


def row(claim, answer):
    return {"number": claim.number, "claim": claim.says, **vars(answer), "run": claim.commands}


def text(claim, answer):
    """A claim for people, in lines of a terminal."""
    lines = [f"{claim.number:>2}. {claim.says}", f"{answer.verdict.upper()}. {answer.measured}", f"size: {answer.size}"]
    lines.append("run:  " + "; ".join(claim.commands))
    return "\n".join(
        textwrap.fill(line, 120, initial_indent="" if n == 0 else "    ", subsequent_indent="    ") for n, line in enumerate(lines)
    )
