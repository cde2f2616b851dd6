"""Every lesson run as a student runs it: not a part of the tests, since it takes minutes, but of what CI checks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "notebooks" / "src").glob("*.py"))
SECONDS = 300  # a lesson takes less than 60 on two cores that are free; the limit is for one that hangs


def run(path, folder, **environment):
    """Build one lesson in a folder of its own, which stands where notebooks/ does: beside the tests' files, which lesson 14 reads."""
    (folder / "tests").symlink_to(ROOT / "tests")
    notebooks = folder / "notebooks"
    (notebooks / "src").mkdir(parents=True)
    shutil.copy(path, notebooks / "src")
    command = [sys.executable, "-m", "minilora", "course", "build", notebooks, "--seconds", str(SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, timeout=2 * SECONDS)
    assert done.returncode == 0, done.stderr
    assert (notebooks / f"{path.stem}.ipynb").is_file()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_it_runs(path, tmp_path):
    run(path, tmp_path)


@pytest.mark.parametrize("path", SOURCES[1:6], ids=lambda path: path.stem)
def test_it_runs_without_numba(path, tmp_path):
    run(path, tmp_path, MINILORA_OPS="reference")
