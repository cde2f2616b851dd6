"""Direct labels cover nothing: neither each other, nor a point, nor a line, nor what is outside of the axes."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text

from minilora.pictures.labels import label, lines, shared


def crowded():
    """Two dozen points, a third of them close together, and a line through them -> figure, axes, points (24, 2)."""
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(0, 0.08, (8, 2)), rng.uniform(-1, 1, (16, 2))])  # (24, 2)
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    axes.plot(*points.T, "o", linestyle="None", markersize=4)
    axes.plot([-1, 1], [-1, 1])
    return figure, axes, points


def written(axes):
    """The pixels of each text alone, without the line that ties it to its point -> (24, 4)."""
    return np.array([Text.get_window_extent(text).extents for text in axes.texts])  # (24, 4)


def test_labels_cover_neither_each_other_nor_points_nor_lines_and_stay_inside():
    figure, axes, points = crowded()
    label(axes, points, [f"method {i}" for i in range(24)], ["black"] * 24)
    figure.draw_without_rendering()
    boxes, at = written(axes), axes.transData.transform(points)  # (24, 4), (24, 2)
    for i in range(24):
        assert not shared(boxes[i : i + 1], np.delete(boxes, i, axis=0)).any(), axes.texts[i]
    assert not shared(boxes, np.hstack([at - 2, at + 2])).any() and not shared(boxes, lines(axes)).any()
    low, high = np.split(axes.bbox.extents, 2)  # (2,) each
    assert np.all(boxes[:, :2] >= low - 1) and np.all(boxes[:, 2:] <= high + 1)


def test_the_same_points_get_the_same_places():
    places = []
    for _ in range(2):
        _, axes, points = crowded()
        label(axes, points, [f"method {i}" for i in range(24)], ["black"] * 24)
        places.append([text.xyann for text in axes.texts])
    assert np.array_equal(*places)


def test_what_is_shared_is_an_area():
    box = np.array([[0.0, 0, 4, 2]])
    assert shared(box, np.array([[3.0, 1, 9, 9], [-1, -1, 1, 1], [5, 5, 6, 6]])) == 1 + 1
