"""Claims about the dials: rank, alpha, learning rate, targets."""

import numpy as np

from minilora import counting
from minilora.lab import alpha, overfitting, rank_dial
from minilora.lab.findings import above, below
from minilora.lab.ledger.claim import CONDITION, HERE, HOLDS, NOT_HERE, Answer, claim, told_size
from minilora.lab.table import column
from minilora.methods import LoRA
from minilora.transformer.config import LINEARS
from minilora.transformer.known import KNOWN

WITHIN = 0.05  # nats a character: two ranks this near are as good as one another
VOICE = "pirate"


@claim(10, "The rank r is usually 8, 16, 32 or 64.", "rank_dial")
def usual_ranks(tables):
    rows = tables["rank_dial"]
    needed = {row["cipher"]: row["needed"] for row in rows if row["kind"] == "cut"}
    trained = [row for row in rows if row["kind"] == "trained" and row["rank"] != rank_dial.FULL]
    ends = []
    for cipher in dict.fromkeys(column(trained, "cipher")):
        losses = {r: np.mean(column(trained, "excess", cipher=cipher, rank=r)) for r in sorted(set(column(trained, "rank", cipher=cipher)))}
        ends.append(f"{cipher} ends " + ", ".join(f"{loss:.2f} at rank {r}" for r, loss in losses.items()))
    measured = (
        "The rank that is needed is the task's. The exact updates that teach three ciphers are known: "
        f"{', '.join(f'{cipher} has rank {rank}' for cipher, rank in needed.items())}. Trained LoRA, in nats a character above the base "
        f"on plain text: {'; '.join(ends)}. So 8 is more than some tasks need, and less than others; it is a place to begin."
    )
    return Answer(CONDITION if len(set(needed.values())) > 1 else HOLDS, measured, told_size(trained))


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


@claim(12, "Updates have a low intrinsic rank.", "low_rank")
def intrinsic_rank(tables):
    rows = tables["low_rank"]
    last = max(column(rows, "step", part="growth", corpus=VOICE))
    share, noise = (column(rows, name, part="growth", corpus=VOICE, step=last) for name in ("rank90", "noise"))  # one for each seed
    whole, first = (column(rows, "excess", part="kept", corpus=VOICE, rank=rank) for rank in (96, 1))
    pair = column(rows, "excess", part="LoRA", corpus=VOICE)
    measured = (
        f"An update of low rank that does the task exists: LoRA of rank 1 ends at {np.mean(pair):.3f} nats a character above the best, "
        f"full fine-tuning at {np.mean(whole):.3f}, on {VOICE}. But full fine-tuning does not find it: after {last} steps 90% of its "
        f"update lies in {np.mean(share):.0%} of the directions (of noise: {np.mean(noise):.0%}), and with the first direction of each "
        f"matrix alone its loss is {np.mean(first):.3f}."
    )
    exists, not_found = below("", pair, 2 * np.mean(whole)).holds, above("", share, 0.1).holds
    return Answer(CONDITION if exists and not_found else HOLDS if exists else NOT_HERE, measured, told_size(rows))


def dearer(config, low, high):
    """How much more FLOPs a step takes at the higher of two ranks, on all linear layers, as a part."""
    low, high = (sum(counting.step_flops(config, 8, 256, LoRA(rank=r).ranks(config)).values()) for r in (low, high))
    return high / low - 1


@claim(
    17,
    "Low ranks, 8 to 16, have fewer parameters, are faster and less expressive, high ones, 32 to 64, the opposite; the sweet spot is 16 "
    "to 32.",
    "rank",
)
def sweet_spot(tables):
    rows, found, enough = tables["rank"], [], {}
    ranks = sorted(set(column(rows, "rank")))
    for corpus in dict.fromkeys(column(rows, "corpus")):
        last = max(column(rows, "step", corpus=corpus))
        losses = {r: np.mean(column(rows, "excess", corpus=corpus, rank=r, step=last)) for r in ranks}
        enough[corpus] = next(r for r in ranks if losses[r] <= min(losses.values()) + WITHIN)
        told = ", ".join(f"{losses[r]:.2f} at {r}" for r in ranks)
        found.append(f"{corpus} ends at {told}, and from rank {enough[corpus]} on nothing more than {WITHIN} is won")
    low, high = ranks[0], ranks[-1]
    slower = [dearer(config, low, high) for config in (HERE, KNOWN["Llama-2-7B"])]
    measured = (
        f"Held-out loss above the best, in nats a character, by rank: {'; '.join(found)}. From rank {low} to {high} the numbers grow "
        f"{high // low} times, the FLOPs of a step by {slower[0]:.0%} in stories-base, and by {slower[1]:.1%} in Llama-2-7B. Where the "
        "curve bends is the task's doing, not LoRA's."
    )
    spot = all(16 <= rank <= 32 for rank in enough.values())
    return Answer(HOLDS if spot else CONDITION if max(enough.values()) > low else NOT_HERE, measured, told_size(rows))


