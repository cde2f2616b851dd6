"""What a student calls: check("lora_dA", lora_dA) says whether the function is right. It never raises, so that "Run All" goes on."""

import copy
import os
from functools import partial

from minilora.classroom.exercise import cases
from minilora.classroom.judge import find, judge
from minilora.classroom.report import show, text
from minilora.classroom.themes import EXERCISES


def checker(seed=0):
    """-> check(name, function) with the numbers of a seed."""
    return partial(check, seed=seed)


def check(name, function, seed=0, strict=False):
    """Say what came, what was wanted and what to look at, for the exercise of that name.

    AssertionError where it is not right, if `strict` or MINILORA_STRICT=1 asks for it, as for a grader; nothing is raised otherwise.
    """
    try:
        exercise = find(name, EXERCISES)
    except ValueError as error:
        print(error)
        return
    verdict = judge(name, exercise, function, seed)
    if verdict.state != "right" and (strict or os.environ.get("MINILORA_STRICT") == "1"):
        raise AssertionError(text(verdict))
    show(verdict)


def example(name, seed=0):
    """What the function of an exercise is given, to try things on: name -> value, as in the first draw of its check."""
    exercise = find(name, EXERCISES)
    drawn, _ = cases(exercise, name, seed)[0]
    return {argument: copy.deepcopy(drawn[argument]) for argument in exercise.gives}
