"""Several adapters on one base, and the way to PEFT's format and back."""

import numpy as np

from minilora.adapters.combine import truncate
from minilora.classroom.exercise import R, S, exercise, normal, sizes
from minilora.files.peft_tensors import PREFIX


def draw_mixed(rng):
    batch, d, k = sizes(rng, 3)
    n = 2
    which = rng.permutation(np.arange(batch) % (n + 1)) - 1  # (batch,)   each adapter, and none, at least once
    return normal(rng, x=(batch, d), W=(d, k), A=(n, d, R), B=(n, R, k)) | {"which": which, "s": np.array([S, 0.5])}


def mixed_forward(x, W, A, B, s, which):
    y = x @ W
    for row, adapter in enumerate(which):
        if adapter >= 0:
            y[row] += s[adapter] * (x[row] @ A[adapter]) @ B[adapter]
    return y


def draw_two(rng):
    d, k = sizes(rng, 2)
    return normal(rng, A1=(d, R), B1=(R, k), A2=(d, R), B2=(R, k)) | {"s1": S, "s2": 0.5}


def joined(A1, B1, s1, A2, B2, s2):
    return np.concatenate([A1, A2], axis=1), np.concatenate([s1 * B1, s2 * B2])


def product(drawn, returned):
    """The product, and the rank that it has room for: there are many pairs with one product."""
    A, B = returned["A"], returned["B"]
    return {"A B": A @ B, "rank": int(np.shape(A)[1])}


def draw_large_pair(rng):
    d, k = sizes(rng, 2)
    return normal(rng, A=(d, 4), B=(4, k)) | {"r": 2}


def draw_file(rng):
    d, k = sizes(rng, 2)
    return normal(rng, lora_A=(R, d), lora_B=(k, R)) | {"alpha": S * R}


def draw_module(rng):
    part = rng.choice(["self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj"])
    return {"module": f"model.layers.{rng.integers(32)}.{part}"}


EXERCISES = {
    "mixed_forward": exercise(
        "x W A B s which",
        "y",
        draw_mixed,
        mixed_forward,
        "row i has the pair of number which[i] and its scale; where which[i] is -1 there is no pair, and -1 is an index that NumPy accepts",
    ),
    "join_pairs": exercise(
        "A1 B1 s1 A2 B2 s2",
        "A B",
        draw_two,
        joined,
        "put the columns of A1 and A2 side by side, and the rows of B1 and B2 one above the other; each pair keeps its own scale",
        view=product,
    ),
    "cross_terms": exercise(
        "A1 B1 A2 B2",
        "extra",
        draw_two,
        lambda A1, B1, A2, B2, **_: A1 @ B2 + A2 @ B1,
        "multiply (A1 + A2)(B1 + B2) out: which of the four products belong to neither adapter?",
    ),
    "compress": exercise(
        "A B r",
        "A B",
        draw_large_pair,
        lambda A, B, r: truncate(A, B, r)[:2],
        "the best pair of rank r comes from the SVD of the product",
        view=product,
    ),
    "update_from_peft": exercise(
        "lora_A lora_B alpha",
        "update",
        draw_file,
        lambda lora_A, lora_B, alpha: alpha / len(lora_A) * (lora_B @ lora_A).T,
        "the file holds transposes, lora_A (r, d) and lora_B (k, r); and it holds alpha, not the scale",
    ),
    "peft_names": exercise(
        "module",
        "lora_A lora_B",
        draw_module,
        lambda module: (f"{PREFIX}{module}.lora_A.weight", f"{PREFIX}{module}.lora_B.weight"),
        "prefix, module, part, and `.weight` at the end; compare letter by letter",
    ),
}
