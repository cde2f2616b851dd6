"""A notebook from its source: a Python file in which `# %%` begins a cell and `# %% [markdown]` a cell of text (py:percent).

A source can be read, compared line by line and run by Python; a notebook cannot. What a notebook has beside is made here so that the same
source gives the same bytes each time: a cell's id is a hash of the file's name and the cell's place.
"""

import hashlib
from pathlib import Path

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
KEPT = ("tags", "nbgrader")  # of a cell's metadata; jupytext adds some of its own, about blank lines


def tools():
    """jupytext and nbformat. ValueError where they are missing."""
    try:
        import jupytext
        import nbformat
    except ModuleNotFoundError as missing:
        raise ValueError(f"the course's notebooks need {missing.name}: pip install 'minilora[course]'") from None
    return jupytext, nbformat


def cell_id(stem, position):
    """The id of the cell at a position of the file with this stem."""
    return hashlib.sha256(f"{stem} {position}".encode()).hexdigest()[:8]


def read(path):
    """The notebook, without outputs, whose source is the file `path`. FileNotFoundError if there is none."""
    jupytext, nbformat = tools()
    path = Path(path)
    found = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    for position, cell in enumerate(found.cells):
        cell.id = cell_id(path.stem, position)
        cell.metadata = {key: value for key, value in cell.metadata.items() if key in KEPT}
    return nbformat.from_dict({"cells": found.cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5})


def load(path):
    """The notebook in the file `path`. FileNotFoundError if there is none."""
    _, nbformat = tools()
    return nbformat.read(path, as_version=4)


def to_bytes(notebook):
    """The bytes of a notebook's file. ValueError where it is no valid notebook."""
    _, nbformat = tools()
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        raise ValueError(f"this is no valid notebook: {error.message}") from None
    return (nbformat.writes(notebook) + "\n").encode()


def differences(notebook, made):
    """What differs between a notebook and the one that its source makes: a line for each cell. Outputs are not compared."""
    lines = []
    for position in range(max(len(notebook.cells), len(made.cells))):
        pair = [each.cells[position] if position < len(each.cells) else None for each in (notebook, made)]
        if None in pair:
            lines.append(f"cell {position + 1} is in the {'source' if pair[0] is None else 'notebook'} only")
            continue
        unlike = [key for key in ("id", "cell_type", "source", "metadata") if pair[0][key] != pair[1][key]]
        if unlike:
            lines.append(f"cell {position + 1} has another {' and '.join(unlike)}")
    return lines
