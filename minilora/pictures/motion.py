"""Animations: frames of data and a way to draw them, turned into a GIF that plays once and stops. player.py makes a player of the same.

A frame is a record of its module's own kind with two things in common: `seconds`, how long it stays, and `told`, all that it says in words,
for those who do not see it.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from minilora.pictures.stage import blank
from minilora.pictures.style import LIGHT, house, pixels

COLOURS = 48


@dataclass(frozen=True)
class Animation:
    """`draw(figure, stage, frame)` draws one of the frames on a sheet of `size` (width, height) cells of `cell` inches."""

    frames: list
    draw: Callable
    size: tuple
    cell: float
    alt: str  # one sentence for the whole

    def figure(self, frame, palette):
        """One frame, drawn."""
        figure, stage = blank(*self.size, self.cell, palette)
        self.draw(figure, stage, frame)
        return figure

    def images(self, palette=LIGHT):
        """All frames as images in the same few colours: their files are small, and a still part stays still."""
        with house(palette):
            arrays = [pixels(self.figure(frame, palette)) for frame in self.frames]  # (height, width, 3) each
        return few_colours(arrays)


def few_colours(arrays):
    """Arrays (height, width, 3) uint8 -> images in the COLOURS commonest colours of them all; the others become the nearest."""
    codes = [array @ np.array([1 << 16, 1 << 8, 1]) for array in arrays]  # (height, width) each: a number for every colour
    counts = np.zeros(1 << 24, int)  # (2^24,)
    for code in codes:
        values, times = np.unique(code, return_counts=True)  # (colours of this frame,) twice
        counts[values] += times
    used = np.flatnonzero(counts)  # (colours,)
    kept = used[np.argsort(-counts[used], kind="stable")[:COLOURS]]  # (COLOURS,)
    distance = np.sum((seen(used)[:, None] - seen(kept)) ** 2, axis=2)  # (colours, COLOURS)
    nearest = np.zeros(1 << 24, np.uint8)  # (2^24,)
    nearest[used] = np.argmin(distance, axis=1)
    images = [Image.fromarray(nearest[code]) for code in codes]
    for image in images:
        image.putpalette(channels(kept).astype(np.uint8).tobytes())
    return images


def channels(codes):
    """Numbers of colours (n,) -> red, green and blue (n, 3)."""
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)


def seen(codes):
    """Numbers of colours (n,) -> brightness and, counted double, two differences of hue (n, 3): a grey should not turn purple."""
    rgb = channels(codes)  # (n, 3)
    brightness = rgb @ (0.30, 0.59, 0.11)  # (n,)
    return np.stack([brightness, 2 * (rgb[:, 0] - brightness), 2 * (rgb[:, 2] - brightness)], axis=1)


def gif(animation, palette=LIGHT):
    """The bytes of a GIF that does not repeat."""
    first, *others = animation.images(palette)
    durations = [round(1000 * frame.seconds) for frame in animation.frames]  # milliseconds
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=others, duration=durations, optimize=True)
    return file.getvalue()


def png(image):
    """The bytes of a PNG of one of the images."""
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()
