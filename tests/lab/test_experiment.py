"""minilora experiment: what is said before and after an experiment, which here is a pretended one."""

import json
from types import SimpleNamespace

import pytest

from minilora.cli import main
from minilora.lab import NAMES
from minilora.lab.findings import above

RULE = "holds: on the right side of the bound and, over seeds, at least 3 standard deviations (+-) away from it"
ONE = "one seed: no spread, so that nothing is settled but what is exact"
SMOKE = "; preset smoke proves only that the experiment runs"


@pytest.fixture
def ran(monkeypatch):
    """The seeds that the experiment was run with."""
    seen = []

    def run(preset, seeds, jobs):
        seen.extend(seeds)
        return [{"seed": seed, "loss": 1.0 + seed} for seed in seeds]

    pretended = SimpleNamespace(QUESTION="Does it?", run=run, check=lambda rows: [above("the loss", [row["loss"] for row in rows], 0)])
    monkeypatch.setattr("minilora.lab.find", lambda name: pretended)
    return seen


@pytest.mark.parametrize(
    ("preset", "seeds", "last"), [("class", 3, RULE), ("class", 1, ONE), ("smoke", 3, RULE + SMOKE), ("smoke", 1, ONE + SMOKE)]
)
def test_the_last_line_says_how_the_findings_are_to_be_read(ran, capsys, preset, seeds, last):
    assert main(["experiment", "alpha", "--preset", preset, "--seeds", str(seeds)]) == 0
    question, finding, told = capsys.readouterr().out.splitlines()
    assert (question, told) == ("Does it?", last) and ": the loss: " in finding


def test_the_rule_stands_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["experiment", "--help"])
    assert "three standard deviations (+-)" in " ".join(capsys.readouterr().out.split())


def test_a_file_in_the_way_of_the_folder_is_told_before_the_work(ran, capsys, tmp_path):
    (tmp_path / "file").touch()
    assert main(["experiment", "alpha", "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.endswith("file cannot be a folder, for a file is in the way: choose another name\n") and not ran


def test_the_list_for_programs(capsys):
    assert main(["experiment", "--json"]) == 0
    assert tuple(json.loads(capsys.readouterr().out)) == NAMES
