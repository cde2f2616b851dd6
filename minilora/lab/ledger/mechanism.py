"""Claims about what LoRA is and how it counts."""

import numpy as np

from minilora import counting, gradcheck, lowrank
from minilora.lab.ledger.claim import CONDITION, HERE, HOLDS, NOT_HERE, Answer, claim, told_size
from minilora.lab.modular import NAMES as SPEAKERS
from minilora.lab.table import column
from minilora.methods import LoRA
from minilora.methods.targets import modules
from minilora.training.presets import VOICES
from minilora.transformer.known import KNOWN

OBEYS = 0.8  # of a voice's own score; what it scores as another voice has to stay below 1 minus this


@claim(1, "A large model is adapted without changing all of its parameters: small matrices are trained beside it.", "modular")
def beside(tables):
    rows = tables["modular"]
    base = counting.total(HERE.shapes())
    counts = [LoRA(rank=VOICES[voice]["rank"], targets=VOICES[voice]["targets"]).count(HERE) for voice in SPEAKERS]
    scores = [np.mean(column(rows, voice, speaker=voice, strength=1.0)) for voice in SPEAKERS]
    untouched = all(column(rows, "base_untouched"))
    measured = (
        f"{len(SPEAKERS)} voices were learned by {min(counts):,} to {max(counts):,} numbers beside a base of {base:,}, "
        f"{min(counts) / base:.1%} to {max(counts) / base:.0%} of it. What the adapters write obeys their voices' checkers to "
        f"{min(scores):.0%} at the least, and the bytes of the base were {'the same' if untouched else 'not the same'} afterwards."
    )
    return Answer(HOLDS if untouched and min(scores) > OBEYS else NOT_HERE, measured, told_size(rows))


@claim(
    2,
    "A large matrix is written as the product of two small ones, and the numbers that train fall from M x N to about M + N.",
    command="minilora count --d 4096 --k 4096 --rank 1",
)
def sum_of_sides(tables):
    M = N = 4096
    pairs = {r: counting.lora_params(M, N, r) for r in (1, 8, 16)}
    measured = (
        f"A pair of rank r has r (M + N) numbers. For M = N = {M:,} that is {pairs[1]:,} = M + N at rank 1, {pairs[8]:,} at rank 8 and "
        f"{pairs[16]:,} at rank 16, in place of {M * N:,}: M + N is the unit, and the rank says how many of them."
    )
    only_at_one = [r for r, count in pairs.items() if count == M + N] == [1]
    return Answer(CONDITION if only_at_one else HOLDS, measured, "counted, at any size")


@claim(3, "A 5 x 2 and a 2 x 8 matrix, 26 numbers, multiply to a 5 x 8 matrix of 40.", command="minilora count --d 5 --k 8 --rank 2")
def film(tables):
    d, k = 5, 8
    full, pair, too_many = counting.full_params(d, k), counting.lora_params(d, k, 2), counting.lora_params(d, k, 4)
    measured = (
        f"{d * 2} + {2 * k} = {pair} numbers stand for {full}, {counting.saving(d, k, 2):.0%} fewer. Such a small matrix has little to "
        f"save: the pair is as large as the matrix at rank {counting.break_even_rank(d, k):.2f}, and at rank 4 it has {too_many} "
        "numbers."
    )
    return Answer(HOLDS if (pair, full) == (26, 40) else NOT_HERE, measured, "counted, 5 x 8")


@claim(6, "It is modular: adapters are swapped without training the base again.", "modular")
def swapped(tables):
    rows = tables["modular"]
    scores = {(one, other): np.mean(column(rows, other, speaker=one, strength=1.0)) for one in SPEAKERS for other in SPEAKERS}
    own, others = [scores[voice, voice] for voice in SPEAKERS], [score for pair, score in scores.items() if pair[0] != pair[1]]
    twice = np.mean(column(rows, "stories", speaker="rot13 + rot13"))
    untouched = all(column(rows, "base_untouched"))
    measured = (
        f"On one base each of {len(SPEAKERS)} adapters speaks its own voice ({min(own):.0%} obeyed at the least, by the voices' "
        f"checkers) and no other ({max(others):.0%} at the most); no bit of the base changes. Swapped is not composed: of two rot13 "
        f"adapters added together, which as one after the other would be plain text, {twice:.0%} of the text is plain."
    )
    return Answer(HOLDS if untouched and min(own) > OBEYS and max(others) < 1 - OBEYS else NOT_HERE, measured, told_size(rows))


