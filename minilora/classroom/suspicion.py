"""What wrong numbers give away: a sign, a factor, a row that is missing. The one thing to look at, told from the numbers alone."""

import numpy as np

CLOSE = 1e-6  # relative: a pattern in wrong numbers need not be exact to be a pattern


def close(a, b):
    return bool(np.linalg.norm(a - b) <= CLOSE * np.linalg.norm(b))


def suspicion(yours, wanted, arguments):
    """What may be wrong, or "" where nothing shows. yours, wanted: numbers or arrays of one shape; arguments: name -> what was given."""
    yours, wanted = np.asarray(yours, np.float64), np.asarray(wanted, np.float64)
    if not yours.any():
        return "it is zero everywhere: is the result ever put into it?"
    for name, value in arguments.items():
        if isinstance(value, np.ndarray) and value.shape == yours.shape and value.ndim and close(yours, value):
            return f"it is {name}, as it was given"
    factor = float(np.sum(yours * wanted) / np.sum(wanted * wanted)) if wanted.any() else 0.0
    if factor and close(yours, factor * wanted):
        if np.isclose(factor, -1):
            return "the sign: every value is there, turned round"
        if wanted.size > 1 or simple(factor):  # of a single number every other one is some multiple
            times = f"1/{1 / factor:.0f}" if factor < 1 and simple(factor) else f"{factor:.4g}"
            return f"a factor: {'all' if wanted.size > 1 else 'it'} is {times} times what is wanted"
    if wanted.ndim == 2:
        return by_rows(yours, wanted) or by_factors(yours, wanted)
    return ""


def simple(factor):
    """Whether a factor is a small whole number or one part of it."""
    return any(np.isclose(value, round(value)) and 1 < round(value) <= 16 for value in (factor, 1 / factor))


def by_rows(yours, wanted):
    """Whether a few rows, or columns, are wrong and all others right."""
    for axis, line in ((1, "row"), (0, "column")):
        wrong = np.flatnonzero(np.linalg.norm(yours - wanted, axis=axis) > CLOSE * np.linalg.norm(wanted))
        if 0 < len(wrong) <= wanted.shape[1 - axis] // 2:
            some = f"{line} {wrong[0]} is" if len(wrong) == 1 else f"{line}s {', '.join(map(str, wrong))} are"
            return f"{some} wrong, and the other {line}s right"
    return ""


def by_factors(yours, wanted):
    """Whether each row, or each column, is off by a factor of its own."""
    for axis, line, other in ((1, "row", "column"), (0, "column", "row")):
        if wanted.shape[axis] < 2:
            continue
        size = np.sum(wanted * wanted, axis=axis, keepdims=True)
        factors = np.sum(yours * wanted, axis=axis, keepdims=True) / np.where(size, size, 1)
        if close(factors * wanted, yours):
            return f"each {line} is off by a factor of its own: what is multiplied along the {other}s?"
    return ""
