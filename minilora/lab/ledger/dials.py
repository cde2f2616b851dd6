"""Claims about the dials: rank, alpha, learning rate, targets."""

import numpy as np

from minilora.lab import alpha
from minilora.lab.findings import below
from minilora.lab.ledger.claim import CONDITION, HOLDS, NOT_HERE, Answer, claim, told_size
from minilora.lab.table import column
from minilora.methods import LoRA
from minilora.transformer.config import LINEARS
from minilora.transformer.known import KNOWN


@claim(11, "alpha scales the update.", "alpha")
def scales(tables):
    rows = tables["alpha"]
    doubled = max(alpha.apart(rows, "alpha doubled", "B's rate doubled"))
    twins = max(alpha.apart(rows, "the reference", "its twin by 2 and 4"))
    measured = (
        "The update is alpha / r times A B. Under Adam that makes it a learning rate: to double alpha and to double B's learning rate "
        f"give losses that differ by {doubled:g}, and alpha / 8 with A and its rate doubled and B's rate times 4 by {twins:g} nats, "
        "through the whole of a training (epsilon 0, neither clipping nor decay)."
    )
    return Answer(CONDITION if doubled == twins == 0 else HOLDS, measured, told_size(rows))


@claim(18, "alpha is 16, 32 or 64, often 2 r; higher means stronger adaptation and a risk of overfitting.", "alpha")
def alpha_two_r(tables):
    rows = tables["alpha"]
    seeds = sorted(set(column(rows, "seed")))
    alphas, rates, _ = alpha.grid(rows, seeds[0])
    losses = np.array([alpha.grid(rows, seed)[2] for seed in seeds])  # (seeds, alphas, rates)
    apart = np.ptp(losses.min(axis=2), axis=1)  # (seeds,)
    fixed = np.ptp(losses[:, :, 0], axis=1)  # (seeds,), at the lowest rate
    slopes = alpha.slopes(rows)
    measured = (
        f"At one learning rate, {rates[0]:g}, alpha from {alphas[0]:g} to {alphas[-1]:g} makes {np.mean(fixed):.2f} nats a character of "
        f"difference after {column(rows, 'steps', part='grid')[0]} steps. Each at its own best learning rate, they end within "
        f"{np.mean(apart):.2f}: the best rate falls as alpha to the power {np.mean(slopes):.2f}. Stronger is a higher learning rate. "
        "Overfitting was not seen here, where every batch is new text."
    )
    a_rate = below("", apart, np.mean(fixed) / 2).holds and below("", slopes, 0).holds
    return Answer(CONDITION if a_rate else HOLDS, measured, told_size(rows))


@claim(19, "The targets are q, k, v, o and gate, up, down.", command="minilora count --model llama-3-8b --rank 16 --targets all-linear")
def seven_targets(tables):
    config = KNOWN["Llama-3-8B"]
    counts = {name: LoRA(rank=16, targets=name).count(config) for name in LINEARS}
    mlp = sum(count for name, count in counts.items() if name.startswith("mlp.")) / sum(counts.values())
    beyond = LoRA(rank=16, targets=("embed_tokens", "lm_head")).count(config)
    together = sum(counts.values()) == LoRA(rank=16).count(config)
    measured = (
        f"Any of the seven, and any set of them: at rank 16 in Llama-3-8B they take {min(counts.values()):,} to "
        f"{max(counts.values()):,} numbers each, and {mlp:.0%} of all that is in the MLP. The embedding and the head can be targets too "
        f"({beyond:,} numbers); a task with a new alphabet, as rot13, needs them."
    )
    return Answer(HOLDS if together else NOT_HERE, measured, "counted, at any size")
