"""`minilora gradcheck`: every gradient of a method in a small model against central differences."""

import json

from minilora.commands.options import add_json, add_method, method_of

HELP = "compare every gradient with central differences"


def add_arguments(parser):
    add_method(parser, rank=2)
    add_json(parser)


def run(args):
    from minilora import gradcheck
    from minilora.methods.check import check_method

    rows = check_method(method_of(args))
    print(json.dumps([{**row, "ok": bool(row["ok"])} for row in rows]) if args.json else gradcheck.table(rows))
    return 0 if all(row["ok"] for row in rows) else 1
