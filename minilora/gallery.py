"""All that `minilora figures` draws: a file's name, what it shows in words, and how its bytes are made."""

import html
from collections.abc import Callable
from dataclasses import dataclass

from minilora.lab import comparison
from minilora.pictures import descent, draw_film, explorable, learning, motion, spectrum, strength
from minilora.pictures.film import film
from minilora.pictures.style import DARK, LIGHT, house, png

FILM, STORYBOARD, ANIMATED = "film.gif", "film-storyboard.png", (descent, spectrum, learning, strength)


@dataclass(frozen=True)
class Picture:
    """`alt` stands in place of the picture for those who do not see it; `draw()` makes the file's bytes."""

    alt: str
    draw: Callable


def pictures():
    """Name -> Picture, in the order of the course."""
    found = {
        FILM: Picture(draw_film.ALT, lambda: motion.gif(draw_film.animation())),
        dark(FILM): Picture(draw_film.ALT, lambda: motion.gif(draw_film.animation(), DARK)),
        STORYBOARD: Picture(draw_film.STORYBOARD_ALT, draw_film.storyboard),
        dark(STORYBOARD): Picture(draw_film.STORYBOARD_ALT, lambda: draw_film.storyboard(DARK)),
    }
    for module in ANIMATED:
        name, animation = module.__name__.rsplit(".", 1)[-1], module.animation()
        found[f"{name}.gif"] = Picture(animation.alt, lambda animation=animation: motion.gif(animation))
        found[f"{name}.png"] = Picture(animation.alt, lambda animation=animation: last_frame(animation))
    for name, alt in comparison.alts(comparison.stored()[0]).items():
        found[name] = Picture(alt, lambda name=name: comparison.stored_pictures()[name])
    found["explorable.html"] = Picture(explorable.ALT, lambda: explorable.page().encode())
    return found | {"README.md": Picture("this page", lambda: index(found).encode())}


def dark(name):
    """The name of the same picture on a dark ground."""
    stem, kind = name.rsplit(".", 1)
    return f"{stem}-dark.{kind}"


def last_frame(animation):
    """The frame that an animation stops at, for print -> the bytes of a PNG."""
    with house(LIGHT):
        return png(animation.figure(animation.frames[-1], LIGHT))


def index(found):
    """A page that shows the figures, what they show in words, and all that the film says."""
    lines = ["# Figures", "", "`minilora figures` draws this folder again, bit for bit with the same matplotlib and Pillow.", ""]
    for name, picture in found.items():
        stem, kind = name.rsplit(".", 1)
        if kind == "html":
            lines += [f"## [{name}]({name})", "", f"{picture.alt} Open it from the disk: it needs no network.", ""]
        elif not stem.endswith("-dark") and (kind == "gif" or f"{stem}.gif" not in found):
            image = with_dark(name, picture.alt) if dark(name) in found else f"![{picture.alt}]({name})"
            lines += [f"## {name}", "", image, "", picture.alt]
            lines += [f"The last frame, for print: [{stem}.png]({stem}.png).", ""] if f"{stem}.png" in found and kind == "gif" else [""]
    lines += ["## The film in words", "", *(f"{n}. {frame.told}" for n, frame in enumerate(film(), 1))]
    return "\n".join(lines) + "\n"


def with_dark(name, alt):
    """The HTML that shows the light or the dark picture, as the reader's screen is."""
    source = f'<source media="(prefers-color-scheme: dark)" srcset="{dark(name)}">'
    return f'<picture>{source}<img src="{name}" alt="{html.escape(alt)}" width="828"></picture>'
