"""How the time of a LoRA step grows with tokens, width, layers and rank, beside the matrix products alone.

    make bench            (or: python benchmarks/scaling.py --quick, to see that it works)

One thing is varied at a time, from size M; the exponent is the slope of log time against log size, by least squares over the medians.
Time that is not proportional to the matrix products shows as a gap between the two lines.
"""

import argparse
import json
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from minilora.benchmark import LORA, SIZES, products, timed, training_step

HERE = Path(__file__).parent
START = SIZES["M"]
SWEEPS = {
    "tokens": [(n * START.length, replace(START, batch=n), LORA) for n in (2, 4, 8, 16, 32)],
    "width": [(d, replace(START, hidden=d, intermediate=8 * d // 3 // 8 * 8, heads=d // 32), LORA) for d in (64, 128, 256, 512)],
    "layers": [(n, replace(START, layers=n), LORA) for n in (1, 2, 4, 8)],
    "rank": [(r, START, replace(LORA, rank=r, alpha=2 * r)) for r in (1, 2, 4, 8, 16, 32, 64)],
}


def median(set_up, size, method, calls):
    with ExitStack() as stack:
        call = set_up(size, stack, method)
        timed(call, 2)
        return 1e3 * float(np.median(timed(call, calls)))


def run(calls, points):
    """-> rows {sweep, value, step, floor}, in milliseconds; of each sweep the first `points`."""
    rows = []
    for sweep, cases in SWEEPS.items():
        for value, size, method in cases[:points]:
            print(f"{sweep} {value} ...", file=sys.stderr, flush=True)
            step, floor = (median(set_up, size, method, calls) for set_up in (training_step, products))
            rows.append({"sweep": sweep, "value": value, "step": step, "floor": floor})
    return rows


def exponent(rows, sweep, key):
    """The slope of log time over log value."""
    points = np.array([[row["value"], row[key]] for row in rows if row["sweep"] == sweep])  # (points, 2)
    return float(np.polyfit(*np.log(points).T, 1)[0])


def draw(rows, path):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    lines = (("step", "#D55E00", "LoRA step"), ("floor", "#555555", "its products"))
    for axes, sweep in zip(figure.subplots(1, len(SWEEPS), sharey=True), SWEEPS, strict=True):
        part = [row for row in rows if row["sweep"] == sweep]
        values = [row["value"] for row in part]
        for key, colour, _ in lines:
            axes.loglog(values, [row[key] for row in part], "o-", color=colour, markersize=4)
        exponents = "\n".join(f"{name}: exponent {exponent(rows, sweep, key):.2f}" for key, _, name in lines)
        axes.set_title(exponents, fontsize=8, loc="left")
        axes.set(xlabel=f"{sweep} (log scale)", xticks=values)
        axes.set_xticks(values, values, fontsize=8, rotation=45 if sweep == "tokens" else 0)
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("ms, median")
    figure.suptitle("A LoRA step (orange) and its matrix products alone (grey), from size M", fontsize=9)
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="two points of each sweep, two calls, nothing written")
    args = parser.parse_args()
    rows = run(2, 2) if args.quick else run(args.calls, None)
    for sweep in SWEEPS:
        print(f"{sweep:<8} exponent of the step {exponent(rows, sweep, 'step'):.2f}, of its products {exponent(rows, sweep, 'floor'):.2f}")
    if not args.quick:
        (HERE / "scaling.json").write_text(json.dumps(rows, indent=1) + "\n")
        draw(rows, HERE / "scaling.png")


if __name__ == "__main__":
    main()
