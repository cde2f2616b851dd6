"""NF4: a frozen weight in four bits a number, and matrix products with it.

A weight is cut into blocks of 64 numbers, in the order in which files hold it, (out, in). A block keeps the largest absolute value in it
as its scale, and for each number the nearest of 16 values between -1 and 1, spaced as the quantiles of a normal distribution: close
together where most weights are. With double quantisation the scales are quantised as well.

An NF4Weight stands where a weight stands and answers x @ W and dy @ W.T. It is spelled out a few columns at a time, so that the weight in
float32 never exists as a whole; gradients flow through the numbers that it stands for. QLoRA is LoRA on a base of such weights.

Source: Dettmers et al. 2023, "QLoRA", arXiv 2305.14314, sections 3 and 4; tables, packing and rounding are those of bitsandbytes. Left
out: the 4-bit products that a GPU does without spelling out, paged optimisers, quantising embedding and head.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

BLOCK, BLOCKS = 64, 256  # numbers that share a scale, scales that share a scale

# The quantiles, as bitsandbytes has them: zero is one of them, so that 7 lie below and 8 above.
NF4 = np.array(
    [
        *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
        *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
        *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
        *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
    ],
    np.float32,
)  # (16,)
LANES = 64  # columns of the result at a time: more are no faster


def dynamic_table():
    """The 256 values of the 8-bit format of the scales, from -1 to 1: seven powers of ten, and the larger the power the finer its steps.

    The power 10^(i - 6) has 2^i values of either sign, the middles of equal parts of 0.1 .. 1; zero and one are added.
    Dettmers et al. 2021, arXiv 2110.02861, section 2.1. The edges are counted from either end, each up to the middle, and rounded to
    float32 at each step: that makes the table bitsandbytes' to the last bit.
    """
    values, low, high = [0.0, 1.0], np.float32(0.1), np.float32(1)
    for i in range(7):
        steps = np.arange(2**i + 1) * float((high - low) / 2**i)  # (2^i + 1,)
        edges = np.where(steps < steps[-1] / 2, low + steps, high - steps[::-1]).astype(np.float32)  # (2^i + 1,)
        middles = np.float32(10.0 ** (i - 6)) * ((edges[:-1] + edges[1:]) / 2)  # (2^i,)
        values += [*middles, *-middles]
    return np.sort(np.array(values, np.float32))  # (256,)


DYNAMIC = dynamic_table()  # (256,)


def nearest(numbers, table):
    """The index of the value in a sorted table that is nearest to each number, uint8. Half-way, the lower one."""
    codes = np.zeros(numbers.shape, np.uint8)  # (n,)
    for edge in (table[:-1] + table[1:]) / 2:
        codes += numbers > edge
    return codes


def block_codes(numbers, size, table):
    """Flat numbers (n,) in blocks of `size` -> code of each number (n,) uint8, scale of each block (ceil(n / size),) float32.

    ValueError for numbers that are not finite.
    """
    starts = np.arange(0, len(numbers), size)  # (blocks,)
    scales = np.maximum.reduceat(np.abs(numbers), starts)  # (blocks,)
    if not np.isfinite(scales).all():
        raise ValueError("a weight with numbers that are not finite cannot be quantised: is the file broken?")
    inverse = 1 / np.maximum(scales, np.float32(1e-38))  # (blocks,)     a block of zeros stays one
    lengths = np.diff(starts, append=len(numbers))  # (blocks,)
    return nearest(numbers * np.repeat(inverse, lengths), table), scales


@dataclass(frozen=True, eq=False)
class DoubleScales:
    """The scales of a weight's blocks, quantised in their turn: 8 bits each, a float32 for 256 of them, and their mean."""

    codes: np.ndarray  # (blocks,) uint8
    scales: np.ndarray  # (ceil(blocks / 256),) float32
    mean: np.ndarray  # () float32

    @property
    def nbytes(self):
        return self.codes.nbytes + self.scales.nbytes + self.mean.nbytes

    def __array__(self, dtype=None, copy=None):
        scales = np.repeat(self.scales, BLOCKS)[: len(self.codes)]  # (blocks,)
        return DYNAMIC[self.codes] * scales + self.mean  # (blocks,)


def double_scales(scales):
    """Scales (blocks,) -> DoubleScales. They are all positive: their mean is taken off first, so that both signs are used."""
    mean = scales.mean(dtype=np.float32)  # ()
    return DoubleScales(*block_codes(scales - mean, BLOCKS, DYNAMIC), np.array(mean))


