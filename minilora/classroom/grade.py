"""Grades what students hand in: a fresh kernel for each notebook, their cells without their checks, then our checks.

A cell that does not come to an end, or that ends the kernel, is left out and the notebook is run again without it, so that the rest still
counts. A cell with an error, be it of syntax, is passed over as a kernel passes over it.

Left out: a sandbox. Students' code runs with the rights of whoever grades: use an account or a container of its own. It could also look for
the check and change it, and an answer may call minilora itself, which is noted; for an exam, look at the answers as well.
"""

import csv
import io
import json
import re
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from minilora.classroom.themes import EXERCISES, THEMES

STARTUP = 60  # seconds that a kernel may take to start
OUTSIDE = re.compile(r"^\s*((?:from|import) +minilora\b(?!\.classroom).*)$", re.M)
DEFINED = re.compile(r"^def (\w+)\(", re.M)


@dataclass(frozen=True)
class Grade:
    """One notebook of one student. `states`: exercise -> "right", "wrong", "empty", "missing" (no such function) or
    "unfinished" (it did not come to an end, or ended the kernel).
    """

    student: str
    notebook: str
    states: dict
    notes: tuple

    @property
    def points(self):
        return sum(state == "right" for state in self.states.values())

    def having(self, state):
        return [name for name, found in self.states.items() if found == state]


def submissions(folder):
    """(student, path) for every notebook below a folder: FOLDER/alice/x.ipynb and FOLDER/alice.ipynb are both alice's. Last come those
    who have a folder and no notebook, with None. Raises ValueError where there is no notebook at all.
    """
    folder, found = Path(folder), []
    for path in sorted(folder.rglob("*.ipynb")):
        inside = path.relative_to(folder)
        if not any(part.startswith(".") for part in inside.parts):  # JupyterLab keeps copies in .ipynb_checkpoints
            found.append((inside.parts[0] if len(inside.parts) > 1 else path.stem, path))
    if not found:
        raise ValueError(f"there is no notebook in {folder}: give the folder that holds one folder, or one notebook, for each student")
    here = {student for student, _ in found}
    folders = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return found + [(student, None) for student in folders if student not in here]


def own_cells(notebook):
    """The code of a notebook, cell by cell, without the cells that only check."""
    sources = []
    for cell in notebook.cells:
        lines = [line for line in cell.source.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        if cell.cell_type != "code" or "check" in cell.metadata.get("tags", ()) or all(line.startswith("check(") for line in lines):
            continue
        sources.append(cell.source)
    return sources


def theme_of(sources):
    """The theme most of whose exercises are defined in the code, or None where none is: a file's name can be anything."""
    defined = {name for source in sources for name in DEFINED.findall(source)}
    theme = max(THEMES, key=lambda theme: len(defined & THEMES[theme].keys()))
    return theme if defined & THEMES[theme].keys() else None


def grade(student, path, seed, seconds):
    """Run and check one notebook -> its Grade. `seconds` is the limit for each cell and each check; `path` is None where there is none."""
    import nbformat

    if path is None:
        return Grade(student, "", {}, ("no notebook was handed in",))
    name = Path(path).name
    try:
        notebook = nbformat.read(path, as_version=4)
        sources = own_cells(notebook)
    except Exception as error:  # anything can be in a file that is handed in
        return Grade(student, name, {}, (f"the notebook cannot be read: {type(error).__name__}",))
    theme = theme_of(sources)
    if theme is None:
        return Grade(student, name, {}, ("no exercise is defined in it",))
    states, left_out = answers(sources, list(THEMES[theme]), seed, seconds)
    notes = [f"cell {sources[n].splitlines()[0]!r} did not end and was left out" for n in left_out]
    notes += [f"{module!r} stands in it" for source in sources for module in OUTSIDE.findall(source)]
    return Grade(student, name, states, tuple(notes))


def answers(sources, names, seed, seconds):
    """Run the sources and then a check for each name -> name -> state, and the indices of the sources that had to be left out."""
    states, left_out = {}, []
    while len(states) < len(names):
        with Kernel(seconds) as kernel:
            for n, source in enumerate(sources):
                if n not in left_out and kernel.run(source) is None:
                    left_out.append(n)
                    break
            else:
                for name in names:
                    if name in states:
                        continue
                    mark = secrets.token_hex(8)  # a student's own output cannot be taken for ours
                    printed = kernel.run(f"from minilora.classroom.grade import report\nreport({name!r}, globals(), {seed}, {mark!r})")
                    states[name] = "unfinished" if printed is None else said(printed, mark)
                    if printed is None:
                        break
    return states, left_out


def report(name, space, seed, mark):
    """In the student's kernel: judge the function of that name among its globals, and print the state behind a mark."""
    from minilora.classroom.judge import judge

    state = judge(name, EXERCISES[name], space[name], seed).state if name in space else "missing"
    print(f"\n{mark} {json.dumps(state)}")


def said(printed, mark):
    """What report has printed. A check that has not said anything has not passed."""
    found = re.search(rf"^{mark} (.*)$", printed, re.M)
    return json.loads(found[1]) if found else "wrong"


class Kernel:
    """A fresh kernel in an empty folder, killed at the end."""

    def __init__(self, seconds):
        try:
            import nbclient
            import nbformat
        except ModuleNotFoundError:
            raise ValueError("grading needs nbclient: pip install 'minilora[course]'") from None
        self.v4, self.folder = nbformat.v4, tempfile.TemporaryDirectory()
        self.client = nbclient.NotebookClient(
            self.v4.new_notebook(),
            kernel_name="python3",
            resources={"metadata": {"path": self.folder.name}},
            timeout=seconds,
            startup_timeout=STARTUP,
            allow_errors=True,
            shutdown_kernel="immediate",
            extra_arguments=["--log-level=40"],  # errors alone: a kernel warns of what its connection is not
        )

    def __enter__(self):
        self.folder.__enter__()
        self.running = self.client.setup_kernel()
        self.running.__enter__()
        return self

    def __exit__(self, *error):
        try:
            return self.running.__exit__(*error)
        finally:
            self.folder.__exit__(*error)

    def run(self, source):
        """Run a cell -> what it has printed; None where it did not end in time, or the kernel did."""
        from nbclient.exceptions import CellTimeoutError, DeadKernelError

        cell = self.v4.new_code_cell(source)
        self.client.nb.cells = [cell]
        try:
            self.client.execute_cell(cell, 0)
        except (CellTimeoutError, DeadKernelError):
            return None
        return "".join(output.text for output in cell.outputs if output.output_type == "stream" and output.name == "stdout")


HEADER = ("student", "notebook", "points", "of", "wrong", "not written", "unfinished", "notes")


def rows(grades):
    """A row of the table for each grade, in HEADER's order."""
    return [
        (
            each.student,
            each.notebook,
            each.points,
            len(each.states),
            " ".join(each.having("wrong")),
            " ".join(each.having("empty") + each.having("missing")),
            " ".join(each.having("unfinished")),
            "; ".join(each.notes),
        )
        for each in grades
    ]


def as_csv(grades):
    """The table as a CSV file's text."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEADER, *rows(grades)])
    return text.getvalue()
