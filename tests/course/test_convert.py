"""A student's notebook has neither solutions nor hidden tests, and all else as it was."""

import pytest

from minilora.classroom.convert import has_solutions, student

SOLVED = '''\
def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    y = x + x
    return y
    ### END SOLUTION'''
ASKED = '''\
def double(x):
    """Twice x."""
    # your code here
    raise NotImplementedError'''


def code(source):
    return {"cell_type": "code", "source": source, "metadata": {"tags": ["answer"]}, "outputs": ["some"], "execution_count": 3}


def test_a_solution_becomes_a_place_to_write_in():
    before = [code(SOLVED)]
    (after,) = student(before)
    assert after == {**code(ASKED), "outputs": [], "execution_count": None}
    assert before == [code(SOLVED)]


def test_two_solutions_in_a_cell_and_what_stands_around_them():
    text = "a = 1\n### BEGIN SOLUTION\nb = 2\n### END SOLUTION\nc = 3\n### BEGIN SOLUTION\nd = 4\n### END SOLUTION"
    stub = "# your code here\nraise NotImplementedError"
    assert student([code(text)])[0]["source"] == f"a = 1\n{stub}\nc = 3\n{stub}"


def test_hidden_tests_are_gone():
    text = "assert f(1) == 2\n### BEGIN HIDDEN TESTS\nassert f(7) == 14\n### END HIDDEN TESTS"
    assert student([code(text)])[0]["source"] == "assert f(1) == 2"


def test_an_answer_in_words():
    cell = {"cell_type": "markdown", "source": "Why?\n\n### BEGIN SOLUTION\nBecause.\n### END SOLUTION", "metadata": {}}
    assert student([cell])[0]["source"] == "Why?\n\n*Your answer here.*"


def test_a_cell_without_markers_stays():
    assert student([code("a = 1\n\nb = 2")])[0]["source"] == "a = 1\n\nb = 2"
    assert not has_solutions([code("a = 1")]) and has_solutions([code(SOLVED)])


@pytest.mark.parametrize(
    "text, said",
    [
        ("### BEGIN SOLUTION\na = 1", "cell 1: a BEGIN SOLUTION has no END"),
        ("a = 1\n### END SOLUTION", "cell 1: '### END SOLUTION' stands without its BEGIN"),
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION", "cell 1: '### BEGIN SOLUTION' stands inside another"),
        ("### BEGIN HIDDEN TESTS\na = 1", "cell 1: a BEGIN HIDDEN TESTS has no END"),
    ],
)
def test_markers_that_do_not_pair_up_are_refused(text, said):
    with pytest.raises(ValueError) as refused:
        student([code(text)])
    assert str(refused.value) == said
