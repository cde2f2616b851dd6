"""Real text: the folder is the one that was named, and a table without any gain is noticed."""

import pytest

from minilora.cli import main
from minilora.lab import domain


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notes")
    (folder / "diary.txt").write_text(" ".join(f"on day {n} it rained." for n in range(400)))
    return domain.run("smoke", seeds=(0,), jobs=1, folder=folder)


def test_a_row_for_each_model_and_domain_and_the_name_of_the_folder(rows):
    assert {(row["model"], row["domain"]) for row in rows} == {
        (model, text) for model in ("base", *domain.MODELS) for text in ("reference", "source", "folder")
    }
    assert {row["folder"].rstrip("0") for row in rows} == {"notes"}
    assert domain.draw(rows).axes


def test_the_current_folder_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "diary.txt").write_text("it rained. " * 400)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(domain, "run_trials", lambda function, trials, **options: [{**trial, "loss": [1.0]} for trial in trials])
    assert [row["folder"] for row in domain.run("smoke", seeds=(0,), folder=".")] == [tmp_path.name]


def test_no_gain_is_noticed(rows):
    assert not any(finding.holds for finding in domain.check([{**row, "loss": 1.0} for row in rows]))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["domain", "--folder", "nowhere"], "there is no file or folder nowhere"),
        (["alpha", "--folder", "nowhere"], "alpha reads no folder: --folder is for domain"),
    ],
)
def test_a_folder_that_cannot_be_read_is_told_at_once(arguments, says, capsys):
    assert main(["experiment", *arguments]) == 2
    assert says in capsys.readouterr().err
