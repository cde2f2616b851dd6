"""What a claim is, and where the tables come from that answer it."""

from collections.abc import Callable
from dataclasses import dataclass

from minilora import lab
from minilora.lab.table import column, stored
from minilora.transformer import Config

HOLDS, CONDITION, NOT_HERE, UNSEEN = "holds", "holds with a condition", "does not hold here", "cannot be seen at this size"
VERDICTS = {
    HOLDS: "as it is said",
    CONDITION: "true in part, or under a condition that the account leaves out",
    NOT_HERE: "what was measured or counted says otherwise",
    UNSEEN: "nothing that fits this project could show it or refute it",
}
COMPARISON, FOOTPRINT, SWEEP = COMPARED = "compare", "compare.footprint", "compare.sweep"  # no experiment's: minilora compare makes them

PAPER = ".paper"  # ends the name of a table at that preset


@dataclass(frozen=True)
class Answer:
    verdict: str
    measured: str  # sentences, with their numbers
    size: str  # of what was measured or counted


@dataclass(frozen=True)
class Claim:
    """`says` is the claim in our words; `tables` are the experiments that `answer` reads; `command` shows what no table does."""

    number: int
    says: str
    tables: tuple
    command: str | None
    answer: Callable  # tables, name -> rows, -> Answer

    @property
    def commands(self):
        """What to run, to see for oneself."""
        runs = [
            "minilora compare" if name in COMPARED else f"minilora experiment {name}".replace(PAPER, " --preset paper")
            for name in self.tables
        ]
        return list(dict.fromkeys([self.command] * bool(self.command) + runs))


HERE = Config()  # the dimensions of stories-base
CLAIMS = {}


def claim(number, says, *tables, command=None):
    """Enter the decorated function, tables -> Answer, as a claim."""

    def enter(answer):
        CLAIMS[number] = Claim(number, says, tables, command, answer)
        return answer

    return enter


def find(number):
    """The claim of this number. ValueError if there is none."""
    if number not in CLAIMS:
        raise ValueError(f"there is no claim {number}; they are numbered from {min(CLAIMS)} to {max(CLAIMS)}")
    return CLAIMS[number]


def told_size(rows, what="stories-base, half a million numbers"):
    seeds = len(set(column(rows, "seed")))
    return f"{what}; {seeds} seeds" if seeds > 1 else f"{what}; one seed"


def stored_tables(names):
    """Name -> rows, of tables that come with the package: "rank" at preset class, "rank.paper" at paper. FileNotFoundError for others."""
    presets = {name: ("full" if name in COMPARED else "class") for name in names}
    return {name: stored(name.removesuffix(PAPER), "paper" if name.endswith(PAPER) else preset) for name, preset in presets.items()}


def run_tables(names, preset, seeds, jobs):
    """Name -> rows, measured now; what takes longer, the comparison and the tables of preset paper, is what comes with the package."""
    kept = stored_tables([name for name in names if name in COMPARED or name.endswith(PAPER)])
    return {name: kept[name] if name in kept else lab.find(name).run(preset, tuple(range(seeds)), jobs) for name in names}
