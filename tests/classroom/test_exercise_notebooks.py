"""The notebooks of exercises: what students get, and what a teacher has."""

import re

import pytest
from student_functions import SOURCES

from minilora.classroom.themes import EXERCISES, THEMES
from minilora.cli import main

pytest.importorskip("jupytext")

from minilora.course import build, source  # noqa: E402

NOTEBOOK = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)


def code(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


@NOTEBOOK
def test_the_notebook_is_what_its_source_makes(path):
    assert build.differences(path) == []


@NOTEBOOK
def test_students_get_no_solutions_no_hidden_tests_and_no_outputs(path):
    notebook = source.load(build.target(path))
    assert not any(marker in cell.source for cell in notebook.cells for marker in ("### BEGIN", "### END"))
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert sum("raise NotImplementedError" in text for text in code(notebook)) == len(re.findall("BEGIN SOLUTION", path.read_text()))


@NOTEBOOK
def test_every_exercise_has_a_card_and_a_folded_hint(path):
    cards = [cell.source for cell in source.load(build.target(path)).cells if cell.source.startswith("## ")]
    for number, card in enumerate(cards, 1):
        assert card.startswith(f"## {number}. ")
        assert re.search(r"^\*Difficulty [1-5] of 5, about \d+ minutes\.\* \*\*Why it matters:\*\* \S", card, re.M)
        assert re.search(r"<details><summary>Hint</summary>\n\n\S.*?\n\n</details>$", card, re.S)
    assert cards


@NOTEBOOK
def test_a_solution_takes_six_lines_at_the_most(path):
    for text in re.findall(r"### BEGIN SOLUTION\n(.*?) *### END SOLUTION", path.read_text(), re.S):
        assert len(text.strip().splitlines()) <= 6, text


@NOTEBOOK
def test_run_all_goes_to_the_end_on_empty_exercises(path, capsys):
    space = {}
    for text in code(source.load(build.target(path))):
        exec(text, space)
    said = capsys.readouterr().out.splitlines()
    assert said and all(line.endswith(": not written yet") for line in said)


@NOTEBOOK
def test_the_teacher_s_version_passes_strictly_with_its_hidden_tests(path, capsys, monkeypatch):
    monkeypatch.setenv("MINILORA_STRICT", "1")
    space = {}
    for text in code(source.read(path)):
        exec(text, space)
    said = capsys.readouterr().out.splitlines()
    assert said and all(line.endswith(": right") for line in said)


def test_the_tables_say_how_many_exercises_and_minutes_there_are():
    text, rows = (SOURCES[0].parents[1] / "README.md").read_text(), []
    for path, exercises in zip(SOURCES, THEMES.values(), strict=True):
        cards = re.findall(r"^# \*Difficulty (\d) of 5, about (\d+) minutes", path.read_text(), re.M)
        minutes, gradients = sum(int(each) for _, each in cards), sum(exercise.gradient for exercise in exercises.values())
        assert f"*{len(cards)} exercises, about {minutes} minutes.*" in path.read_text()
        hardest = sorted(difficulty for difficulty, _ in cards)
        assert f"({path.stem}.ipynb) | {len(cards)} | {gradients} | {minutes} | {hardest[0]} to {hardest[-1]} |" in text
        rows.append((len(cards), gradients))
    assert "{} functions of one to six lines, {} of them".format(*map(sum, zip(*rows, strict=True))) in text


def test_nbgrader_s_marks_are_whole():
    """A cell to be written and a locked one with a point for each exercise, under names that occur once."""
    marks = [cell.metadata.nbgrader for path in SOURCES for cell in source.read(path).cells if "nbgrader" in cell.metadata]
    assert [mark.grade_id for mark in marks] == [part + name for name in EXERCISES for part in ("", "check-")]
    for mark in marks:
        graded = mark.grade_id.startswith("check-")
        assert mark == {
            "grade_id": mark.grade_id,
            "grade": graded,
            "locked": graded,
            "solution": not graded,
            "task": False,
            "schema_version": 3,
        } | ({"points": 1} if graded else {})


def test_a_teacher_varies_the_numbers_by_a_seed(tmp_path):
    (tmp_path / "src").mkdir()
    path = tmp_path / "src" / SOURCES[0].name
    path.write_text(SOURCES[0].read_text())
    assert main(["course", "build", str(tmp_path), "--seed", "2026"]) == 0
    varied = code(source.load(build.target(path)))
    assert sum("check = checker(seed=2026)" in text for text in varied) == 1
    assert [text.replace("2026", "0") for text in varied] == code(source.load(build.target(SOURCES[0])))


def test_a_seed_for_what_has_no_checks_is_refused(tmp_path, capsys):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "1.py").write_text("# %%\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n")
    assert main(["course", "build", str(tmp_path), "--seed", "2026"]) == 2
    assert "there is no `checker(seed=0)` in it" in capsys.readouterr().err
