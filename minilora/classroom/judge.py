"""Is a student's function right? It is called with numbers of its own, and the first thing that is wrong is said, the plain things first.

In this order: nothing is written yet; it stops with an error; it returns the wrong number of things; one of them has the wrong shape or the
wrong kind of number; its values are wrong; it changed an argument that others still need. The verdict says what came and what was wanted
and names one thing to look at. It never says how to do it.
"""

import copy
import difflib
import re
import traceback
from dataclasses import dataclass
from numbers import Integral, Number

import numpy as np

from minilora.classroom.exercise import cases
from minilora.classroom.suspicion import suspicion
from minilora.gradcheck import TOLERANCE, relative_error

ROUNDING = 1e-9  # relative: what two ways of writing one formula may differ by in float64, with room to spare


@dataclass(frozen=True)
class Verdict:
    """`state` is "right", "wrong" or "empty". The texts are empty where there is nothing to say; `picture` is (name, yours, wanted)."""

    name: str
    state: str
    given: str = ""
    came: str = ""
    wanted: str = ""
    look: str = ""
    picture: tuple | None = None


def find(name, exercises):
    """The exercise of that name. ValueError, with the closest name, where there is none."""
    if name not in exercises:
        closest = difflib.get_close_matches(str(name), exercises, n=1, cutoff=0)[0]
        raise ValueError(f"there is no exercise {name!r}: the closest name is {closest!r}")
    return exercises[name]


def judge(name, exercise, function, seed=0):
    """Call the function with the numbers of a seed -> the Verdict on the first draw that it fails, or on the last."""
    if not callable(function):
        return Verdict(name, "wrong", came=f"{type(function).__name__}, not a function", look="hand over the function's name, without ()")
    for drawn, wanted in cases(exercise, name, seed):
        verdict = judge_draw(name, exercise, function, drawn, wanted)
        if verdict.state != "right":
            return verdict
    return verdict


def judge_draw(name, exercise, function, drawn, wanted):
    before = {argument: drawn[argument] for argument in exercise.gives}
    after = copy.deepcopy(before)
    given = ", ".join(f"{argument} {describe(value)}" for argument, value in before.items())
    try:
        with np.errstate(all="ignore"):  # what overflows or divides by zero is named below, by its values
            value = function(*after.values())
    except NotImplementedError:
        return Verdict(name, "empty")
    except (Exception, SystemExit) as error:
        return Verdict(name, "wrong", given, stopped(error), look=why(error, exercise))
    if exercise.changes:
        values = tuple(after[argument] for argument in exercise.returns)
    elif value is None:
        return Verdict(name, "empty")
    else:
        values = tuple(value) if isinstance(value, tuple | list) and len(exercise.returns) > 1 else (value,)
    if len(values) != len(exercise.returns):
        wants = f"{len(exercise.returns)}: {', '.join(exercise.returns)}"
        return Verdict(
            name, "wrong", given, f"{len(values)} value{'s' * (len(values) != 1)}", wants, "what the function returns, and its order"
        )
    returned = dict(zip(exercise.returns, values, strict=True))
    if exercise.view is not None:
        try:
            returned = exercise.view(drawn, returned)
        except Exception as error:
            shapes = ", ".join(f"{key} {describe(part)}" for key, part in returned.items())
            return Verdict(name, "wrong", given, f"{shapes}, which do not go together", look=why(error, exercise))
    for key, target in wanted.items():
        verdict = compare(name, given, key, returned[key], target, exercise, before)
        if verdict is not None:
            return verdict
    for argument, value in before.items():
        if argument not in exercise.changes and not same(after[argument], value):
            look = f"write into a new array (x = x + y, not x += y): the caller still needs {argument}"
            return Verdict(name, "wrong", given, f"{argument} is no longer what it was", f"{argument} left as it is", look)
    return Verdict(name, "right", given)


