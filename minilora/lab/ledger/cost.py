"""Claims about what LoRA costs: numbers, operations, memory."""

import numpy as np

from minilora import counting
from minilora.lab.ledger.claim import COMPARISON, CONDITION, HERE, HOLDS, NOT_HERE, Answer, claim
from minilora.lab.table import column
from minilora.methods import LoRA
from minilora.transformer import Config
from minilora.transformer.known import KNOWN


def share(config, rank):
    """The numbers that LoRA trains on all linear layers, as a part of the model's."""
    return LoRA(rank=rank).count(config) / counting.total(config.shapes())


@claim(4, "It is memory-efficient: about 1% of the parameters train.", command="minilora count --model llama-3-8b --rank 16")
def one_percent(tables):
    large = {name: share(KNOWN[name], 16) for name in ("Llama-3-8B", "Llama-3.2-3B", "SmolLM2-135M")}
    here = {r: share(HERE, r) for r in (1, 8)}
    told = ", ".join(f"{part:.2%} of {name}" for name, part in large.items())
    measured = (
        f"LoRA on all linear layers at rank 16 trains {told}; in stories-base, {HERE.hidden_size} wide, it is {here[8]:.1%} at rank 8 "
        f"and {here[1]:.1%} even at rank 1. A square matrix's share is 2 r / d: it is width that makes it small."
    )
    small = all(part < 0.02 for name, part in large.items() if KNOWN[name].hidden_size >= 2048) and here[8] > 0.02
    return Answer(CONDITION if small else NOT_HERE, measured, "counted: models from half a million to 8 billion numbers")


@claim(
    5,
    "It is fast: minutes to hours where full training takes days to weeks.",
    "step_cost",
    COMPARISON,
    command="minilora count --model llama-2-7b --rank 16",
)
def fast(tables):
    def flops_ratio(config):
        full, lora = (sum(counting.step_flops(config, 1, 256, ranks).values()) for ranks in (None, LoRA(rank=16).ranks(config)))
        return lora / full

    large, here = flops_ratio(KNOWN["Llama-2-7B"]), flops_ratio(HERE)
    steps = [row for row in tables["step_cost"] if row["part"] == "step"]
    full, lora = (seconds_a_step(steps, method) for method in ("full", "LoRA, r = 8"))  # (seeds,) each
    goals = {name: column(tables[COMPARISON], "steps_to_target", contestant=name) for name in ("full", "lora")}
    if any(None in steps for steps in goals.values()):
        goal = "one of the two does not get to the loss that was set as a goal"
    else:
        goal = f"to the same loss LoRA takes {np.mean(goals['lora']):.0f} steps and full fine-tuning {np.mean(goals['full']):.0f}"
    measured = (
        f"A step's matrix products, with LoRA of rank 16 on all linear layers, are {large:.0%} of full fine-tuning's in Llama-2-7B and "
        f"{here:.0%} in stories-base: about two thirds is the least, since only dW is saved. In seconds a step at rank 8 took "
        f"{np.mean(lora / full):.0%} of full's on one CPU, and {goal}. Days do not become minutes by that. What does make them fewer is "
        "memory: a model that fits needs no swapping and no second machine, which is not to be seen here."
    )
    return Answer(
        NOT_HERE if large > 0.1 and np.mean(lora / full) > 0.1 else HOLDS,
        measured,
        "counted at 7 billion numbers; measured on small models, one CPU",
    )


def seconds_a_step(rows, method):
    return np.sum([column(rows, f"seconds of {part}", method=method) for part in ("forward", "backward", "optimiser")], axis=0)  # (seeds,)


@claim(7, "Consumer hardware will do: a GPU from 8 GB on.", command="minilora memory --budget 8GB")
def eight_gigabytes(tables):
    budget, method, fits = counting.bytes_of("8GB"), LoRA(rank=16), {}
    for name, config in KNOWN.items():
        if isinstance(config, Config):
            own, numbers = counting.total(method.shapes(config)), counting.total(config.shapes())
            ways = {"full": counting.ledger(config, numbers, numbers, None, 2)}  # all in bfloat16
            ways |= {form: counting.ledger(config, own, method.count(config), form) for form in ("bf16", "nf4-double")}
            fits[name] = {way for way, parts in ways.items() if sum(parts.values()) <= budget}

    def largest(way):
        sizes = {name: counting.total(KNOWN[name].shapes()) for name, ways in fits.items() if way in ways}
        name = max(sizes, key=sizes.get)
        return f"{name} ({sizes[name] / 1e9:.1f} billion numbers)", sizes[name]

    (full, _), (half, plain), (four, quantised) = (largest(way) for way in ("full", "bf16", "nf4-double"))
    measured = (
        f"Of the models known here, the largest that fits into 8 GB with one row of 2,048 tokens a step is {full} by full fine-tuning "
        f"in 16 bits, {half} by LoRA of rank 16 on a base in 16 bits, and {four} on a base in 4 bits. It is the 4 bits that make 3 "
        "billion and more fit, not LoRA alone. Room for what the runtime keeps for itself is not counted."
    )
    return Answer(CONDITION if quantised > plain else HOLDS, measured, "counted, from the dimensions of published models; no GPU was used")
