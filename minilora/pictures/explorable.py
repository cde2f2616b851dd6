"""The page on which one moves the rank, the shape or a number, and everything that depends on it moves: figures/explorable.html.

explorable.html and explorable.js are what the page is made of; here they are joined with the numbers that it starts from. The page is
one file and asks the network for nothing.
"""

import numpy as np
from matplotlib.colors import to_rgb

from minilora.pictures import film
from minilora.pictures.player import fill, script_json
from minilora.pictures.spectrum import source
from minilora.pictures.style import DARK, LIGHT
from minilora.pictures.tables import read

ROWS, COLUMNS, LIMIT = 8, 10, 3  # the largest shape, and the largest size of an entry
ALT = (
    "A page to play with: drag the rank, the shape or a number of A and B, and the product, its outer products, the counts, the break-even "
    "curve and the spectrum of a real update follow."
)


def entries():
    """A (8, 8) and B (8, 10): the film's numbers in their first rows and columns, random ones where the reader enlarges them."""
    rng = np.random.default_rng(0)
    A, B = (rng.integers(-LIMIT, LIMIT + 1, shape) for shape in ((ROWS, ROWS), (ROWS, COLUMNS)))
    A[: film.D, : film.R], B[: film.R, : film.K] = film.A, film.B
    return A, B


def numbers():
    """All that the page starts from."""
    A, B = entries()
    table = read("training.json")
    last = {row["method"]: row["singular_values"] for row in table["rows"]}  # of the last step
    stops = {
        palette.name: [
            [round(255 * c) for c in to_rgb(colour)] for colour in (*reversed(palette.negative), palette.ground, *palette.positive)
        ]
        for palette in (LIGHT, DARK)
    }
    return {
        "start": {"d": film.D, "k": film.K, "r": film.R, "A": A.tolist(), "B": B.tolist()},
        "limit": LIMIT,
        "stops": stops,
        "update": {"lora": last["lora"], "full": last["full"], "d": table["shape"][0], "k": table["shape"][1]},
    }


def inks(palette):
    """The palette as variables of a style sheet."""
    return " ".join(f"--{name}: {getattr(palette, name)};" for name in ("ground", "ink", "quiet", "faint", "row", "column"))


def page():
    """The page, as text."""
    table = read("training.json")
    values = {"LIGHT": inks(LIGHT), "DARK": inks(DARK), "ROWS": ROWS, "COLUMNS": COLUMNS, "DATA": script_json(numbers())}
    values["SOURCE"] = f"The update of {table['matrix']}: {source(table)}."
    return fill("explorable.html", {**values, "SCRIPT": fill("explorable.js", {}).rstrip()})
