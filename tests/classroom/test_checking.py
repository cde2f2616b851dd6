"""check() as a student meets it: it prints, never raises unless it is asked to, and draws inside of a notebook."""

import io

import numpy as np
import pytest
from student_functions import empty, solution, with_body

from minilora.classroom import check, checker, example, report
from minilora.classroom.themes import EXERCISES


def test_right_wrong_and_empty_are_printed(capsys):
    ask = checker(seed=0)
    ask("lora_dB", solution("lora_dB"))
    ask("lora_dB", empty("lora_dB"))
    ask("lora_dB", with_body("lora_dB", "z.T @ dy"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["lora_dB: right", "lora_dB: not written yet", "lora_dB: not right yet"]
    assert [line[:10].strip() for line in lines[3:]] == ["given", "came", "wanted", "look at"]


def test_a_name_that_is_misspelt_is_a_line_and_no_error(capsys):
    check("lora_dBB", print)
    assert capsys.readouterr().out == "there is no exercise 'lora_dBB': the closest name is 'lora_dB'\n"


@pytest.mark.parametrize("write", [empty, lambda name: with_body(name, "z.T @ dy")])
def test_it_raises_where_it_is_strict(write, monkeypatch):
    with pytest.raises(AssertionError, match="lora_dB: not"):
        check("lora_dB", write("lora_dB"), strict=True)
    monkeypatch.setenv("MINILORA_STRICT", "1")
    with pytest.raises(AssertionError, match="lora_dB: not"):
        check("lora_dB", write("lora_dB"))


def test_another_seed_has_other_numbers():
    one, other = example("lora_dA"), example("lora_dA", seed=1)
    assert list(one) == list(other) == ["dz", "x"]
    assert not np.array_equal(one["x"], other["x"])


def test_an_example_can_be_changed_without_harm():
    example("lora_dA")["x"][:] = 0
    assert example("lora_dA")["x"].any()


def test_the_regime_has_no_gaps():
    """Float64, all sizes different, nothing zero, so that no wrong gradient fits by chance."""
    for seed in range(3):
        drawn = example("lora_backward", seed)
        N, d = drawn["x"].shape
        r, k = drawn["B"].shape
        assert len({N, d, r, k}) == 4 and drawn["s"] not in (0, 1, r)
        assert all(value.dtype == np.float64 and value.all() for value in drawn.values() if isinstance(value, np.ndarray))


def test_yours_stands_beside_the_target_in_a_notebook(monkeypatch, capsys):
    pytest.importorskip("IPython.display")
    shown = []
    monkeypatch.setattr(report, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", shown.append)
    check("lora_dB", with_body("lora_dB", "z.T @ dy"))
    check("lora_dB", solution("lora_dB"))
    (image,) = shown
    assert image.data.startswith(b"\x89PNG") and image.alt.startswith("dB: yours")


@pytest.mark.parametrize("shape", [(3,), (1, 1), (7, 3), (4, 14)])
def test_pictures_have_a_cell_for_each_number(shape):
    wanted = np.random.default_rng(0).standard_normal(shape)
    figure = report.draw(("y", 30 * wanted, wanted))
    assert [len(panel.patches) for panel in figure.axes] == 3 * [wanted.size]
    figure.savefig(io.BytesIO(), format="png")


def test_nothing_is_drawn_of_numbers_stacks_and_giants():
    assert not any(report.drawable(("y", a, a)) for a in (np.ones(()), np.ones((2, 2, 2)), np.ones((40, 2))))
    assert not report.drawable(None)


def test_every_exercise_has_an_example():
    for name in EXERCISES:
        assert tuple(example(name)) == EXERCISES[name].gives
