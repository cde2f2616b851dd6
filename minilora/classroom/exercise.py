"""What an exercise is to the check: what the student's function is given, what it has to return, and where that is known from.

The numbers are drawn from a seed, in the regime that lets no wrong gradient through: float64, a random upstream gradient, B not zero,
s = 2, and sizes that all differ, so that a transposed factor cannot fit. A gradient is wanted as the central differences of the forward
pass say: the check knows no backward formula, and so cannot give one away.

Left out: the text of an exercise, which is in exercises/src, and what the student gets to see, which is in report.py.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from minilora.gradcheck import numeric_grad

DRAWS = 2  # of numbers and sizes, for each check: what fits one by chance does not fit the other
R, S = 3, 2.0  # the rank and the scale alpha / r of every exercise that has them; sizes() draws no 3


@dataclass(frozen=True)
class Exercise:
    """`gives` and `returns` are names; `draw` makes name -> value from a generator, and `wanted` name -> what is to be returned from those.

    `look` is the one thing to look at where nothing better can be told from the numbers. `view` makes of what is returned (in a dictionary)
    and of what was drawn that which is compared, where more than one answer is right. `changes` names the arguments that are to be
    changed in place; all others must stay as they are. `gradient` says that central differences are the judge. `edges()` are numbers that
    are always among those that are tried: what a draw meets hardly ever.
    """

    gives: tuple
    returns: tuple
    draw: Callable
    wanted: Callable
    look: str
    view: Callable | None = None
    changes: tuple = ()
    gradient: bool = False
    edges: Callable = tuple


def exercise(gives, returns, draw, wanted, look, view=None, changes="", edges=tuple):
    """An Exercise whose `wanted` is a function of what was drawn: its value, or a tuple in the order of `returns`."""
    names = tuple(returns.split())

    def by_name(drawn):
        values = wanted(**drawn)
        return dict(zip(names, values if isinstance(values, tuple) else (values,), strict=True))

    return Exercise(tuple(gives.split()), names, draw, by_name, look, view, tuple(changes.split()), edges=edges)


def gradient(gives, returns, draw, forward, look, changes="", upstream="dy"):
    """An Exercise in gradients: what is wanted are the central differences of sum(dy * forward), or of forward itself without `upstream`.

    "dx" is the gradient with respect to what was drawn as "x". In place, the differences are added to what the argument held.
    """
    names = tuple(returns.split())

    def differences(drawn):
        def loss():
            value = forward(**drawn)
            return float(np.sum(drawn[upstream] * value)) if upstream else value

        return {name: numeric_grad(loss, drawn[name[1:]]) + (drawn[name] if name in changes.split() else 0) for name in names}

    return Exercise(tuple(gives.split()), names, draw, differences, look, None, tuple(changes.split()), True)


def sizes(rng, count):
    """Different whole numbers from 4 to 8, none of them the rank."""
    return (int(size) for size in rng.permutation(np.arange(4, 9))[:count])


def normal(rng, **shapes):
    """Name -> array (shape) of standard normal numbers."""
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


@cache
def cases(exercise, name, seed):
    """The numbers of an exercise under a seed, DRAWS and the edges -> pairs of name -> value, name -> wanted value. Hand out copies."""
    found = []
    draws = [exercise.draw(np.random.default_rng([seed, number, zlib.crc32(name.encode())])) for number in range(DRAWS)]
    for drawn in (*draws, *exercise.edges()):
        wanted = exercise.wanted(drawn)
        found.append((drawn, exercise.view(drawn, wanted) if exercise.view else wanted))
    return found
