"""What is timed: whole training steps, the matrix products in them alone, decoding and swapping, at three toy sizes.

Each case is a function of a size that sets everything up and returns a function without arguments, to be called again and again.
A step is what the training loop does: forward, backward, clip, AdamW, in float32 on one fixed batch. benchmarks/ runs these cases
in turn with the same in PyTorch; `minilora bench` runs them alone.
"""

import time
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

import numpy as np
from threadpoolctl import ThreadpoolController

from minilora import ops
from minilora.adapters.bank import Bank
from minilora.api import Adapter
from minilora.methods import Full, LoRA
from minilora.training.buffer import flatten
from minilora.training.gradients import step_gradients, workers
from minilora.transformer import Config, model
from minilora.transformer.generate import generate

LORA, FULL = LoRA(rank=8, alpha=16), Full()
PROMPT = 8  # tokens before those that are generated


@dataclass(frozen=True)
class Size:
    """A toy model (d, layers, heads, f, vocabulary) and its batch (rows of `length` tokens)."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    length: int
    batch: int
    vocabulary: int
    kv_heads: int | None = None  # as many as heads, if nothing is said

    def config(self):
        return Config(
            self.vocabulary,
            self.hidden,
            self.intermediate,
            self.layers,
            self.heads,
            self.kv_heads or self.heads,
            max_position_embeddings=self.length,
            tie_word_embeddings=True,
        )


SIZES = {
    "S": Size(64, 2, 4, 176, 64, 8, 256),
    "M": Size(128, 4, 4, 344, 128, 16, 256),
    "L": Size(256, 6, 8, 688, 128, 8, 512),
}
# A real model's shape, and the LoRA that it is trained with.
SMOLLM2 = Size(576, 30, 9, 1536, 256, 2, 49152, kv_heads=3)
RANK_16 = LoRA(rank=16, alpha=32)


def set_up(size, method):
    """-> config, base, the method's arrays, inputs and targets (batch, length)."""
    config, rng = size.config(), np.random.default_rng(0)
    base = model.init(config, rng)
    arrays = method.init(config, base, rng)
    inputs, targets = rng.integers(0, size.vocabulary, (2, size.batch, size.length))  # (batch, length) each
    return config, base, arrays, inputs, targets


def training_step(size, stack, method=LORA, num_workers=2):
    """A whole step; `stack`, an ExitStack, keeps the workers until it is closed."""
    config, base, arrays, inputs, targets = set_up(size, method)
    p, trainable = flatten(arrays, method.trainable(arrays))  # (P,)
    arrays, m, v, g = {**arrays, **trainable}, np.zeros_like(p), np.zeros_like(p), np.empty_like(p)  # (P,) each
    rate, decay = np.full_like(p, 1e-3), np.zeros_like(p)  # (P,) each
    pool, functions, step = stack.enter_context(workers(num_workers)), ops.choose(), 0

    def run():
        nonlocal step
        step += 1
        loss, grads = step_gradients(pool, config, base, method, arrays, functions, inputs, targets, 2, 1, (0, step))
        np.concatenate([grads[name].ravel() for name in trainable], out=g)
        functions.clip(g, 1.0)
        functions.adamw_step(p, g, m, v, step, rate, decay)
        return loss

    return run


