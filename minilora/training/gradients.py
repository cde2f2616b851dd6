"""The gradient of one step, by workers that share nothing but the base.

A batch is cut into a fixed number of shards, whatever the number of workers; each shard divides by the whole step's counted tokens,
and the shards' gradients are added in their order. So the bits depend neither on how many workers there are nor on who finishes first.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from threadpoolctl import threadpool_limits

from minilora.layers import IGNORED
from minilora.transformer import model


@contextmanager
def workers(number):
    """A pool of threads, with BLAS kept to one thread each: two pools on the same cores would only wait for each other."""
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(number) as pool:
        yield pool


def step_gradients(pool, config, base, method, arrays, ops, inputs, targets, shards, accumulation, seed):
    """inputs and targets (batch, T) -> loss in nats a counted token, name -> gradient of each trainable array.

    The batch is taken in `accumulation` portions one after the other, each cut into `shards` for the pool: memory is that of a portion.
    Dropout draws from (*seed, shard).
    """
    count = int((targets != IGNORED).sum())
    pieces = np.array_split(np.arange(len(inputs)), accumulation * shards)  # rows of each shard

    def run(i):
        rng = np.random.default_rng([*seed, i])
        sites = method.sites(config, arrays, ops, rng)
        with np.errstate(over="ignore", invalid="ignore"):  # the loop says once, in words, when a loss is not finite
            value, cache = model.loss(config, base, inputs[pieces[i]], targets[pieces[i]], sites, count)
            return value, model.loss_backward(cache)

    total, grads = 0.0, {}
    for portion in range(accumulation):
        for value, shard in pool.map(run, range(portion * shards, (portion + 1) * shards)):
            total += value
            for name, grad in shard.items():
                if name in grads:
                    grads[name] += grad
                else:
                    grads[name] = grad
    return total, grads


def evaluate(pool, config, base, method, arrays, ops, inputs, targets, rows=16):
    """The mean loss over inputs and targets (batch, T), in nats a counted token; `rows` of them at a time."""
    count = int((targets != IGNORED).sum())
    parts = [slice(i, i + rows) for i in range(0, len(inputs), rows)]

    def run(part):
        with np.errstate(over="ignore", invalid="ignore"):
            return model.loss(config, base, inputs[part], targets[part], method.sites(config, arrays, ops), count)[0]

    return float(sum(pool.map(run, parts)))
