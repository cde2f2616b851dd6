"""`minilora bench`: time whole steps, decoding and the floor of both on this machine. With PyTorch and PEFT beside it: make bench."""

import json
import sys
from contextlib import ExitStack

from minilora.commands.options import add_json

HELP = "time training steps and decoding on this machine"


def add_arguments(parser):
    parser.add_argument("--sizes", default="S,M,L", help="toy sizes, see benchmarks/README.md (%(default)s)")
    parser.add_argument("--repeats", type=int, default=20, help="calls of each case (%(default)s)")
    add_json(parser)


def run(args):
    import numpy as np

    from minilora.benchmark import CASES, SIZES, timed

    sizes = args.sizes.split(",")
    unknown = [size for size in sizes if size not in SIZES]
    if unknown:
        raise ValueError(f"there is no size {unknown[0]!r}; there are {', '.join(SIZES)}")
    if args.repeats < 1:
        raise ValueError(f"repeats is {args.repeats}, it must be at least 1")
    rows = []
    for size in sizes:
        for case, set_up in CASES.items():
            print(f"timing {case} at {size} ...", end="\r", file=sys.stderr, flush=True)
            with ExitStack() as stack:
                call = set_up(SIZES[size], stack)
                timed(call, 2)  # the first compiles, and both fill the caches
                ms = 1e3 * np.array(timed(call, args.repeats))  # (repeats,)
            rows.append({"size": size, "case": case, "minimum": ms.min(), "median": np.median(ms), "maximum": ms.max()})
    if args.json:
        print(json.dumps(rows))
        return
    print(f"{'size':<5}{'case':<26}{'minimum':>10}{'median':>10}{'maximum':>10}   milliseconds, {args.repeats} calls each")
    for row in rows:
        print(f"{row['size']:<5}{row['case']:<26}{row['minimum']:>10.3f}{row['median']:>10.3f}{row['maximum']:>10.3f}")
