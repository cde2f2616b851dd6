# Every target makes what it needs; the only prerequisites are Python 3.11 or later, make and a package index.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint clean

.venv/made: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "minilora needs Python 3.11 or later: make PYTHON=/path/to/python3.11"'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: .venv/made
	$(BIN)/minilora demo

test: .venv/made
	$(BIN)/python -m pytest

lint: .venv/made
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf .venv build dist *.egg-info
