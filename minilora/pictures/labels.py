"""Direct labels for many points: each text stands where it covers no other text, point or line, and a far one is tied to its point."""

import numpy as np

DISTANCES = (5, 10, 16, 24, 34, 46, 60)  # from the point, in printer's points: 72 an inch
ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)  # to the right first
DIRECTIONS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)  # (16, 2)
OFFSETS = np.concatenate([distance * DIRECTIONS for distance in DISTANCES])  # (places, 2)
SIDES = np.tile(np.round(DIRECTIONS).astype(int), (len(DISTANCES), 1))  # (places, 2)    -1, 0, 1: left, above, ...
DOT = 4  # half the width of a point, in pixels


def label(axes, points, texts, inks, fontsize=8):
    """Write texts[i] in inks[i] beside points[i] (points, 2), in data. Those in a crowd are written first; the same places each time.

    All else must be drawn before, with the limits of the axes as they are to stay.
    """
    figure = axes.figure
    figure.draw_without_rendering()  # the layout is made while drawing, and pixels depend on it
    at = axes.transData.transform(points)  # (points, 2) pixels
    crowd = np.sum(np.linalg.norm(at[:, None] - at, axis=-1) < 60, axis=1)  # (points,)
    avoid = np.concatenate([np.hstack([at - DOT, at + DOT]), lines(axes)])  # (boxes, 4)
    offsets = OFFSETS * figure.dpi / 72  # (places, 2) pixels
    for i in np.argsort(-crowd, kind="stable"):
        places = boxes(at[i] + offsets, size(axes, texts[i], fontsize))  # (places, 4)
        outside = area(places) - shared(places, np.array([axes.bbox.extents]))  # (places,)
        ties = along(at[i] + 0.3 * offsets, at[i] + offsets, 8)  # (8, places, 4)    the first steps lie on the point itself
        crossed = sum(shared(tie, avoid) for tie in ties) * (np.arange(len(OFFSETS)) >= len(ANGLES))  # (places,)
        best = np.argmin(100 * (shared(places, avoid) + outside) + 10 * crossed + np.linalg.norm(offsets, axis=1))
        avoid = np.concatenate([avoid, places[best : best + 1], ties[:, best] if best >= len(ANGLES) else ties[:0, best]])
        tie = {"arrowstyle": "-", "color": inks[i], "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
        horizontal, vertical = ("right", "center", "left")[SIDES[best, 0] + 1], ("top", "center", "bottom")[SIDES[best, 1] + 1]
        style = {"ha": horizontal, "va": vertical, "color": inks[i], "fontsize": fontsize}
        style |= {"arrowprops": tie if best >= len(ANGLES) else None}
        axes.annotate(texts[i], points[i], OFFSETS[best], textcoords="offset points", **style)


def lines(axes):
    """Small boxes along all lines that are drawn, error bars among them -> (boxes, 4) pixels."""
    paths = [line.get_xydata() for line in axes.lines if line.get_linestyle() != "None"]
    paths += [segment for collection in axes.collections for segment in collection.get_segments()]
    found = [np.empty((0, 4))]
    for path in paths:
        corners = axes.transData.transform(path)  # (corners, 2) pixels
        for start, end in zip(corners, corners[1:], strict=False):
            found.append(along(start, end, 2 + int(np.linalg.norm(end - start) / 4)))  # (steps, 4)
    return np.concatenate(found)


def along(start, end, steps):
    """Small boxes on the way from start to end (..., 2) -> (steps, ..., 4) pixels."""
    shares = np.linspace(0, 1, steps).reshape(-1, *np.ones(np.ndim(start), int))  # (steps, 1, ...)
    at = start + shares * (end - start)  # (steps, ..., 2)
    return np.concatenate([at - 1, at + 1], axis=-1)


def boxes(anchors, extent):
    """The pixels that a text covers at each anchor (places, 2), which lies on the side of it that SIDES says -> (places, 4)."""
    corner = anchors + (SIDES - 1) / 2 * extent  # (places, 2)
    return np.hstack([corner, corner + extent])


def size(axes, text, fontsize):
    """The width and height of a text -> (2,) pixels."""
    written = axes.text(0, 0, text, fontsize=fontsize)
    box = written.get_window_extent()
    written.remove()
    return np.array([box.width, box.height])


def area(places):
    return np.prod(places[:, 2:] - places[:, :2], axis=1)


def shared(places, others):
    """How much of each place (n, 4) the others (m, 4) cover in all -> (n,) pixels."""
    low = np.maximum(places[:, None, :2], others[None, :, :2])  # (n, m, 2)
    high = np.minimum(places[:, None, 2:], others[None, :, 2:])  # (n, m, 2)
    return np.prod(np.maximum(high - low, 0), axis=-1).sum(axis=1)
