"""Gradient descent on a low-rank pair takes up the directions of its target one after the other, the largest first.

The target is a 5 x 8 matrix with four directions of sizes 12, 6, 3 and 1.5. The pair has rank 3 and starts near zero: the singular values
of A B climb to 12, then 6, then 3, the smaller the later, and the fourth is out of reach. What is reached is the truncated SVD.
Source: Saxe et al. 2013, arXiv 1312.6120; the descent is analysis/factorise.py's.
"""

from dataclasses import dataclass

import numpy as np

from minilora.analysis.factorise import descend
from minilora.pictures.draw_film import draw_grid, number
from minilora.pictures.film import Grid
from minilora.pictures.motion import Animation

D, K, RANK = 5, 8, 3
SIZES = np.array([12.0, 6.0, 3.0, 1.5])  # (4,)
RATE, EVERY, FRAMES, START = 0.01, 8, 50, 0.01
SIZE = (23, 14.4)  # in cells
ALT = (
    "Singular values of A B during gradient descent: three curves climb one after the other to 12, 6 and 3, the sizes of the target's "
    "directions; the fourth, 1.5, is out of reach of rank 3. Below, the target and A B as matrices of numbers."
)


@dataclass(frozen=True)
class Frame:
    """The state after so many steps: A B (5, 8), and its singular values and those of all frames before (frames, 3)."""

    step: int
    product: np.ndarray
    history: np.ndarray
    told: str
    seconds: float


def cosines(n, m):
    """The first m cosine waves over n places, as orthonormal columns (n, m)."""
    waves = np.cos(np.pi * (np.arange(n)[:, None] + 0.5) * np.arange(1, m + 1) / n)  # (n, m)
    return waves / np.linalg.norm(waves, axis=0)


def target():
    """A matrix (5, 8) whose singular values are SIZES."""
    return (cosines(D, 4) * SIZES) @ cosines(K, 4).T


def frames():
    """The descent from a small random A and B = 0, looked at after every EVERY steps."""
    x, W, wanted = np.eye(D), np.zeros((D, K)), target()  # (5, 5), (5, 8), (5, 8)
    A, B = START * np.random.default_rng(0).normal(size=(D, RANK)), np.zeros((RANK, K))  # (5, 3), (3, 8)
    shown, history = [], []
    for n in range(FRAMES):
        history.append(np.linalg.svd(A @ B, compute_uv=False)[:RANK])  # (3,)
        learned = int(np.sum(history[-1] > 0.95 * SIZES[:RANK]))
        so_far = ("From near zero", "The first direction is there", "Two directions are there", "Three directions, and no more: rank 3")[
            learned
        ]
        shown.append(Frame(n * EVERY, A @ B, np.array(history), f"{so_far}, after {n * EVERY} steps.", 0.2 if n < FRAMES - 1 else 2.0))
        A, B = descend(x, W, wanted, A, B, 1.0, RATE, EVERY)
    return shown


def draw(figure, stage, frame):
    palette, (width, height) = stage.palette, SIZE
    stage.write(1, 0.95, frame.told, 0.56)
    axes = figure.add_axes((1.8 / width, 1 - 6.1 / height, 16.4 / width, 4 / height))
    steps = EVERY * np.arange(len(frame.history))
    for n, size in enumerate(SIZES):
        axes.axhline(size, color=palette.faint, linewidth=1, zorder=0)
        if n < RANK:
            axes.plot(steps, frame.history[:, n], color=palette.column, linewidth=2)
            axes.plot(steps[-1:], frame.history[-1:, n], "o", color=palette.column, clip_on=False)
        have = number(float(frame.history[-1, n])) if n < RANK else "beyond rank 3"
        place = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 9}
        axes.annotate(f"{size:g}", (1.025, size), color=palette.quiet, **place)
        axes.annotate(have, (1.08, size), color=palette.column if n < RANK else palette.quiet, weight="bold" if n < RANK else None, **place)
    axes.set(xlim=(0, EVERY * (FRAMES - 1)), ylim=(0, 13), yticks=[0, 4, 8, 12], xlabel="steps of gradient descent")
    axes.set_title("singular values of A B (blue) and of the target (grey)", fontsize=10, color=palette.quiet)
    for x, values, name in ((2, target(), "target   5 × 8"), (13, frame.product, "A B   5 × 8, rank 3")):
        draw_grid(stage, x, 7.7, Grid(values, np.ones_like(values, bool)))
        stage.write(x, 13.1, name, 0.42, palette.quiet)
    stage.write(2, 14, f"A starts from N(0, {START}²), seed 0, and B from 0; learning rate {RATE}", 0.36, palette.quiet)


def animation():
    return Animation(frames(), draw, SIZE, 0.34, ALT)
