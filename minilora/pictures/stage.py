"""A stage to draw on by hand: axes whose unit is a cell, with a pen for text, boxes and lines."""

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

MONO = 0.602  # the width of a character of DejaVu Sans Mono, in its size


class Stage:
    """Axes in cells, y pointing down. `cell` is a cell's side in inches; `x`, `y` say where the stage begins."""

    def __init__(self, axes, palette, cell, x=0.0, y=0.0):
        self.axes, self.palette, self.cell, self.x, self.y = axes, palette, cell, x, y

    def at(self, x, y):
        """A stage of the same size of cell that begins elsewhere on the same sheet."""
        return Stage(self.axes, self.palette, self.cell, self.x + x, self.y + y)

    def points(self, cells):
        return cells * self.cell * 72

    def write(self, x, y, text, size=0.5, colour=None, align="left", **how):
        """Text of a size in cells, its middle at the height y."""
        how = {"va": "center", "color": colour or self.palette.ink, **how}
        self.axes.text(self.x + x, self.y + y, text, fontsize=self.points(size), ha=align, **how)

    def pieces(self, x, y, pieces, size):
        """Pieces of text, each (text, colour), one after the other in letters of one width."""
        for text, colour in pieces:
            self.write(x, y, text, size, colour, family="DejaVu Sans Mono")
            x += MONO * size * len(text)

    def paragraph(self, x, y, text, columns, size, marked=()):
        """A text in lines of at most `columns` letters; the words in `marked`, without their commas and quotes, stand out."""
        line, used = 0, 0
        for word in text.split():
            if used and used + len(word) > columns:
                line, used = line + 1, 0
            stands_out = word.strip('".,') in marked
            how = {"weight": "bold", "colour": self.palette.row} if stands_out else {}
            self.write(x + MONO * size * used, y + 1.5 * size * line, word, size, family="DejaVu Sans Mono", **how)
            used += len(word) + 1

    def box(self, x, y, width, height, edge, face="none", line=0.06, order=2):
        corner = (self.x + x, self.y + y)
        box = Rectangle(corner, width, height, facecolor=face, edgecolor=edge, linewidth=self.points(line), zorder=order)
        self.axes.add_artist(box)  # add_patch would work out new limits of the axes, each time

    def line(self, x, y, colour, width=0.04):
        self.axes.plot([self.x + a for a in x], [self.y + b for b in y], color=colour, linewidth=self.points(width))


def blank(width, height, cell, palette):
    """A figure of width x height cells, and the stage that covers it."""
    figure = Figure(figsize=(width * cell, height * cell))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    return figure, Stage(axes, palette, cell)
