"""What the student gets to see: a few lines of text, and in a notebook yours beside the target as coloured matrices."""

import numpy as np

LARGEST = 16  # rows or columns that can still be told apart in a picture
WIDE = 8  # columns of three matrices that still fit beside each other


def text(verdict):
    """The verdict in words."""
    if verdict.state == "right":
        return f"{verdict.name}: right"
    if verdict.state == "empty":
        return f"{verdict.name}: not written yet"
    parts = {"given": verdict.given, "came": verdict.came, "wanted": verdict.wanted, "look at": verdict.look}
    return "\n".join([f"{verdict.name}: not right yet", *(f"  {label:<8} {part}" for label, part in parts.items() if part)])


def drawable(picture):
    return picture is not None and 1 <= np.ndim(picture[2]) <= 2 and max(np.shape(picture[2])) <= LARGEST


def draw(picture):
    """(name, yours, wanted) -> a figure of yours, the target and the difference, all three under one scale of colours."""
    from matplotlib.figure import Figure

    from minilora.pictures.style import LIGHT, cell_colours, house

    name, *matrices = picture
    yours, target = (np.atleast_2d(np.asarray(matrix, np.float64)) for matrix in matrices)  # (rows, columns)
    rows, columns = target.shape
    limit = max(np.abs(yours).max(), np.abs(target).max())
    with house(LIGHT):
        width, height = 0.46 * max(columns, 3) + 0.3, 0.34 * rows + 0.45  # inches; three columns are what a title needs
        across, down = (3, 1) if columns <= WIDE else (1, 3)
        figure = Figure(figsize=(width * across, height * down), layout="constrained")
        panels = figure.subplots(down, across)
        for panel, title, matrix in zip(
            panels, (f"{name}: yours", "target", "yours - target"), (yours, target, yours - target), strict=True
        ):
            panel.set_title(title)
            panel.set(xlim=(0, columns), ylim=(rows, 0), xticks=[], yticks=[])
            panel.spines[:].set_visible(True)
            for (i, j), value in np.ndenumerate(matrix):
                colour, ink = cell_colours(np.clip(value, -limit, limit), limit, LIGHT)
                panel.add_patch(panel_cell(j, i, colour))
                panel.text(j + 0.5, i + 0.5, short(value), ha="center", va="center", fontsize=7, color=ink)
    return figure


def panel_cell(x, y, colour):
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), 1, 1, facecolor=colour, edgecolor="none")


def short(value):
    """A number in at most five characters."""
    return f"{value:.2f}" if abs(value) < 9.995 else f"{value:.1f}" if abs(value) < 99.95 else f"{value:.0e}"


def show(verdict):
    """Print the verdict; inside of a notebook draw it as well."""
    print(text(verdict))
    if drawable(verdict.picture) and in_notebook():
        from IPython.display import Image, display

        from minilora.pictures.style import png

        name = verdict.picture[0]
        display(Image(png(draw(verdict.picture)), alt=f"{name}: yours, the target and their difference, as coloured matrices"))


def in_notebook():
    """Whether a kernel is there to show pictures."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return get_ipython() is not None
