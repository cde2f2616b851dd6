"""The ledger as a page of Markdown, the same each time: docs/claims.md."""

from collections import Counter

from minilora.lab.ledger.claim import VERDICTS

HEAD = """\
# What is said about LoRA, and what came out

The common account of LoRA makes {count} claims. Each was counted or measured here. This page is written by
`minilora claims --write docs/claims.md` from the tables in `minilora/lab/tables` and from arithmetic done on the spot;
`minilora claims --run` measures again. Measured means: on one CPU, mostly with the half a million numbers of `stories-base`. Counted means:
at any size.

"""


def page(answers):
    """answers: claim -> Answer -> the page."""
    counts = Counter(answer.verdict for answer in answers.values())
    lines = [HEAD.format(count=len(answers)) + "| verdict | means | claims |", "|---|---|---|"]
    lines += [f"| {verdict} | {meaning} | {counts[verdict]} |" for verdict, meaning in VERDICTS.items()]
    lines += ["", "| # | claim | verdict |", "|---|---|---|"]
    lines += [f"| [{claim.number}](#claim-{claim.number}) | {claim.says} | {answer.verdict} |" for claim, answer in answers.items()]
    for claim, answer in answers.items():
        lines += [
            "",
            f"## Claim {claim.number}",
            "",
            f"> {claim.says}",
            "",
            f"**{answer.verdict[0].upper()}{answer.verdict[1:]}.** {answer.measured}",
        ]
        lines += ["", f"- Size: {answer.size}", "- Run: " + ", ".join(f"`{command}`" for command in claim.commands)]
    return "\n".join(lines) + "\n"
