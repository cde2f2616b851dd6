"""minilora's half of the step benchmark: whole LoRA and full fine-tuning steps, and the matrix products alone as the floor.

    python benchmarks/step.py --sizes S,M,L
"""

import argparse
import time

import numpy as np

from minilora import ops
from minilora.methods import Full, LoRA
from minilora.training.gradients import step_gradients, workers
from minilora.transformer import Config, model

# d, layers, heads, ffn, T, batch, vocabulary
SIZES = {"S": (64, 2, 4, 176, 64, 8, 256), "M": (128, 4, 4, 344, 128, 16, 256), "L": (256, 6, 8, 688, 128, 8, 512)}


def set_up(size, method, seed=0):
    d, n_layers, heads, ffn, T, batch, vocab = SIZES[size]
    config = Config(vocab, d, ffn, n_layers, heads, heads, d // heads, max_position_embeddings=T, tie_word_embeddings=True)
    rng = np.random.default_rng(seed)
    base = model.init(config, rng)
    arrays = method.init(config, base, rng)
    return config, base, arrays, rng.integers(0, vocab, (2, batch, T))


def timed(run, repeats):
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return 1e3 * min(seconds), 1e3 * np.median(seconds)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="S,M,L")
    parser.add_argument("--repeats", type=int, default=15)
    args = parser.parse_args()
    functions = ops.choose()
    for size in args.sizes.split(","):
        for method in (LoRA(rank=8, alpha=16), Full()):
            config, base, arrays, (inputs, targets) = set_up(size, method)
            for number in (1, 2):
                with workers(number) as pool:

                    def step():
                        return step_gradients(pool, config, base, method, arrays, functions, inputs, targets, 2, 1, (0, 1))

                    step()
                    print(f"{size} {method.name:>5} {number} workers: %7.1f ms, median %7.1f" % timed(step, args.repeats), flush=True)


if __name__ == "__main__":
    main()
