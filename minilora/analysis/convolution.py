"""Convolutions made cheap by low rank: separable filters, and the depthwise-separable layers of MobileNet.

A filter of size x size numbers that is an outer product of a column and a row is applied in two passes (Jaderberg et al. 2014, arXiv
1405.3866, for trained filters). A layer from C to F channels holds, for each input channel, a matrix of F x size^2 numbers; a
depthwise-separable layer (Howard et al. 2017, arXiv 1704.04861) allows that matrix rank 1: one filter of the channel, and one weight for
each output. With a multiplier of m filters a channel it is rank m, so that the best one for a given layer is a truncated SVD for
each channel, and it has fewer numbers than the layer up to F size^2 / (F + size^2): LoRA's break-even rank d k / (d + k).

As in deep learning, the filter is not turned round and slides inside the image, whose borders it does not cross.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minilora.analysis.spectrum import truncated_svd


def filter_image(image, kernel):
    """image (H, W), kernel (a, b) -> (H - a + 1, W - b + 1): y[i, j] = sum of kernel[u, v] image[i + u, j + v]."""
    return np.einsum("ijuv,uv->ij", sliding_window_view(image, kernel.shape), kernel)


def separate_filter(kernel):
    """The nearest separable filter to a kernel (a, b): column (a, 1) and row (1, b), whose product is [kernel]_1."""
    U, sigma, Vt = truncated_svd(kernel, 1)
    return U * np.sqrt(sigma), Vt * np.sqrt(sigma)  # (a, 1), (1, b)


def convolve(x, kernel):
    """x (C, H, W), kernel (C, F, a, b) -> y (F, H - a + 1, W - b + 1), the sum over the input channels."""
    windows = sliding_window_view(x, kernel.shape[2:], axis=(1, 2))  # (C, H - a + 1, W - b + 1, a, b)
    return np.einsum("cijuv,cfuv->fij", windows, kernel)  # (F, H - a + 1, W - b + 1)


def convolve_separable(x, depthwise, pointwise):
    """x (C, H, W), depthwise (C, m, a, b), pointwise (C, m, F): m filters a channel, then a matrix at each place -> y (F, ...)."""
    windows = sliding_window_view(x, depthwise.shape[2:], axis=(1, 2))  # (C, H - a + 1, W - b + 1, a, b)
    filtered = np.einsum("cijuv,cmuv->cmij", windows, depthwise)  # (C, m, H - a + 1, W - b + 1)
    return np.einsum("cmij,cmf->fij", filtered, pointwise)  # (F, H - a + 1, W - b + 1)


def join(depthwise, pointwise):
    """The layer that a depthwise-separable one is: (C, m, a, b), (C, m, F) -> kernel (C, F, a, b)."""
    return np.einsum("cmuv,cmf->cfuv", depthwise, pointwise)  # (C, F, a, b)


def separate(kernel, m):
    """The nearest depthwise-separable layer: kernel (C, F, a, b) -> depthwise (C, m, a, b), pointwise (C, m, F).

    Raises ValueError for a multiplier m outside 1..min(F, a b).
    """
    C, F, a, b = kernel.shape
    parts = [truncated_svd(channel.reshape(F, a * b), m) for channel in kernel]
    depthwise = [(sigma[:, None] * Vt).reshape(m, a, b) for _, sigma, Vt in parts]
    return np.array(depthwise), np.array([U.T for U, _, _ in parts])  # (C, m, a, b), (C, m, F)


def separable_params(C, F, size, m=1):
    """m C (size^2 + F) numbers in place of C F size^2, and as many multiplications a pixel: for m = 1 a part of 1 / F + 1 / size^2."""
    return m * C * (size**2 + F)


def break_even_multiplier(F, size):
    """F size^2 / (F + size^2), a float: the multiplier at which a depthwise-separable layer has as many numbers as the whole one."""
    return F * size**2 / (F + size**2)