@claim(
    8,
    "For serving, the base is loaded once, and small adapters come and go with the tasks.",
    "modular",
    command="minilora count --model llama-2-7b --rank 8",
)
def served(tables):
    rows, config = tables["modular"], KNOWN["Llama-2-7B"]
    base, adapter = 2 * counting.total(config.shapes()), 2 * LoRA(rank=8).count(config)  # bytes, in 16 bits
    untouched = all(column(rows, "base_untouched"))
    measured = (
        f"In 16 bits Llama-2-7B takes {base / 1e9:.1f} GB, and an adapter of rank 8 on all its linear layers {adapter / 1e6:.0f} MB: a "
        f"hundred tasks take {(base + 100 * adapter) / 1e9:.1f} GB with adapters and {100 * base / 1e9:,.0f} GB as models of their own. "
        "Here adapters came and went, alone, added and at other strengths, and the bytes of the base stayed "
        f"{'the same' if untouched else 'not the same'}."
    )
    return Answer(HOLDS if untouched and adapter < 0.01 * base else NOT_HERE, measured, "counted at 7 billion numbers; " + told_size(rows))


@claim(
    9, "W' = W + (alpha / r) A B with A d x r and B r x k; W is frozen, and only A and B train.", command="minilora gradcheck --method lora"
)
def formula(tables):
    rng, (N, d, k, r, s) = np.random.default_rng(0), (7, 12, 9, 3, 2.0)
    x, W, B, dy = (rng.standard_normal(shape) for shape in ((N, d), (d, k), (r, k), (N, k)))
    A, zero = lowrank.init(d, k, r, rng, dtype=np.float64)  # (d, r), (r, k)

    def two_paths():
        return lowrank.lowrank_forward(x, W, A, B, s)  # (N, k), cache

    same = np.allclose(two_paths()[0], x @ lowrank.merge(W, A, B, s), rtol=1e-12, atol=1e-12)
    starts = np.array_equal(lowrank.lowrank_forward(x, W, A, zero, s)[0], x @ W)
    grads = dict(zip("xAB", lowrank.lowrank_backward(dy, two_paths()[1]), strict=True))
    right = all(row["ok"] for row in gradcheck.check(lambda: np.vdot(dy, two_paths()[0]), {"x": x, "A": A, "B": B}, grads))
    facts = {
        "the two paths x W + s (x A) B and the one path x W' give the same to 1e-12": same,
        "with B = 0 the layer is the base bit for bit": starts,
        "the backward pass makes dx, dA and dB and no dW, and they agree with central differences to 1e-7": right,
    }
    measured = "In float64: " + "; ".join(("" if true else "NOT ") + said for said, true in facts.items()) + "."
    return Answer(HOLDS if all(facts.values()) else NOT_HERE, measured, f"{d} x {k}, rank {r}; the command checks every method in a model")


@claim(13, "The trainable parameters of a matrix fall from d k to r (d + k).", command="minilora count --d 4096 --k 11008 --rank 8")
def count_of_a_pair(tables):
    method, config = LoRA(rank=8), KNOWN["Llama-2-7B"]
    arrays = counting.total(method.shapes(config))
    formula = sum(counting.lora_params(*modules(config)[name], r) for name, r in method.ranks(config).items())
    measured = (
        f"Exact: in Llama-2-7B, LoRA of rank 8 on all linear layers has {arrays:,} numbers in its arrays and {formula:,} by the "
        f"formula. It is a saving only below the rank d k / (d + k): {counting.break_even_rank(4096, 4096):,.0f} for a 4096 x 4096 "
        f"matrix, {counting.break_even_rank(5, 8):.2f} for a 5 x 8."
    )
    return Answer(HOLDS if arrays == formula else NOT_HERE, measured, "counted, at any size")


@claim(
    16,
    "An attention matrix with d = k = 4096 at rank 16: 16.7 million numbers become 131 thousand, 99.2% fewer.",
    command="minilora count --d 4096 --k 4096 --rank 16",
)
def attention_matrix(tables):
    d, r = 4096, 16
    full, pair, saved = counting.full_params(d, d), counting.lora_params(d, d, r), counting.saving(d, d, r)
    measured = f"{full:,} ({full / 1e6:.1f} million, rounded) become {pair:,}: {saved:.2%} fewer."
    return Answer(HOLDS if f"{saved:.1%}" == "99.2%" else NOT_HERE, measured, "counted, one matrix of 4096 x 4096")
