"""Whether two ways to train differ by more than their seeds explain: one rule, written out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np

RULE = (
    "better or worse: the mean difference of pairs with one seed is more than two standard errors\n"
    "from zero; of the row's own standard error and the one pooled over all rows, the larger counts"
)

_FACTOR = 2


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one way is from another, over pairs.

    Args:
        mean: Of the pairs.
        error: Standard error that counts for the verdict; nan if there is none.
        pairs: How many there are.
    """

    mean: float
    error: float
    pairs: int

    @property
    def verdict(self) -> str:
        """`better`, `worse`, `no difference shown`, or `too few pairs`."""
        if not self.error >= 0:
            return "too few pairs"
        if abs(self.mean) <= _FACTOR * self.error:
            return "no difference shown"
        return "better" if self.mean > 0 else "worse"


def pooled_deviation(differences: Sequence[Sequence[float]]) -> float:
    """Return the deviation of a difference around its row's mean, over all rows together.

    Three seeds say little about their own spread; many rows of three say more. nan if no row has
    two pairs.
    """
    squares = sum(float(np.var(row) * len(row)) for row in differences if row)
    free = sum(len(row) - 1 for row in differences if row)
    return sqrt(squares / free) if free else nan


def compared(row: Sequence[float], pooled: float) -> Difference:
    """Judge the differences of a row's pairs.

    Args:
        row: (P,) one for each pair.
        pooled: As `pooled_deviation` returns it; nan to go by the row alone.
    """
    if len(row) < 2:
        return Difference(float(np.mean(row)) if row else nan, nan, len(row))
    own = float(np.std(row, ddof=1))
    return Difference(
        float(np.mean(row)), float(np.nanmax([own, pooled])) / sqrt(len(row)), len(row)
    )


def paired(scores: Mapping[int, float], base: Mapping[int, float]) -> list[float]:
    """Return the differences of the seeds that both have, in the order of the seeds."""
    return [scores[seed] - base[seed] for seed in sorted(scores.keys() & base.keys())]
