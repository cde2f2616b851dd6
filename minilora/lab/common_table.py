"""The common table of ways to fine-tune, another model's measured one, and what they are worth beside our own.

Nothing is decided before: each sentence of the common table is held against the rows that are given. A difference between runs counts when
over the seeds it is three standard deviations from zero (findings.py).
"""

from dataclasses import dataclass

from minilora.lab.findings import above, below
from minilora.lab.table import column

# What the page that this project grew from says, as most pages do: the shares of the parameters that train, and three orders. The
# contestant that stands for "other adapters" is Houlsby's, the first of them.
CALLED = {"full": "full fine-tuning", "lora": "LoRA", "houlsby": "an adapter", "prefix": "prefix tuning"}
SHARES = {"full": (1.0, 1.0), "lora": (0.001, 0.01), "houlsby": (0.02, 0.04), "prefix": (0.0001, 0.0001)}
BEST_FIRST = ("full", "lora", "houlsby", "prefix")  # excellent, very good, good, limited
LIGHTER = (("prefix", "lora"), ("lora", "houlsby"), ("lora", "full"))  # memory very low, low, medium, high; very fast, fast, medium, slow
NOTICEABLE = 0.05  # a difference in seconds or bytes, of one measurement each, that is spoken of

# Another model, another task: read from the comparison that PEFT's authors publish (huggingface/peft, method_comparison).
PUBLISHED = {
    "source": "PEFT's method comparison, Llama-3.2-3B, MetaMathQA to GSM8K, 5,000 steps on an L40S",
    "caveat": "another model than ours; one seed, learning rates not tuned alike, full fine-tuning tried at one",
    "rows": (
        # method, parameters, their share, accuracy, rise of the loss on other text, seconds, GB in the mean, MB on disk
        ("full, learning rate 1e-5", 3.213e9, 1.0, 0.472, 0.030, 2147, 34.3, 6425),
        ("lora r=32, q and v", 9.18e6, 0.00285, 0.478, 0.050, 942, 14.4, 36.7),
        ("lora r=64", 18.4e6, 0.00568, 0.474, 0.059, 966, 14.7, 73.4),
        ("rslora r=64", 18.4e6, 0.00568, 0.513, 0.111, 966, 14.7, 73.4),
        ("lora r=10, MLP", 9.46e6, 0.00294, 0.494, 0.032, 1050, 15.5, 37.9),
        ("dora r=32", 9.29e6, 0.00288, 0.469, 0.051, 1191, 15.4, 37.2),
        ("vera r=256", 0.129e6, 0.00004, 0.354, 0.099, 1011, 14.0, 6.8),
        ("ia3, learning rate 1e-3", 0.287e6, 0.00009, 0.398, 0.050, 944, 14.8, 1.2),
        ("prefix of 50, from text", 2.87e6, 0.00089, 0.416, 0.198, 878, 13.5, 11.5),
        ("prompt of 200, from vocabulary", 0.614e6, 0.00019, 0.343, 0.145, 1429, 17.5, 2.5),
    ),
}


@dataclass(frozen=True)
class Verdict:
    """`verdict` is agrees, contradicts, or cannot be told."""

    says: str
    measured: str
    verdict: str

    def __str__(self):
        return f"{self.verdict}: {self.says}. {self.measured}"


def verdicts(runs, rows, sweep=()):
    """The common table, sentence by sentence, against the runs, their summary and the rates that were tried (compare.run).

    Sentences about missing rows are left out.
    """
    present = {row["contestant"]: row for row in rows}
    learned = [name for name in BEST_FIRST if name in present]
    found = [share(present[name], *SHARES[name]) for name in learned]
    for better, worse in zip(learned, learned[1:], strict=False):
        found.append(compared(runs, f"{CALLED[better]} learns better than {CALLED[worse]}", "excess", better, worse))
    if {"lora r=2", "houlsby"} <= present.keys():
        numbers = " and ".join(f"{present[name]['trainable']:,}" for name in ("lora r=2", "houlsby"))
        says = f"with as many numbers, {numbers}, LoRA learns better than an adapter"
        found.append(compared(runs, says, "excess", "lora r=2", "houlsby"))
    for less, more in (pair for pair in LIGHTER if present.keys() >= set(pair)):
        found.append(noticed(f"{CALLED[less]} takes less memory than {CALLED[more]}", present[less], present[more], "peak_bytes"))
        found.append(noticed(f"{CALLED[less]} is faster than {CALLED[more]}", present[less], present[more], "ms_a_step"))
    if {"full", "lora"} <= present.keys():
        found.append(compared(runs, "LoRA forgets less than full fine-tuning", "forgotten", "lora", "full"))
        found += having_learned_as_much(runs, sweep)
    return [*found, trade_off(runs, present)] if "lora" in present else found


