"""Two pictures of `minilora compare`: quality against parameters, and learned against forgotten; each contestant a point with its name.

They are drawn from a summary (lab/compare.py): of a run, or of the full one whose tables come with the package.
"""

from functools import cache

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from minilora.lab import compare, table
from minilora.pictures.labels import label
from minilora.pictures.style import LIGHT, house, png

QUALITY, FORGETTING = "compare-quality.png", "compare-forgetting.png"
LADDERS = ("full", "lora")  # those of which all learning rates are shown


@cache
def stored():
    """Of the full run that comes with the package: the summary, what its runs have in common, the learning rates that were tried."""
    runs = table.stored("compare", "full")
    return compare.summary(runs, table.stored("compare.footprint", "full")), compare.task_of(runs), table.stored("compare.sweep", "full")


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
    label(axes, points, [row["contestant"] for row in rows], [ink(row) for row in rows])
    return figure


def forgetting(rows, about, sweep):
    """What is left to learn to the right, what was forgotten upwards; and where other learning rates lead, of two of them -> Figure."""
    lines = f"\nlines: {' and '.join(LADDERS)} at the other learning rates that were tried, one seed" if sweep else ""
    figure, axes = sheet(about + lines)
    points = scatter(axes, rows, "excess", "forgotten")
    texts, inks = [row["contestant"] for row in rows], [ink(row) for row in rows]
    for row in rows:
        if row["contestant"] in LADDERS:
            rungs = rungs_of(row["contestant"], sweep)  # (n, 3)
            rungs[rungs[:, 0] == row["learning_rate"], 1:] = row["excess"], row["forgotten"]  # the line goes through the point of all seeds
            axes.plot(*rungs[:, 1:].T, ".-", color=ink(row), linewidth=0.8, markersize=3)
            others = rungs[rungs[:, 0] != row["learning_rate"]]  # (n - 1, 3)
            points = np.concatenate([points, others[:, 1:]])
            texts, inks = texts + [f"rate {rate:g}" for rate in others[:, 0]], inks + [ink(row)] * len(others)
    axes.set(xscale="log", xlabel="new voice: held-out loss above the best possible, nats a character")
    plain(axes.xaxis, "{x:g}", [1, 2, 5])
    axes.set_ylabel("stories: how far the loss has risen, nats a character")
    label(axes, points, texts, inks)
    return figure


def rungs_of(name, sweep):
    """The learning rates that were tried with seed 0, from the lowest: rate, loss above best, forgotten -> (n, 3)."""
    tried = [row for row in sweep if (row["contestant"], row["seed"]) == (name, 0) and row["excess"] is not None]
    return np.array(sorted((row["learning_rate"], row["excess"], row["forgotten"]) for row in tried)).reshape(-1, 3)  # (n, 3)


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


def caption(rows, task):
    """The small print: size, task, n, seeds."""
    seeds = rows[0]["seeds"]
    mean = "one seed" if seeds == 1 else f"mean and standard deviation of {seeds} seeds"
    recipe = f"stories-base learns {task['voice']}: {task['steps']} steps of {task['batch']} rows, each method at its best learning rate"
    return f"orange: LoRA and its family; blue: the others\n{recipe}; {mean}"


def pictures(rows, task, sweep):
    """Name of a file -> its bytes, of both. Without a sweep, no other learning rates are shown."""
    shown, about = drawn(rows), caption(rows, task)
    with house(LIGHT):
        return {QUALITY: png(quality(shown, about)), FORGETTING: png(forgetting(shown, about, sweep))}


@cache
def stored_pictures():
    """Both, of the full run that comes with the package."""
    return pictures(*stored())


def alts(rows):
    """Name -> the picture in words, from the numbers."""
    rows = drawn(rows)
    best, worst, smallest = rows[0], rows[-1], min(rows, key=lambda row: row["trainable"])
    most, least = (find(rows, key=lambda row: row["forgotten"]) for find in (max, min))
    count = f"{len(rows)} ways to fine-tune as points"
    return {
        QUALITY: (
            f"{count}: the numbers that train against the held-out loss above the best possible, in nats a character. "
            f"The lowest is {told(best)}, the highest {told(worst)}; the smallest is {told(smallest)}."
        ),
        FORGETTING: (
            f"{count}: what is left to learn of a new voice against how far the loss on the old stories has risen. "
            f"{most['contestant']} forgets most, {most['forgotten']:.2f} nats a character, {least['contestant']} least, "
            f"{least['forgotten']:.2f}; {best['contestant']}, which learns most, forgets {best['forgotten']:.2f}."
        ),
    }


def told(row):
    return f"{row['contestant']} with {row['trainable']:,} numbers and {row['excess']:.3f}"
