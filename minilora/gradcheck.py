"""Is a hand-written gradient right? Compare it with central differences, in float64, and say which one is wrong.

The numeric gradient of f at x is (f(x + h) - f(x - h)) / 2h, entry by entry. Its error has two parts, h^2 f'''/6 from the curve
and eps f / h from rounding; at h = 1e-5 both are below 1e-10 for a function of order one, so that a right gradient agrees to
about 1e-10 and a wrong one does not.
"""

import numpy as np

STEP = 1e-5
TOLERANCE = 1e-7
EPSILON = np.finfo(np.float64).eps


def numeric_grad(f, x, h=STEP):
    """The central-difference gradient of the number f() with respect to the array x, which f reads.

    x (any shape, float64) is changed in place one entry at a time and restored. Returns an array of x's shape.
    Raises TypeError if x is not float64: at float32 rounding hides the errors that this is meant to find.
    """
    if x.dtype != np.float64:
        raise TypeError(f"gradients are checked in float64, this array is {x.dtype}: convert with x.astype(np.float64)")
    grad = np.empty_like(x)  # shape of x
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + h
        above = f()
        x[index] = kept - h
        below = f()
        x[index] = kept
        grad[index] = (above - below) / (2 * h)
    return grad


def relative_error(analytic, numeric):
    """|a - n| / (|a| + |n|) with Euclidean norms over the whole array; 0 when both are zero."""
    total = np.linalg.norm(analytic) + np.linalg.norm(numeric)
    return 0.0 if total == 0 else float(np.linalg.norm(analytic - numeric) / total)


def check(f, arrays, grads, h=STEP, tolerance=TOLERANCE):
    """Compare hand-written gradients of the number f() with central differences.

    arrays: name -> float64 array that f reads;  grads: name -> its analytic gradient.
    Returns rows {array, shape, error, ok}. An analytic gradient that is exactly zero is held against the rounding floor
    of the differences, since a relative error means nothing there.
    Raises KeyError where a gradient is missing.
    """
    floor = 10 * EPSILON * max(1.0, abs(f())) / h
    rows = []
    for name, x in arrays.items():
        if name not in grads:
            raise KeyError(f"no gradient was given for {name!r}; there are {sorted(grads)}")
        analytic = np.asarray(grads[name])
        if analytic.shape != x.shape:
            rows.append({"array": name, "shape": x.shape, "error": np.inf, "ok": False, "note": f"gradient is {analytic.shape}"})
            continue
        numeric = numeric_grad(f, x, h)
        if not analytic.any():
            error = float(np.abs(numeric).max(initial=0.0))
            rows.append({"array": name, "shape": x.shape, "error": error, "ok": error <= floor, "note": "exactly zero"})
        else:
            error = relative_error(analytic, numeric)
            rows.append({"array": name, "shape": x.shape, "error": error, "ok": error < tolerance, "note": ""})
    return rows


def table(rows):
    """The rows of check as text: array, shape, relative error, verdict."""
    width = max([len(row["array"]) for row in rows] + [5])
    lines = [f"{'array':<{width}}  {'shape':>12}  {'error':>9}  verdict"]
    for row in rows:
        verdict = ("ok" if row["ok"] else "WRONG") + (f" ({row['note']})" if row["note"] else "")
        shape = "x".join(map(str, row["shape"])) or "()"
        lines.append(f"{row['array']:<{width}}  {shape:>12}  {row['error']:9.1e}  {verdict}")
    return "\n".join(lines)