def dequantize_tile(codes, scales, width, row, column, tile):
    """Fill `tile` (m, n) with what is stored in rows row .. row + m and columns column .. column + n of a matrix of `width` columns.

    codes (ceil(numbers / 2),) uint8, the first of two in the high half; scales (blocks,) float32.
    """
    m, n = tile.shape
    at = np.arange(row, row + m)[:, None] * width + np.arange(column, column + n)  # (m, n)
    code = (codes[at >> 1] >> (4 - 4 * (at & 1)).astype(np.uint8)) & 15  # (m, n)
    tile[...] = NF4[code] * scales[at // BLOCK]


@dataclass(frozen=True, eq=False)
class NF4Weight:
    """A weight W (d, k) in NF4, or its transpose. Made by nf4(); it does not change.

    `original` is the weight as it was before, where that was kept: it is not counted, since in a mapped file it costs no memory.
    """

    codes: np.ndarray  # (ceil(d k / 2),) uint8: two numbers a byte, of the flattened (out, in) order
    scales: np.ndarray | DoubleScales  # (ceil(d k / 64),) float32
    stored: tuple  # (k, d)
    transposed: bool = False  # whether this is W.T, which lies as it is stored
    decode: Callable = dequantize_tile  # or its compiled twin
    original: np.ndarray | None = None  # (d, k)

    __array_ufunc__ = None  # NumPy asks this class what x @ W is
    ndim = 2
    dtype = np.dtype(np.float32)

    @property
    def shape(self):
        return self.stored if self.transposed else self.stored[::-1]

    @property
    def nbytes(self):
        return self.codes.nbytes + self.scales.nbytes

    @property
    def T(self):
        return replace(self, transposed=not self.transposed)

    def __array__(self, dtype=None, copy=None):
        """The whole weight (d, k), spelled out."""
        whole = np.empty(self.stored, dtype or self.dtype)  # (k, d)
        self.decode(self.codes, np.asarray(self.scales), self.stored[1], 0, 0, whole)
        return whole if self.transposed else whole.T

    def __rmatmul__(self, x):
        """x (N, d) -> x @ W (N, k), and where this is W.T, x (N, k) -> x @ W.T (N, d): LANES columns of the result at a time."""
        scales, (k, d) = np.asarray(self.scales), self.stored
        columns = self.shape[1]
        y = np.empty((len(x), columns), x.dtype)  # (N, columns)
        tile = np.empty((k, min(LANES, d)) if self.transposed else (min(LANES, k), d), x.dtype)
        for start in range(0, columns, LANES):
            n = min(LANES, columns - start)
            if self.transposed:
                part = tile[:, :n]  # (k, n)
                self.decode(self.codes, scales, d, 0, start, part)
            else:
                part = tile[:n].T  # (d, n)
                self.decode(self.codes, scales, d, start, 0, tile[:n])
            np.matmul(x, part, out=y[:, start : start + n])
        return y

    def __add__(self, update):
        """W + update (d, k), spelled out: merging leaves four bits behind."""
        return np.asarray(self) + update  # (d, k)

    def __mul__(self, factors):
        """W * factors (k,), spelled out, as (IA)3 merges."""
        return np.asarray(self) * factors  # (d, k)


def nf4(W, double=True, decode=dequantize_tile, keep=False):
    """W (d, k) -> NF4Weight, with its scales quantised too if `double`, and W kept as its `original` if `keep`."""
    flat = np.ascontiguousarray(W.T, np.float32).ravel()  # (k d,)     a weight that was read from a file lies like this
    codes, scales = block_codes(flat, BLOCK, NF4)  # (k d,), (blocks,)
    pairs = np.pad(codes, (0, len(codes) % 2), constant_values=7).reshape(
        -1, 2
    )  # (ceil(k d / 2), 2)     an odd one out has a zero beside it
    packed = pairs[:, 0] << 4 | pairs[:, 1]  # (ceil(k d / 2),)
    return NF4Weight(packed, double_scales(scales) if double else scales, W.T.shape, False, decode, W if keep else None)


def quantize(weights, double=True, decode=dequantize_tile, keep=False):
    """A base's weights with each matrix within its layers as an NF4Weight; embedding, head, norms and biases stay as they are."""
    inner = [name for name, W in weights.items() if name.startswith("model.layers.") and W.ndim == 2]
    return {**weights, **{name: nf4(weights[name], double, decode, keep) for name in inner}}
