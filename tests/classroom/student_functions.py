"""Functions as students write them, from the sources of the exercises: the solution, the empty version, others with their own body."""

import re
import textwrap
from pathlib import Path

import numpy as np

from minilora.classroom.convert import SOLUTION, STUBS, without

FOLDER = Path(__file__).parents[2] / "exercises" / "src"
SOURCES = sorted(FOLDER.glob("*.py"))
CELL = re.compile(r"^# %%.*?\n(def (\w+)\(.*?\n)(?=\n+# %%)", re.S | re.M)  # a cell that is one function
CELLS = {name: text for path in SOURCES for text, name in CELL.findall(path.read_text(encoding="utf-8"))}


def made(name, text):
    """The function that a text defines."""
    space = {"np": np}
    exec(compile(text, f"<{name}>", "exec"), space)
    return space[name]


def solution(name):
    return made(name, CELLS[name])


def empty(name):
    return made(name, without(CELLS[name], SOLUTION, STUBS["code"]))


def with_body(name, body):
    """The exercise's function with another body: an expression to be returned, or statements."""
    try:
        compile(body, name, "eval")
    except SyntaxError:
        pass
    else:
        body = f"return {body}"
    return made(name, CELLS[name].splitlines()[0] + "\n" + textwrap.indent(body, "    "))
