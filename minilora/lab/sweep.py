"""Grids of trainings from a TOML file: every combination of what stands there in lists, side by side, each kept as soon as it is done.

    corpus = "piglatin"              # what all trials share
    steps = 60
    seed = [0, 1]                    # a list is a choice, and every combination of choices is a trial

    [[grid]]
    method = "lora"
    rank = [1, 4, 16]
    learning_rate = [3e-3, 1e-2]

    [[grid]]                         # a second grid, beside the first: 2 x 3 x 2 and 2 x 2 trials in all
    method = "full"
    learning_rate = [3e-4, 1e-3]

Keys are base, method, corpus (a name or a path), every field of Recipe (training/loop.py) and every dial of the grid's methods; a dial that
one of the methods does not have is left out for it. Two dials bear the names of fields of Recipe, the `length` of a prefix and AdaLoRA's
`warmup`: write dial.length and dial.warmup. What is not said has its usual value, the learning rate that of the method.

A trial also has a hash of what the base and the corpus hold: where one of them has changed since, it is another trial.

Left out: search that chooses the next trial by the last (Optuna and others do that). A grid shows what a dial does, all of it.
"""

import difflib
import itertools
import tomllib
from dataclasses import fields
from pathlib import Path

import numpy as np

from minilora.files.safetensors import digest
from minilora.lab import fit
from minilora.lab.measure import train_and_measure
from minilora.lab.trials import key
from minilora.methods import REGISTRY
from minilora.training.loop import Recipe, room

NAMED = {"base": str, "method": str, "corpus": str}
RECIPE = {field.name: field.type for field in fields(Recipe)}
USUAL = {"base": "stories-base", "method": "lora"}
WORDS = {int: "a whole number", float: "a number", bool: "true or false", dict: "a table, as {q_proj = 4}", str: "words in quotes"}


def read(path):
    """The trials that a TOML file asks for, dictionaries of plain values. ValueError or FileNotFoundError, in one line."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: name a sweep's TOML")
    try:
        return plan(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def plan(config):
    """What the file says -> its trials, all of which can be run. ValueError where one cannot."""
    grids = config.get("grid", [{}])
    if not (isinstance(grids, list) and all(isinstance(grid, dict) for grid in grids)):
        raise ValueError("grid stands in double brackets, [[grid]], above the choices of that grid")
    shared = flat({name: value for name, value in config.items() if name != "grid"})
    grids = [flat(grid) for grid in grids]
    accepted = [options_of(choices("method", {**USUAL, **shared, **grid}["method"])) for grid in grids]
    known(shared, {name: kind for options in accepted for name, kind in options.items()})
    trials = {}
    for grid, options in zip(grids, accepted, strict=True):
        known(grid, options)
        for trial in combinations({**USUAL, **shared, **grid}, options):
            trials[key(run_trial, trial)] = trial  # what makes no difference to a method is tried once
    for trial in trials.values():
        refuse_what_cannot_run(**trial)
    pairs = {(trial["base"], trial["corpus"]) for trial in trials.values()}
    held = {pair: contents(*pair) for pair in pairs}
    return [{**trial, "contents": held[trial["base"], trial["corpus"]]} for trial in trials.values()]


def contents(base, corpus):
    """A hash of a base and of a text: behind the same names there may be others tomorrow."""
    base = fit.base(base)
    corpus = base.corpus(corpus)
    text = {"text": corpus.data} if hasattr(corpus, "data") else {}  # what is made up holds nothing: its name says all
    held = {**base.weights, **text, "config": np.frombuffer(repr(base.config).encode(), np.uint8)}
    return digest(held)[:16]


def flat(table):
    """{"dial": {"length": 8}} -> {"dial.length": 8}."""
    dials = table.get("dial", {})
    if not isinstance(dials, dict):
        raise ValueError("dial is followed by a dot and a name, as dial.length = 8")
    return {name: value for name, value in table.items() if name != "dial"} | {f"dial.{name}": value for name, value in dials.items()}


def dials_of(method):
    """Key in a file -> field, of a method by its name. ValueError, naming the closest, if there is none."""
    if method not in REGISTRY:
        raise ValueError(f"there is no method {method!r}; {closest(method, REGISTRY)}")
    return {f"dial.{field.name}" if field.name in RECIPE else field.name: field for field in fields(REGISTRY[method]) if field.init}


def options_of(methods):
    """Key -> type, of all that may stand in a grid of these methods."""
    return NAMED | RECIPE | {name: field.type for method in methods for name, field in dials_of(method).items()}


def known(names, accepted):
    for name in names:
        if name not in accepted:
            raise ValueError(f"there is no option {name!r} here; {closest(name, accepted)}")


def closest(name, names):
    return f"the closest is {difflib.get_close_matches(name, names, n=1, cutoff=0)[0]!r}. There are {', '.join(sorted(names))}"


def choices(name, value, kind=str):
    """The values of an option, of which there may be one or a list, as its type. ValueError for one of another type."""
    kind = next(part for part in getattr(kind, "__args__", (kind,)) if part in WORDS)  # of "str | tuple" and "int | None", the first
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError(f"{name} is an empty list: give it at least one value")
    for each in values:
        takes = (int, float) if kind is float else kind
        if not isinstance(each, takes) or (isinstance(each, bool) and kind is not bool):
            raise ValueError(f"{name} is {each!r}, and it takes {WORDS[kind]}, or a list of such")
    return [kind(each) for each in values]


def combinations(grid, options):
    """Every combination of a grid's choices as a trial: of the dials, those that its method has."""
    lists = {name: choices(name, value, options[name]) for name, value in grid.items() if name in options}
    for values in itertools.product(*lists.values()):
        trial = dict(zip(lists, values, strict=True))
        if "corpus" not in trial:
            raise ValueError('there is no corpus: say what is to be learned, as corpus = "pirate"')
        method = trial["method"]
        its_own = NAMED | RECIPE | dials_of(method)
        yield {"learning_rate": REGISTRY[method].learning_rate} | {name: value for name, value in trial.items() if name in its_own}


def settle(trial):
    """-> the method and the recipe of a trial. ValueError for dials that make no sense."""
    dials = {field.name: trial[name] for name, field in dials_of(trial["method"]).items() if name in trial}
    return REGISTRY[trial["method"]](**dials), Recipe(**{name: value for name, value in trial.items() if name in RECIPE})


def refuse_what_cannot_run(base, corpus, **options):
    """ValueError or FileNotFoundError, before any work is done, for a trial that its training would refuse."""
    method, recipe = settle(options)
    base = fit.base(base)
    corpus, space = base.corpus(corpus), room(base.config, method, recipe)
    corpus.train_batch(np.random.default_rng(0), 1, recipe.length)
    corpus.held_out(recipe.held_out, space)
    arrays = method.init(base.config, base.weights, np.random.default_rng(0))
    method.sites(base.config, arrays)


def run_trial(base, corpus, **options):
    """What one trial found, see measure.py."""
    method, recipe = settle(options)
    return train_and_measure(fit.base(base), method, corpus, recipe)
