"""Draws the film: B on top, A at the left, their product where rows and columns cross, so that a cell lies on its row and its column.

The unit is a cell's side. At the right stand the counts, and below them the sum that is being done or the layer that is being laid.
"""

import numpy as np

from minilora.pictures import film
from minilora.pictures.motion import Animation
from minilora.pictures.stage import MONO, blank
from minilora.pictures.style import LIGHT, cell_colours, house, png

WIDTH, HEIGHT = 23.0, 12.2  # in cells
CELL = 0.36  # inches
ALT = (
    "Film in five scenes: a 5 by 2 matrix A and a 2 by 8 matrix B make a 5 by 8 product; 26 stored numbers stand for 40, first cell by "
    "cell, then as a sum of two outer products; last, what a pair of each rank misses of a random matrix."
)
STORYBOARD_ALT = (
    "Five panels. One: A has 10 numbers and B 16, together 26 in place of 40. Two: row 1 of A times column 1 of B is 1 × 2 + 3 × 1 = 5. "
    "Three: all 40 cells are filled in this way. Four: the same product is the sum of two layers of 13 numbers each. "
    "Five: a random 5 by 8 matrix needs rank 5, and from rank 4 on the pair has more numbers than the matrix."
)
TITLE = (
    "A (5 × 2) on the left, B (2 × 8) on top,",
    "their product where rows and columns cross.",
    "A cell is its row of A times its column of B, added up.",
    "Purple is above zero and orange below;",
    "every number is printed as well.",
)
LIMIT = 9  # the largest size of a number in the film
PLACES = {"A": (1, 5.2), "B": (4, 2.2), "product": (4, 5.2), "layer": (14, 5.2), "target": (4, 5.2), "best": (14, 5.2)}
LABELS = {"A": ("A", "5 × ", "2"), "B": ("B", "2", " × 8")}
UNDER = {"product": "A B   5 × 8", "target": "target   5 × 8", "best": "best A B of rank {rank}", "layer": "a layer of rank 1   5 × 8"}


def number(value):
    """A number as it stands in a cell, with a real minus sign: an integer as it is, any other with one decimal."""
    text = f"{value:.1f}" if isinstance(value, float) else f"{value:d}"
    return text.replace("-0.0", "0.0").replace("-", "−")


def draw_grid(stage, x, y, grid, order=1):
    """The cells of a matrix with their numbers and frames; a grid of a higher order covers one of a lower."""
    palette = stage.palette
    size = 0.34 if grid.values.dtype.kind == "f" else 0.52
    for (i, j), value in np.ndenumerate(grid.values):
        if not grid.shown[i, j]:
            stage.box(x + j, y + i, 1, 1, palette.faint, line=0.03, order=order)
            continue
        face, ink = cell_colours(value, LIMIT, palette)
        stage.box(x + j, y + i, 1, 1, palette.faint, face, line=0.03, order=order)
        stage.write(x + j + 0.5, y + i + 0.52, number(value), size, ink, "center", zorder=order + 1)
        if grid.ticks:
            stage.line((x + j + 0.76, x + j + 0.82, x + j + 0.93), (y + i + 0.15, y + i + 0.22, y + i + 0.07), ink)
    height, width = grid.values.shape
    for i in grid.rows:
        stage.box(x, y + i, width, 1, palette.row, line=0.14, order=3)
    if grid.columns:
        stage.box(x + grid.columns[0], y, len(grid.columns), height, palette.column, line=0.14, order=3)
    for i, j in grid.cells:
        stage.box(x + j, y + i, 1, 1, palette.ink, line=0.14, order=4)


def draw_label(stage, name, x, y, marked):
    """The name and the shape of a factor; the rank in it is boxed where it is spoken of."""
    ink, size = stage.palette.ink, 0.5
    head, before, after = LABELS[name]
    stage.pieces(x, y, [(f"{head}  ", ink), (before, ink), (after, ink)], size)
    if marked:
        at = x + MONO * size * (3 + (len(before) if name == "A" else 0))
        stage.box(at - 0.1, y - 0.42, MONO * size + 0.2, 0.84, stage.palette.ink, line=0.08, order=4)


