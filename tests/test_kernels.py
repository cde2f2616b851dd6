"""The compiled twins: the same names, signatures and results as the readable functions."""

import importlib
import inspect
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilora import layers, ops
from minilora.kernels.compile import HIGHEST, LOWEST, compiled, exp

READABLE, COMPILED = ops.reference(), ops.compiled()
TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}
examples = settings(max_examples=15, deadline=None, derandomize=True)
sizes = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([np.float32, np.float64]),
        "batch": st.integers(1, 3),
        "T": st.integers(1, 70),
        "past": st.integers(0, 5),
        "groups": st.integers(1, 2),
        "repeat": st.integers(1, 3),
        "half": st.integers(1, 5),
        "d": st.integers(1, 40),
        "k": st.integers(1, 40),
        "r": st.integers(1, 9),
        "turned": st.booleans(),  # whether W lies in memory as (k, d), as in a file
        "seed": st.integers(0, 99),
    }
)


def flat(results):
    return [array for part in results for array in flat(part)] if isinstance(results, tuple) else [np.asarray(results)]


def agree(readable, compiled, dtype):
    """The arrays within nested tuples are equal, relative to the largest value among them: a gradient may cancel to nearly zero."""
    readable, compiled = flat(readable), flat(compiled)
    largest = max(np.abs(array).max(initial=0) for array in readable)
    for left, right in zip(readable, compiled, strict=True):
        assert left.shape == right.shape and (left.dtype == right.dtype or left.ndim == 0)
        assert np.abs(left - right).max(initial=0) <= TOLERANCE[dtype] * largest


def draw(sizes):
    rng = np.random.default_rng(sizes["seed"])
    return sizes["dtype"], lambda *shape: rng.standard_normal(shape).astype(sizes["dtype"])


@pytest.mark.parametrize("module", ["lowrank", "layers", "adamw", "sampling"])
def test_every_name_in_kernels_stands_in_the_readable_file_with_the_same_signature(module):
    readable = importlib.import_module(f"minilora.{module}")
    fast = importlib.import_module(f"minilora.kernels.{module}")
    twins = {
        name: value
        for name, value in vars(fast).items()
        if inspect.isfunction(value) and not name.startswith("_") and value.__module__ == fast.__name__
    }
    assert twins
    for name, function in twins.items():
        assert inspect.signature(function) == inspect.signature(getattr(readable, name)), name


@pytest.mark.parametrize("dropout", [False, True])
@given(sizes=sizes)
@examples
def test_lowrank(dropout, sizes):
    dtype, normal = draw(sizes)
    n, d, k, r = sizes["T"], sizes["d"], sizes["k"], sizes["r"]
    x, W, A, B, dy = normal(n, d), normal(d, k), normal(d, r), normal(r, k), normal(n, k)
    mask = (normal(n, d) > 0).astype(dtype) * 2 if dropout else None
    W = np.asfortranarray(W) if sizes["turned"] else W
    results = []
    for o in (READABLE, COMPILED):
        y, cache = o.lowrank_forward(x, W, A, B, 1.5, mask)
        results.append((y, o.lowrank_backward(dy, cache), o.lowrank_backward(dy, cache, into=x.copy())[0]))
    agree(*results, dtype)
    into = x.copy()
    assert COMPILED.lowrank_backward(dy, cache, into, need_dx=False)[0] is into and np.array_equal(into, x)


@given(sizes=sizes)
@examples
def test_lowrank_gathered(sizes):
    dtype, normal = draw(sizes)
    batch, T, d, k, r = (sizes[name] for name in ("repeat", "T", "d", "k", "r"))
    x, y, A, B, s = normal(batch, T, d), normal(batch, T, k), normal(3, d, r), normal(3, r, k), normal(3)
    which, results = np.random.default_rng(0).integers(-1, 3, batch), []
    for o in (READABLE, COMPILED):
        results.append(y.copy())
        o.lowrank_gathered(x, which, A, B, s, results[-1])
    agree(*results, dtype)


@given(sizes=sizes)
@examples
def test_rmsnorm(sizes):
    dtype, normal = draw(sizes)
    x, gain, dy = normal(sizes["batch"], sizes["T"], sizes["d"]), normal(sizes["d"]), normal(sizes["batch"], sizes["T"], sizes["d"])
    results = []
    for o in (READABLE, COMPILED):
        y, cache = o.rmsnorm_forward(x, gain, 1e-5)
        results.append((y, o.rmsnorm_backward(dy, cache), o.rmsnorm_backward(dy, cache, into=x.copy()), o.rmsnorm_gain_backward(dy, cache)))
    agree(*results, dtype)


@given(sizes=sizes)
@examples
def test_draw_softmax(sizes):
    """The same tokens: that a number of 53 random bits falls between two roundings of a sum is not to be feared."""
    _, normal = draw(sizes)
    logits, u = 3 * normal(sizes["T"], sizes["d"]), np.random.default_rng(sizes["seed"]).random(sizes["T"])
    for temperature in (0.5, 1, 2.0):
        drawn = [o.draw_softmax(logits, temperature, u) for o in (READABLE, COMPILED)]
        assert np.array_equal(*drawn) and drawn[1].max() < sizes["d"]
    logits[:, 0] = np.nan
    assert np.array_equal(*[o.draw_softmax(logits, 1, u) for o in (READABLE, COMPILED)])