@claim(18, "alpha is 16, 32 or 64, often 2 r; higher means stronger adaptation and a risk of overfitting.", "alpha", "overfitting")
def alpha_two_r(tables):
    rows, few = tables["alpha"], tables["overfitting"]
    seeds = sorted(set(column(rows, "seed")))
    alphas, rates, _ = alpha.grid(rows, seeds[0])
    losses = np.array([alpha.grid(rows, seed)[2] for seed in seeds])  # (seeds, alphas, rates)
    apart = np.ptp(losses.min(axis=2), axis=1)  # (seeds,)
    fixed = np.ptp(losses[:, :, 0], axis=1)  # (seeds,), at the lowest rate
    slopes = alpha.slopes(rows)
    low, high, slow, new = (
        f"{np.mean(overfitting.last(few, way, 'others')):.2f}"
        for way in (overfitting.LOW, overfitting.HIGH, overfitting.SLOW, overfitting.NEW)
    )
    measured = (
        f"At one learning rate, {rates[0]:g}, alpha from {alphas[0]:g} to {alphas[-1]:g} makes {np.mean(fixed):.2f} nats a character of "
        f"difference after {column(rows, 'steps', part='grid')[0]} steps. Each at its own best learning rate, they end within "
        f"{np.mean(apart):.3f}: the best rate falls as alpha to the power {np.mean(slopes):.2f}. Stronger is a higher learning rate, and "
        f"overfits as one: after {few[0]['steps']} steps on {overfitting.TEXTS} texts the loss on others is {low} at alpha 4 and {high} at "
        f"alpha 64, but {slow} at alpha 64 with a quarter of the learning rate, and {new} where every batch is new text."
    )
    a_rate = below("", apart, np.mean(fixed) / 2).holds and below("", slopes, 0).holds
    overfits_as_one = all(finding.holds for finding in overfitting.check(few))
    return Answer(CONDITION if a_rate and overfits_as_one else HOLDS, measured, told_size(rows))


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


@claim(20, "The common choice is the attention only, for efficiency.", "targets", "targets.paper")
def attention_only(tables):
    rows, longer = tables["targets"], tables["targets.paper"]
    losses = {
        targets: np.array(column(rows, "excess", targets=targets)) for targets in dict.fromkeys(column(rows, "targets"))
    }  # (seeds,) each
    ranks = {targets: column(rows, "rank", targets=targets)[0] for targets in losses}
    told = ", ".join(
        f"{targets} {np.mean(losses[targets]):.2f} (rank {ranks[targets]})"
        for targets in sorted(losses, key=lambda name: np.mean(losses[name]))
    )
    late = {targets: np.array(column(longer, "excess", targets=targets)) for targets in ("attention", "all")}  # (seeds,) each
    better = [name for name in ("MLP", "all") if name in losses and below("", losses[name] - losses["attention"], 0).holds]
    beaten = (
        f"{' and '.join(better)} beat the attention alone by three standard deviations over seeds"
        if better
        else "none beats the attention alone by three standard deviations over seeds"
    )
    measured = (
        f"At an equal number of trained numbers, {rows[0]['budget']:,} at the most, held-out loss above the best on {VOICE}, in nats a "
        f"character: {told}. Of the MLP and all layers, {beaten}, after {rows[0]['steps']} steps. After {longer[0]['steps']} the "
        f"attention is {np.mean(late['attention'] - late['all']):.3f} behind all layers: the choice decides how fast it goes. A pair costs "
        "as much in one place as in another, r (d + k), so that the attention is no cheaper at an equal loss."
    )
    return Answer(NOT_HERE if better else HOLDS, measured, told_size(rows))
