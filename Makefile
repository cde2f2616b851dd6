# Every target makes what it needs; the only prerequisites are Python 3.11 or later, make and a package index.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo figures notebooks lab test voices notebooks-test lint parity bench clean

.venv/made: EXTRA := dev
.venv-parity/made: EXTRA := parity
.venv/made .venv-parity/made: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "minilora needs Python 3.11 or later: make PYTHON=/path/to/python3.11"'
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRA)]'
	touch $@

demo: .venv/made
	$(BIN)/minilora demo

figures: .venv/made
	$(BIN)/minilora figures

# The course, made from its sources and run; ONLY="--only 01_low_rank" takes one notebook.
notebooks: .venv/made
	$(BIN)/minilora course build $(ONLY)

# The course, to step through.
lab: .venv/made
	$(BIN)/jupyter lab --ServerApp.root_dir="$(CURDIR)" notebooks/00_start_here.ipynb

test: .venv/made
	$(BIN)/python -m pytest

# Each voice trained with its preset, a minute or two: it obeys its own checker and no other.
voices: .venv/made
	$(BIN)/python -m pytest tests/slow/voices.py

# Every lesson run from its first cell to its last, some minutes; the first five once more without Numba.
notebooks-test: .venv/made
	$(BIN)/python -m pytest tests/slow/notebooks.py

lint: .venv/made
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# PyTorch, transformers and PEFT on one side, minilora on the other.
parity: .venv-parity/made
	.venv-parity/bin/python -m pytest tests/parity

# Whole steps, timed in turn; BENCH=--quick shows in seconds that it works, and writes nothing.
bench: .venv-parity/made
	.venv-parity/bin/python benchmarks/compare.py $(BENCH)
	.venv-parity/bin/python benchmarks/scaling.py $(BENCH)

clean:
	rm -rf .venv .venv-parity build dist *.egg-info
