"""Age in years: how a head says it, what it is taught, and which age groups follow from it."""

from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from facecrop.training.settings.model import ModelSettings

_HALF_YEAR = 0.5
_TINY = torch.finfo(torch.float32).tiny


class Years(Protocol):
    """One way to model an age in years; the groups of any cuts can be read from it."""

    @property
    def width(self) -> int:
        """Numbers that the head says."""

    @property
    def is_distribution(self) -> bool:
        """Whether a target row is a distribution over classes (single years)."""

    def targets(self, ages: Tensor) -> Tensor:
        """Return (N, width) float32 of (N,) float32 ages in years, NaN where unknown."""

    def mean(self, logits: Tensor) -> Tensor:
        """Return (N,) float32, the expected age in years, of (N, width) logits."""

    def groups(self, logits: Tensor, cuts: tuple[int, ...]) -> Tensor:
        """Return (N, G) float32, the log-probability of each group between cuts.

        Args:
            logits: (N, width) float32.
            cuts: G - 1 first years of the groups after the first, increasing.
        """


class Regression:
    """One number, the age in years, with a normal error around it.

    Args:
        sigma: Standard deviation of the error, in years. It is a setting and not learnt: only the
            probabilities depend on it, never the age, and the most probable group only where a
            group is hardly wider than sigma.
    """

    width = 1
    is_distribution = False

    def __init__(self, sigma: float) -> None:
        self.sigma = sigma

    def targets(self, ages: Tensor) -> Tensor:
        """Return (N, 1), the age itself; NaN where unknown."""
        return ages.unsqueeze(1)

    def mean(self, logits: Tensor) -> Tensor:
        """Return the number that the head says."""
        return logits[:, 0]

    def groups(self, logits: Tensor, cuts: tuple[int, ...]) -> Tensor:
        """Return the normal distribution's mass between the cuts.

        An age of 59 stands for 58.5 to 59.5 years, so a group ends half a year before the cut.
        """
        # Double precision: a mass far out in the tail is a difference of nearly equal numbers.
        edges = torch.tensor(cuts, dtype=torch.float64, device=logits.device) - _HALF_YEAR
        distance = (edges - logits.double()) / self.sigma  # (N, G - 1)
        # Each difference is taken on the side of the mean where the masses are small.
        below, above = torch.special.ndtr(distance), torch.special.ndtr(-distance)
        inner = torch.where(
            distance[:, :-1] > 0, above[:, :-1] - above[:, 1:], below[:, 1:] - below[:, :-1]
        )
        return _log(torch.cat([below[:, :1], inner, above[:, -1:]], dim=1))


class Distribution:
    """A probability for each year, taught as a normal curve around the true one.

    Args:
        first: First year; younger ones count as it.
        last: Last year; older ones count as it.
        sigma: Width of the curve, in years.

    Source:
        Gao, Xing, Xie, Wu and Geng 2017, "Deep Label Distribution Learning with Label Ambiguity",
        arXiv:1611.01731. Any loss of probability rows trains it (theirs: Kullback-Leibler, which is
        cross-entropy up to a constant); the age is the expectation, as they answer it.
    """

    is_distribution = True

    def __init__(self, first: int, last: int, sigma: float) -> None:
        self.first, self.last, self.sigma = first, last, sigma
        self.width = last - first + 1

    def targets(self, ages: Tensor) -> Tensor:
        """Return (N, width) rows that sum to 1; zeros where the age is unknown."""
        years = torch.arange(self.first, self.last + 1, dtype=torch.float32)
        distance = (years - ages.clamp(self.first, self.last).unsqueeze(1)) / self.sigma
        rows = (-distance.square() / 2).softmax(dim=1)
        return torch.where(ages.isnan().unsqueeze(1), 0.0, rows)

    def mean(self, logits: Tensor) -> Tensor:
        """Return the mean of the distribution."""
        years = torch.arange(self.first, self.last + 1, device=logits.device)
        return logits.softmax(dim=1) @ years.to(logits)

    def groups(self, logits: Tensor, cuts: tuple[int, ...]) -> Tensor:
        """Return the sum of the years of each group."""
        p = logits.softmax(dim=1)
        starts = [min(max(cut - self.first, 0), self.width) for cut in cuts]
        edges = [0, *starts, self.width]
        spans = [p[:, start:end].sum(dim=1) for start, end in pairwise(edges)]
        return _log(torch.stack(spans, dim=1))


class Thresholds:
    """For each year but the first: is the person at least that old?

    Args:
        first: First year; younger ones count as it.
        last: Last year; older ones count as it.

    Source:
        Cao, Mirjalili and Raschka 2020, "Rank Consistent Ordinal Regression for Neural Networks
        with Application to Age Estimation", arXiv:1901.07884. They count the thresholds above one
        half; ours sums the probabilities, which is the expected age.
    """

    is_distribution = False

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self.width = last - first

    def targets(self, ages: Tensor) -> Tensor:
        """Return (N, width) of 1 (as old as that, or older) and 0; NaN where unknown."""
        years = torch.arange(self.first + 1, self.last + 1, dtype=torch.float32)
        rows = (ages.unsqueeze(1) >= years).float()
        return torch.where(ages.isnan().unsqueeze(1), torch.nan, rows)

    def mean(self, logits: Tensor) -> Tensor:
        """Return the first year plus the expected number of thresholds passed."""
        return self.first + self._at_least(logits).sigmoid().sum(dim=1)

    def groups(self, logits: Tensor, cuts: tuple[int, ...]) -> Tensor:
        """Return the differences of the probabilities at the cuts."""
        logits = self._at_least(logits).double()
        always = logits.new_full((len(logits), 1), torch.inf)
        at_least = torch.cat([always, logits, -always], dim=1)  # column j: of the year first + j
        columns = [min(max(cut - self.first, 0), self.width + 1) for cut in cuts]
        edges = torch.cat([always, at_least[:, columns], -always], dim=1)  # (N, G + 1)
        upper, lower = edges[:, :-1], edges[:, 1:]
        # As in Regression: the difference on the side where both are small.
        mass = torch.where(
            lower > 0,
            (-lower).sigmoid() - (-upper).sigmoid(),
            upper.sigmoid() - lower.sigmoid(),
        )
        return _log(mass)

    @staticmethod
    def _at_least(logits: Tensor) -> Tensor:
        # A head whose thresholds have weights of their own can contradict itself; a higher
        # threshold is never passed more surely than a lower one.
        return logits.cummin(dim=1).values


def years_of(settings: ModelSettings) -> Years | None:
    """Return how a network models age in years; None where it knows age groups alone."""
    first, last = settings.age_range
    match settings.age:
        case "regression":
            return Regression(settings.age_sigma)
        case "coral":
            return Thresholds(first, last)
        case "distribution":
            return Distribution(first, last, settings.age_sigma)
        case "classes":
            return None


def _log(p: Tensor) -> Tensor:
    """Return logarithms that are never -inf, so that their means and sums stay finite."""
    return p.clamp_min(_TINY).log().float()
