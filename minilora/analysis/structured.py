"""Four ways to make a 16 x 16 matrix of 32 numbers, of which low rank is one: each fits its own kind of target, and others badly.

* low rank: column times row, A (16, 1) B (1, 16).
* Kronecker: P (4, 4) x Q (4, 4), every entry of P times the whole of Q (LoKr, arXiv 2309.14859). rank(P x Q) = rank P rank Q, so that 32
  numbers make a matrix of full rank.
* circulant: blocks of 8 x 8 whose every row is the row above moved on by one (C3A, arXiv 2407.19342).
* one a row: 16 numbers and their 16 places. A permutation is one of them.

Few numbers need not mean low rank, and a matrix that is cheap in one structure is dear in another; low rank is a guess about the update
that is to be learned. The structures overlap: the identity is all of them but the first. The nearest member of each is in closed form.

Left out: butterfly and Monarch matrices (products of sparse factors, which contain the Fourier transform), and sums of structures.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minilora.analysis.spectrum import truncated_svd

SIZE, BLOCK = 16, 8


def rearrange(W, shape):
    """The entries of W (p s, q t), with shape = (p, q), as R (p q, s t): R of np.kron(P, Q) is the outer product of P's and Q's entries.

    Each row of R is a block of W (Van Loan and Pitsianis 1993). Raises ValueError where W cannot be cut into p x q equal blocks.
    """
    p, q = shape
    s, t = W.shape[0] // p, W.shape[1] // q
    if (p * s, q * t) != W.shape:
        raise ValueError(f"a {W.shape[0]} x {W.shape[1]} matrix cannot be cut into {p} x {q} equal blocks: choose divisors of its sides")
    return W.reshape(p, s, q, t).swapaxes(1, 2).reshape(p * q, s * t)  # (p q, s t)


def nearest_kronecker(W, shape):
    """P (p, q), Q (s, t) with np.kron(P, Q) nearest to W (p s, q t): the best rank 1 of the rearranged W. ValueError as in rearrange."""
    U, sigma, Vt = truncated_svd(rearrange(W, shape), 1)
    root, (p, q) = np.sqrt(sigma[0]), shape
    return root * U.reshape(p, q), root * Vt.reshape(W.shape[0] // p, W.shape[1] // q)  # (p, q), (s, t)


def circulant(c):
    """C (..., n, n) of first rows c (..., n): C[i, j] = c[(j - i) mod n], so that x C is the circular convolution of x and c."""
    n = c.shape[-1]
    return c[..., (np.arange(n) - np.arange(n)[:, None]) % n]  # (..., n, n)


def nearest_circulant(W):
    """The first rows c (..., n) of the circulant matrices nearest to W (..., n, n): means along the diagonals that wrap round."""
    n = W.shape[-1]
    rows = np.arange(n)[:, None]  # (n, 1)
    return W[..., rows, (rows + np.arange(n)) % n].mean(axis=-2)  # (..., n)


def circulant_product(x, c):
    """x circulant(c) for x (N, n), c (n,), in n log n steps: the Fourier transform turns circular convolution into a product."""
    return np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(c), len(c))  # (N, n)


def update_rank(permutation):
    """The rank of P - I for a permutation of 0..n-1: n less the number of its cycles.

    To permute the alphabet is an update of this rank of the embedding, exactly: 1 to swap two letters, 13 for ROT13, 25 to move each of 26
    letters on by one.
    """
    seen, cycles = set(), 0
    for start in range(len(permutation)):
        cycles += start not in seen
        while start not in seen:
            seen.add(start)
            start = int(permutation[start])
    return len(permutation) - cycles


@dataclass(frozen=True)
class Structure:
    """`draw` makes the arrays of a random target from a generator, `build` a matrix (16, 16) of such arrays, `fit` those of the nearest."""

    draw: Callable
    build: Callable
    fit: Callable


def blocks(W):
    """W (16, 16) as (2, 2, 8, 8), and back by join_blocks."""
    return W.reshape(SIZE // BLOCK, BLOCK, SIZE // BLOCK, BLOCK).swapaxes(1, 2)  # (2, 2, 8, 8)


def join_blocks(parts):
    return parts.swapaxes(1, 2).reshape(SIZE, SIZE)  # (16, 16)


def fit_pair(W):
    U, sigma, Vt = truncated_svd(W, 1)
    return U * sigma, Vt  # (16, 1), (1, 16)


def scatter(values, places):
    """A matrix (16, 16) with one number a row: values (16,) in the columns places (16,)."""
    W = np.zeros((SIZE, SIZE))
    W[np.arange(SIZE), places] = values
    return W


def fit_rows(W):
    """The largest number of each row and its place: what is left out is then least."""
    places = np.abs(W).argmax(axis=1)  # (16,)
    return W[np.arange(SIZE), places], places  # (16,), (16,)


STRUCTURES = {
    "low rank": Structure(
        lambda rng: (rng.standard_normal((SIZE, 1)), rng.standard_normal((1, SIZE))),
        lambda A, B: A @ B,
        fit_pair,
    ),
    "Kronecker": Structure(
        lambda rng: rng.standard_normal((2, 4, 4)),
        np.kron,
        lambda W: nearest_kronecker(W, (4, 4)),
    ),
    "circulant": Structure(
        lambda rng: (rng.standard_normal((2, 2, BLOCK)),),
        lambda c: join_blocks(circulant(c)),
        lambda W: (nearest_circulant(blocks(W)),),
    ),
    "permutation": Structure(
        lambda rng: (np.ones(SIZE), rng.permutation(SIZE)),
        scatter,
        fit_rows,
    ),
}


def which_fits(rng):
    """A random target of each structure, fitted by each of them -> a row for each target: structure -> |target - fit| / |target|."""
    rows = []
    for kind, structure in STRUCTURES.items():
        target = structure.build(*structure.draw(rng))  # (16, 16)
        errors = {name: np.linalg.norm(target - other.build(*other.fit(target))) for name, other in STRUCTURES.items()}
        rows.append({"target": kind} | {name: float(error / np.linalg.norm(target)) for name, error in errors.items()})
    return rows
