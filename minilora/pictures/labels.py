"""Direct labels for many points: each text is written where it covers no other text and no point, and is tied to its own by a thin line."""

import numpy as np
from matplotlib.transforms import Bbox

DISTANCES = (5, 12, 22, 34, 48, 64)  # from the point, in printer's points
ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)  # to the right first


def label(axes, points, texts, inks, fontsize=8):
    """Write texts[i] beside points[i] (in data) in inks[i]. Those that have many neighbours are placed first; the same each time."""
    figure = axes.figure
    figure.draw_without_rendering()  # the layout is made when it is drawn, and pixels depend on it
    scale = 72 / figure.dpi  # printer's points a pixel
    at = axes.transData.transform(points)  # (n, 2) pixels
    dots = [Bbox.from_extents(x - 4, y - 4, x + 4, y + 4) for x, y in at]
    crowd = [np.sum(np.linalg.norm(at - here, axis=1) < 60) for here in at]
    taken = []
    for i in sorted(range(len(texts)), key=lambda i: -crowd[i]):
        width, height = size(axes, texts[i], fontsize)
        places = [(offset, box_at(at[i], offset, width, height, scale)) for offset in offsets()]
        offset, box = min(places, key=lambda place: cost(place, axes.bbox, taken, dots))
        taken.append(box)
        far = np.linalg.norm(offset) > DISTANCES[0] + 1
        line = {"arrowstyle": "-", "color": inks[i], "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3} if far else None
        horizontal, vertical = sides(offset)
        style = {"ha": horizontal, "va": vertical, "color": inks[i], "fontsize": fontsize, "arrowprops": line}
        axes.annotate(texts[i], points[i], offset, textcoords="offset points", **style)


def offsets():
    """(x, y) in printer's points, the nearest first."""
    return [(distance * np.cos(angle), distance * np.sin(angle)) for distance in DISTANCES for angle in ANGLES]


def sides(offset):
    """Which side of a text turns to its point."""
    x, y = np.sign(np.round(offset / np.linalg.norm(offset), 1) * (np.abs(offset / np.linalg.norm(offset)) > 0.3))
    return {1: "left", -1: "right", 0: "center"}[int(x)], {1: "bottom", -1: "top", 0: "center"}[int(y)]


def box_at(point, offset, width, height, scale):
    """The pixels that a text would cover."""
    (x, y), (horizontal, vertical) = np.asarray(point) + np.asarray(offset) / scale, sides(offset)
    x -= {"left": 0, "center": width / 2, "right": width}[horizontal]
    y -= {"bottom": 0, "center": height / 2, "top": height}[vertical]
    return Bbox.from_bounds(x, y, width, height)


def size(axes, text, fontsize):
    """Width and height of a text, in pixels."""
    written = axes.text(0, 0, text, fontsize=fontsize)
    box = written.get_window_extent()
    written.remove()
    return box.width, box.height


def cost(place, inside, taken, dots):
    """What is covered and what is left over the edge, in pixels; a distance breaks ties."""
    offset, box = place
    covered = sum(overlap(box, other) for other in (*taken, *dots))
    outside = box.width * box.height - overlap(box, inside)
    return 100 * (covered + outside) + np.linalg.norm(offset)


def overlap(one, other):
    """The area that two boxes share."""
    shared = Bbox.intersection(one, other)
    return 0.0 if shared is None else shared.width * shared.height
