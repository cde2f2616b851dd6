"""The README says what is there: the map of the course, links that lead somewhere, pictures with words, commands that exist."""

import re
from pathlib import Path

import pytest

from minilora.cli import COMMANDS
from minilora.course import outline

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_map_of_the_course_is_that_of_the_lessons():
    assert outline.as_map(outline.course(ROOT / "notebooks")) in README


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/teaching.md", "exercises/README.md", "benchmarks/README.md"])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r'\]\(([^)#]+)\)|(?:src|href|srcset)="([^"]+)"', text)
    local = [link or other for link, other in links if not (link or other).startswith("http")]
    assert [link for link in local if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_pictures_have_words():
    words = re.findall(r'<img [^>]*alt="([^"]*)"', README) + re.findall(r"!\[([^]]*)\]", README)
    assert words and all(len(word) > 10 for word in words)


def test_the_table_of_commands_has_them_all():
    names = {module.__name__.rsplit(".", 1)[-1] for module in COMMANDS}
    assert set(re.findall(r"^\| `minilora (\w+)", README, re.M)) == names
