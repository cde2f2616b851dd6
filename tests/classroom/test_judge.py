"""What a student is told: the plain things first, what came and what was wanted, and one thing to look at."""

import numpy as np
import pytest
from student_functions import with_body

from minilora.classroom.judge import judge
from minilora.classroom.report import text
from minilora.classroom.suspicion import suspicion
from minilora.classroom.themes import EXERCISES


def verdict(name, body):
    return judge(name, EXERCISES[name], with_body(name, body))


@pytest.mark.parametrize(
    "body, came, look",
    [
        ("dz.T @ x", "dA has shape (3, ", "it is transposed"),
        ("x.T", "dA has shape (", "write the shape beside each line"),
        ("(x.T @ dz).astype(np.float32)", "dA is float32", "less exact"),
        ("(x.T @ dz).astype(int)", "dA holds whole numbers", "what kind of number"),
        ("(x.T @ dz) + 0j", "dA holds complex128", "what kind of values"),
        ("'a string'", "dA holds", "what kind of values"),
        ("[[1.0], [1.0, 2.0]]", "dA is a list of uneven rows", "one length"),
        ("x.T @ dz / 0", "dA holds numbers that are not finite", "where it divides"),
        ("-x.T @ dz", "dA[", "the sign"),
        ("2 * x.T @ dz", "dA[", "a factor: all is 2 times what is wanted"),
        ("x.T @ dz / len(x)", "dA[", "a factor: all is 1/"),
        ("0 * x.T @ dz", "dA[", "zero everywhere"),
        ("x @ dz", "ValueError: a product @ with ", "does one of its two factors have to be transposed"),
        ("x + dz", "ValueError: operands could not be broadcast", "two shapes that do not go together"),
        ("undefined", "NameError: name 'undefined' is not defined (in line 2", "z = x A"),
        ("import sys\nsys.exit()", "SystemExit", "z = x A"),
        ("x *= 2\nreturn x.T @ dz / 2", "x is no longer what it was", "write into a new array"),
    ],
)
def test_what_came_and_what_to_look_at(body, came, look):
    found = verdict("lora_dA", body)
    assert found.state == "wrong" and found.came.startswith(came), text(found)
    assert look in found.look
    assert found.given.startswith("dz (")


def test_values_are_said_with_what_was_wanted_and_are_there_to_be_drawn():
    found = verdict("lora_dB", "z.T @ dy")
    assert found.wanted.endswith("by central differences")
    name, yours, wanted = found.picture
    assert name == "dB" and np.allclose(2 * yours, wanted)
    assert text(found).splitlines()[0] == "lora_dB: not right yet"


def test_the_number_of_returned_values_is_named_before_their_shapes():
    found = verdict("lora_backward", "return dy, x")
    assert (found.came, found.wanted) == ("2 values", "3: dx, dA, dB")


def test_a_count_has_to_be_a_whole_number():
    found = verdict("lora_params", "r * (d + k) / 1")
    assert "a float" in found.came and found.wanted == "a whole number"


def test_an_array_that_is_to_be_changed_and_is_not_is_named():
    found = verdict("accumulate_dx", "dx = dx + dy @ W.T")
    assert found.look == "it is dx, as it was given"


def test_a_function_with_other_arguments_is_named():
    found = judge("lora_dA", EXERCISES["lora_dA"], lambda dz: dz)
    assert "does the function take other arguments?" in found.came


def test_what_is_no_function_is_named():
    assert "not a function" in judge("lora_dA", EXERCISES["lora_dA"], np.zeros(3)).came


def test_no_verdict_shows_how_it_is_done():
    """The solution's line is in none of the hints that a check gives."""
    from student_functions import CELLS

    for name, exercise in EXERCISES.items():
        lines = CELLS[name].partition("### BEGIN SOLUTION")[2].partition("### END SOLUTION")[0].splitlines()
        parts = [line.split("#")[0].replace("return ", "").strip() for line in lines]
        assert not [part for part in parts if len(part) > 12 and part in exercise.look], name


WANTED = np.arange(1.0, 13).reshape(3, 4)


@pytest.mark.parametrize(
    "yours, words",
    [
        (WANTED * 0, "zero everywhere"),
        (-WANTED, "the sign"),
        (WANTED / 4, "1/4 times"),
        (WANTED * 1.5, "1.5 times"),
        (WANTED * [[1], [1], [2]], "row 2 is wrong, and the other rows right"),
        (WANTED * [1, 1, 0, 0.5], "columns 2, 3 are wrong, and the other columns right"),
        (WANTED * [[1], [2], [3]], "each row is off by a factor of its own"),
        (WANTED * [4, 1, 2, 3], "each column is off by a factor of its own"),
        (WANTED + 1, ""),
    ],
)
def test_wrong_numbers_give_away_what_is_wrong(yours, words):
    found = suspicion(yours, WANTED, {})
    assert words in found if words else found == ""


def test_of_single_numbers_only_a_plain_factor_is_named():
    assert suspicion(50, 100, {}) == "a factor: it is 1/2 times what is wanted"
    assert suspicion(37, 100, {}) == ""
