"""minilora and PyTorch + PEFT in turn, on the same cores, by whole steps; the table and the figure of benchmarks/README.md.

    make bench            (or: python benchmarks/compare.py --quick, to see that it works)

The two sides are two processes, of which one sleeps while the other is timed. An alternation asks each side for a few calls and keeps
their median; a ratio is taken within an alternation, so that a machine that slows down slows both. Reported are the median ratio over
all alternations and a 95 % interval for it (bootstrap over alternations, 2,000 draws, seed 0).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import loading
import numpy as np

from minilora.benchmark import LORA, SIZES
from minilora.counting.flops import step_flops

HERE = Path(__file__).parent
CALLS = {"S": 15, "M": 5, "L": 3, "SmolLM2": 1}  # a side that has slept is slow at first, and training does not sleep
# measure: (ours, theirs) and the goal at S, M, L. A ratio is theirs / ours, the higher the better.
AGAINST = {
    "LoRA step, PEFT eager / minilora": (("lora", "lora"), {"S": 3.0, "M": 2.0, "L": 1.6}),
    "LoRA step, PEFT compiled / minilora": (("lora", "lora, compiled"), {"S": 3.0, "M": 2.0, "L": 1.6}),
    "full step, PyTorch / minilora": (("full", "full"), {"S": 1.3, "M": 1.3, "L": 1.3}),
    "generation, batch 1, transformers / minilora": (("generate, batch 1",) * 2, {"S": 10, "M": 8, "L": 4}),
    "generation, batch 16, transformers / minilora": (("generate, batch 16",) * 2, {}),
    "batch of 32 with 16 adapters, PEFT / minilora": (("batch of 32, 16 adapters",) * 2, {}),
    "two swaps, PEFT / minilora": (("two swaps",) * 2, {}),
}
# measure: (upper, lower), both ours, and the goal.
WITHIN = {
    "one worker / two workers": (("lora, one worker", "lora"), {"M": 1.8, "L": 1.8}),
    "LoRA step / full step": (("lora", "full"), {}),
    "LoRA step / its matrix products alone": (("lora", "products of lora"), {"M": 1.5, "L": 1.3}),
    "full step / its matrix products alone": (("full", "products of full"), {}),
    "batch of 32, one adapter / 16 adapters": (("batch of 32, 1 adapter", "batch of 32, 16 adapters"), {"S": 0.85, "M": 0.85, "L": 0.85}),
}
MEMORY = "memory of a LoRA step above the imports, minilora / PEFT"
REAL_STEP = "LoRA step with r = 16 on SmolLM2-135M's shape, 2 x 256 tokens, PEFT / minilora"
REAL_MEMORY = "memory of that step above the imports, minilora / PEFT"


def share_of_flops(size):
    """LoRA over full in FLOPs, embedding and attention counted: 2/3 + r/r* and what comes beside it."""
    toy = SIZES[size]
    lora, full = (sum(step_flops(toy.config(), toy.batch, toy.length, ranks).values()) for ranks in (LORA.ranks(toy.config()), None))
    return lora / full


WITHIN["LoRA step / full step"][1].update({size: round(1.1 * share_of_flops(size), 3) for size in "ML"})
PRODUCTS = "LoRA step / its matrix products alone"
MEMORIES = (MEMORY, REAL_MEMORY)
AT_MOST = {MEMORY: {"M": 0.6, "L": 0.6}, REAL_MEMORY: {"SmolLM2": 1.0}} | {
    measure: WITHIN[measure][1] for measure in (PRODUCTS, "LoRA step / full step")
}
EVERYTHING = ("lora", "full", "generate, batch 1", "generate, batch 16", "batch of 32, 16 adapters")
STARTS = {  # what a fresh process does: with a cache of compiled functions or without, its program, and the goal in seconds
    "`import minilora`": (True, "import minilora", 0.35),
    "everything compiled, nothing cached": (False, f"cases = {EVERYTHING}", 8),
    "the first LoRA step, cached": (True, "cases = ('lora',)", 1),
}
CALL_EACH = """
from contextlib import ExitStack
from minilora.benchmark import CASES, SIZES
with ExitStack() as stack:
    for case in cases:
        CASES[case](SIZES["S"], stack)()