def share(row, low, high):
    called, said = CALLED[row["contestant"]], percent(low) + (f" to {percent(high)}" if high > low else "")
    inside = 0.9 * low <= row["share"] <= 1.1 * high  # to the digits that are said
    dials = f" with {row['dials']}" if row["dials"] else ""
    measured = f"Here {row['contestant']}{dials}: {percent(row['share'])}, {row['trainable']:,} numbers"
    return Verdict(f"{called} trains {said} of the parameters", measured, "agrees" if inside else "contradicts")


def compared(runs, says, measure, less, more):
    """Whether `less` has the lower value of a measure than `more`, over the seeds."""
    differences = by_seed(runs, measure, less, more)
    if differences is None:
        return Verdict(says, f"Here {less} or {more} has no finite loss", "cannot be told")
    words = {"excess": "held-out loss above best", "forgotten": "rise of the loss on stories"}[measure]
    means = [sum(column(runs, measure, contestant=name)) / len(differences) for name in (less, more)]
    seeds = "one seed" if len(differences) == 1 else f"{len(differences)} seeds"
    return Verdict(says, f"Here {words}: {less} {means[0]:.3f}, {more} {means[1]:.3f} nats a character, {seeds}", judged(differences))


def having_learned_as_much(runs, sweep):
    """LoRA against full fine-tuning at the rate of which all seeds were run, as a list: it is empty where none was."""
    seeds = set(column(runs, "seed", contestant="lora"))
    for rate in sorted(set(column(sweep, "learning_rate", contestant="full"))):
        gentle = [row for row in sweep if (row["contestant"], row["learning_rate"]) == ("full", rate)]
        if len(seeds) > 1 and set(column(gentle, "seed")) == seeds:
            rows = gentle + [row for row in runs if row["contestant"] == "lora"]
            losses = [sum(column(rows, "excess", contestant=name)) / len(seeds) for name in ("lora", "full")]
            says = (
                "LoRA forgets less than full fine-tuning that has learned as much "
                f"(at a rate of {rate:g}, losses {losses[0]:.3f} and {losses[1]:.3f})"
            )
            return [compared(rows, says, "forgotten", "lora", "full")]
    return []


def by_seed(runs, measure, one, other):
    """Seed by seed, one's value minus the other's; None if any is missing."""
    pairs = list(zip(*(column(runs, measure, contestant=name) for name in (one, other)), strict=True))
    return None if any(None in pair for pair in pairs) else [a - b for a, b in pairs]


def judged(differences):
    """Differences that should be negative -> agrees, contradicts, or cannot be told: one seed tells nothing about chance."""
    if len(differences) > 1 and below("", differences, 0).holds:
        return "agrees"
    return "contradicts" if len(differences) > 1 and above("", differences, 0).holds else "cannot be told"


def noticed(says, less, more, measure):
    """One measurement each, of memory or time."""
    less, more = less[measure], more[measure]
    if less is None or more is None:
        return Verdict(says, "Here it was not measured", "cannot be told")
    shown = f"{less / 1e6:.1f} and {more / 1e6:.1f} MB at the peak" if measure == "peak_bytes" else f"{less:.1f} and {more:.1f} ms a step"
    if abs(less - more) <= NOTICEABLE * more:
        return Verdict(says, f"Here {shown}, within {NOTICEABLE:.0%} of each other", "contradicts")
    return Verdict(says, f"Here {shown}", "agrees" if less < more else "contradicts")


def trade_off(runs, present):
    """Is any method of another family as good as LoRA, in the mean, and smaller, or no heavier and no slower?"""
    lora = present["lora"]
    as_good = [
        row
        for row in present.values()
        if not row["family"] and None not in (row["excess"], lora["excess"]) and row["excess"] <= lora["excess"]
    ]
    smaller = [row["contestant"] for row in as_good if row["trainable"] < lora["trainable"]]
    cheaper = [row["contestant"] for row in as_good if no_more(row, lora, "peak_bytes") and no_more(row, lora, "ms_a_step")]
    measured = (
        f"Here at least as good at the task in the mean: with fewer numbers {', '.join(smaller) or 'none'}, "
        f"with no more memory and no more time a step {', '.join(cheaper) or 'none'}"
    )
    one_seed = len(set(column(runs, "seed"))) == 1
    verdict = "contradicts" if smaller or cheaper else "agrees"
    return Verdict("LoRA is the best trade-off", measured, "cannot be told" if one_seed else verdict)


def no_more(row, other, measure):
    """Whether a row's memory or time is known and not noticeably above another's."""
    return None not in (row[measure], other[measure]) and row[measure] <= (1 + NOTICEABLE) * other[measure]


def percent(share):
    return f"{100 * share:.3g} %"
