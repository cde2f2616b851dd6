"""One matrix W (d, k) and its low-rank pair A (d, r), B (r, k): d k numbers against r (d + k).

Hu et al. 2021, arXiv 2106.09685, section 4.1. Python's integers are exact at any size; here they stop at 2^63 - 1, the largest
signed 64-bit integer, because no array can have more entries and because the compiled twin in sweep.py could not follow.
"""

import reprlib
from numbers import Integral

LIMIT = 2**63 - 1


def whole(name, value):
    """`value` as an int. ValueError unless it is a whole number of at least 1."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        shown = value if isinstance(value, Integral) else reprlib.repr(value)  # it may come from a file, and be of any length
        raise ValueError(f"{name} is {shown}: give a whole number of at least 1")
    return int(value)


def within_limit(formula, count):
    """`count`, unless it is past 64 bits: then a ValueError that names its formula."""
    if count > LIMIT:
        raise ValueError(f"{formula} = {count:,} is past 2^63 - 1, the largest 64-bit integer: check the sizes")
    return count


def full_params(d, k):
    """d k, the numbers in a d x k matrix. ValueError unless both are whole numbers of at least 1 and the product fits 64 bits."""
    d, k = whole("d", d), whole("k", k)
    return within_limit("d k", d * k)


def lora_params(d, k, r):
    """r (d + k), the numbers in A (d, r) and B (r, k). ValueError as for full_params.

    5 x 2 times 2 x 8 has 26 numbers where 5 x 8 has 40. A rank above min(d, k) says nothing new, but can be counted.
    """
    d, k, r = whole("d", d), whole("k", k), whole("r", r)
    return within_limit("r (d + k)", r * (d + k))


def saving(d, k, r):
    """1 - r (d + k) / (d k), the share of the numbers that is saved; negative where the pair is larger than the matrix."""
    return 1 - lora_params(d, k, r) / full_params(d, k)


def break_even_rank(d, k):
    """r* = d k / (d + k), a float: the rank at which the pair has as many numbers as the matrix. A square one gives d / 2."""
    return full_params(d, k) / (d + k)
