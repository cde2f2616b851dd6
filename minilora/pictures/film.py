"""The film of a 5 x 2 times a 2 x 8 matrix: what each frame shows, as arrays and captions. draw_film.py draws it.

Five scenes: the shapes; one cell slowly; the walk over all the cells; the same product as a sum of two outer products; what a pair of
matrices of low rank cannot say. Every sum can be done in the head. Rows and columns are counted from 1, as people count.
"""

from dataclasses import dataclass, replace

import numpy as np

from minilora.analysis.spectrum import approximate
from minilora.counting import break_even_rank, full_params, lora_params

A = np.array([[1, 3], [2, -1], [0, 1], [-1, 2], [3, 1]])  # (5, 2)
B = np.array([[2, 1, 0, -1, 3, 1, -2, 0], [1, 0, 2, 1, -1, -2, 1, 3]])  # (2, 8)
TARGET = np.random.default_rng(0).integers(-3, 4, (5, 8))  # (5, 8)    rank 5

D, R, K = *A.shape, B.shape[1]
FULL, PAIR = full_params(D, K), lora_params(D, K, R)  # the numbers of the product, and of the two factors
PACE = (0.6, 0.45, 0.15, 0.3, 0.6)  # seconds a frame, scene by scene
HOLD = 1.5  # seconds that the last frame of a scene stays on top of that


@dataclass(frozen=True)
class Grid:
    """One matrix on the screen: its values (m, n), which of its cells are written, and which rows, columns and cells are framed."""

    values: np.ndarray
    shown: np.ndarray  # (m, n) bool
    rows: tuple = ()
    columns: tuple = ()
    cells: tuple = ()  # (row, column) pairs
    ticks: bool = False  # a tick at each cell: it is what it should be


@dataclass(frozen=True)
class Frame:
    """One picture of the film. `grids` holds A, B and product; in scene 4 layer, in scene 5 target and best."""

    scene: int
    caption: str
    counter: str
    grids: dict
    tally: dict  # what is counted -> its parts, each (how many, "row", "column" or "plain")
    sums: tuple = ()  # (terms, result): what is being added up, a pair of factors a term; result is None until it is known
    slide: float = 0.0  # how far the layer has come on its way to the product, 0 to 1
    errors: tuple = ()  # scene 5: the relative error of the best product of rank 1, 2, ...
    mark_rank: bool = False  # the inner number of both shapes is marked
    seconds: float = 0.0

    @property
    def told(self):
        return f"{self.caption} {self.counter}"


def grid(values, shown=True, **framed):
    return Grid(values, np.broadcast_to(np.asarray(shown), values.shape), **framed)


def factors(a=None, b=None):
    """The grids of A and B, with what is framed in them."""
    return {"A": grid(A, **(a or {})), "B": grid(B, **(b or {}))}


def first(count):
    """A mask (5, 8) of the first cells in reading order."""
    return (np.arange(FULL) < count).reshape(D, K)


def stored(*parts):
    """The tally of the product written out, beside that of what is stored in its place."""
    return {"A B written out": ((FULL, "plain"),)} | ({"A and B": parts} if parts else {})


IN_A, IN_B = (A.size, "row"), (B.size, "column")  # A is read by rows, B by columns
LAYER = ((D, "column"), (K, "row"))  # a column of A, a row of B


def shapes():
    """Scene 1."""
    product = {"product": grid(A @ B, False)}
    yield Frame(1, f"A matrix of 5 rows and 8 columns: {FULL} numbers to store.", "5 × 8 = 40", product, stored())
    tall = {**product, "A": grid(A)}
    yield Frame(1, f"A tall thin matrix A has {A.size} numbers ...", "5 × 2 = 10", tall, stored(IN_A))
    both = {**product, **factors()}
    yield Frame(1, f"... and a short wide matrix B has {B.size}.", "2 × 8 = 16", both, stored(IN_A, IN_B))
    yield Frame(
        1,
        "The inner 2 of both shapes must match: it is r, the rank.",
        f"10 + 16 = {PAIR} < {FULL}",
        both,
        stored(IN_A, IN_B),
        mark_rank=True,
    )


def terms(i, j):
    """The pairs of factors whose products add up to cell (i, j)."""
    return tuple((int(A[i, n]), int(B[n, j])) for n in range(R))


def one_cell():
    """Scene 2: the cell at row 1, column 1."""
    (a, b), (c, d) = pair = terms(0, 0)
    row, column, cell = {"rows": (0,)}, {"columns": (0,)}, {"cells": ((0, 0),)}
    lit = [({**row, "cells": ((0, n),)}, {**column, "cells": ((n, 0),)}) for n in range(R)]
    steps = [
        ("Take row 1 of A ...", row, {}, {}, ()),
        ("... and column 1 of B.", row, column, {}, ()),
        ("They cross at row 1, column 1 of the product.", row, column, cell, ()),
        (f"The first number of the row times the first of the column: {a} × {b} ...", *lit[0], cell, ((pair[:1], None),)),
        (f"... is {a * b}.", *lit[0], cell, ((pair[:1], a * b),)),
        (f"The second times the second: {c} × {d} ...", *lit[1], cell, ((pair, None),)),
        (f"... is {c * d}: together {a * b} + {c * d}.", *lit[1], cell, ((pair, a * b + c * d),)),
        (f"The sum drops into its cell: {a} × {b} + {c} × {d} = {a * b + c * d}.", row, column, cell, ((pair, a * b + c * d),)),
    ]
    for n, (caption, a_framed, b_framed, framed, sums) in enumerate(steps, 1):
        written = int(n == len(steps))
        grids = {**factors(a_framed, b_framed), "product": grid(A @ B, first(written), **framed)}
        yield Frame(2, caption, progress(written), grids, stored(IN_A, IN_B), sums)


