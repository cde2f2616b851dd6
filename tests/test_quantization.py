"""NF4: tables, codes and bytes as bitsandbytes has them; products, gradients, and what is lost."""

import tracemalloc
from statistics import NormalDist

import numpy as np
import pytest

from minilora import counting, gradcheck, ops
from minilora.analysis.quantized import compare
from minilora.kernels import quantization as compiled
from minilora.methods import LoRA
from minilora.methods.check import midway, tiny_model
from minilora.quantization import DYNAMIC, NF4, dequantize_tile, nf4, quantize
from minilora.transformer import loss
from minilora.transformer.model import loss_backward

READABLE, COMPILED = ops.reference(), ops.compiled()
either = pytest.mark.parametrize("chosen", [READABLE, COMPILED], ids=["readable", "compiled"])


def weight(d, k, seed=0):
    """As a file gives it: the transposed view of (k, d)."""
    return np.random.default_rng(seed).standard_normal((k, d)).astype(np.float32).T


def same_base(double=True, chosen=READABLE, keep=False):
    """The tiny model, quantised, and the same numbers spelled out in float64 -> config, the two, tokens, targets."""
    config, weights, tokens, targets = tiny_model()
    base = quantize(weights, double, chosen.dequantize_tile, keep)
    return config, base, {name: np.asarray(W, np.float64) for name, W in base.items()}, tokens, targets


def test_the_sixteen_values_are_quantiles_of_a_normal_distribution():
    outermost = 0.9677083
    below = [-NormalDist().inv_cdf(p) for p in np.linspace(outermost, 0.5, 8)[:-1]]
    above = [NormalDist().inv_cdf(p) for p in np.linspace(outermost, 0.5, 9)[:-1]]
    assert np.allclose(NF4, np.sort([*below, 0, *above]) / max(above), rtol=0, atol=1e-6)


def test_the_scales_have_256_values_that_differ_by_a_part_of_their_size():
    assert len(np.unique(DYNAMIC)) == 256 and DYNAMIC[0] == -DYNAMIC[-2] and DYNAMIC[-1] == 1 and 0 in DYNAMIC
    assert np.allclose(DYNAMIC[DYNAMIC > 0][[0, 1, 2, -2]], [0.55e-6, 3.25e-6, 7.75e-6, 1 - 0.45 / 64], rtol=1e-6)


@pytest.mark.parametrize("largest", [2.0, 0.015625])
def test_codes_and_bytes_of_a_weight_worked_out_by_hand(largest):
    half_way = (NF4[7] + NF4[8]) / 2
    W = np.float32(largest) * np.array([[-1, 1, half_way], [np.nextafter(half_way, 1), 0.4, -0.7]], np.float32).T  # (3, 2)
    Q = nf4(W, double=False)
    assert Q.codes.tolist() == [0x0F, 0x78, 0xC1] and Q.scales.tolist() == [largest]  # the first of two is the high half
    assert np.array_equal(np.asarray(Q), np.float32(largest) * NF4[[[0, 8], [15, 12], [7, 1]]])


def test_a_block_of_zeros_and_a_last_block_that_is_not_full():
    W = np.zeros((11, 7), np.float32)
    W[10, 6] = -3  # the last of 77 numbers: the second block has 13
    Q = nf4(W, double=False)
    assert Q.scales.tolist() == [0, 3] and np.array_equal(np.asarray(Q), W)


def test_a_weight_that_is_not_finite_is_refused():
    for broken in (np.nan, np.inf):
        with pytest.raises(ValueError, match="not finite cannot be quantised"):
            nf4(np.array([[1, broken]], np.float32))


@pytest.mark.parametrize(("double", "bits"), [(False, 4.5), (True, 4.127)])
def test_bits_a_number_as_counted(double, bits):
    Q = nf4(weight(1024, 512), double)
    mean = 4 if double else 0  # the one number that the count leaves out
    assert Q.nbytes == counting.nf4_bytes(1024 * 512, double) + mean
    assert round(8 * Q.nbytes / (1024 * 512), 3) == bits


@either
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("d", "k"), [(5, 3), (64, 130), (130, 64), (77, 201), (1, 9)])
def test_products_are_those_with_the_weight_spelled_out(d, k, dtype, chosen):
    Q = nf4(weight(d, k), decode=chosen.dequantize_tile)
    W = np.asarray(Q).astype(dtype)  # (d, k)
    rng = np.random.default_rng(1)
    x, dy = rng.standard_normal((6, d)).astype(dtype), rng.standard_normal((6, k)).astype(dtype)  # (6, d), (6, k)
    tolerance = 1e-13 if dtype == np.float64 else 1e-5
    for found, expected in ((x @ Q, x @ W), (dy @ Q.T, dy @ W.T)):
        assert found.dtype == dtype and np.allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())
    assert Q.shape == W.shape and Q.T.shape == W.T.shape and np.array_equal(np.asarray(Q.T), W.T.astype(np.float32))
    assert np.array_equal(np.asarray(Q.T.T), np.asarray(Q))


def test_the_compiled_twin_gives_the_same_bits():
    assert COMPILED.dequantize_tile is compiled.dequantize_tile and READABLE.dequantize_tile is dequantize_tile
    Q = nf4(weight(33, 21))
    for row, column, m, n in ((0, 0, 21, 33), (3, 5, 7, 8), (20, 32, 1, 1)):
        tiles = np.zeros((2, m, n), np.float32)
        for tile, decode in zip(tiles, (dequantize_tile, compiled.dequantize_tile), strict=True):
            decode(Q.codes, np.asarray(Q.scales), 33, row, column, tile)
        assert np.array_equal(*tiles) and np.array_equal(tiles[0], np.asarray(Q.T)[row : row + m, column : column + n])


def test_the_weight_is_never_spelled_out_as_a_whole():
    d, k = 768, 1024
    Q, x = nf4(weight(d, k), decode=COMPILED.dequantize_tile), np.ones((2, d), np.float32)
    x @ Q @ Q.T  # compiles
    tracemalloc.start()
    x @ Q @ Q.T
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * d * k / 8


@either
def test_qlora_gradients_against_central_differences(chosen):
    config, base, spelled_out, tokens, targets = same_base(chosen=chosen)
    method = LoRA(rank=3, alpha=6, targets=("all-linear", "lm_head"))
    arrays = midway(method, config, spelled_out)

    def run():
        return loss(config, base, tokens, targets, method.sites(config, arrays, chosen))

    rows = gradcheck.check(lambda: run()[0], arrays, loss_backward(run()[1]))
    assert all(row["ok"] for row in rows), "\n" + gradcheck.table(rows)


def test_only_the_matrices_within_the_layers_are_quantised():
    config, weights, _, _ = tiny_model()
    base = quantize(weights)
    changed = {name for name in base if base[name] is not weights[name]}
    assert changed == {name for name, shape in config.shapes().items() if "layers" in name and len(shape) == 2}


def test_quantising_loses_less_than_a_tenth_and_a_pair_brings_back_little():
    svd, single, double, once, often = compare(weight(96, 64), 4)
    assert [row["bits"] for row in (single, double)] == [4.5, 4.125 + 32 * 2 / 6144]
    assert svd["error"] > 0.8  # a normal weight has full rank
    assert 0.08 < single["error"] < 0.1 and double["error"] == pytest.approx(single["error"], rel=0.01)
    assert often["error"] < once["error"] < 0.95 * double["error"]
    assert once["bits"] == often["bits"] == double["bits"] + svd["bits"]
