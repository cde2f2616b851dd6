"""Claims about LoRA's relatives: SVD, PCA, and cheap convolutions."""

import numpy as np

from minilora.analysis import convolution, winograd
from minilora.analysis.factorise import best_pair, descend
from minilora.analysis.spectrum import approximate, pca
from minilora.lab.ledger.claim import CONDITION, NOT_HERE, Answer, claim
from minilora.lowrank import delta, init


def trained(x, D, r):
    """The product that gradient descent on a pair of rank r ends at, when x D is wanted of it; D (d, k) from W = 0."""
    A, B = init(*D.shape, r, np.random.default_rng(1), dtype=np.float64)  # (d, r), (r, k)
    rate = 0.2 / np.linalg.norm(x.T @ x, 2) / np.linalg.norm(D, 2)
    A, B = descend(x, np.zeros_like(D), D, A, B, 1.0, rate, 20_000)
    return delta(A, B, 1.0)  # (d, k)


@claim(14, "It is like reducing a matrix by SVD or PCA, though not the same.", command="minilora figures --only spectrum.gif")
def svd(tables):
    rng, (N, d, k, r) = np.random.default_rng(0), (64, 8, 6, 2)
    D = rng.standard_normal((d, k))
    raw = rng.standard_normal((N, d))  # (N, d)
    white = np.linalg.qr(raw)[0]  # (N, d): white.T white = I
    uneven = white * np.geomspace(1, 0.1, d)  # (N, d)

    def missed(x, update):
        """The loss, as a part of what there was to learn."""
        return np.linalg.norm(x @ (update - D)) ** 2 / np.linalg.norm(x @ D) ** 2

    found = {name: trained(x, D, r) for name, x in (("white", white), ("uneven", uneven))}
    plain = approximate(D, r)  # (d, k)
    A, B = best_pair(D, uneven.T @ uneven, r)
    equal = np.allclose(found["white"], plain, atol=1e-6)
    weighted = np.isclose(missed(uneven, found["uneven"]), missed(uneven, A @ B), rtol=1e-4)
    worse = missed(uneven, plain) / missed(uneven, A @ B)
    mean, components, _ = pca(raw, r)
    same_theorem = np.allclose((raw - mean) @ components.T @ components, approximate(raw - mean, r))
    measured = (
        "On a fixed target with white inputs gradient descent on A and B ends at the truncated SVD of what is missing, to 1e-6. Where "
        f"some directions of the input are larger than others it ends at a weighted SVD, and the plain SVD's loss is {worse:.2f} times "
        "as large. PCA is the same theorem on centred data. In a network there is no fixed target, and training is no SVD of anything."
    )
    return Answer(
        CONDITION if equal and weighted and worse > 1 and same_theorem else NOT_HERE, measured, f"a target of {d} x {k}, rank {r}, float64"
    )


@claim(15, "Winograd's convolution and depthwise convolution are its kin.", command="minilora claims --only 15")
def convolutions(tables):
    At, G, Bt = winograd.transforms(2, 3)  # (2, 4), (4, 3), (4, 4), exact fractions
    products = np.einsum("in,nj,nk->ijk", At, G, Bt)  # (2, 3, 4)
    exact = bool((products == winograd.fir_tensor(2, 3)).all())
    rng = np.random.default_rng(0)
    C, F, size = 8, 12, 3
    kernel = convolution.join(rng.standard_normal((C, 1, size, size)), rng.standard_normal((C, 1, F)))  # (C, F, 3, 3)
    one = all(np.linalg.matrix_rank(channel.reshape(F, size**2)) == 1 for channel in kernel)
    (two, of_two), (four, of_four) = winograd.multiplications(2, 3), winograd.multiplications(4, 3)
    star = convolution.break_even_multiplier(F, size)
    measured = (
        f"Depthwise-separable layers are low rank in LoRA's sense: each input channel's {F} x {size**2} slice has rank 1, and the "
        f"break-even is LoRA's, d k / (d + k) = {star:.2f}. Winograd is a sum of few outer products too, but of a tensor and without "
        f"loss: F(2 x 2, 3 x 3) takes {two} multiplications for {of_two} and F(4 x 4, 3 x 3) {four} for {of_four}, and in exact "
        "fractions nothing differs."
    )
    return Answer(CONDITION if exact and one else NOT_HERE, measured, "exact, at any size")
