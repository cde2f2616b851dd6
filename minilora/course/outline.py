"""What a lesson says of itself in its first and its last cell, and the map of the course that follows from it.

The first cell:   # 3. The question?
                  **You will be able to** ...
                  **Run time:** about 20 s on two cores. ...
The last cell:    ## Questions, numbered questions,   ## What was not shown, and what that is
"""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outline:
    """One lesson: `stated` is the run time in seconds that its first cell gives, `measured` the one of the run that is kept."""

    name: str
    number: int
    question: str
    able: str
    stated: int
    measured: int | None


def outline(name, notebook):
    """The outline of a lesson. ValueError, saying what is missing, where its first cell has not the form above."""

    def found(pattern, form):
        match = re.search(pattern, notebook.cells[0].source, re.MULTILINE)
        if match is None:
            raise ValueError(f"the first cell of {name} lacks a line `{form}`")
        return match

    title = found(r"^# (\d+)\. (.+)$", "# 3. The question?")
    able = found(r"^\*\*You will be able to\*\* ((?:.+\n)*.+)", "**You will be able to** ...")
    time = found(r"^\*\*Run time:\*\* about (\d+) s on two cores", "**Run time:** about 20 s on two cores")
    measured = notebook.metadata.get("minilora", {}).get("seconds")
    return Outline(name, int(title[1]), title[2], " ".join(able[1].split()), int(time[1]), measured)


def questions(notebook):
    """How many questions the questionnaire in the last cell asks. ValueError where that cell has not the form above."""
    form = re.search(r"^## Questions\n(.+)^## What was not shown\n.*\w", notebook.cells[-1].source, re.MULTILINE | re.DOTALL)
    asked = re.findall(r"^\d+\. ", form[1], re.MULTILINE) if form else []
    if not asked:
        raise ValueError("the last cell is not `## Questions`, numbered questions, `## What was not shown` and what that is")
    return len(asked)


def course(folder):
    """The outlines of all lessons in a folder, in reading order."""
    from minilora.course.source import load

    return [outline(path.stem, load(path)) for path in sorted(Path(folder).glob("*.ipynb"))]


def as_map(outlines, folder="notebooks"):
    """The map of the course as a table in Markdown: a small picture of each lesson, its question, and how long it takes to run."""
    rows = []
    for each in outlines:
        page = f"{folder}/{each.name}.ipynb"
        picture = (
            f'<a href="{page}"><img src="{folder}/thumbnails/{each.name}.png" width="160" alt="A picture from lesson {each.number}"></a>'
        )
        rows.append(f"| {picture} | [{each.number}. {each.question}]({page}) | {each.stated} s |")  # a link in a link is none
    return "\n".join(["| | notebook | runs in |", "|---|---|---|", *rows])