"""


class Side:
    """A process that times cases on request."""

    def __init__(self, name):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "side.py"), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, *request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"a side ended while it was asked for {request}: see its message above")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def interval(ratios):
    """The median of the ratios (n,), and a 95 % interval for it."""
    draws = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))  # (2000, n)
    return float(np.median(ratios)), *np.percentile(np.median(draws, axis=1), [2.5, 97.5]).tolist()


def alternate(left, right, size, alternations):
    """left and right are (side, case). -> the seconds of each alternation, (alternations,) each."""
    seconds = [[float(np.median(side.ask(case, size, CALLS[size]))) for side, case in (left, right)] for _ in range(alternations)]
    return np.array(seconds).T


def row_of(measure, size, upper, lower):
    """One line of the table: ms of the numerator and of the denominator, and their ratio."""
    ratio, low, high = interval(upper / lower)
    row = {"measure": measure, "size": size, "ratio": ratio, "low": low, "high": high, "n": len(upper)}
    for name, seconds in (("upper", upper), ("lower", lower)):
        row |= {f"{name} min": 1e3 * seconds.min(), f"{name} median": 1e3 * float(np.median(seconds)), f"{name} max": 1e3 * seconds.max()}
    return row


def memory_row(measure, size, case="lora", steps=3):
    """A line of the table: growth of the peak over a few steps, each side in a fresh process."""
    answers = []
    for name in ("minilora", "pytorch"):
        side = Side(name)
        answers.append(side.ask("memory", case, size, steps))
        side.close()
    mine, peft = answers
    row = {"measure": measure, "size": size, "ratio": mine / peft, "upper median": mine / 1e6, "lower median": peft / 1e6, "unit": "MB"}
    return {**row, "goal": AT_MOST[measure].get(size)}


def real_rows(alternations=10):
    """A model of a real shape: the step's time in alternation, and its memory."""
    print("SmolLM2: LoRA step ...", file=sys.stderr, flush=True)
    ours, theirs = Side("minilora"), Side("pytorch")
    lower, upper = alternate((ours, "lora, rank 16"), (theirs, "lora, rank 16"), "SmolLM2", alternations)
    ours.close()
    theirs.close()
    return [{**row_of(REAL_STEP, "SmolLM2", upper, lower), "goal": 1.0}, memory_row(REAL_MEMORY, "SmolLM2", "lora, rank 16")]


def measure_starts(repeats):
    """Rows of the second table: the seconds that a fresh process takes, less those of a Python that does nothing."""

    def seconds(program, cache):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | {"NUMBA_CACHE_DIR": cache})
        return time.perf_counter() - began

    rows = []
    with tempfile.TemporaryDirectory() as kept:
        seconds(STARTS["the first LoRA step, cached"][1] + CALL_EACH, kept)
        for measure, (cached, program, goal) in STARTS.items():
            program += CALL_EACH if "cases" in program else ""
            times = []
            for _ in range(repeats):
                with tempfile.TemporaryDirectory() as empty:
                    times.append(seconds(program, kept if cached else empty) - seconds("", kept))
            rows.append(
                {"measure": measure, "seconds": float(np.median(times)), "min": min(times), "max": max(times), "n": repeats, "goal": goal}
            )
    return rows


def table_of_starts(rows):
    """The rows in Markdown."""
    lines = ["| a fresh process | seconds, median (min - max) | goal | n |", "|---|---|---|---|"]
    for row in rows:
        reached = "yes" if row["seconds"] <= row["goal"] else "no"
        times = f"{row['seconds']:.2f} ({row['min']:.2f} - {row['max']:.2f})"
        lines.append(f"| {row['measure']} | {times} | <= {row['goal']:g}: {reached} | {row['n']} |")
    return "\n".join(lines)


def run(sizes, alternations, compiled):
    """-> the rows of the table."""
    rows = []
    ours, theirs = Side("minilora"), Side("pytorch")
    for size in sizes:
        for measure, ((here, there), goals) in AGAINST.items():
            if there == "lora, compiled" and not compiled:
                continue
            print(f"{size}: {measure} ...", file=sys.stderr, flush=True)
            lower, upper = alternate((ours, here), (theirs, there), size, alternations)
            rows.append({**row_of(measure, size, upper, lower), "goal": goals.get(size)})
        for measure, ((upper, lower), goals) in WITHIN.items():
            print(f"{size}: {measure} ...", file=sys.stderr, flush=True)
            rows.append({**row_of(measure, size, *alternate((ours, upper), (ours, lower), size, alternations)), "goal": goals.get(size)})
    ours.close()
    theirs.close()
    for size in sizes:
        rows.append(memory_row(MEMORY, size))
    return rows


