"""Is each of the mistakes in tests/mutants/ found by the tests of its file?"""

import functools
import importlib
import inspect
import itertools

import numpy as np
import pytest
from mutants import FOLDER, Mutant, edited
from mutants.compiled import COMPILED
from mutants.family import FAMILY
from mutants.quantization import QUANTIZATION
from mutants.readable import READABLE
from mutants.reimport import reimported
from mutants.rivals import RIVALS

MODEL = ("test_model", "test_methods")
TESTS = {"lowrank.py": ("test_lowrank",), "layers.py": ("test_layers",)}
TESTS |= {"transformer/model.py": MODEL, "transformer/sites.py": MODEL, "methods/lora.py": ("test_methods",)}
TESTS |= dict.fromkeys([mutant.file for mutant in COMPILED], ("test_kernels",))
TESTS |= dict.fromkeys([mutant.file for mutant in FAMILY], ("test_family", "test_every_method"))
TESTS |= dict.fromkeys([mutant.file for mutant in QUANTIZATION], ("test_quantization",))
TESTS |= dict.fromkeys([mutant.file for mutant in RIVALS], ("test_rivals", "test_every_method"))

# Many rows, then few, so that both orders of the low-rank product are taken; something is left over beside whole blocks of them.
SHARED = {"dtype": np.float64, "batch": 2, "past": 3, "groups": 2, "repeat": 2, "half": 2, "r": 6, "turned": False, "seed": 0}
SIZES = [SHARED | {"T": 66, "d": 7, "k": 9}, SHARED | {"T": 22, "d": 50, "k": 60}, SHARED | {"T": 5, "d": 7, "k": 9, "turned": True}]

# How a mistake shows. Anything else, such as a NameError, would be a slip in the mutant itself.
RED = (AssertionError, pytest.fail.Exception, ValueError, TypeError, KeyError, IndexError, RuntimeWarning)


def concerns(arguments, module):
    """Whether a call is about the module: not if its arguments hold a method that has nothing from there."""
    kinds = [value if isinstance(value, type) else type(value) for value in arguments.values()]
    methods = [kind for kind in kinds if kind.__module__.startswith("minilora.methods.")]
    return not methods or any(base.__module__ == module for kind in methods for base in kind.__mro__)


def calls(test, module, folder):
    """What pytest would call a test with, every combination of its parameters, as far as it concerns the module; random sizes are fixed."""
    function, columns = test, []
    for mark in getattr(test, "pytestmark", []):
        names, rows = mark.args
        columns.append([dict(zip(names, row, strict=True)) if isinstance(names, tuple) else {names: row} for row in rows])
    if hasattr(test, "hypothesis"):
        function = test.hypothesis.inner_test
        columns.append([{"sizes": sizes} for sizes in SIZES])
    if "tmp_path" in inspect.signature(test).parameters:
        columns.append([{"tmp_path": folder}])
    for parts in itertools.product(*columns):
        arguments = {name: value for part in parts for name, value in part.items()}
        if concerns(arguments, module):
            yield functools.partial(function, **arguments)


def stop_at_the_first(check):
    """gradcheck.check, which looks at no further array once one is wrong."""

    def hasty_check(f, arrays, grads):
        rows = []
        for name, x in arrays.items():
            rows += check(f, {name: x}, grads)
            if not rows[-1]["ok"]:
                break
        return rows

    return hasty_check


def run(file, source, folder):
    """Run the tests of a file on the given source up to the first that fails; those that check gradients, the longest, come last."""
    with reimported(file, source) as module:
        gradcheck = importlib.import_module("minilora.gradcheck")
        gradcheck.check = stop_at_the_first(gradcheck.check)
        modules = map(importlib.import_module, TESTS[file])
        tests = {name: test for tests in modules for name, test in vars(tests).items() if name.startswith("test_")}
        if file.startswith("kernels/"):  # the other tests there are about compiling itself
            tests = {name: test for name, test in tests.items() if hasattr(test, "hypothesis")}
        for name in sorted(tests, key=lambda name: "gradients" in name):
            for call in calls(tests[name], module, folder):
                call()


@pytest.mark.parametrize("mutant", [*READABLE, *COMPILED, *FAMILY, *QUANTIZATION, *RIVALS], ids=str)
def test_a_mistake_is_found(mutant, tmp_path):
    source = edited(mutant)
    with pytest.raises(RED):
        run(mutant.file, source, tmp_path)


@pytest.mark.parametrize(
    "file", ["lowrank.py", "layers.py", "transformer/sites.py", "kernels/layers.py", "methods/dora.py", "methods/ia3.py"]
)
def test_the_source_as_it_is_passes_the_same_tests(file, tmp_path):
    run(file, (FOLDER / file).read_text(encoding="utf-8"), tmp_path)


@pytest.mark.parametrize(
    ("function", "old", "message"),
    [
        ("lowrank_backward", "mask", r"stands \d+ times"),
        ("lowrank_backward", "dW =", "stands 0 times"),
        ("lowrank_backwards", "dA", "there is no lowrank_backwards"),
    ],
)
def test_a_mutant_that_does_not_apply_exactly_once_is_an_error(function, old, message):
    with pytest.raises(ValueError, match=message):
        edited(Mutant("lowrank.py", function, old, "", "nothing"))
