"""The figure of a sweep: a panel for each combination of dials, a line for each value of one dial, and another dial along the axis.

Which is which follows from the rows: along the axis goes the number with the most values, the last of the others makes the lines, and the
rest make panels. Every trial is a dot, and lines are means over seeds; where one diverged there is a cross, and no mean.
"""

import itertools
import textwrap

import numpy as np
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from minilora.lab.measure import RESULTS
from minilora.lab.table import column
from minilora.pictures.style import LIGHT

ACROSS = 4  # panels in a row
GAP = 12  # points between the middles of two labels
MEASURES = {"excess": "nats a token above the best", "held_out_loss": "held-out loss, nats a token"}
AS_THEY_ARE = ("method", "corpus", "base", "targets")  # values that need no name before them


def draw(rows):
    """The rows of a sweep -> its figure."""
    x, line, panel = roles(rows)
    done = [row for row in rows if row["status"] == "done"]
    y = "excess" if all(row["excess"] is not None for row in done) else "held_out_loss"
    places, lines, panels = values(rows, x), values(rows, line), list(dict.fromkeys(tuple(row.get(name) for name in panel) for row in rows))
    across = min(ACROSS, len(panels))
    down = -(-len(panels) // across)
    width = max(2.4, 0.5 * len(places))  # inches of a panel: room for the numbers below it
    figure = Figure(figsize=(max(5.2, width * across + 1.2), 2.7 * down + 0.9), layout="constrained")
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    set_scales(grid[0, 0], done, places, y)
    for axes, of_panel in itertools.zip_longest(grid.flat, panels):
        if of_panel is None:
            axes.set_axis_off()
            continue
        axes.set_title(", ".join(told(name, value) for name, value in zip(panel, of_panel, strict=True) if value is not None), fontsize=9)
        mine = [row for row in rows if tuple(row.get(name) for name in panel) == of_panel]
        for value, ink in zip(lines, ramp(len(lines)), strict=True):
            draw_line(axes, [row for row in mine if row.get(line) == value], x, places, y, told(line, value), ink)
    for axes in grid[-1]:
        axes.set_xlabel(spoken(x or ""))
    for axes in grid[:, 0]:
        axes.set_ylabel(MEASURES[y])
    figure.supxlabel("\n".join(textwrap.wrap(caption(rows), int(15 * figure.get_figwidth()))), fontsize=8, color=LIGHT.quiet)
    figure.draw_without_rendering()  # only now is it known where the lines end
    for axes in figure.axes:
        spread([text for text in axes.texts if isinstance(text, Annotation)])
    return figure


def options(rows):
    """The columns that say what was asked for, in order."""
    return [name for name in dict.fromkeys(name for row in rows for name in row) if name not in (*RESULTS, "contents")]


def values(rows, name):
    """The distinct values of a column, numbers in their order and others in that of the rows; None, for rows without it, comes last."""
    found = list({repr(row.get(name)): row.get(name) for row in rows}.values())
    numbers = all(value is None or is_number(value) for value in found)
    return sorted(found, key=lambda value: (value is None, value or 0)) if numbers else found


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def roles(rows):
    """Which option goes along the axis, which makes the lines, and which make the panels (None and () where fewer vary).

    What is another for another method, but one for each, is no choice: a learning rate that was not asked for, a dial that one of them has.
    """
    methods = [[row for row in rows if row["method"] == method] for method in values(rows, "method")]
    varies = ["method"] if len(methods) > 1 else []
    varies += [name for name in options(rows) if name not in ("seed", "method") and any(len(values(mine, name)) > 1 for mine in methods)]
    numbers = [name for name in varies if all(value is None or is_number(value) for value in values(rows, name))]
    x = max(numbers or varies[:1], key=lambda name: (len(values(rows, name)), name == "learning_rate"), default=None)
    others = [name for name in varies if name not in numbers and name != x] + [name for name in numbers if name != x]
    return x, others[-1] if others else None, tuple(others[:-1])


def set_scales(axes, done, places, y):
    """The scales that all panels share: logarithmic where numbers are far apart."""
    heights = np.array(column(done, y))
    if len(heights) and heights.min() > 0 and heights.max() > 20 * heights.min():
        axes.set_yscale("log")
    numbers = [place for place in places if place is not None]
    if not all(map(is_number, numbers)):
        axes.set_xticks(range(len(places)), [str(place) for place in places])
        axes.set_xlim(-0.5, len(places) - 0.5)
    elif numbers:
        if min(numbers) > 0 and max(numbers) >= 5 * min(numbers):
            axes.set_xscale("log")
        axes.set_xticks(numbers, [f"{number:g}" for number in numbers])
        axes.minorticks_off()


def draw_line(axes, rows, x, places, y, label, ink):
    """The dots of all seeds, the line of their means, crosses for what diverged, and the label at the line's end."""
    if not rows:
        return
    if rows[0].get(x) is None and x is not None:  # a method that has no such dial: the same all along
        heights = [row[y] for row in rows if row["status"] == "done"]
        if not heights:
            axes.text(0.5, 0.9, f"{label} diverged".strip(), transform=axes.transAxes, ha="center", color=ink)
        else:
            axes.axhline(np.mean(heights), color=ink, linestyle=":")
            axes.annotate(label, (1, np.mean(heights)), (4, 0), ("axes fraction", "data"), "offset points", va="center", color=ink)
        return
    where = places.index if not all(is_number(place) for place in places if place is not None) or x is None else float
    ends, means = [], []
    for place in places:
        at = [row for row in rows if row.get(x) == place]
        heights = [row[y] for row in at if row["status"] == "done"]
        if not at:
            continue
        ends.append(where(place))
        means.append(np.mean(heights) if len(heights) == len(at) else np.nan)
        axes.plot([where(place)] * len(heights), heights, ".", color=ink, markersize=6, alpha=0.5, markeredgewidth=0)
        if len(heights) < len(at):
            axes.plot(where(place), 0.97, "x", color=ink, transform=axes.get_xaxis_transform(), clip_on=False)
    axes.plot(ends, means, "o-" if where is float else "o", color=ink, markersize=4)  # words have no order to be joined in
    known = np.flatnonzero(np.isfinite(means))
    if label:
        end = (ends[known[-1]], means[known[-1]]) if len(known) else (ends[-1], axes.get_ylim()[1])  # beside its crosses
        axes.annotate(label, end, (6, 0), "data", "offset points", va="center", color=ink, annotation_clip=False)


def spread(labels):
    """Move labels up and down, as little as needed, until none lies on another. They are annotations of points in an axes drawn before."""
    if not labels:
        return
    points = 72 / labels[0].figure.dpi
    ends = sorted(((points * end_of(label), label) for label in labels), key=lambda end: end[0])
    heights = [height for height, _ in ends]
    for _ in range(100):
        for i in range(1, len(heights)):
            overlap = GAP - (heights[i] - heights[i - 1])
            if overlap > 0:
                heights[i - 1] -= overlap / 2
                heights[i] += overlap / 2
    for height, (before, label) in zip(heights, ends, strict=True):
        label.set_position((label.get_position()[0], height - before))


def end_of(label):
    """How high the point that a label belongs to lies, in pixels."""
    return label.axes.transData.transform(label.xy)[1]


def ramp(n):
    """n inks from orange to blue, by way of a brown that is as dark."""
    row, blue = np.array(to_rgb(LIGHT.row)), np.array(to_rgb(LIGHT.column))
    return [LIGHT.column] if n == 1 else [to_hex(row + (blue - row) * i / (n - 1)) for i in range(n)]


def spoken(name):
    return name.removeprefix("dial.").replace("_", " ")


def told(name, value):
    """An option and its value in words."""
    if name is None or value is None:
        return ""
    value = f"{value:g}" if is_number(value) else str(value)
    return value if name in AS_THEY_ARE else f"{spoken(name)} {value}"


def caption(rows):
    """What all rows share, how many seeds there are, and what a cross means."""
    said = [told(name, values(rows, name)[0]) for name in options(rows) if name != "seed" and len(values(rows, name)) == 1]
    seeds = len(set(column(rows, "seed"))) if "seed" in rows[0] else 1
    said.append(f"mean of {seeds} seeds, a dot each" if seeds > 1 else "one seed")
    if any(row["status"] == "diverged" for row in rows):
        said.append("x: diverged")
    return "; ".join(said)
