"""The checks behind the exercises are checked: what is right passes, however it is written, and what is wrong does not."""

import inspect
import re

import pytest
from answers import ANSWERS
from student_functions import CELLS, SOURCES, empty, solution, with_body

from minilora.classroom.judge import judge
from minilora.classroom.report import text
from minilora.classroom.themes import EXERCISES, THEMES

SEEDS = range(3)
EXERCISE = pytest.mark.parametrize("name", EXERCISES)


def state(name, function, seed):
    verdict = judge(name, EXERCISES[name], function, seed)
    return verdict.state, text(verdict)


def test_there_are_forty_exercises_and_half_of_them_are_gradients():
    assert len(EXERCISES) >= 40
    assert 2 * sum(exercise.gradient for exercise in EXERCISES.values()) >= len(EXERCISES)


def test_every_notebook_has_the_exercises_of_its_theme_in_order_and_the_tests_have_answers_to_all():
    assert [path.stem[3:] for path in SOURCES] == list(THEMES)
    for path in SOURCES:
        asked = re.findall(r'^check\("(\w+)", (\w+)\)$', path.read_text(encoding="utf-8"), re.M)
        assert asked == [(name, name) for name in THEMES[path.stem[3:]]]
    assert list(CELLS) == list(EXERCISES) == list(ANSWERS)


@EXERCISE
def test_the_solution_passes_and_takes_what_the_check_gives(name):
    assert tuple(inspect.signature(solution(name)).parameters) == EXERCISES[name].gives
    for seed in SEEDS:
        assert state(name, solution(name), seed)[0] == "right", state(name, solution(name), seed)[1]


@EXERCISE
def test_a_right_answer_that_is_written_otherwise_passes(name):
    assert ANSWERS[name]["right"]
    for body in ANSWERS[name]["right"]:
        for seed in SEEDS:
            found, said = state(name, with_body(name, body), seed)
            assert found == "right", f"{body}\n{said}"


@EXERCISE
def test_an_empty_answer_is_called_not_written_yet(name):
    assert state(name, empty(name), 0) == ("empty", f"{name}: not written yet")


@EXERCISE
def test_a_function_that_does_nothing_does_not_pass(name):
    assert state(name, with_body(name, "pass"), 0)[0] != "right"


@EXERCISE
def test_at_least_five_plausible_mistakes_are_found_under_every_seed(name):
    assert len(ANSWERS[name]["wrong"]) >= 5
    for mistake, body in ANSWERS[name]["wrong"].items():
        for seed in SEEDS:
            found, said = state(name, with_body(name, body), seed)
            assert found == "wrong", f"{mistake} passes: {body}"
            assert "look at" in said
