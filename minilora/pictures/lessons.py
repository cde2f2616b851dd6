"""Pictures for the notebooks, in the house style and in few lines: curves, matrices with their numbers, bars, verdicts, attention.

A lesson takes a sheet, `figure, axes = sheet(...)`, and draws one thing on each of its axes. Lines and bars are named where they are, not
in a legend. Left out: everything that moves (motion.py), and what only one page needs.
"""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minilora.pictures.style import LIGHT, cell_colours, house

INKS = (LIGHT.row, LIGHT.column, LIGHT.ink, LIGHT.quiet, LIGHT.positive[2], LIGHT.negative[1])


@house(LIGHT)
def sheet(columns=1, caption="", width=8.0, height=3.4, rows=1, **how):
    """A figure and its axes, one or an array of them. The caption says size, n and seeds; `how` is for subplots."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, **how)
    if caption:
        figure.supxlabel(caption, fontsize=8, color=LIGHT.quiet)
    return figure, axes


def apart(places, gap):
    """The places (n,) with at least `gap` between neighbours, their order and their mean kept."""
    order = np.argsort(places, kind="stable")  # (n,)
    moved = np.array(places, float)[order]  # (n,)
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + gap)
    moved += np.mean(places) - np.mean(moved)
    result = np.empty_like(moved)  # (n,)
    result[order] = moved
    return result


@house(LIGHT)
def curves(axes, series, xlabel, ylabel, title="", inks=INKS, marker="", **how):
    """One line for each of series: name -> (x, y), named at its right end in its own ink. `how` goes to axes.set: scales, limits, ticks."""
    for (x, y), ink in zip(series.values(), inks, strict=False):
        axes.plot(x, y, marker=marker, color=ink, markersize=4, linewidth=1.6)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title, **how)
    name_ends(axes, series, inks)


def name_ends(axes, series, inks):
    """The name of each line beside its last point, moved up or down where two would overlap."""
    axes.autoscale_view()  # otherwise the limits are those of before the lines, until something asks
    ends = [(np.asarray(x)[-1], np.asarray(y)[-1]) for x, y in series.values()]
    heights = axes.transAxes.inverted().transform(axes.transData.transform(ends))[:, 1]  # (lines,) 0 at the bottom, 1 at the top
    room = axes.figure.get_size_inches()[1] * axes.get_position().height * 0.88  # inches, about: the axes without their labels
    heights = apart(np.clip(heights, 0.04, 1), 12 / 72 / room)  # (lines,)
    heights += max(0, 0.04 - heights.min())
    right = axes.transAxes.inverted().transform(axes.transData.transform(ends))[:, 0].max()
    for name, height, ink in zip(series, heights, inks, strict=False):
        axes.text(right + 0.015, height, name, transform=axes.transAxes, color=ink, va="center", fontsize=9)


@house(LIGHT)
def matrix(axes, M, title="", limit=None, digits=1, numbers=True):
    """A matrix (m, n) as coloured cells, zero being the ground, with the numbers written in them unless `numbers` is false."""
    limit = limit or float(np.abs(M).max()) or 1.0
    axes.imshow(M, cmap=LIGHT.values, vmin=-limit, vmax=limit, aspect="equal" if numbers else "auto", interpolation="nearest")
    axes.set(title=title, xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=LIGHT.faint)
    if numbers:
        for (i, j), value in np.ndenumerate(M):
            _, ink = cell_colours(value, limit, LIGHT)
            axes.text(j, i, f"{round(float(value), digits) + 0.0:.{digits}f}", ha="center", va="center", color=ink, fontsize=8)


def matrices(named, caption="", cell=0.42, digits=1, limit=None):
    """A figure of several matrices side by side, in cells of one size; each title is the name with the shape below it."""
    rows, columns = max(len(M) for M in named.values()), [M.shape[1] for M in named.values()]
    width, height = cell * sum(columns) + 0.5 * len(named), cell * rows + 0.95
    figure, axes = sheet(len(named), caption, max(width, 4.0), height, squeeze=False, width_ratios=columns)
    for one, (name, M) in zip(axes[0], named.items(), strict=True):
        matrix(one, M, f"{name}\n{M.shape[0]} x {M.shape[1]}", limit, digits)
        one.set_anchor("N")
        one.title.set_fontsize(9)
    return figure


@house(LIGHT)
def bars(axes, values, xlabel, title="", write="{:.3g}", inks=(LIGHT.column,)):
    """Horizontal bars, name -> number, the first on top, each with its number. Fewer inks than bars are taken in turn."""
    places = np.arange(len(values))
    axes.barh(places, list(values.values()), color=[inks[i % len(inks)] for i in places], height=0.7)
    for place, value in zip(places, values.values(), strict=True):
        axes.annotate(write.format(value), (value, place), (4, 0), textcoords="offset points", va="center", color=LIGHT.ink, fontsize=9)
    axes.set(xlabel=xlabel, title=title, yticks=places, yticklabels=list(values), ylim=(len(values) - 0.5, -0.5))
    axes.tick_params(left=False)


@house(LIGHT)
def verdicts(axes, table, rows, columns, title="", yes="✓", no="–"):
    """A grid of truth values, table (rows, columns): a tick on an ink where true, a dash where not."""
    table = np.asarray(table)
    axes.imshow(table, cmap=LIGHT.values, vmin=-3, vmax=3, aspect="auto", interpolation="nearest")
    for (i, j), true in np.ndenumerate(table):
        axes.text(j, i, yes if true else no, ha="center", va="center", color=LIGHT.ink if true else LIGHT.row, fontsize=10)
    axes.set(title=title, yticks=np.arange(len(rows)), xticks=np.arange(len(columns)))
    axes.set_yticklabels(rows, fontsize=9, color=LIGHT.ink)
    axes.set_xticklabels(columns, fontsize=9, color=LIGHT.ink)
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axes.spines[:].set_visible(False)


@house(LIGHT)
def attention(axes, p, letters, title=""):
    """Attention's probabilities p (T, S), 1 being dark, with the letter that asks on the left and those that it looks at on top."""
    axes.imshow(p, cmap=LIGHT.values, vmin=-1, vmax=1, interpolation="nearest")
    axes.set(xlabel=title, xticks=np.arange(p.shape[1]), yticks=np.arange(p.shape[0]))
    axes.set_xticklabels(letters, fontsize=7, family="DejaVu Sans Mono")
    axes.set_yticklabels(letters[-p.shape[0] :], fontsize=7, family="DejaVu Sans Mono")
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axes.spines[:].set(visible=True, color=LIGHT.faint)


@house(LIGHT)
def surprises(axes, text, nats, columns=58, limit=3.0):
    """A text in lines of `columns` letters, each on a ground as dark as it was surprising: nats (letters,), the darkest at `limit`."""
    for i, (letter, value) in enumerate(zip(text, nats, strict=True)):
        line, place = divmod(i, columns)
        ground, ink = cell_colours(min(value, limit), limit, LIGHT)
        axes.add_patch(Rectangle((place, line), 1, 1, color=ground, linewidth=0))
        axes.text(place + 0.5, line + 0.5, letter, ha="center", va="center", color=ink, fontsize=9, family="DejaVu Sans Mono")
    axes.set(xlim=(0, columns), ylim=(-(-len(text) // columns) + 0.15, -0.15))
    axes.axis("off")
