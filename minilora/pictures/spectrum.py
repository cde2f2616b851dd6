"""The spectrum of an update grows while a model learns: LoRA's has r singular values and no more, full fine-tuning moves all directions.

The numbers were measured by measure.py, on one matrix of the shipped base.
"""

from dataclasses import dataclass, replace

import numpy as np

from minilora.analysis.spectrum import energy
from minilora.pictures.motion import Animation
from minilora.pictures.tables import read

SIZE = (23, 12.2)  # in cells


@dataclass(frozen=True)
class Frame:
    """The singular values of the update after so many steps, (r,) and (min(d, k),), and held-out losses in nats a character."""

    step: int
    lora: np.ndarray
    full: np.ndarray
    losses: dict
    caption: str
    seconds: float = 0.25

    @property
    def told(self):
        losses = ", ".join(f"{name} {loss:.3f}" for name, loss in self.losses.items())
        return f"{self.caption} Held-out loss: {losses} nats a character."


def frames(table):
    """One frame for each step at which both methods were looked at."""
    by_method = {name: [row for row in table["rows"] if row["method"] == name] for name in ("lora", "full")}
    shown, rank = [], table["lora"]["rank"]
    for lora, full in zip(by_method["lora"], by_method["full"], strict=True):
        values = np.array(full["singular_values"])  # (min(d, k),), or (0,) before the first step
        caption = f"Step {lora['step']}: both updates are zero."
        if len(values):
            caption = f"Step {lora['step']}: full fine-tuning's {rank} largest hold {energy(values)[rank - 1]:.0%} of its |update|²."
        losses = {"LoRA": lora["held_out"], "full": full["held_out"]}
        shown.append(Frame(lora["step"], np.array(lora["singular_values"]), values, losses, caption))
    return [*shown[:-1], replace(shown[-1], seconds=2.0)]


def draw(figure, stage, frame, last, table):
    palette, (width, height) = stage.palette, SIZE
    stage.write(1, 0.95, frame.caption, 0.56)
    axes = figure.add_axes((1.9 / width, 2.2 / height, 20 / width, 7.6 / height))
    axes.plot(np.arange(1, len(frame.full) + 1), frame.full, ".", color=palette.column, markersize=6)
    axes.plot(np.arange(1, len(frame.lora) + 1), frame.lora, "o", color=palette.row, markersize=6)
    # The labels stand where the last frame's points are, so that they do not move.
    axes.annotate(f"LoRA, rank {len(last.lora)}: then nothing more", (len(last.lora) + 2, last.lora[3]), color=palette.row, weight="bold")
    axes.annotate(f"full fine-tuning: {len(last.full)} directions", (24, last.full[20] + 0.12), color=palette.column, weight="bold")
    losses = "   ".join(f"{name} {loss:.3f}" for name, loss in frame.losses.items())
    axes.annotate(f"held-out loss, nats a character:   {losses}", (97, 2.05), ha="right", color=palette.ink)
    axes.set(xlim=(0, 97), ylim=(0, 2.3), xticks=[1, 8, 24, 48, 72, 96], xlabel="singular value, from the largest")
    axes.set_title(f"singular values of the update of {table['matrix']}", fontsize=10, color=palette.quiet)
    stage.write(1.9, 11.75, source(table), 0.36, palette.quiet)


def source(table):
    """Where the numbers come from: the small print of a picture of a real run."""
    recipe = table["recipe"]
    return f"{table['base']} learns {table['voice']}: {recipe['steps']} steps of {recipe['batch']} rows, one run, seed {recipe['seed']}"


def animation():
    table = read("training.json")
    shown = frames(table)
    alt = (
        f"Singular values of one matrix's update while a base learns to speak like a {table['voice']}: LoRA's {len(shown[-1].lora)} grow "
        f"large, and there is no other; those of full fine-tuning, {len(shown[-1].full)} of them, all grow a little."
    )
    return Animation(shown, lambda figure, stage, frame: draw(figure, stage, frame, shown[-1], table), SIZE, 0.36, alt)