def products_of(size, method):
    """The shapes (n, d, k) of every matrix product (n, d) @ (d, k) that half a step does, for one worker's half of the batch.

    Of the attention those that the kernel does: blocks of queries, with the keys up to the last of them.
    """
    from minilora.kernels.layers import QUERIES

    config, rows = size.config(), size.batch // 2
    n, shapes = rows * size.length, []
    for name, shape in config.shapes().items():
        if len(shape) == 1:
            continue
        d, k = shape[::-1] if "embed" in name else shape  # tied: the head is the embedding turned round
        shapes.append((n, d, k))  # y = x W
        is_lowest = method != FULL and ".0.self_attn" in name and "o_proj" not in name
        if not is_lowest:
            shapes.append((n, k, d))  # dx = dy W.T
        if method == FULL:
            shapes.append((d, n, k))  # dW = x.T dy
        elif "embed" not in name:
            r = method.rank
            shapes += [(d, r, k), (n, d, r), (n, k, r), (d, n, r), (r, n, k)]  # A B, x A, dy B.T, dA, dB
            shapes += [] if is_lowest else [(d, r, k)]
    width = size.hidden // size.heads
    for stop in range(QUERIES, size.length + 1, QUERIES):
        block = [(QUERIES, width, stop), (QUERIES, stop, width), (QUERIES, width, stop), (QUERIES, stop, width)]  # p, o, dp, dq
        shapes += (block + 2 * [(stop, QUERIES, width)]) * size.layers * size.heads * rows  # dk, dv
    return shapes


def products(size, stack, method=LORA):
    """The floor of a step: its matrix products alone, on two workers, each into an array that is there already."""
    rng, pool = np.random.default_rng(0), stack.enter_context(workers(2))

    def work_of(shapes):
        arrays = {}

        def array(*shape):
            return arrays.setdefault(shape, rng.standard_normal(shape).astype(np.float32))

        return [(array(n, d), array(d, k), np.empty((n, k), np.float32)) for n, d, k in shapes]

    halves = [work_of(products_of(size, method)) for _ in range(2)]

    def half(work):
        for x, w, out in work:
            np.matmul(x, w, out=out)

    return lambda: list(pool.map(half, halves))


def decoding(size, stack, batch=1):
    """Generate with the cache, from a prompt to the end of the context: size.length - PROMPT tokens a row."""
    config, base, _, inputs, _ = set_up(size, FULL)
    prompt = np.resize(inputs[:, :PROMPT], (batch, PROMPT))  # (batch, PROMPT)
    sites, pools = FULL.sites(config, {}, ops.choose()), ThreadpoolController()

    def run():
        with pools.limit(limits=2, user_api="blas"):  # outside of training BLAS has its threads; the larger products use them
            return generate(config, base, prompt, size.length - PROMPT, sites)

    return run


def mixed_batch(size, stack, adapters=16):
    """A forward pass over 32 rows that use so many different adapters."""
    config, base, *_ = set_up(size, FULL)
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, size.vocabulary, (32, size.length))  # (32, length)
    bank = Bank(SimpleNamespace(name="toy", config=config, weights=base))
    for i in range(adapters):
        bank.attach(i, Adapter(LORA, LORA.init(config, base, rng), config, "toy"))
    sites, pools = bank.mixed_sites([i % adapters for i in range(32)], ops.choose()), ThreadpoolController()

    def run():
        with pools.limit(limits=2, user_api="blas"):
            return model.forward(config, base, tokens, sites)

    return run


def swapping(size, stack):
    """Two adapters on one base, activated in turn."""
    config, base, *_ = set_up(size, FULL)
    bank = Bank(SimpleNamespace(name="toy", config=config, weights=base))
    for name in ("one", "other"):
        bank.attach(name, Adapter(LORA, LORA.init(config, base, np.random.default_rng(0)), config, "toy"))

    def run():
        bank.activate("other")
        bank.activate("one")

    return run


CASES = {  # name -> what sets it up, given a size and a stack
    "lora": training_step,
    "full": partial(training_step, method=FULL),
    "lora, one worker": partial(training_step, num_workers=1),
    "products of lora": products,
    "products of full": partial(products, method=FULL),
    "generate, batch 1": decoding,
    "generate, batch 16": partial(decoding, batch=16),
    "batch of 32, 1 adapter": partial(mixed_batch, adapters=1),
    "batch of 32, 16 adapters": mixed_batch,
    "two swaps": swapping,
}


def timed(run, calls):
    """The seconds of each of `calls` calls."""
    seconds = []
    for _ in range(calls):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return seconds
