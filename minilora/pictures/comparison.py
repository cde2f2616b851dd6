"""Two pictures of `minilora compare`: quality against parameters, and learned against forgotten; each contestant a point with its name.

They are drawn from a summary (lab/compare.py): of a run, or of the full one whose tables come with the package.
"""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from minilora.lab import compare, table
from minilora.pictures.labels import label
from minilora.pictures.style import LIGHT, house, png


def stored():
    """The summary of the full run that comes with the package, and what its runs have in common."""
    runs = table.stored("compare", "full")
    return compare.summary(runs, table.stored("compare.footprint", "full")), compare.task_of(runs)


def drawn(rows):
    """Those that have numbers to be drawn."""
    return [row for row in rows if row["excess"] is not None]


def ink(row):
    """LoRA and its family, their rivals, and the yardstick."""
    return LIGHT.ink if row["contestant"] == "full" else LIGHT.row if row["family"] else LIGHT.column


def quality(rows, about):
    """Trainable parameters to the right, what is left to learn upwards -> Figure."""
    figure, axes = sheet(about)
    points = scatter(axes, rows, "trainable", "excess")
    ranks = [row for row in rows if row["contestant"] == "lora" or row["contestant"].startswith("lora r=")]
    ranks.sort(key=lambda row: row["trainable"])
    axes.plot([row["trainable"] for row in ranks], [row["excess"] for row in ranks], color=LIGHT.row, linewidth=0.8, zorder=0)
    axes.set(xscale="log", yscale="log", xlabel="numbers that train", ylabel="held-out loss above the best possible, nats a character")
    plain(axes.xaxis, "{x:,.0f}", [1])
    plain(axes.yaxis, "{x:g}", [1, 2, 5])
    return named(figure, axes, rows, points)


def forgetting(rows, about):
    """What is left to learn to the right, what was forgotten upwards -> Figure."""
    figure, axes = sheet(about)
    points = scatter(axes, rows, "excess", "forgotten")
    axes.set(xscale="log", xlabel="new voice: held-out loss above the best possible, nats a character")
    plain(axes.xaxis, "{x:g}", [1, 2, 5])
    axes.set_ylabel("stories: how far the loss has risen, nats a character")
    return named(figure, axes, rows, points)


def sheet(caption):
    """An empty figure over its small print."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    figure.supxlabel(caption, fontsize=8, color=LIGHT.quiet)
    return figure, figure.subplots()


def plain(axis, form, digits):
    """Whole numbers and decimals in place of powers of ten, at these digits of each decade."""
    axis.set_major_locator(LogLocator(subs=digits))
    axis.set_major_formatter(form)
    axis.set_minor_formatter(NullFormatter())


def scatter(axes, rows, x, y):
    """A point for each row, with a bar of one standard deviation either way -> points (n, 2)."""
    for row in rows:
        spread = {f"{axis}err": row.get(f"{key}_spread") for axis, key in (("x", x), ("y", y))}
        axes.errorbar(row[x], row[y], **spread, fmt="o", markersize=4, elinewidth=0.6, color=ink(row))
    return np.array([(row[x], row[y]) for row in rows])  # (n, 2)


def named(figure, axes, rows, points):
    label(axes, points, [row["contestant"] for row in rows], [ink(row) for row in rows])
    return figure


def caption(rows, task):
    """The small print: size, task, n, seeds."""
    seeds = rows[0]["seeds"]
    mean = "one seed" if seeds == 1 else f"mean and standard deviation of {seeds} seeds"
    recipe = f"stories-base learns {task['voice']}: {task['steps']} steps of {task['batch']} rows, each method at its best learning rate"
    return f"orange: LoRA and its family; blue: the others\n{recipe}; {mean}"


FIGURES = {"compare-quality.png": quality, "compare-forgetting.png": forgetting}


def picture(name, rows, task):
    """The bytes of one of the two, by the name of its file."""
    with house(LIGHT):
        return png(FIGURES[name](drawn(rows), caption(rows, task)))


def alts(rows):
    """Name -> the picture in words, from the numbers."""
    rows = drawn(rows)
    best, worst, smallest = rows[0], rows[-1], min(rows, key=lambda row: row["trainable"])
    most, least = (find(rows, key=lambda row: row["forgotten"]) for find in (max, min))
    count = f"{len(rows)} ways to fine-tune as points"
    return {
        "compare-quality.png": (
            f"{count}: the numbers that train against the held-out loss above the best possible, in nats a character. "
            f"The lowest is {told(best)}, the highest {told(worst)}; the smallest is {told(smallest)}."
        ),
        "compare-forgetting.png": (
            f"{count}: what is left to learn of a new voice against how far the loss on the old stories has risen. "
            f"{most['contestant']} forgets most, {most['forgotten']:.2f} nats a character, {least['contestant']} least, "
            f"{least['forgotten']:.2f}; {best['contestant']}, which learns most, forgets {best['forgotten']:.2f}."
        ),
    }


def told(row):
    return f"{row['contestant']} with {row['trainable']:,} numbers and {row['excess']:.3f}"
