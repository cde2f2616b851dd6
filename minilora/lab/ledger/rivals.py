"""Claims of the common table: full fine-tuning, LoRA, other adapters and prefix tuning, side by side on one base and one task."""

from minilora import counting
from minilora.lab.common_table import CALLED, verdicts
from minilora.lab.compare import summary
from minilora.lab.ledger.claim import COMPARISON, CONDITION, FOOTPRINT, HOLDS, NOT_HERE, SWEEP, UNSEEN, Answer, claim, told_size
from minilora.methods import Houlsby, LoRA, Prefix
from minilora.transformer.known import KNOWN

TABLES = (COMPARISON, FOOTPRINT, SWEEP)


def share(method):
    """The numbers that a method trains in a large model, as a part of all."""
    config = KNOWN["Llama-3-8B"]
    return method.count(config) / counting.total(config.shapes())


def answer(tables, name, elsewhere):
    """What the table's sentences about a method came to. They all agree, or none does, or it depends."""
    runs = tables[COMPARISON]
    sentences = [each for each in verdicts(runs, summary(runs, tables[FOOTPRINT]), tables[SWEEP]) if CALLED[name] in each.says]
    told = [each.verdict for each in sentences if each.verdict != "cannot be told"]
    verdict = UNSEEN if not told else HOLDS if set(told) == {"agrees"} else NOT_HERE if set(told) == {"contradicts"} else CONDITION
    found = "; ".join(f"{each.says}: {each.verdict} ({each.measured[0].lower()}{each.measured[1:]})" for each in sentences)
    return Answer(verdict, f"{found[0].upper()}{found[1:]}. {elsewhere}", told_size(runs, f"stories-base learns {runs[0]['voice']}"))


@claim(21, "Full fine-tuning: 100% of the parameters, much memory, slow, excellent quality.", *TABLES)
def full(tables):
    return answer(tables, "full", "Memory and time are one measurement each.")


@claim(22, "LoRA: 0.1 to 1% of the parameters, little memory, fast, very good quality.", *TABLES)
def lora(tables):
    return answer(tables, "lora", f"In Llama-3-8B rank 16 on all linear layers is {share(LoRA(rank=16)):.2%} of the parameters.")


@claim(23, "Other adapters: 2 to 4% of the parameters, some memory, some speed, good quality.", *TABLES)
def adapters(tables):
    small, large = (share(Houlsby(width=width)) for width in (64, 512))
    return answer(tables, "houlsby", f"In Llama-3-8B Houlsby's adapters are {small:.2%} at width 64 and {large:.1%} at width 512.")


@claim(24, "Prefix tuning: 0.01% of the parameters, very little memory, very fast, limited quality.", *TABLES)
def prefix(tables):
    return answer(tables, "prefix", f"In Llama-3-8B a prefix of 8 is {share(Prefix(length=8)):.4%} of the parameters.")
