"""Counting: numbers, operations and bytes of a low-rank pair."""

from minilora.classroom.exercise import exercise


def draw_sizes(rng, *names):
    """Sizes of a real layer for each name; a rank is smaller."""
    return {name: int(rng.integers(4, 64)) if name == "r" else int(rng.integers(100, 5000)) for name in names}


def draw_scale(rng):
    return {"alpha": float(2 * rng.integers(5, 40) + 1), "r": 4 * int(rng.integers(2, 9))}  # alpha odd: no multiple of r


def draw_uneven(rng):
    """d and k whose break-even rank has a fraction above a half, so that rounding is told from rounding down."""
    while True:
        drawn = draw_sizes(rng, "d", "k")
        d, k = drawn.values()
        if 2 * (d * k % (d + k)) > d + k:
            return drawn


def draw_shapes(rng):
    return {"shapes": [tuple(draw_sizes(rng, "d", "k").values()) for _ in range(4)], **draw_sizes(rng, "r")}


EXERCISES = {
    "lora_params": exercise(
        "d k r",
        "count",
        lambda rng: draw_sizes(rng, "d", "k", "r"),
        lambda d, k, r: r * (d + k),
        "count the numbers of A and of B apart: how many rows and columns has each?",
    ),
    "lora_scale": exercise("alpha r", "s", draw_scale, lambda alpha, r: alpha / r, "what is divided by what, and is it a true division?"),
    "largest_saving_rank": exercise(
        "d k",
        "r",
        draw_uneven,
        lambda d, k: d * k // (d + k),
        "try the rank that you found, and one more: which of the two pairs is still no larger than the matrix?",
        edges=lambda: [{"d": 64, "k": 64}],  # at rank 32 the pair has as many numbers as the matrix
    ),
    "adapter_params": exercise(
        "shapes r",
        "count",
        draw_shapes,
        lambda shapes, r: sum(r * (d + k) for d, k in shapes),
        "every matrix has a pair of its own, of the same rank",
    ),
    "pair_flops": exercise(
        "N d k r",
        "flops",
        lambda rng: draw_sizes(rng, "N", "d", "k", "r"),
        lambda N, d, k, r: 2 * N * r * (d + k),
        "two products: (N, d) times (d, r), then (N, r) times (r, k); each entry of a product costs multiplications and as many additions",
    ),
    "training_bytes": exercise(
        "base trainable",
        "bytes",
        lambda rng: {"base": int(rng.integers(10**6, 10**9)), "trainable": int(rng.integers(10**4, 10**6))},
        lambda base, trainable: 2 * base + 16 * trainable,
        "what is kept for each number of the base, and what for each number that trains? Make a list of the arrays",
    ),
}
