"""Tidy tables: a list of rows, dictionaries of plain values, as CSV that comes with the package."""

import csv
import io
from pathlib import Path

from minilora.files.atomic import write_bytes

TABLES = Path(__file__).parent / "tables"


def to_csv(rows):
    """The rows as CSV; the columns are those of all rows, in the order in which they appear. What a row does not have stays empty."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def save(path, rows):
    write_bytes(path, to_csv(rows).encode())


def stored(name, preset):
    """The rows of an experiment that come with the package; FileNotFoundError where there are none."""
    path = TABLES / f"{name}.{preset}.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no stored table of {name} at preset {preset}: run it, minilora experiment {name} --preset {preset}"
        )
    return load(path)


def load(path):
    """Rows that were saved: numbers become numbers, True and False truth values, and empty cells None."""
    with open(path, newline="") as file:
        return [{column: value(text) for column, text in row.items()} for row in csv.DictReader(file)]


def value(text):
    if text in ("", "True", "False"):
        return {"": None, "True": True, "False": False}[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def column(rows, name, **where):
    """The values of one column, of the rows whose other columns are as asked."""
    return [row[name] for row in rows if all(row[key] == wanted for key, wanted in where.items())]


def unfolded(rows, name):
    """A row for each of the dictionaries in a row's list called `name`, with the row's other columns before it."""
    return [{**{key: value for key, value in row.items() if key != name}, **part} for row in rows for part in row[name]]
