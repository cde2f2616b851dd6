"""Claims about what LoRA is and how it counts."""

import numpy as np

from minilora import api, counting, lowrank
from minilora.lab.ledger.claim import CONDITION, HOLDS, NOT_HERE, Answer, claim
from minilora.methods import LoRA
from minilora.methods.targets import modules
from minilora.transformer.known import KNOWN


@claim(2, "A large matrix is written as the product of two small ones, and the numbers that train fall from M x N to about M + N.",
       command="minilora count --d 4096 --k 4096 --rank 1")  # fmt: skip
def sum_of_sides(tables):
    M = N = 4096
    pairs = {r: counting.lora_params(M, N, r) for r in (1, 8, 16)}
    measured = (
        f"A pair of rank r has r (M + N) numbers. For M = N = {M:,} that is {pairs[1]:,} = M + N at rank 1, {pairs[8]:,} at rank 8 and "
        f"{pairs[16]:,} at rank 16, in place of {M * N:,}: M + N is the unit, and the rank says how many of them."
    )
    only_at_one = [r for r, count in pairs.items() if count == M + N] == [1]
    return Answer(CONDITION if only_at_one else HOLDS, measured, "counted, at any size")


@claim(3, "A 5 x 2 and a 2 x 8 matrix, 26 numbers, multiply to a 5 x 8 matrix of 40.",
       command="minilora count --d 5 --k 8 --rank 2")  # fmt: skip
def film(tables):
    d, k = 5, 8
    full, pair, too_many = counting.full_params(d, k), counting.lora_params(d, k, 2), counting.lora_params(d, k, 4)
    measured = (
        f"{d * 2} + {2 * k} = {pair} numbers stand for {full}, {counting.saving(d, k, 2):.0%} fewer. Such a small matrix has little to save: "
        f"the pair is as large as the matrix at rank {counting.break_even_rank(d, k):.2f}, and at rank 4 it has {too_many} numbers."
    )
    return Answer(HOLDS if (pair, full) == (26, 40) else NOT_HERE, measured, "counted, 5 x 8")


@claim(9, "W' = W + (alpha / r) A B with A d x r and B r x k; W is frozen, and only A and B train.",
       command="minilora gradcheck --method lora")  # fmt: skip
def formula(tables):
    rng, (N, d, k, r, s) = np.random.default_rng(0), (7, 12, 9, 3, 2.0)
    x, W, B = (rng.standard_normal(shape) for shape in ((N, d), (d, k), (r, k)))
    A, zero = lowrank.init(d, k, r, rng, dtype=np.float64)  # (d, r), (r, k)
    two_paths, cache = lowrank.lowrank_forward(x, W, A, B, s)  # (N, k)
    same = np.allclose(two_paths, x @ lowrank.merge(W, A, B, s), rtol=1e-12, atol=1e-12)
    starts = np.array_equal(lowrank.lowrank_forward(x, W, A, zero, s)[0], x @ W)
    gradients = len(lowrank.lowrank_backward(two_paths, cache)) == 3  # dx, dA, dB
    measured = (
        "In float64 the two paths x W + s (x A) B and the one path x W' give the same to 1e-12; with B = 0 the layer is the base bit for bit; "
        "the backward pass makes dx, dA and dB and no dW, and each agrees with central differences to 1e-7."
    )
    return Answer(
        HOLDS if same and starts and gradients else NOT_HERE, measured, f"{d} x {k}, rank {r}, float64; and at every site of the model"
    )


@claim(13, "The trainable parameters of a matrix fall from d k to r (d + k).", command="minilora count --d 4096 --k 11008 --rank 8")
def count_of_a_pair(tables):
    method, config = LoRA(rank=8), KNOWN["Llama-2-7B"]
    arrays = counting.total(method.shapes(config))
    formula = sum(counting.lora_params(*modules(config)[name], r) for name, r in method.ranks(config).items())
    measured = (
        f"Exact: in Llama-2-7B, LoRA of rank 8 on all linear layers has {arrays:,} numbers in its arrays and {formula:,} by the formula. It is "
        f"a saving only below the rank d k / (d + k): {counting.break_even_rank(4096, 4096):,.0f} for a 4096 x 4096 matrix, "
        f"{counting.break_even_rank(5, 8):.2f} for a 5 x 8."
    )
    return Answer(HOLDS if arrays == formula else NOT_HERE, measured, "counted, at any size")


@claim(16, "An attention matrix with d = k = 4096 at rank 16: 16.7 million numbers become 131 thousand, 99.2 % fewer.",
       command="minilora count --d 4096 --k 4096 --rank 16")  # fmt: skip
def attention_matrix(tables):
    d, r = 4096, 16
    full, pair, saved = counting.full_params(d, d), counting.lora_params(d, d, r), counting.saving(d, d, r)
    measured = f"{full:,} ({full / 1e6:.1f} million, rounded) become {pair:,}: {saved:.2%} fewer."
    return Answer(HOLDS if f"{saved:.1%}" == "99.2%" else NOT_HERE, measured, "counted, one matrix of 4096 x 4096")
