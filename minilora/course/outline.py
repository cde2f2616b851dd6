"""What a lesson says of itself in its first and its last cell, and the map of the course that follows from it.

The first cell:   # 3. Title,   **Question.** ...,   **You will be able to** and a list,   *Runs in about 20 s on two cores.*
The last cell:    ## Questionnaire and a numbered list,   ## What was not shown and a list
"""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outline:
    """One lesson: `stated` is the run time in seconds that its first cell gives, `measured` the one of the run that is kept."""

    name: str
    number: int
    title: str
    question: str
    able: tuple
    stated: int
    measured: int | None


def outline(name, notebook):
    """The outline of a lesson. ValueError, saying what is missing, where its first cell has not the form above."""
    text = notebook.cells[0].source
    return Outline(
        name,
        int(found(name, text, r"^# (\d+)\. ", "a title as `# 3. Title`")),
        found(name, text, r"^# \d+\. (.+)$", "a title as `# 3. Title`"),
        " ".join(found(name, text, r"\*\*Question\.\*\* (.+?)(?:\n\n|\Z)", "a paragraph `**Question.** ...`").split()),
        tuple(re.findall(r"^- (.+)$", found(name, text, r"\*\*You will be able to\*\*\n\n((?:- .+\n?)+)", "a list of what you will be able to do"), re.M)),
        int(found(name, text, r"\*Runs in about (\d+) s\b", "a run time as `*Runs in about 20 s on two cores.*`")),
        notebook.metadata.get("minilora", {}).get("seconds"),
    )


def found(name, text, pattern, what):
    match = re.search(pattern, text, re.M | re.S if "\\n\\n" in pattern else re.M)
    if match is None:
        raise ValueError(f"the first cell of {name} lacks {what}")
    return match[1]


def questions(notebook):
    """How many questions the questionnaire in the last cell asks. ValueError where that cell has not the form above."""
    heading, _, rest = notebook.cells[-1].source.partition("## What was not shown")
    asked = re.findall(r"^\d+\. ", heading, re.M)
    if not ("## Questionnaire" in heading and asked and rest.strip()):
        raise ValueError("the last cell is not `## Questionnaire`, numbered questions, `## What was not shown` and what that is")
    return len(asked)


def course(folder):
    """The outlines of all lessons in a folder, in reading order."""
    from minilora.course.source import load

    return [outline(path.stem, load(path)) for path in sorted(Path(folder).glob("*.ipynb"))]


def as_map(outlines, folder="notebooks"):
    """The map of the course as a table in Markdown: notebook, question, run time."""
    rows = [f"| [{each.number}. {each.title}]({folder}/{each.name}.ipynb) | {each.question} | {each.stated} s |" for each in outlines]
    return "\n".join(["| notebook | question | runs in |", "|---|---|---|", *rows])
