"""Separable filters and depthwise-separable layers: rank 1 and rank m, with LoRA's break-even."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilora.analysis import convolution
from minilora.analysis.spectrum import tail

SOBEL = np.outer([1, 2, 1], [1, 0, -1])
small = st.integers(1, 4)


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def test_sobel_is_a_column_times_a_row_and_two_passes_equal_one():
    column, row = convolution.separate_filter(SOBEL)
    assert np.allclose(column @ row, SOBEL, rtol=0, atol=1e-14)
    assert np.linalg.svd(SOBEL, compute_uv=False)[1] < 1e-15
    assert column.size + row.size == 6 < SOBEL.size == 9, "multiplications a pixel"
    image = draw(0, 12, 10)
    twice = convolution.filter_image(convolution.filter_image(image, column), row)
    assert np.allclose(twice, convolution.filter_image(image, SOBEL), rtol=0, atol=1e-13)


def test_a_filter_by_hand():
    image = np.arange(12).reshape(3, 4)
    assert convolution.filter_image(image, np.array([[1, 0], [0, -2]])).tolist() == [[-10, -11, -12], [-14, -15, -16]]


def test_a_filter_that_is_not_separable_loses_its_other_singular_values():
    kernel = draw(0, 3, 4)
    column, row = convolution.separate_filter(kernel)
    assert np.linalg.norm(kernel - column @ row) == pytest.approx(tail(np.linalg.svd(kernel, compute_uv=False), 1), rel=1e-12)


@given(C=small, F=small, a=small, b=small, seed=st.integers(0, 99), data=st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_separable_layer_is_the_layer_that_it_joins_to(C, F, a, b, seed, data):
    m = data.draw(st.integers(1, 5))
    x, depthwise, pointwise = draw(seed, C, a + 2, b + 3), draw(seed + 1, C, m, a, b), draw(seed + 2, C, m, F)
    y = convolution.convolve_separable(x, depthwise, pointwise)
    kernel = convolution.join(depthwise, pointwise)
    assert y.shape == (F, 3, 4) and np.allclose(y, convolution.convolve(x, kernel), rtol=0, atol=1e-12 * np.abs(y).max())
    for f in range(F):
        alone = sum(convolution.filter_image(x[c], kernel[c, f]) for c in range(C))
        assert np.allclose(y[f], alone, rtol=0, atol=1e-12 * np.abs(y).max())
    if m <= min(F, a * b):
        again = convolution.join(*convolution.separate(kernel, m))
        assert np.allclose(again, kernel, rtol=0, atol=1e-12 * np.abs(kernel).max())


@given(C=small, F=small, size=small, seed=st.integers(0, 99), data=st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_multiplier_of_m_is_the_truncated_svd_of_each_input_channel(C, F, size, seed, data):
    m = data.draw(st.integers(1, min(F, size**2)))
    kernel = draw(seed, C, F, size, size)
    parts = convolution.separate(kernel, m)
    lost = np.linalg.norm(kernel - convolution.join(*parts))
    tails = [tail(np.linalg.svd(channel.reshape(F, -1), compute_uv=False), m) for channel in kernel]
    assert lost == pytest.approx(np.linalg.norm(tails), rel=1e-12, abs=1e-12)
    assert sum(part.size for part in parts) == convolution.separable_params(C, F, size, m)


def test_a_random_layer_gains_little_from_each_filter_more_and_at_six_it_costs_more_than_it_replaces():
    C, F, size = 8, 12, 3
    counts = {m: convolution.separable_params(C, F, size, m) for m in (1, 2, 4, 5, 6, 9)}
    assert counts == {1: 168, 2: 336, 4: 672, 5: 840, 6: 1008, 9: 1512} and counts[5] < C * F * size**2 == 864 < counts[6]
    assert convolution.break_even_multiplier(F, size) == 108 / 21
    lost = {m: [] for m in (1, 2, 4, 9)}
    for seed in range(20):
        kernel = draw(seed, C, F, size, size)
        for m, squares in lost.items():
            squares.append(np.sum((kernel - convolution.join(*convolution.separate(kernel, m))) ** 2) / np.sum(kernel**2))
    for m, share in {1: 0.699, 2: 0.480, 4: 0.203, 9: 0.0}.items():
        assert np.mean(lost[m]) == pytest.approx(share, abs=0.02)


def test_the_saving_is_one_over_the_outputs_and_one_over_the_filter():
    share = convolution.separable_params(512, 512, 3) / (512 * 512 * 9)
    assert share == pytest.approx(1 / 512 + 1 / 9, rel=1e-15) and round(1 / share, 2) == 8.84


def test_the_published_sizes_of_mobilenet():
    # Table 4 of Howard et al. 2017. Its 569 million multiplications include the classifier's 1.0 million, its 4,866 million do not.
    layers = [(32, 64, 112), (64, 128, 56), (128, 128, 56), (128, 256, 28), (256, 256, 28), (256, 512, 14)]
    layers += [(512, 512, 14)] * 5 + [(512, 1024, 7), (1024, 1024, 7)]  # inputs, outputs, pixels of a side
    first, classifier = 3 * 32 * 9, 1024 * 1000
    separable = [convolution.separable_params(C, F, 3) for C, F, _ in layers]
    whole = [C * F * 9 for C, F, _ in layers]
    assert round((first + sum(separable) + classifier) / 1e6, 1) == 4.2
    assert round((first + sum(whole) + classifier) / 1e6, 1) == 29.3
    pixels = [side**2 for _, _, side in layers]
    assert round((first * 112**2 + np.dot(separable, pixels) + classifier) / 1e6) == 569
    assert round((first * 112**2 + np.dot(whole, pixels)) / 1e6) == 4866


@pytest.mark.parametrize("m", [0, 10])
def test_a_multiplier_outside_its_range_is_refused(m):
    with pytest.raises(ValueError, match=f"rank {m} is outside 1..9: a 12 x 9 matrix"):
        convolution.separate(draw(0, 8, 12, 3, 3), m)