def goal_of(row):
    """The goal as text, and whether it is reached."""
    if row["goal"] is None:
        return ""
    at_most = row["measure"] in AT_MOST
    reached = row["ratio"] <= row["goal"] if at_most else row["ratio"] >= row["goal"]
    return f"{'<=' if at_most else '>='} {row['goal']:g}: {'yes' if reached else 'no'}"


def table(rows):
    """The rows in Markdown."""
    lines = [
        "| measure | size | ratio (95 % interval) | goal | upper, median (min - max) | lower, median (min - max) | n |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        unit = row.get("unit", "ms")
        spread = f" ({row['low']:.2f} - {row['high']:.2f})" if "low" in row else ""
        sides = [
            f"{row[f'{name} median']:,.2f} {unit}" + (f" ({row[f'{name} min']:,.2f} - {row[f'{name} max']:,.2f})" if "low" in row else "")
            for name in ("upper", "lower")
        ]
        cells = (row["measure"], row["size"], f"{row['ratio']:.2f}{spread}", goal_of(row), *sides, row.get("n", 1))
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def draw(rows, path):
    """How many times faster than PyTorch, with the interval, and the goals as ticks."""
    from matplotlib.figure import Figure

    part = [row for row in rows if row["measure"] in AGAINST and row["measure"] != "two swaps, PEFT / minilora"][::-1]
    figure = Figure(figsize=(8, 0.3 * len(part) + 1), layout="constrained")
    axes = figure.subplots()
    for y, row in enumerate(part):
        axes.plot([row["low"], row["high"]], [y, y], color="#D55E00", linewidth=2)
        axes.plot(row["ratio"], y, "o", color="#D55E00")
        axes.annotate(f"{row['ratio']:.1f}", (row["ratio"], y), textcoords="offset points", xytext=(0, 8), ha="center", fontsize=8)
        if row["goal"]:
            axes.plot(row["goal"], y, "|", color="#0072B2", markersize=10, markeredgewidth=2)
    axes.axvline(1, color="#888888", linewidth=0.8)
    axes.set_xscale("log")
    ticks = [1, 2, 3, 5, 10, 20]
    axes.set(xticks=ticks, xticklabels=ticks, yticks=range(len(part)), yticklabels=[f"{row['measure']}, {row['size']}" for row in part])
    axes.minorticks_off()
    axes.set_xlabel("times as fast: median of alternations and\nits 95 % interval; the blue tick is the goal")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def machine():
    """What the figures were measured on."""
    from importlib.metadata import version

    names = ("numpy", "numba", "torch", "transformers", "peft")
    return {"machine": platform.machine(), "python": platform.python_version(), **{name: version(name) for name in names}}


def kept(rows, before):
    """The rows of this run, and those of an earlier one at sizes that it did not measure, in the order of the whole table."""
    measured, sizes = {row["size"] for row in rows}, [*SIZES, "SmolLM2"]
    found = [row for row in before if row["size"] not in measured] + rows
    return sorted(found, key=lambda row: (row["measure"] in MEMORIES, sizes.index(row["size"])))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", default="S,M,L,SmolLM2", help="what is not measured again keeps its line (%(default)s)")
    parser.add_argument("--alternations", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="size S, two alternations, nothing compiled by PyTorch, nothing written")
    args = parser.parse_args()
    sizes, alternations = (["S"], 2) if args.quick else (args.sizes.split(","), args.alternations)
    rows = run([size for size in sizes if size in SIZES], alternations, compiled=not args.quick)
    rows += real_rows() if "SmolLM2" in sizes else []
    starts, loads = measure_starts(1 if args.quick else 5), loading.measure(loading.TOY if args.quick else loading.REAL)
    results = HERE / "results.json"
    if not args.quick and results.is_file():
        rows = kept(rows, json.loads(results.read_text())["rows"])
    tables = f"{table(rows)}\n\n{table_of_starts(starts)}\n\n{loading.table(loads)}\n"
    print(tables)
    if not args.quick:
        results.write_text(json.dumps({"machine": machine(), "rows": rows, "starts": starts, "loads": loads}, indent=1) + "\n")
        (HERE / "table.md").write_text(tables)
        draw(rows, HERE / "speed.png")


if __name__ == "__main__":
    main()
