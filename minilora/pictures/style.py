"""The house style: few inks, direct labels in place of legends, one light and one dark palette, fonts that come with matplotlib.

A row is orange-red and a column is blue (Okabe and Ito's hues, lightened on a dark ground): the two stay apart in every common colour
blindness. Values run from orange (negative) over the ground (zero) to purple (positive): PuOr, with symmetric limits. Numbers are
printed as well, so that colour is never alone.
"""

import io
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb

DPI = 100


@dataclass(frozen=True)
class Palette:
    """The inks. `negative` and `positive` hold PuOr's colours from the ground outwards."""

    name: str
    ground: str
    ink: str  # text and what is spoken of
    quiet: str  # text and lines that stand back
    faint: str  # frames of empty cells, grid lines
    row: str
    column: str
    negative: tuple
    positive: tuple

    @property
    def values(self):
        """The colour map of values from -limit to limit: zero is the ground."""
        stops = [*reversed(self.negative), self.ground, *self.positive]
        return LinearSegmentedColormap.from_list(self.name, stops, N=257)  # an odd number has a middle


LIGHT = Palette(
    "light", "#ffffff", "#1b1b1b", "#666666", "#d4d4d4", "#D55E00", "#0072B2",
    ("#fdb863", "#e08214", "#b35806"), ("#b2abd2", "#8073ac", "#542788"),
)  # fmt: skip
DARK = Palette(
    "dark", "#14171c", "#ececec", "#a3a8b0", "#3a4048", "#FF8A3D", "#4FB3EE",
    ("#7f3b08", "#b35806", "#e08214", "#fdb863"), ("#432f6b", "#6a55a0", "#9588c4", "#b2abd2"),
)  # fmt: skip
PALETTES = {"light": LIGHT, "dark": DARK}


@contextmanager
def house(palette):
    """Inside, matplotlib draws in the house style, whatever the reader's own settings are."""
    inks = {"text.color": palette.ink, "axes.edgecolor": palette.quiet, "axes.labelcolor": palette.ink}
    inks |= {"xtick.color": palette.quiet, "ytick.color": palette.quiet, "figure.facecolor": palette.ground}
    inks |= {"axes.facecolor": palette.ground, "savefig.facecolor": palette.ground, "grid.color": palette.faint}
    lines = {"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": DPI, "savefig.dpi": DPI, "svg.hashsalt": "minilora"}
    fonts = {"font.family": "DejaVu Sans", "font.size": 10, "axes.titlesize": 11, "axes.titlelocation": "left"}
    with matplotlib.style.context(["default", {**inks, **lines, **fonts}]):
        yield


def png(figure):
    """The figure as the bytes of a PNG, the same ones each time."""
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def pixels(figure):
    """The figure as an array (height, width, 3) uint8."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()  # (height, width, 3)


def luminance(colour):
    """The relative luminance of a colour, 0 to 1 (WCAG 2.2)."""
    rgb = np.array(to_rgb(colour))  # (3,)
    return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722))


def contrast(a, b):
    """How far two colours are apart in luminance, 1 to 21 (WCAG 2.2): text wants 4.5, large text and lines want 3."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def cell_colours(value, limit, palette):
    """The colour of a cell that holds `value`, and that of the number in it: black or white, whichever is easier to read."""
    colour = palette.values((value / limit + 1) / 2)
    return colour, max(("#000000", "#ffffff"), key=lambda ink: contrast(ink, colour))
