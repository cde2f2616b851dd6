"""How a loop is compiled, and an exponential that the processor can do sixteen at a time."""

import math
import sys

import numba
from llvmlite import ir
from numba import types
from numba.core import event
from numba.extending import intrinsic, overload

# A sum may be taken in any order, a product and a sum may be one instruction, and x / y may be x * (1 / y); but NaN and infinity keep
# their meaning, so that a broken number is still seen.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}


class Announcement(event.Listener):
    """Tells a person who waits, once, that functions are being compiled; later they are read from the disk, and nothing need be said."""

    waiting = sys.stderr.isatty() or "ipykernel" in sys.modules
    how_often = "once"

    def on_start(self, event):
        if self.waiting:
            print(f"compiling the loops for this processor: a few seconds, {self.how_often} ...", file=sys.stderr, flush=True)
            self.waiting = False

    def on_end(self, event):
        pass


event.register("numba:compile", Announcement())


def compiled(function):
    """Compile a loop, and keep the result on disk where that is possible. It runs without Python's lock, so that two threads may."""
    options = {"nopython": True, "nogil": True, "error_model": "numpy", "fastmath": FASTMATH}
    try:
        return numba.jit(cache=True, **options)(function)
    except RuntimeError:  # no folder that can be written to
        Announcement.how_often = "at each start, unless NUMBA_CACHE_DIR names a folder to keep them in"
        return numba.jit(**options)(function)


@intrinsic
def bits_as_float(typingcontext, n):
    """The float32 whose bits are those of the int32 n."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


LOWEST, HIGHEST = -87.0, 88.0  # e^x is a normal float32 in between
LOG2_E = 1 / math.log(2)
LN2_HIGH = 355 / 512  # few bits, so that n times it is exact
LN2_LOW = math.log(2) - LN2_HIGH


def exp(x):
    """e^x. In float32 clamped to -87 .. 88 and right to about 1e-7; in float64 that of the standard library.

    With n the integer nearest to x / ln 2, e^x = 2^n e^f and |f| <= ln(2) / 2: the power of two is written into the exponent's bits,
    and e^f is its Taylor polynomial of degree 7, whose first missing term f^8 / 8! is below 6e-9.
    """
    return math.exp(x)


@overload(exp, jit_options={"fastmath": {"contract"}})  # reordering would undo the splitting of ln 2
def _exp(x):
    if x != types.float32:
        return lambda x: math.exp(x)
    from numpy import float32

    lowest, highest, log2_e, high, low = map(float32, (LOWEST, HIGHEST, LOG2_E, LN2_HIGH, LN2_LOW))
    c2, c3, c4, c5, c6, c7 = (float32(1 / math.factorial(i)) for i in range(2, 8))
    one = float32(1)
    shifter = float32(1.5 * 2**23)  # a number so large that adding it rounds to an integer

    def polynomial(x):
        x = min(max(x, lowest), highest)
        n = (x * log2_e + shifter) - shifter
        f = (x - n * high) - n * low
        e = one + f * (one + f * (c2 + f * (c3 + f * (c4 + f * (c5 + f * (c6 + f * c7))))))
        return e * bits_as_float(types.int32((types.int32(n) + types.int32(127)) << types.int32(23)))

    return polynomial
