"""From a teacher's notebook to a student's: what stands between the solution's markers becomes a place to write in.

The markers are nbgrader's own, so that nbgrader takes the same sources unchanged:

    ### BEGIN SOLUTION      the lines up to   ### END SOLUTION       become  raise NotImplementedError
    ### BEGIN HIDDEN TESTS  the lines up to   ### END HIDDEN TESTS   are taken out

Left out: nbgrader's checksums and its cells that are graded by hand.
"""

import copy
import re

STUBS = {"code": ("# your code here", "raise NotImplementedError"), "markdown": ("*Your answer here.*",), "raw": ()}
SOLUTION, HIDDEN = "SOLUTION", "HIDDEN TESTS"


def has_solutions(cells):
    """Is there a solution in any of the cells?"""
    return any("BEGIN SOLUTION" in cell["source"] for cell in cells)


def student(cells):
    """Cells of a notebook -> new ones, without solutions, hidden tests and outputs. ValueError for markers that do not pair up."""
    cells = copy.deepcopy(cells)
    for n, cell in enumerate(cells, 1):
        try:
            cell["source"] = without(without(cell["source"], SOLUTION, STUBS[cell["cell_type"]]), HIDDEN, ())
        except ValueError as error:
            raise ValueError(f"cell {n}: {error}") from None
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return cells


def with_seed(cells, seed):
    """New cells whose checks draw the numbers of another seed. ValueError where there is no `checker(seed=...)`."""
    cells, changed = copy.deepcopy(cells), 0
    for cell in cells:
        cell["source"], found = re.subn(r"\bchecker\(seed=\d+\)", f"checker(seed={seed})", cell["source"])
        changed += found
    if not changed:
        raise ValueError("there is no `checker(seed=0)` in it, whose seed could be changed")
    return cells


def without(text, marker, stub):
    """The text with all that stands between BEGIN and END of a marker replaced by the lines of the stub, as far indented as BEGIN."""
    kept, inside = [], False
    for line in text.splitlines():
        begins, ends = f"BEGIN {marker}" in line, f"END {marker}" in line
        if begins if inside else ends:
            raise ValueError(f"{line.strip()!r} stands {'inside another' if inside else 'without its BEGIN'}")
        if begins:
            indent = line[: len(line) - len(line.lstrip())]
            kept += [indent + each for each in stub]
        elif not (inside or ends):
            kept.append(line)
        inside = begins or (inside and not ends)
    if inside:
        raise ValueError(f"a BEGIN {marker} has no END")
    return "\n".join(kept).strip("\n")
