"""The lab: one file for each question about LoRA. A new experiment is a new file and its line here.

An experiment is a module with

    QUESTION                       what is asked, in one sentence
    PRESETS                        {"smoke": {...}, "class": {...}, "paper": {...}}: the sizes of a run
    run(preset, seeds, jobs)       a tidy table: a list of rows, each a dictionary of plain values
    draw(rows)                     one figure
    check(rows)                    what was found (findings.py)

and a docstring that says claim, source, set-up, what must be seen, and what this size cannot show.
"""

import importlib

NAMES = (
    "rank_dial",
    "alpha",
    "overfitting",
    "scale",
    "initialisation",
    "targets",
    "rank",
    "learning_rate",
    "low_rank",
    "intrinsic_dimension",
    "capacity",
    "forgetting",
    "intruders",
    "asymmetry",
    "modular",
    "merge_drift",
    "step_cost",
    "projection",
    "depth",
    "domain",
    "frozen_backward",
    "parameters_and_rank",
)


def find(name):
    """The experiment of this name. ValueError, naming the closest, if there is none."""
    import difflib

    if name not in NAMES:
        closest = difflib.get_close_matches(name, NAMES, n=1, cutoff=0)[0]
        raise ValueError(f"there is no experiment {name!r}; the closest is {closest!r}. There are {', '.join(NAMES)}")
    return importlib.import_module(f"minilora.lab.{name}")
