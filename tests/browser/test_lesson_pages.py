"""The lessons as a page on the web shows them, without a kernel: every picture is there and has words, and nothing waits for a script."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_page_shows_all_that_is_in_it(open_page, path):
    nbconvert = pytest.importorskip("nbconvert", reason="no nbconvert: pip install 'minilora[course]' to test the lessons as pages")
    body, _ = nbconvert.HTMLExporter(template_name="basic").from_filename(path)
    page = open_page(body.replace("../figures/", f"{(ROOT / 'figures').as_uri()}/"))
    images = page.locator("img")
    images.evaluate_all("images => Promise.all(images.map(image => image.decode()))")  # fails for one that is missing
    assert images.count() and all(images.evaluate_all("images => images.map(image => image.naturalWidth > 0 && image.alt.length > 20)"))
    text = page.inner_text("body")
    for trace in ("Jupyter widget", "VBox(", "HTML(value", "Traceback", "<Figure", "object at 0x"):
        assert trace not in text
