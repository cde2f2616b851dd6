"""minilora course grade on what students hand in: right, empty, broken, endless."""

import csv
import io

import pytest
from student_functions import SOURCES

from minilora.classroom.grade import Grade, as_csv, grade, own_cells, submissions, theme_of
from minilora.classroom.themes import THEMES
from minilora.cli import main

pytest.importorskip("nbclient")

from minilora.course import build, source  # noqa: E402

PAIR = SOURCES[1]


def handed_in(path, changes=None):
    """The teacher's version of a notebook, with the function of some exercises replaced: name -> text of the cell."""
    notebook = source.read(PAIR)
    for cell in notebook.cells:
        for name, text in (changes or {}).items():
            if cell.source.startswith(f"def {name}("):
                cell.source = text
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(source.to_bytes(notebook))
    return path


def test_notebooks_are_found_with_their_students(tmp_path):
    for name in ("alice/a.ipynb", "alice/deep/b.ipynb", "bob.ipynb", "bob/.ipynb_checkpoints/c.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert [(student, path.name) for student, path in submissions(tmp_path)] == [
        ("alice", "a.ipynb"), ("alice", "b.ipynb"), ("bob", "bob.ipynb"),
    ]  # fmt: skip


def test_who_handed_in_nothing_stands_in_the_table(tmp_path):
    for folder in ("alice", "bob", ".git"):
        (tmp_path / folder).mkdir()
    (tmp_path / "alice" / "a.ipynb").write_text("")
    *_, (student, path) = found = submissions(tmp_path)
    assert len(found) == 2 and (student, path) == ("bob", None)
    assert as_csv([grade(student, path, seed=1, seconds=1)]).endswith("\nbob,,0,0,,,,no notebook was handed in\n")


def test_the_table_is_written_after_each_notebook(tmp_path, monkeypatch):
    for name in ("alice", "bob"):
        (tmp_path / f"{name}.ipynb").write_text("")

    def tire(student, path, seed, seconds):
        if student == "bob":
            raise KeyboardInterrupt
        return Grade(student, path.name, {"delta": "right"}, ())

    monkeypatch.setattr("minilora.classroom.grade.grade", tire)
    assert main(["course", "grade", str(tmp_path), "-o", str(tmp_path / "grades.csv")]) == 130
    assert (tmp_path / "grades.csv").read_text().splitlines()[1:] == ["alice,alice.ipynb,1,1,,,,"]


@pytest.mark.parametrize(
    ("out", "message"),
    [("folder", "folder is a folder, and a file is to be written there: choose another name"), ("", "an empty name is no path")],
)
def test_a_table_that_cannot_be_written_is_told_before_the_work(out, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "alice.ipynb").write_text("")
    monkeypatch.setattr("minilora.classroom.grade.grade", lambda *arguments: pytest.fail("it was graded"))
    try:
        code = main(["course", "grade", ".", "-o", out])
    except SystemExit as stopped:  # argparse's way
        code = stopped.code
    error = capsys.readouterr().err
    assert code == 2 and message in error and error.count("\n") == 1


def test_a_students_own_checks_are_dropped_and_the_theme_is_told_by_the_functions():
    for path, theme in zip(SOURCES, THEMES, strict=True):
        sources = own_cells(source.load(build.target(path)))
        assert not any(line.startswith("check(") for text in sources for line in text.splitlines())
        assert theme_of(sources) == theme
    assert theme_of(["x = 1"]) is None


def test_a_whole_class(tmp_path, capsys):
    handed_in(tmp_path / "class" / "alice" / "02_pair.ipynb")
    (tmp_path / "class" / "bob").mkdir()
    (tmp_path / "class" / "bob" / "renamed.ipynb").write_bytes(build.target(PAIR).read_bytes())
    (tmp_path / "class" / "carol.ipynb").write_text("not a notebook")
    out = tmp_path / "grades.csv"
    assert main(["course", "grade", str(tmp_path / "class"), "-o", str(out)]) == 0
    alice, bob, carol = csv.DictReader(io.StringIO(out.read_text()))
    assert (alice["student"], alice["notebook"], alice["points"], alice["of"]) == ("alice", "02_pair.ipynb", "5", "5")
    assert (bob["points"], bob["of"], bob["not written"]) == ("0", "5", " ".join(THEMES["pair"]))
    assert (carol["points"], carol["of"]) == ("0", "0") and "cannot be read" in carol["notes"]
    assert capsys.readouterr().out.splitlines()[0] == "[1/3] alice  02_pair.ipynb  5 of 5"


def test_what_does_not_end_does_not_run_or_is_wrong_leaves_the_rest_its_points(tmp_path):
    path = handed_in(
        tmp_path / "eve.ipynb",
        {
            "rank_one_term": "def rank_one_term(A, B, i):\n    while True:\n        pass",
            "delta": "def delta(A, B, alpha:\n    return alpha",
            "lora_forward": "import os\nfrom minilora import lowrank\n\ndef lora_forward(x, W, A, B, s):\n    os._exit(1)",
            "merge": "def merge(W, A, B, s):\n    return W + A @ B",
        },
    )
    found = grade("eve", path, seed=1, seconds=2)
    assert found.states == {
        "rank_one_term": "unfinished", "delta": "missing", "lora_forward": "unfinished", "merge": "wrong", "init_pair": "right",
    }  # fmt: skip
    assert found.points == 1 and found.notes == ("'from minilora import lowrank' stands in it",)


def test_a_cell_that_does_not_end_is_left_out(tmp_path):
    path = handed_in(
        tmp_path / "mallory.ipynb", {"delta": "while True:\n    try:\n        pass\n    except KeyboardInterrupt:\n        pass"}
    )
    found = grade("mallory", path, seed=1, seconds=2)
    assert found.points == 4 and found.states["delta"] == "missing"
    assert found.notes == ("cell 'while True:' did not end and was left out",)


def test_what_a_student_prints_is_not_taken_for_a_verdict(tmp_path):
    body = "def merge(W, A, B, s):\n    print('right')\n    print('0123456789abcdef \"right\"')"
    assert grade("trent", handed_in(tmp_path / "trent.ipynb", {"merge": body}), seed=1, seconds=10).states["merge"] == "empty"


def test_numbers_that_are_written_in_do_not_pass_under_another_seed(tmp_path):
    body = "from minilora.classroom import example\ntable = {}\n\n\ndef lora_params(d, k, r):\n    return table[d, k, r]"
    notebook = source.read(SOURCES[0])
    for cell in notebook.cells:
        if cell.source.startswith("def lora_params("):
            cell.source = body
    path = tmp_path / "0.ipynb"
    path.write_bytes(source.to_bytes(notebook))
    found = grade("0", path, seed=1, seconds=10)
    assert found.states["lora_params"] == "wrong" and found.points == len(THEMES["counting"]) - 1


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["nowhere"], "there is no notebook in nowhere"),
        ([".", "--seconds", "0"], "--seconds 0 must be at least 1"),
        ([".", "--seed", "-1"], "--seed -1 at least 0"),
    ],
)
def test_a_mistake_is_one_line(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["course", "grade", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_a_table_of_nothing_has_its_header():
    assert as_csv([]) == "student,notebook,points,of,wrong,not written,unfinished,notes\n"
