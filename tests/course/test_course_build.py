"""Building a small course: the same bytes each time, what is kept of the outputs, what is said when something is wrong."""

import pytest

from minilora.cli import main
from minilora.course import source

LESSON = """\
# %% [markdown]
# # 1. One and one

# %%
import sys
total = 1 + 1
print(total)

# %% tags=["look"]
from matplotlib.figure import Figure
from minilora.pictures.notebook import dials, show

def picture(width=2):
    return show(Figure(figsize=(width, 1)), f"{width} wide")

dials(picture, width=(1, 2))
"""
EXERCISE = """\
# %%
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION
"""


@pytest.fixture
def course(tmp_path, monkeypatch):
    """course(name=text, ...) -> a folder that is current, with these sources in notebooks/src."""

    def write(**texts):
        (tmp_path / "notebooks" / "src").mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (tmp_path / "notebooks" / "src" / f"{name}.py").write_text(text, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        return tmp_path / "notebooks"

    return write


def test_a_lesson_is_run_and_keeps_what_stands_still(course):
    folder = course(one=LESSON)
    assert main(["course", "build"]) == 0
    notebook = source.load(folder / "one.ipynb")
    assert [cell.id for cell in notebook.cells] == [source.cell_id("one", n) for n in range(3)]
    assert notebook.cells[1].outputs == [{"output_type": "stream", "name": "stdout", "text": "2\n"}]
    (shown,) = notebook.cells[2].outputs
    assert shown.data.keys() == {"image/png", "text/plain"} and shown.metadata["image/png"] == {"alt": "2 wide"}
    assert notebook.cells[2].metadata == {"tags": ["look"]}
    assert notebook.metadata.keys() == {"kernelspec", "language_info", "minilora"}


def test_the_same_source_gives_the_same_bytes(course):
    folder = course(one=LESSON)
    made = []
    for _ in range(2):
        assert main(["course", "build", "--no-run"]) == 0
        made.append((folder / "one.ipynb").read_bytes())
    assert made[0] == made[1] and b"jupytext" not in made[0]


def test_an_exercise_loses_its_solution_and_is_not_run(course):
    folder = course(task=EXERCISE)
    assert main(["course", "build", "notebooks"]) == 0
    (cell,) = source.load(folder / "task.ipynb").cells
    assert cell.source == "def double(x):\n    # your code here\n    raise NotImplementedError" and cell.execution_count is None


def test_check_says_where_a_notebook_is_not_what_its_source_makes(course, capsys):
    course(one=LESSON, task=EXERCISE)
    assert main(["course", "build", "--no-run"]) == 0
    assert main(["course", "build", "--check"]) == 0
    course(one=LESSON.replace("1 + 1", "2 + 2") + "\n# %%\ntotal\n", two=LESSON)
    capsys.readouterr()
    assert main(["course", "build", "--check"]) == 1
    said = capsys.readouterr().out
    for line in ("one.ipynb: cell 2 has another source", "one.ipynb: cell 4 is in the source only", "two.ipynb is missing"):
        assert line in said
    assert "cell 1" not in said and "task" not in said


@pytest.mark.parametrize(
    "text, seconds, said",
    [
        ("1 / 0", 60, "notebooks/src/one.py: cell 2 (1 / 0) failed: ZeroDivisionError: division by zero"),
        ("while True: pass", 1, "notebooks/src/one.py: cell 2 (while True: pass) was still running after 1 s, the limit for a notebook"),
        ("import os; os._exit(1)", 60, "notebooks/src/one.py: the kernel died in cell 2 (import os; os._exit(1))"),
    ],
)
def test_a_cell_that_fails_is_named_and_nothing_is_written(course, capsys, text, seconds, said):
    folder = course(one=f"# %%\n1\n\n# %%\n{text}\n")
    assert main(["course", "build", "--seconds", str(seconds)]) == 2
    assert capsys.readouterr().err == f"minilora: {said}\n"
    assert not (folder / "one.ipynb").exists()


def test_a_wrong_name_and_a_folder_without_sources(course, capsys):
    course(one=LESSON)
    assert main(["course", "build", "--only", "onne"]) == 2
    assert "the closest is 'one'" in capsys.readouterr().err
    assert main(["course", "build", "elsewhere"]) == 2
    assert capsys.readouterr().err == "minilora: there is no source in elsewhere/src: run this where the course is\n"