def compare(name, given, key, yours, target, exercise, arguments):
    """The Verdict on one returned value, or None where it is right."""

    def wrong(came, wanted, look, picture=None):
        return Verdict(name, "wrong", given, f"{key}{came}", wanted, look, picture)

    if isinstance(target, str):
        return None if yours == target else wrong(f" is {yours!r}", repr(target), exercise.look)
    if yours is None:
        return wrong(" is missing (None)", describe(target), "return every value that the exercise asks for")
    try:
        array = np.asarray(yours)
    except ValueError:  # rows of different lengths
        return wrong(" is a list of uneven rows", describe(target), "build an array whose rows have one length")
    if array.dtype.kind not in "fiu":
        return wrong(f" holds {array.dtype.name}", "real numbers", "what kind of values is put into it")
    if array.shape != np.shape(target):
        turned = array.ndim == 2 and array.shape == np.shape(target)[::-1]
        look = "it is transposed: which factor stands first?" if turned else "write the shape beside each line: where does it go astray?"
        return wrong(f" has shape {array.shape}", f"shape {np.shape(target)}", look)
    if isinstance(target, Integral):
        if array.dtype.kind == "f":
            return wrong(f" = {yours}, a float", "a whole number", "a count is exact: stay with whole numbers, // in place of /")
        return None if yours == target else wrong(f" = {yours:,}", f"{target:,}", suspicion(yours, target, {}) or exercise.look)
    if array.dtype.kind != "f" and array.ndim:
        return wrong(
            f" holds whole numbers ({array.dtype.name})",
            "float64",
            "np.zeros, np.array: what kind of number do they make of what they get?",
        )
    if array.dtype.kind == "f" and array.dtype != np.float64:
        return wrong(f" is {array.dtype.name}", "float64", "all that is given is float64: somewhere a line makes it less exact")
    if not np.isfinite(array).all():
        return wrong(
            " holds numbers that are not finite", "finite numbers", "where it divides, or takes a root, a logarithm or an exponential"
        )
    if relative_error(array, target) < (TOLERANCE if exercise.gradient else ROUNDING):
        return None
    at = np.unravel_index(np.argmax(np.abs(array - target)), array.shape)
    where = f"[{', '.join(map(str, at))}]" if at else ""
    source = " by central differences" if exercise.gradient else ""
    look = suspicion(array, target, arguments) or exercise.look
    return wrong(f"{where} = {array[at]:.6g}", f"{np.asarray(target)[at]:.6g}{source}", look, (key, array, target))


def describe(value):
    """A value in a few characters: a number as it is, an array by its shape."""
    if callable(value):
        return "(a function)"
    if isinstance(value, np.ndarray) and value.ndim:
        return str(value.shape)
    if isinstance(value, Number | np.ndarray | str):
        return f"= {float(value):g}" if isinstance(value, float | np.ndarray) else f"= {value!r}"
    if isinstance(value, list | tuple):
        return f"= {value}" if len(str(value)) <= 80 else f"(a {type(value).__name__} of {len(value)})"
    return f"({type(value).__name__})"


def same(one, other):
    """Whether two arguments hold the same: arrays by their values, lists and tuples part by part."""
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other


def first_line(error):
    """An error in one line. NumPy's for a product whose shapes do not fit speaks of signatures: say the two sizes."""
    found = re.search(r"core dimension.*\(size (\d+) is different from (\d+)\)", str(error))
    message = f"a product @ with {found[2]} columns on the left and {found[1]} rows on the right" if found else str(error)
    return f"{type(error).__name__}: {message}".splitlines()[0]


def stopped(error):
    """What stopped the function, and in which line of the student's own: the last one that is not inside of a library."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)[1:] if "site-packages" not in frame.filename]
    if not frames:  # the call itself, in this file, is the first frame and the last
        return f"{first_line(error)} (at the call: does the function take other arguments?)"
    line = f": {frames[-1].line}" if frames[-1].line else ""
    return f"{first_line(error)} (in line {frames[-1].lineno}{line})"


def why(error, exercise):
    """What to look at where a function stops: most often two shapes do not fit."""
    if "core dimension" in str(error):
        return "that product: does one of its two factors have to be transposed, or the other one to come first?"
    if "broadcast" in str(error):
        return "two shapes that do not go together entry by entry: write the shape beside each of them"
    return exercise.look
