"""The lessons that are kept: in step with their sources, small, with words for every picture, and of one form."""

import re
from pathlib import Path

import pytest

from minilora.course import build, outline, source

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "notebooks" / "src").glob("*.py"))
lessons = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
LONGEST = 15  # lines of a code cell
LARGEST = 500_000  # bytes of a notebook


def load(path):
    return source.load(build.target(path))


def outputs(path):
    return [(n, output) for n, cell in enumerate(load(path).cells, 1) for output in cell.get("outputs", ())]


def test_they_are_numbered_in_reading_order():
    numbers = [int(path.stem.split("_")[0]) for path in SOURCES]
    assert numbers == sorted(set(numbers))
    assert {path.stem for path in SOURCES} == {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}


@lessons
def test_in_step_with_its_source(path):
    assert build.differences(path) == []


@lessons
def test_run_to_its_end_without_an_error_or_a_word_on_stderr(path):
    counts = [cell.execution_count for cell in load(path).cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert not [n for n, output in outputs(path) if output.output_type == "error" or output.get("name") == "stderr"]


@lessons
def test_small(path):
    assert build.target(path).stat().st_size < LARGEST


@lessons
def test_every_picture_has_words_and_stands_still(path):
    shown = [(n, output) for n, output in outputs(path) if output.get("data", {}).keys() - {"text/plain"}]
    assert shown or path.stem.startswith("00")
    for n, output in shown:
        assert output.data.keys() == {"image/png", "text/plain"}, f"cell {n}"
        assert len(output.metadata["image/png"]["alt"]) > 20, f"cell {n}"


@lessons
def test_every_linked_picture_has_words_and_every_link_leads_somewhere(path):
    for n, cell in enumerate(load(path).cells, 1):
        if cell.cell_type == "markdown":
            assert "<img" not in cell.source, f"cell {n}"
            for picture, words, place in re.findall(r"(!?)\[([^\]]*)\]\(([^)#]+)\)", cell.source):
                assert len(words) > (20 if picture else 0), f"cell {n}"
                assert place.startswith("https://") or (ROOT / "notebooks" / place).exists(), f"cell {n}: {place}"


@lessons
def test_code_cells_are_short(path):
    for n, cell in enumerate(load(path).cells, 1):
        assert cell.cell_type != "code" or len(cell.source.splitlines()) <= LONGEST, f"cell {n}"


@lessons
def test_the_first_cell_says_what_it_is_about_and_the_last_one_asks(path):
    notebook = load(path)
    told = outline.outline(path.stem, notebook)
    assert told.number == int(path.stem.split("_")[0]) and told.able
    assert told.measured is not None and told.stated < 60
    answers = (ROOT / "docs" / "answers" / f"{path.stem[:2]}.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^\d+\. ", answers, re.M)) == outline.questions(notebook)


def test_the_map_has_a_line_for_each_and_all_run_in_six_minutes():
    outlines = outline.course(ROOT / "notebooks")
    assert len(outline.as_map(outlines).splitlines()) == len(SOURCES) + 2
    assert sum(each.stated for each in outlines) < 360
