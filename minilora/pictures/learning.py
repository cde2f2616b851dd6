"""A loss curve with samples: what the number means, in the model's own words.

The numbers and the texts were measured by measure.py.
"""

from dataclasses import dataclass

from minilora.pictures.motion import Animation
from minilora.pictures.spectrum import source
from minilora.pictures.tables import read
from minilora.training.voices import PIRATE

SIZE = (23, 14.6)  # in cells
MARKED = {*PIRATE.values(), "arr"}  # the voice's own words
SPEAKS = (0, 5, 10, 15, 20, 30, 50, 100, 200)  # the steps whose text is shown, until the next one


@dataclass(frozen=True)
class Frame:
    """The curve up to a step, in nats a character above the grammar's own loss, and a text from then or shortly before."""

    steps: list
    excess: list
    speaks: int  # the step that the text is from
    text: str
    caption: str

    @property
    def seconds(self):
        return 1.8 if self.steps[-1] == self.speaks else 0.2  # time to read a new text

    @property
    def told(self):
        return f"{self.caption} At step {self.speaks} it says: {self.text}"


def frames(table):
    """One frame for each step that was looked at."""
    best = table["entropies"][table["voice"]]
    rows = [row for row in table["rows"] if row["method"] == "lora"]
    shown = []
    for n, row in enumerate(rows):
        if row["step"] in SPEAKS:
            speaker = row
        excess = [past["held_out"] - best for past in rows[: n + 1]]
        caption = f"Step {row['step']}: {excess[-1]:.3f} nats above the best; {row['obeyed']:.0%} of its text is {table['voice']}."
        shown.append(Frame([past["step"] for past in rows[: n + 1]], excess, speaker["step"], speaker["text"], caption))
    return shown


def draw(figure, stage, frame, last, table):
    palette, (width, height) = stage.palette, SIZE
    stage.write(1, 0.95, frame.caption, 0.56)
    axes = figure.add_axes((2.4 / width, 7.1 / height, 19.5 / width, 5.4 / height))
    axes.semilogy(frame.steps, frame.excess, color=palette.column, linewidth=2)
    axes.plot(frame.steps[-1:], frame.excess[-1:], "o", color=palette.column, clip_on=False)
    axes.set(xlim=(0, last.steps[-1]), ylim=(0.001, 5), xlabel="steps")
    axes.set_yticks([0.001, 0.01, 0.1, 1], ["0.001", "0.01", "0.1", "1"])
    axes.set_title("held-out loss above the grammar's own, nats a character", fontsize=10, color=palette.quiet)
    stage.write(2.4, 9.3, f"at step {frame.speaks} it says", 0.42, palette.quiet)
    stage.paragraph(2.4, 10.2, frame.text, 62, 0.5, MARKED)
    stage.write(2.4, 14.15, f"{source(table)}; the voice is judged on {table['texts']} texts", 0.36, palette.quiet)


def animation():
    table = read("training.json")
    shown = frames(table)
    alt = (
        f"The held-out loss of LoRA falls from {shown[0].excess[-1]:.1f} to {shown[-1].excess[-1]:.3f} nats a character above the best "
        f"possible in {shown[-1].steps[-1]} steps. Below the curve the model's own text: first plain stories, then broken "
        f"words, then a {table['voice']}'s."
    )
    return Animation(shown, lambda figure, stage, frame: draw(figure, stage, frame, shown[-1], table), SIZE, 0.36, alt)
