"""Claims about when to use LoRA, and when not."""

import numpy as np

from minilora import counting
from minilora.lab import capacity, domain, modular
from minilora.lab.findings import above, below
from minilora.lab.ledger.claim import CONDITION, HERE, HOLDS, NOT_HERE, Answer, claim, told_size
from minilora.lab.table import column
from minilora.methods import LoRA


@claim(
    25, "It is good for limited resources, quick experiments, domain adaptation, many variants of a task, prototyping.", "domain", "modular"
)
def good_for(tables):
    rows, voices = tables["domain"], {row["speaker"] for row in tables["modular"]} & set(modular.NAMES)
    gains = {name: np.subtract(domain.of(rows, "base", name), domain.of(rows, f"LoRA on {name}", name)) for name in ("source", "folder")}
    steps, found = domain.PRESETS[rows[0]["preset"]]["steps"], domain.check(rows)
    better = all(finding.holds for finding in found)
    apart = "on each domain it is better than" if better else "it is not on each domain better than"
    lora, full = (12 * count / 1e6 for count in (LoRA(rank=8).count(HERE), counting.total(HERE.shapes())))  # gradient and two moments
    measured = (
        f"Domains of real text: after {steps} steps an adapter is {np.mean(gains['source']):.2f} nats a character better than its base "
        f"on Python source and {np.mean(gains['folder']):.2f} on a folder of files, and {apart} the adapter of the other. Variants: "
        f"{len(voices)} voices on one base. Resources: gradient and moments of rank 8 take {lora:.1f} MB where full fine-tuning's take "
        f"{full:.1f}. That experiments are quick is true of full fine-tuning too at this size."
    )
    return Answer(HOLDS if better else CONDITION, measured, told_size(rows, "a small model trained on the language reference"))


@claim(
    26, "Look elsewhere for maximum performance, unlimited compute, completely new capabilities, large architectural change.", "capacity"
)
def look_elsewhere(tables):
    rows = tables["capacity"]
    many, largest = max(column(rows, "facts")), max(column(rows, "rank"))
    recalled = {rank: capacity.at_best(rows, "recalled", many, rank) for rank in (1, largest, 0)}
    trained = {rank: capacity.at_best(rows, "trained", many, rank)[0] for rank in (1, largest, 0)}
    bits = np.mean(capacity.at_best(rows, "bits", many, 1)) / trained[1]
    measured = (
        f"New capabilities are a matter of bits: a random model, which knows nothing, is told {many} random facts of 4 bits. LoRA of "
        f"rank 1 ({trained[1]:,} numbers) recalls {np.mean(recalled[1]):.0%} and holds {bits:.1f} bits a number; rank {largest} "
        f"({trained[largest]:,} numbers) recalls {np.mean(recalled[largest]):.0%}, all numbers ({trained[0]:,}) "
        f"{np.mean(recalled[0]):.0%}. So a small rank runs out, and a larger one does what the full model does. A change of "
        "architecture is no update of a matrix, and LoRA does not apply to it."
    )
    runs_out, enough = below("", recalled[1], 0.9).holds, above("", recalled[largest], 0.95).holds
    verdict = CONDITION if runs_out and enough else HOLDS if runs_out else NOT_HERE
    return Answer(verdict, measured, told_size(rows, f"a random model of {trained[0]:,} numbers"))
