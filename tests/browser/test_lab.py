"""JupyterLab as a student has it: lesson 1 opens, runs to its end, its player and its dial answer, and nothing is asked of the network."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LESSON = "01_low_rank.ipynb"
TOKEN = "lesson"
PATIENCE = 120_000  # ms: on a machine that is busy, a kernel takes long to start

READY = """() => {
  const panel = window.jupyterapp?.shell.currentWidget;
  const session = panel?.sessionContext ?? panel?.context?.sessionContext;
  return session?.isReady && session.session?.kernel?.connectionStatus === "connected" && session.session.kernel.status === "idle";
}"""
COUNTS = "() => jupyterapp.shell.currentWidget.content.widgets.filter(w => w.model.type === 'code').map(w => w.model.executionCount)"
ERRORS = """() => jupyterapp.shell.currentWidget.content.widgets.filter(w => w.model.type === 'code')
  .flatMap(w => w.model.outputs.toJSON()).filter(output => output.output_type === 'error').map(output => output.evalue)"""
SCROLL = """(words) => {
  const content = jupyterapp.shell.currentWidget.content;
  const n = content.widgets.findIndex(w => w.model.type === 'code' && w.model.sharedModel.source.includes(words));
  content.activeCellIndex = n;
  return content.scrollToItem(n, 'start');
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab on a copy of the lessons and figures, with settings of its own."""
    pytest.importorskip("jupyterlab", reason="no JupyterLab: pip install 'minilora[course]' to test the lessons in it")
    home = tmp_path_factory.mktemp("home")
    course = home / "course"
    shutil.copytree(ROOT / "figures", course / "figures")
    (course / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / LESSON, course / "notebooks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_WORKSPACES_DIR", "JUPYTERLAB_SETTINGS_DIR")
    environment = os.environ | {name: str(home / name) for name in folders}
    options = [
        "--no-browser",
        "--allow-root",
        "--expose-app-in-browser",
        "--ip=127.0.0.1",
        f"--port={port}",
        f"--ServerApp.root_dir={course}",
    ]
    options += [f"--IdentityProvider.token={TOKEN}", "--LabApp.news_url=None"]
    with open(home / "log", "w") as log:
        server = subprocess.Popen([sys.executable, "-m", "jupyterlab", *options], env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, server, home / "log")
        yield address
    finally:
        server.terminate()
        server.wait(30)


def wait_for(address, server, log):
    """Until the server answers."""
    end = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def page(browser, lab):
    """Lesson 1 in JupyterLab, with all of its cells run."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{lab}/doc/tree/notebooks/{LESSON}?token={TOKEN}")
    page.wait_for_function(READY)
    page.evaluate("() => { jupyterapp.commands.execute('notebook:run-all-cells') }")  # a promise would be waited for
    page.wait_for_function(f"() => ({COUNTS})().every(count => count > 0) && ({READY})()")
    yield page
    page.close()
    assert asked and all(url.startswith((lab, lab.replace("http", "ws"), "data:", "blob:")) for url in asked)


def test_all_cells_ran(page):
    counts = page.evaluate(COUNTS)
    assert counts == list(range(1, len(counts) + 1)) and not page.evaluate(ERRORS)


def test_every_picture_is_there_and_has_words(page):
    """Linked ones and those that cells have drawn; a lesson's pictures are drawn as one scrolls down."""
    seen = {}
    for n in range(page.evaluate("() => jupyterapp.shell.currentWidget.content.widgets.length")):
        page.evaluate("n => jupyterapp.shell.currentWidget.content.scrollToItem(n, 'start')", n)
        page.wait_for_timeout(50)
        images = page.locator(".jp-Notebook img")
        images.evaluate_all("images => Promise.all(images.map(image => image.decode().catch(() => null)))")
        for source, width, words in images.evaluate_all("images => images.map(image => [image.src, image.naturalWidth, image.alt])"):
            seen[source[-200:]] = (width, words)
    assert len(seen) >= 8
    assert all(width > 0 for width, _ in seen.values())
    assert all(words for _, words in seen.values())


def test_the_player_plays_and_answers_to_keys(page, tmp_path):
    page.evaluate(SCROLL, "player(draw_film")
    player = page.locator(".minilora-player")
    slider, count = player.get_by_role("slider", name="frame"), player.locator("output")
    slider.focus()
    for key, shown in (("Home", 1), ("ArrowRight", 2), ("ArrowRight", 3), ("ArrowLeft", 2), ("End", 51), ("Home", 1)):
        page.keyboard.press(key)
        assert count.inner_text() == f"{shown} / 51"
    player.get_by_role("button", name="play", exact=True).click()
    page.wait_for_function("() => parseInt(document.querySelector('.minilora-player output').textContent) > 3")
    player.get_by_role("button", name="pause").click()
    page.screenshot(path=tmp_path / "player.png")
    assert player.locator("img").get_attribute("alt") == player.locator("figcaption").inner_text()


def test_the_dial_moves_the_picture(page, tmp_path):
    page.evaluate(SCROLL, "dials(picture")
    picture = page.locator(".jupyter-widgets img")
    handle = page.get_by_role("slider").and_(page.locator(".noUi-handle"))
    before = picture.get_attribute("src")
    assert "of rank 2" in picture.get_attribute("alt")
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.locator(".jupyter-widgets img[alt*='of rank 3']").wait_for()
    assert picture.get_attribute("src") != before
    assert re.search(r"\b3\b", page.locator(".widget-readout").inner_text())
    page.screenshot(path=tmp_path / "dial.png")
