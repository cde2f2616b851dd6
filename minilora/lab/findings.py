"""What an experiment found: a sentence, the number behind it, and whether it holds by a margin that chance does not make.

A finding over seeds holds if the mean is on the right side of the bound and at least three standard deviations away from it; one that is
exact, or about a single number, is compared as it is.
"""

from dataclasses import dataclass

import numpy as np

MARGIN = 3  # standard deviations over seeds


@dataclass(frozen=True)
class Finding:
    """`value` is the mean over `seeds` seeds and `spread` their standard deviation; `relation` is one of < > =."""

    says: str
    value: float
    spread: float
    seeds: int
    relation: str
    bound: float
    holds: bool

    def __str__(self):
        spread = f" +- {self.spread:.2g} over {self.seeds} seeds" if self.seeds > 1 else ""
        return f"{'holds' if self.holds else 'DOES NOT HOLD'}: {self.says}: {self.value:.4g}{spread} {self.relation} {self.bound:.4g}"


def how_to_read(preset, seeds):
    """What the findings of a run are worth, in one line."""
    rule = f"holds: on the right side of the bound and, over seeds, at least {MARGIN} standard deviations (+-) away from it"
    worth = rule if seeds > 1 else "one seed: no spread, so that nothing is settled but what is exact"
    return f"{worth}; preset smoke proves only that the experiment runs" if preset == "smoke" else worth


def below(says, values, bound):
    """One value for each seed, all of which should be under the bound -> Finding."""
    return _over_seeds(says, values, "<", bound, bound - np.mean(values))


def above(says, values, bound):
    """One value for each seed, all of which should be over the bound -> Finding."""
    return _over_seeds(says, values, ">", bound, np.mean(values) - bound)


def exactly(says, value, wanted, tolerance=0.0):
    """A number that theory gives -> Finding."""
    return Finding(says, float(value), 0.0, 1, "=", float(wanted), bool(abs(value - wanted) <= tolerance))


def _over_seeds(says, values, relation, bound, distance):
    spread = float(np.std(values, ddof=1)) if np.size(values) > 1 else 0.0
    holds = bool(distance > 0 and distance >= MARGIN * spread)
    return Finding(says, float(np.mean(values)), spread, int(np.size(values)), relation, float(bound), holds)
