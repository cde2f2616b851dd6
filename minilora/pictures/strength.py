"""An adapter's strength slid from 0 to 1: W + t s A B is the base at t = 0 and the adapted model at t = 1; what lies between?

The numbers and the texts were measured by measure.py.
"""

from dataclasses import dataclass, replace

import numpy as np

from minilora.pictures.learning import MARKED
from minilora.pictures.motion import Animation
from minilora.pictures.spectrum import source
from minilora.pictures.tables import read

SIZE = (23, 14.6)  # in cells


@dataclass(frozen=True)
class Frame:
    """The losses at one strength, in nats a character above the best, how well the voice is obeyed (0 to 1), and a text."""

    strength: float
    excess: dict
    obeyed: float
    text: str
    caption: str
    seconds: float = 0.8

    @property
    def told(self):
        losses = ", ".join(f"{name} {loss:.3f}" for name, loss in self.excess.items())
        return f"{self.caption} Above the best: {losses}. It says: {self.text}"


def frames(table):
    """One frame for each strength."""
    shown = []
    for row in table["rows"]:
        excess = {name: row[name] - best for name, best in table["entropies"].items()}
        caption = f"Strength {row['strength']:.2f}: {row['obeyed']:.0%} of its text is {table['voice']}."
        shown.append(Frame(row["strength"], excess, row["obeyed"], row["text"], caption))
    return [*shown[:-1], replace(shown[-1], seconds=2.0)]


def draw(figure, stage, frame, shown, table):
    palette, (width, height) = stage.palette, SIZE
    strengths, n = [other.strength for other in shown], shown.index(frame)
    stage.write(1, 0.95, frame.caption, 0.56)
    axes = figure.add_axes((2.4 / width, 7.1 / height, 17 / width, 5.4 / height))
    for name, colour in ((table["voice"], palette.row), ("stories", palette.column)):
        curve = [other.excess[name] for other in shown]
        axes.semilogy(strengths, curve, color=palette.faint, linewidth=2)
        axes.semilogy(strengths[: n + 1], curve[: n + 1], color=colour, linewidth=2)
        axes.plot(frame.strength, curve[n], "o", color=colour, clip_on=False)
        axes.annotate(
            f"{name} {curve[n]:.3f}", (1.02, curve[-1]), xycoords=("axes fraction", "data"), va="center", color=colour, weight="bold"
        )
    axes.set(xlim=(0, 1), ylim=(0.001, 5), xlabel="strength t of the adapter:  W + t s A B")
    axes.set_yticks([0.001, 0.01, 0.1, 1], ["0.001", "0.01", "0.1", "1"])
    axes.set_title("held-out loss above the grammar's own, nats a character", fontsize=10, color=palette.quiet)
    stage.write(2.4, 9.3, "it says", 0.42, palette.quiet)
    stage.paragraph(2.4, 10.2, frame.text, 62, 0.5, MARKED)
    stage.write(2.4, 14.15, f"{source(table)}; the voice is judged on {table['texts']} texts", 0.36, palette.quiet)


def animation():
    table = read("strength.json")
    shown = frames(table)
    voice = table["voice"]
    first, last = shown[0].excess, shown[-1].excess
    ahead = np.array([frame.excess[voice] - frame.excess["stories"] for frame in shown])  # (strengths,)
    after = int(np.argmax(ahead < 0))
    crossing = np.interp(0, ahead[[after, after - 1]], [shown[after].strength, shown[after - 1].strength])
    alt = (
        f"An adapter's strength goes from 0 to 1. The loss on {voice} text falls from {first[voice]:.1f} to {last[voice]:.3f} nats a "
        f"character above the best, that on plain stories rises from {first['stories']:.3f} to {last['stories']:.1f}; they cross at "
        f"{crossing:.2f}. Below, a text at each strength: plain, then broken, then the voice."
    )
    return Animation(shown, lambda figure, stage, frame: draw(figure, stage, frame, shown, table), SIZE, 0.36, alt)
