"""A player for notebooks: an animation's frames with buttons and a slider, by mouse and by keyboard, offline.

The page holds everything, the pictures as data URIs. matplotlib's own player fetches its icons from the network, has no text for the
picture, and leaves the arrow keys to JupyterLab.
"""

import base64
import hashlib
import html
import json
from dataclasses import dataclass
from pathlib import Path

from minilora.pictures.motion import png
from minilora.pictures.notebook import Still
from minilora.pictures.style import LIGHT


@dataclass(frozen=True)
class Player:
    """A piece of HTML that a notebook shows when a cell ends with it; where no script runs, the last frame stands in its place."""

    html: str
    last: Still

    def _repr_mimebundle_(self, include=None, exclude=None):
        data, metadata = self.last._repr_mimebundle_()
        return {**data, "text/html": self.html}, metadata


def fill(template, values):
    """A template of this folder with each __NAME__ in it replaced by its value."""
    text = (Path(__file__).parent / template).read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"__{name}__", str(value))
    return text


def script_json(value):
    """A value as JSON that may stand inside a script element."""
    return json.dumps(value).replace("</", "<\\/")


def player(animation, palette=LIGHT):
    """The animation with its controls; it waits at the first frame until somebody plays it."""
    images = animation.images(palette)
    sources = ["data:image/png;base64," + base64.b64encode(png(image)).decode() for image in images]
    pairs = zip(sources, animation.frames, strict=True)
    frames = script_json([{"source": source, "told": frame.told, "seconds": frame.seconds} for source, frame in pairs])
    values = {
        "ID": "player-" + hashlib.sha256(frames.encode()).hexdigest()[:12],  # two players on a page are kept apart
        "WIDTH": images[0].width,
        "LAST": len(images) - 1,
        "ALT": html.escape(animation.alt),
        "FIRST": sources[0],
        "FRAMES": frames,
        "GROUND": palette.ground,
        "INK": palette.ink,
        "ACCENT": palette.column,
    }
    return Player(fill("player.html", values), Still(png(images[-1]), animation.alt))
