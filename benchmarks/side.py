"""One side of the comparison, as a process: it times what it is asked for, and sleeps while the other side has the processors.

    python benchmarks/side.py minilora    (or pytorch)

A request is a line of JSON on standard input, [case, size, calls]; the answer, on standard output, the seconds of each call. A request
that begins with "memory", ["memory", case, size, steps], is answered with the growth of the peak memory from here on, in bytes, over so
many steps: above the imports, those that either side makes only when it is first called among them, if it is the first request of a
process.
"""

import json
import sys
import warnings
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from minilora.benchmark import RANK_16, SIZES, SMOLLM2, timed

ALL_SIZES = {**SIZES, "SmolLM2": SMOLLM2}


def memory(key):
    """VmRSS or VmHWM of this process, in bytes (Linux)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return 1024 * int(line.split()[1])


def builder(side, stack):
    """case, size -> a function to be timed."""
    if side == "minilora":
        from minilora import benchmark, ops

        number = np.ones((1, 1), np.float32)
        ops.choose().swiglu_forward(number, number)  # the first compiled function makes Numba import 89 modules more: they are imports
        cases = {**benchmark.CASES, "lora, rank 16": partial(benchmark.training_step, method=RANK_16)}
        return lambda case, size: cases[case](ALL_SIZES[size], stack)
    import torch
    from pytorch import CASES

    number = torch.nn.Parameter(torch.ones(1))  # likewise: what PyTorch loads for its first gradient and its first optimiser
    optimiser = torch.optim.AdamW([number])
    number.sum().backward()
    optimiser.step()
    return lambda case, size: CASES[case](ALL_SIZES[size])


def main(side):
    warnings.simplefilter("ignore")
    answers = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints is no answer
    with ExitStack() as stack:
        build, ready = builder(side, stack), {}
        for line in sys.stdin:
            *is_memory, case, size, calls = json.loads(line)
            if is_memory:
                Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
                before = memory("VmRSS")
                timed(build(case, size), calls)
                answer = memory("VmHWM") - before
            else:
                if (case, size) not in ready:
                    ready[case, size] = build(case, size)
                    timed(ready[case, size], 3)  # compilation, and caches filled
                answer = timed(ready[case, size], calls)
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