def draw_tally(stage, tally):
    """Bars as long as the counts: 4.7 cells stand for 65 numbers, the most that the film comes to."""
    palette, x, unit = stage.palette, 14, 4.7 / 65
    hues = {"plain": palette.quiet, "row": palette.row, "column": palette.column}
    for y, (name, parts) in zip((2.2, 3.6), tally.items(), strict=False):
        stage.write(x, y - 0.35, name, 0.4, palette.quiet)
        left = x
        for count, hue in parts:
            stage.box(left, y, count * unit, 0.55, palette.ground, hues[hue], line=0.05)
            left += count * unit
        counts = [count for count, _ in parts]
        stage.write(left + 0.15, y + 0.3, " + ".join(map(str, counts)) + (f" = {sum(counts)}" if len(counts) > 1 else ""), 0.42)


def draw_sums(stage, sums, size):
    """1 × 2 + 3 × 1 = 5, the numbers of the row and of the column in their hues."""
    palette = stage.palette
    for line, (terms, result) in enumerate(sums):
        pieces = []
        for n, (a, b) in enumerate(terms):
            pieces += [
                (" + " if n else "", palette.ink),
                (bracket(a, n), palette.row),
                (" × ", palette.ink),
                (bracket(b, 1), palette.column),
            ]
        if result is not None:
            pieces.append((f" = {number(result)}", palette.ink))
        stage.pieces(14, 7 + 1.4 * line, pieces, size)


def bracket(value, inner):
    """A negative number inside a sum stands in brackets."""
    return f"({number(value)})" if value < 0 and inner else number(value)


def draw_errors(stage, errors):
    """A bar for each rank so far, as high as what its best pair misses."""
    palette, x, y = stage.palette, 4, 4.5
    stage.write(x, 1.85, "missed:  ‖target − A B‖ / ‖target‖", 0.4, palette.quiet)
    for n, error in enumerate(errors):
        stage.box(x + 1.6 * n, y - 1.6 * error, 1.1, 1.6 * error, palette.ground, palette.quiet, line=0.02)
        stage.write(x + 1.6 * n + 0.55, y - 1.6 * error - 0.32, f"{error:.0%}", 0.4, align="center")
        stage.line((x + 1.6 * n, x + 1.6 * n + 1.1), (y, y), palette.ink)
        stage.write(x + 1.6 * n + 0.55, y + 0.28, f"r = {n + 1}", 0.36, palette.quiet, "center")


def draw(_, stage, frame):
    """All of one frame."""
    palette = stage.palette
    stage.write(1, 0.95, frame.caption, 0.56)
    stage.write(1, 11.55, frame.counter, 0.56, weight="bold")
    stage.write(22, 11.55, f"{frame.scene} / 5", 0.4, palette.quiet, "right")
    draw_tally(stage, frame.tally)
    draw_sums(stage, frame.sums, 0.56 if frame.scene == 3 else 0.8)
    if frame.errors:
        draw_errors(stage, frame.errors)
    for name, grid in frame.grids.items():
        x, y = PLACES[name]
        if name == "layer":
            x += frame.slide * (PLACES["product"][0] - x)
        draw_grid(stage, x, y, grid, order=3 if name == "layer" else 1)
        if name in UNDER and not frame.slide:
            stage.write(x, y + 5.4, UNDER[name].format(rank=len(frame.errors)), 0.42, palette.quiet)
    if "A" in frame.grids:
        draw_label(stage, "A", 1, 4.75, frame.mark_rank)
    if "B" in frame.grids:
        draw_label(stage, "B", 4, 1.75, frame.mark_rank)


def animation():
    """The whole film."""
    return Animation(film.film(), draw, (WIDTH, HEIGHT), CELL, ALT)


def storyboard(palette=LIGHT):
    """The last frame of each scene on one sheet, for print and for the reader who only looks -> the bytes of a PNG."""
    with house(palette):
        figure, stage = blank(2 * WIDTH + 1, 3 * HEIGHT + 1, 0.27, palette)
        stage.write(1.5, 3.2, "Two thin matrices in place of a wide one", 0.95)
        for line, text in enumerate(TITLE):
            stage.write(1.5, 5 + 1.1 * line, text, 0.6, palette.quiet)
        for n, frame in enumerate(film.storyboard(), 1):
            part = stage.at(0.5 + n % 2 * WIDTH, 0.5 + n // 2 * HEIGHT)
            part.box(0.3, 0.15, WIDTH - 0.6, HEIGHT - 0.3, palette.faint, line=0.03)
            draw(figure, part, frame)
        return png(figure)
