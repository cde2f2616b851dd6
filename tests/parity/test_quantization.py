"""NF4 against bitsandbytes: tables, bytes and numbers, on the CPU. Where it is not installed there is nothing to compare with."""

import numpy as np
import pytest
import torch

from minilora.quantization import DYNAMIC, NF4, nf4

functional = pytest.importorskip("bitsandbytes.functional")


def theirs(W, double):
    """W (d, k) -> the packed codes and the state of bitsandbytes, which sees it as (k, d)."""
    return functional.quantize_4bit(torch.from_numpy(W.T.copy()), blocksize=64, quant_type="nf4", compress_statistics=double)


def test_the_tables_are_the_same_to_the_last_bit():
    assert np.array_equal(NF4, functional.get_4bit_type("nf4", device="cpu").numpy())
    assert np.array_equal(DYNAMIC, functional.create_dynamic_map().numpy())


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize(("d", "k"), [(100, 48), (576, 192), (63, 31)])
def test_bytes_and_numbers_are_the_same(d, k, double):
    W = np.random.default_rng(0).normal(0, 0.02, (k, d)).astype(np.float32).T  # (d, k)
    packed, state = theirs(W, double)
    ours = nf4(W, double)
    assert np.array_equal(ours.codes, packed.numpy().ravel())
    expected = functional.dequantize_4bit(packed, state).numpy().T  # (d, k)
    if not double:
        assert np.array_equal(ours.scales, state.absmax.numpy()) and np.array_equal(np.asarray(ours), expected)
        return
    assert np.allclose(ours.scales.scales, state.state2.absmax.numpy(), rtol=1e-6, atol=0)
    assert ours.scales.mean == pytest.approx(state.offset.item(), rel=1e-6)  # a mean is rounded in the order of its additions
    # Its compiled loop for the CPU, unlike its other ones, takes the second nearest of the 256 values where two are about equally near.
    apart = ours.scales.codes.astype(int) - state.absmax.numpy()
    assert np.abs(apart).max() <= 1 and np.mean(apart != 0) < 0.01
    assert np.allclose(np.asarray(ours), expected, rtol=0.01, atol=0)
