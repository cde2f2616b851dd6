"""The small tables of measured numbers that pictures are drawn from, in minilora/pictures/data; measure.py makes them."""

import json
from pathlib import Path

from minilora.files.atomic import write_bytes

FOLDER = Path(__file__).parent / "data"


def write(name, rows, **about):
    """A table as JSON, a row a line, under what it is about."""
    head = json.dumps({"command": "python -m minilora.pictures.measure", **about}, indent=1, sort_keys=True).removesuffix("\n}")
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    write_bytes(FOLDER / name, f'{head},\n "rows": [\n{lines}\n ]\n}}\n'.encode())


def read(name):
    """A table as a dictionary; its "rows" are a list of dictionaries."""
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))