@given(sizes=sizes)
@examples
def test_rope(sizes):
    dtype, normal = draw(sizes)
    x = normal(sizes["batch"], sizes["groups"], sizes["T"], 2 * sizes["half"])
    tables = layers.rope_tables(np.arange(sizes["T"]), np.arange(1, sizes["half"] + 1) / 7, dtype)
    agree(*[(o.rope_forward(x, *tables), o.rope_backward(x, *tables)) for o in (READABLE, COMPILED)], dtype)


@given(sizes=sizes)
@examples
def test_attention(sizes):
    dtype, normal = draw(sizes)
    heads, S, width = sizes["groups"] * sizes["repeat"], sizes["T"] + sizes["past"], 2 * sizes["half"]
    q, do = (normal(sizes["batch"], heads, sizes["T"], width) for _ in range(2))
    k, v = (normal(sizes["batch"], sizes["groups"], S, width) for _ in range(2))
    results = []
    for o in (READABLE, COMPILED):
        y, cache = o.attention_forward(q, k, v)
        results.append((y, *o.attention_backward(do, cache)))
    agree(*results, dtype)


@given(sizes=sizes)
@examples
def test_swiglu(sizes):
    dtype, normal = draw(sizes)
    gate, up, dh = (9 * normal(sizes["T"], sizes["d"]) for _ in range(3))
    results = []
    for o in (READABLE, COMPILED):
        h, cache = o.swiglu_forward(gate, up)
        results.append((h, o.swiglu_backward(dh, cache)))
    agree(*results, dtype)


@given(sizes=sizes)
@examples
def test_cross_entropy(sizes):
    dtype, normal = draw(sizes)
    logits = normal(sizes["T"], sizes["k"])
    targets = np.random.default_rng(0).integers(0, sizes["k"], sizes["T"])
    targets[::3] = layers.IGNORED
    for count in (None, 7):
        results = []
        for o in (READABLE, COMPILED):
            loss, cache = o.cross_entropy_forward(logits, targets, count)
            results.append((loss, o.cross_entropy_backward(cache)))
        agree(*results, dtype)


@given(sizes=sizes)
@examples
def test_embedding(sizes):
    dtype, normal = draw(sizes)
    tokens, dx = np.random.default_rng(0).integers(0, 5, sizes["T"]), normal(sizes["T"], sizes["d"])
    cache, into = (tokens, (5, sizes["d"])), normal(5, sizes["d"])
    agree(*[(o.embedding_backward(dx, cache), o.embedding_backward(dx, cache, into.copy())) for o in (READABLE, COMPILED)], dtype)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@given(sizes=sizes)
@examples
def test_adamw(decay, sizes):
    dtype, normal = draw(sizes)
    p, g, m = normal(sizes["d"]), normal(sizes["d"]), normal(sizes["d"])
    v, rate = normal(sizes["d"]) ** 2, np.abs(normal(sizes["d"]))
    results = []
    for o in (READABLE, COMPILED):
        for rates in (rate, 0.1):
            results.append((p.copy(), m.copy(), v.copy()))
            o.adamw_step(results[-1][0], g, *results[-1][1:], 3, rates, decay, beta2=0.99)
    agree(results[0], results[2], dtype)
    agree(results[1], results[3], dtype)


@compiled
def exp_all(x, y):
    for i in range(len(x)):
        y[i] = exp(x[i])


def test_the_exponential_is_right_to_one_part_in_ten_million_over_its_whole_range():
    x = np.linspace(LOWEST, HIGHEST, 1_000_003).astype(np.float32)
    y = np.empty_like(x)
    exp_all(x, y)
    assert np.abs(y / np.exp(x.astype(np.float64)) - 1).max() < 1e-7
    edges, y = np.array([np.nan, -1e9, 1e9, -np.inf], np.float32), np.empty(4, np.float32)
    exp_all(edges, y)
    assert np.isnan(y[0]) and 0 < y[1] < 1e-37 and 1e38 < y[2] < np.inf and y[1] == y[3]


def test_a_number_that_is_not_finite_is_not_hidden():
    logits = np.full((2, 3), np.nan, np.float32)
    assert np.isnan(COMPILED.cross_entropy_forward(logits, np.array([0, 1]))[0])
    assert np.isnan(COMPILED.rmsnorm_forward(logits, np.ones(3, np.float32), 1e-5)[0]).all()


def run_python(code, **environment):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, timeout=120)


def test_the_environment_can_ask_for_the_readable_functions():
    code = "from minilora import ops, layers; print(ops.choose().swiglu_forward is layers.swiglu_forward)"
    done = run_python(code, MINILORA_OPS="reference")
    assert done.stdout.strip() == "True", done.stderr


def test_without_numba_everything_runs_on_the_readable_functions():
    code = "import sys; sys.modules['numba'] = None\nfrom minilora import ops, layers\n"
    code += "print(ops.choose().swiglu_forward is layers.swiglu_forward)"
    done = run_python(code)
    assert done.stdout.strip() == "True" and "several times more slowly: pip install numba" in done.stderr


def test_without_a_folder_to_keep_them_in_the_kernels_are_compiled_all_the_same():
    code = (
        "import numba.core.caching as c; c.CacheImpl._locator_classes = []\n"
        "import numpy as np; from minilora.kernels import compile, layers\n"
        "compile.Announcement.waiting = True\n"
        "print(layers.swiglu_forward(np.ones((1, 1)), np.ones((1, 1)))[0].shape)"
    )
    done = run_python(code)
    assert done.stdout.strip() == "(1, 1)" and "at each start, unless NUMBA_CACHE_DIR names a folder" in done.stderr