def progress(written):
    return f"cells written {written} / {FULL}  ·  numbers stored {PAIR}"


def walk():
    """Scene 3: the rest of row 1 cell by cell, the other rows two cells at a time."""
    written = 1
    while written < FULL:
        new = range(written, written + (1 if written < K else 2))
        i, columns = written // K, tuple(n % K for n in new)
        written = new.stop
        grids = {
            **factors({"rows": (i,)}, {"columns": columns}),
            "product": grid(A @ B, first(written), cells=tuple((i, j) for j in columns)),
        }
        sums = tuple((terms(i, j), int(A[i] @ B[:, j])) for j in columns)
        where = f"column {columns[0] + 1}" if len(columns) == 1 else f"columns {columns[0] + 1} and {columns[1] + 1}"
        caption = f"The same for every cell: row {i + 1}, {where}."
        if written == FULL:
            caption = f"All {FULL} numbers, from the {PAIR} in A and B."
        yield Frame(3, caption, progress(written), grids, stored(IN_A, IN_B), sums)


def layers():
    """Scene 4: the product as a sum of outer products, column n of A times row n of B."""
    built = np.zeros((D, K), int)  # (5, 8)
    yield Frame(
        4,
        "The same product once more, now layer by layer.",
        f"cells written 0 / {FULL}",
        {**factors(), "product": grid(built, False)},
        stored(IN_A, IN_B),
    )
    for n in range(R):
        layer = np.outer(A[:, n], B[n])  # (5, 8)
        lit = factors({"columns": (n,)}, {"rows": (n,)})
        before = grid(built, n > 0)
        one = f"a layer of rank 1: {D} + {K} = {D + K} numbers"
        tally = stored(*LAYER * (n + 1))
        caption = f"Column {n + 1} of A and row {n + 1} of B ..."
        yield Frame(4, caption, one, {**lit, "product": before}, tally)
        grids = {**lit, "product": before, "layer": grid(layer)}
        caption = f"... make a layer: each of its rows is a multiple of row {n + 1} of B."
        yield Frame(4, caption, one, grids, tally)
        yield Frame(4, "It moves over to the product ...", one, grids, tally, slide=0.5)
        built = built + layer
        caption = "... and is its first half." if n == 0 else "... and is added, cell by cell."
        yield Frame(4, caption, one, {**lit, "product": grid(built)}, tally)
    yield Frame(
        4,
        f"The same {FULL} numbers: a product of rank 2 is a sum of 2 layers.",
        f"{PAIR} = 2 × {D + K} = r (d + k)",
        {**factors(), "product": grid(built, ticks=True, cells=((0, 0),))},
        tally,
        ((terms(0, 0), int(built[0, 0])),),  # in every cell, a term from each layer
    )


def best(rank):
    """The closest product of this rank to TARGET (5, 8), by its singular value decomposition, and its relative error."""
    product = approximate(TARGET, rank)  # (5, 8)
    return product, float(np.linalg.norm(TARGET - product) / np.linalg.norm(TARGET))


def limits():
    """Scene 5: a matrix without a pattern, and the best pairs for it."""
    target, errors = grid(TARGET), ()
    caption = "What a pair cannot say: a matrix drawn at random has no pattern."
    yield Frame(5, caption, f"{FULL} numbers", {"target": target}, {"target written out": ((FULL, "plain"),)})
    for rank in range(1, D + 1):
        product, error = best(rank)
        errors += (error,)
        cost = lora_params(D, K, rank)
        caption = f"The best pair of rank {rank} misses {error:.0%} of it, for {cost} numbers."
        compared = "<" if cost < FULL else ">"
        counter = f"{rank} × {D + K} = {cost} {compared} {FULL}"
        if rank == D:
            caption = f"Rank {rank} says all of it, with {cost} numbers in place of {FULL}."
            counter = f"a pair pays while r < d k / (d + k) = {FULL} / {D + K} = {break_even_rank(D, K):.2f}"
        grids = {"target": target, "best": grid(product)}
        tally = {"target written out": ((FULL, "plain"),), "A and B": ((rank * D, "plain"), (rank * K, "plain"))}
        yield Frame(5, caption, counter, grids, tally, errors=errors)


def film():
    """All frames, in order. The last one of each scene is held."""
    frames = []
    for pace, scene in zip(PACE, (shapes(), one_cell(), walk(), layers(), limits()), strict=True):
        *before, last = (replace(frame, seconds=pace) for frame in scene)
        frames += [*before, replace(last, seconds=pace + HOLD)]
    return frames


def storyboard():
    """The last frame of each of the five scenes: the film for print."""
    return [frame for frame in film() if frame.seconds > HOLD]
