"""Plausible mistakes, one line each, every one of which must turn a test red.

A mutant is an edit of the real source: within one function of one file below minilora/, `old` becomes `new`. test_mutants.py imports
minilora anew with the edit in place and runs the tests of that file. A mutant that passes them is a hole in the tests: mend the tests.
One whose `old` is no longer there, or there twice, is an error: mend the mutant.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

import minilora

FOLDER = Path(minilora.__file__).parent


@dataclass(frozen=True)
class Mutant:
    file: str
    function: str
    old: str
    new: str
    mistake: str

    def __str__(self):
        return f"{self.file}:{self.function}: {self.mistake}"


def listed(files):
    """Mutants from file -> function -> [(old, new, mistake)]."""
    return [Mutant(file, function, *edit) for file, functions in files.items() for function, edits in functions.items() for edit in edits]


def edited(mutant):
    """The source of the mutant's file with its edit. Raises ValueError unless `old` stands exactly once in the function."""
    source = (FOLDER / mutant.file).read_text(encoding="utf-8")
    node = ast.parse(source)
    for part in mutant.function.split("."):
        node = next((child for child in node.body if getattr(child, "name", None) == part), None)
        if node is None:
            raise ValueError(f"{mutant}: there is no {part}")
    lines = source.splitlines(keepends=True)
    first, last = node.lineno - 1, node.end_lineno
    function = "".join(lines[first:last])
    if function.count(mutant.old) != 1:
        raise ValueError(f"{mutant}: {mutant.old!r} stands {function.count(mutant.old)} times in the function, not once")
    return "".join([*lines[:first], function.replace(mutant.old, mutant.new), *lines[last:]])
