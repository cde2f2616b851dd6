"""What the lessons draw with: names beside their lines, numbers in their cells, nothing on top of anything."""

import numpy as np
import pytest

from minilora.pictures import lessons
from minilora.pictures.style import png


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_places_that_are_moved_apart_keep_their_order_and_their_mean():
    places = np.array([0.5, 0.1, 0.51, 0.52])
    moved = lessons.apart(places, 0.1)
    assert np.array_equal(np.argsort(moved), np.argsort(places))
    assert np.diff(np.sort(moved)).min() >= 0.1 - 1e-12
    assert np.isclose(moved.mean(), places.mean())


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_lines_that_end_together_have_names_that_do_not_overlap(scale):
    figure, axes = lessons.sheet()
    lessons.curves(axes, {name: ([1, 2, 3], [1, 2, 2 + n / 1000]) for n, name in enumerate("abc")}, "x", "y", yscale=scale)
    png(figure)
    boxes = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.y0)
    assert texts(axes) == ["a", "b", "c"]
    assert all(low.y1 <= high.y0 + 1 for low, high in zip(boxes, boxes[1:], strict=False))
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)


def test_a_matrix_prints_its_numbers_in_reading_order():
    _, axes = lessons.sheet()
    lessons.matrix(axes, np.array([[1.0, -2.0], [0.5, 0.0]]), digits=1)
    assert texts(axes) == ["1.0", "-2.0", "0.5", "0.0"]


def test_matrices_of_one_figure_say_name_and_shape():
    figure = lessons.matrices({"A": np.ones((5, 2)), "B": np.ones((2, 8))})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["A\n5 x 2", "B\n2 x 8"]


def test_bars_and_verdicts_write_what_they_show():
    _, axes = lessons.sheet()
    lessons.bars(axes, {"many": 1234, "few": 5}, "numbers", write="{:,}")
    assert texts(axes) == ["1,234", "5"]
    _, axes = lessons.sheet()
    lessons.verdicts(axes, [[True, False]], ["mutant"], ["fresh", "house"])
    assert texts(axes) == ["✓", "–"]


def test_every_letter_of_a_text_is_written_in_its_line():
    _, axes = lessons.sheet()
    lessons.surprises(axes, "abcde", np.arange(5.0), columns=3)
    assert [(text.get_text(), *text.get_position()) for text in axes.texts][3:] == [("d", 0.5, 1.5), ("e", 1.5, 1.5)]
