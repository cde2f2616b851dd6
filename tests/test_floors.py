"""The floors of CONTRIBUTING.md, against what the files import."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "minilora"


def floors():
    """Name of a room -> its floor, from the ground up."""
    (told,) = re.findall(r"\*\*Floors\.\*\*.*?\. The model", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    return {name: floor for floor, names in enumerate(re.findall(r"`([a-z ]+)`", told)) for name in names.split()}


def imported(file):
    """The rooms that a file takes something from."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "minilora":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("minilora."):
            yield node.module.split(".")[1]


def test_imports_run_downwards_only():
    floor, upwards = floors(), []
    for file in PACKAGE.rglob("*.py"):
        room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if not room.startswith("__"):
            upwards += [f"{file.relative_to(ROOT)}: {other}" for other in imported(file) if floor[other] > floor[room]]
    assert not upwards
