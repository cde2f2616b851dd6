"""The ledger: all claims are there, the page is the one that is written, and a table that says otherwise turns a verdict."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from minilora import cli
from minilora.lab import NAMES, ledger
from minilora.lab.ledger.claim import COMPARED, PAPER, VERDICTS
from minilora.lab.ledger.page import page

PAGE = Path(__file__).parents[2] / "docs" / "claims.md"


@pytest.fixture(scope="module")
def answers():
    return {claim: claim.answer(ledger.stored_tables(claim.tables)) for _, claim in sorted(ledger.CLAIMS.items())}


def test_there_are_twenty_six_claims_each_with_a_verdict_its_size_and_what_to_run(answers):
    assert [claim.number for claim in answers] == list(range(1, 27))
    for claim, answer in answers.items():
        assert answer.verdict in VERDICTS and answer.size and answer.measured.endswith(".") and claim.says.endswith(".")
        assert claim.commands and {name.removesuffix(PAPER) for name in claim.tables} <= {*NAMES, *COMPARED}


def test_every_command_that_is_named_exists(answers):
    parser = cli.parser()
    for claim in answers:
        for command in claim.commands:
            assert parser.parse_args(command.split()[1:]).command == command.split()[1]


def test_the_page_is_the_one_that_the_command_writes(answers, tmp_path, capsys):
    assert PAGE.read_text() == page(answers)
    assert cli.main(["claims", "--write", str(tmp_path / "claims.md")]) == 0
    assert (tmp_path / "claims.md").read_text() == PAGE.read_text()
    assert capsys.readouterr().out == f"wrote {tmp_path}/claims.md\n"


def test_for_people_and_for_programs(capsys):
    assert cli.main(["claims", "--only", "16"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("16. ") and "HOLDS. 16,777,216" in out and "131,072" in out and "99.22%" in out
    assert cli.main(["claims", "--only", "16", "--only", "3", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["number"] for row in rows] == [16, 3] and rows[1]["verdict"] == "holds" and "26 numbers" in rows[1]["measured"]
    assert rows[1]["run"] == ["minilora count --d 5 --k 8 --rank 2"]


def spoiled(name, change):
    """The stored table of an experiment, every row changed by `change`."""
    return {name: [{**row, **change(row)} for row in ledger.stored_tables([name])[name]]}


@pytest.mark.parametrize(
    ("number", "name", "change"),
    [
        # one doubling of alpha that is not a doubling of B's learning rate
        (11, "alpha", lambda row: {"excess": row["excess"] + (row["part"] == "twins" and row["q"] == 2)}),
        # every alpha ends where it ends at the lowest rate: there is no learning rate that makes up for it
        (18, "alpha", lambda row: {"excess": row["excess"] + row["alpha"] * (row["part"] == "grid")}),
        # with a quarter of the learning rate alpha 64 overfits as much as it did
        (18, "overfitting", lambda row: {"others": row["others"] + (row["way"] == "alpha 64, a quarter of the rate")}),
        # what one voice says, all say
        (6, "modular", lambda row: {"pirate": 1.0}),
        # a small rank holds it all
        (26, "capacity", lambda row: {"recalled": 1.0}),
    ],
)
def test_a_table_that_says_otherwise_turns_the_verdict(answers, number, name, change):
    claim = ledger.find(number)
    tables = ledger.stored_tables(claim.tables) | spoiled(name, change)
    assert claim.answer(tables).verdict != answers[claim].verdict


def test_run_measures_anew(monkeypatch, capsys):
    """At the preset that is asked for; what is not run is read."""
    asked = []

    def run(preset, seeds, jobs):
        asked.append((preset, seeds, jobs))
        return spoiled("alpha", lambda row: {"excess": row["excess"] + (row["part"] == "twins" and row["q"] == 2)})["alpha"]

    monkeypatch.setattr("minilora.lab.find", lambda name: SimpleNamespace(run=run))
    assert cli.main(["claims", "--only", "11", "--run", "--preset", "paper", "--seeds", "2", "--jobs", "1"]) == 0
    said = capsys.readouterr()
    assert asked == [("paper", (0, 1), 1)] and said.err == "[1/1] alpha\n" and "differ by 1," in said.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "18", "--seeds", "5"], "--seeds is for a new run: give it together with --run"),
        (["--preset", "paper"], "--preset is for a new run: give it together with --run"),
        (["--only", "18", "--write", "page.md"], "the page that --write writes is of all claims: leave out --only"),
        (["--run", "--write", "."], ". is a folder: name the page in it, as claims.md"),
        (["--run", "--write", "file/page.md"], "file cannot be a folder, for a file is in the way: choose another name"),
    ],
)
def test_a_mistake_is_one_line_before_any_work(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setattr("minilora.lab.find", lambda name: pytest.fail("it was run"))
    assert cli.main(["claims", *arguments]) == 2
    assert capsys.readouterr().err == f"minilora: {message}\n" and not (tmp_path / "page.md").exists()


@pytest.mark.parametrize(("columns", "widest"), [(60, 60), (500, 120)])
def test_lines_are_as_wide_as_the_terminal(columns, widest, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert cli.main(["claims", "--only", "16"]) == 0
    assert widest - 15 < max(map(len, capsys.readouterr().out.splitlines())) <= widest


def test_a_claim_that_there_is_not(capsys):
    assert cli.main(["claims", "--only", "27"]) == 2
    assert capsys.readouterr().err == "minilora: there is no claim 27; they are numbered from 1 to 26\n"
