"""Dealing groups into folds so that every fold looks like the whole: a small deterministic solver.

scikit-learn's StratifiedGroupKFold deals greedily, once, by the spread of class counts; it leaves
folds without a class although there would be one for each, and on skewed groups one fold may hold
nearly everything. Here the greedy deal is followed by a local search on what a user cares about:
first that no fold lacks a class, then the largest deviation of any class share and of the sizes.

All comparisons are made on whole numbers, so that every machine finds the same answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Folds = NDArray[np.int64]

_UNIT = 1 << 20
"""Shares are compared in millionths, so that sums are exact on every machine."""
_SHARE_WEIGHT = 4
"""A fold a little too large does less harm than one whose classes are not those of the whole."""
_SLACK = 0.0005
"""What the share may be worse by than a plain deal's if all else is better."""
_MANY = 1000
"""Equal groups, from which on dealing them one by one takes too long."""
_ROUNDS = 400
_KINDS = 256
"""Kinds of groups that one round of the search looks at."""
_PARTNERS = 24
"""Kinds on either side of the exchanges that one round looks at."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far folds are from the whole.

    Args:
        missing: Pairs of a fold and a class that is not in it although it is in the data.
        share: Largest difference between a class's share of a fold and its share of the whole.
        size: Largest difference between a fold's share of the whole and the wanted one.
    """

    missing: int
    share: float
    size: float


def deviation(folds: Counts, shares: NDArray[np.float64]) -> Deviation:
    """Measure what each fold holds against the whole.

    Args:
        folds: (K, C) how much of each class each fold holds.
        shares: (K,) wanted share of each fold; they sum to 1.
    """
    missing, share, size, _ = (int(term[0]) for term in _terms(folds[None], shares))
    return Deviation(missing, share / _UNIT, size / _UNIT)


def deal(
    counts: Counts,
    shares: NDArray[np.float64],
    ranks: NDArray[np.int64],
    held: Counts | None = None,
) -> Folds:
    """Deal groups into folds.

    Args:
        counts: (G, C) how much of each class each group holds, never negative.
        shares: (K,) wanted share of each fold; they sum to 1.
        ranks: (G,) a permutation; decides between groups that hold the same.
        held: (K, C) what folds hold already and keep.

    Returns:
        (G,) the fold of each group. No fold is empty if there are as many groups as empty folds.
    """
    kinds, kind = np.unique(counts, axis=0, return_inverse=True)
    return deal_kinds(kinds, kind.reshape(-1), shares, ranks, held)


def deal_kinds(
    kinds: Counts,
    kind: Folds,
    shares: NDArray[np.float64],
    ranks: NDArray[np.int64],
    held: Counts | None = None,
) -> Folds:
    """Deal groups as `deal` does, given which of them hold the same.

    Args:
        kinds: (T, C) the different rows of the counts, in order; each occurs.
        kind: (G,) which of them each group's is.
        shares: As in `deal`.
        ranks: Likewise.
        held: Likewise.
    """
    n_folds, n_classes = len(shares), kinds.shape[1]
    held = np.zeros((n_folds, n_classes), np.int64) if held is None else held
    sizes = np.bincount(kind, minlength=len(kinds))
    total = held.sum(axis=0) + sizes @ kinds
    plain, fitted = (_Deal(kinds, sizes, held, shares) for _ in range(2))
    plain.start(_evenly_spread, kinds.std(axis=1), _MANY)
    fitted.start(_towards_due, (kinds / np.maximum(total, 1)).max(axis=1))
    limit = deviation(plain.now, shares).share
    best = min((tried.improve(limit) for tried in (plain, fitted)), key=lambda tried: tried.score)
    return best.folds(kind, ranks)


Gain = Callable[[Counts, NDArray[np.int64], Counts, NDArray[np.float64]], NDArray[np.int64]]
Score = tuple[int, ...]


class _Deal:
    """How many groups of each kind each fold holds; which ones they are is settled last.

    Args:
        kinds: (T, C) the different rows of the counts.
        sizes: (T,) how many groups there are of each.
        held: (K, C) what the folds hold already.
        shares: (K,) wanted share of each fold.
    """

    def __init__(
        self, kinds: Counts, sizes: Folds, held: Counts, shares: NDArray[np.float64]
    ) -> None:
        self.kinds, self.sizes, self.shares = kinds, sizes, shares
        self.now = held.copy()
        self.total = held.sum(axis=0) + sizes @ kinds
        self.placed: Counts = np.zeros((len(shares), len(kinds)), np.int64)
        self.score: Score = ()

    def start(self, gain: Gain, weight: NDArray[np.float64], at_once: int = 1) -> None:
        """Deal groups where they fit, weightiest first.

        Args:
            gain: What a fold that a group would go to should have least of.
            weight: (T,) of each kind.
            at_once: Of so many equal groups, what divides evenly is dealt without looking.
        """
        bulk = np.where(self.sizes >= at_once, self.sizes, 0)
        self.placed += np.floor(self.shares[:, None] * bulk + 1 / _UNIT).astype(np.int64)
        self.placed[self.shares.argmax()] -= np.maximum(self.placed.sum(axis=0) - self.sizes, 0)
        self.now += self.placed @ self.kinds
        rest = self.sizes - self.placed.sum(axis=0)
        first = -np.rint(weight * _UNIT)
        for kind in np.lexsort((np.arange(len(rest)), -self.kinds.sum(axis=1), first)).tolist():
            for _ in range(rest[kind]):
                fold = int(gain(self.now, self.kinds[kind], self.total, self.shares).argmin())
                self.now[fold] += self.kinds[kind]
                self.placed[fold, kind] += 1

    def improve(self, limit: float) -> Self:
        """Move or exchange groups as long as that makes the folds better.

        Args:
            limit: A deviation of class shares that is only passed for a class less missing.
        """
        self.score = tuple(_scores(self.now[None], self.shares, limit)[:, 0].tolist())
        for turn in range(_ROUNDS):
            moves = self._moves(turn)
            if not len(moves):
                break
            given, taken, source, target = moves.T
            change = self.kinds[given] - np.where(taken[:, None] >= 0, self.kinds[taken], 0)
            cases = np.repeat(self.now[None], len(moves), axis=0)
            every = np.arange(len(moves))
            cases[every, source] -= change
            cases[every, target] += change
            scores = _scores(cases, self.shares, limit)
            first = int(np.lexsort(scores[::-1])[0])
            score: Score = tuple(scores[:, first].tolist())
            if score >= self.score:
                break
            self.score, self.now = score, cases[first]
            self._carry_out(*moves[first].tolist())
        return self

    def _carry_out(self, given: int, taken: int, source: int, target: int) -> None:
        self.placed[source, given] -= 1
        self.placed[target, given] += 1
        if taken >= 0:
            self.placed[target, taken] -= 1
            self.placed[source, taken] += 1

    def _moves(self, turn: int) -> NDArray[np.int64]:
        """Return what may be tried: (M, 4) kind given, kind taken or -1, from fold, to fold."""
        single = [
            (kind, -1, source, target)
            for kind in _some(np.arange(len(self.kinds)), _KINDS, turn)
            for source in np.flatnonzero(self.placed[:, kind]).tolist()
            for target in range(len(self.shares))
            if target != source
        ]
        worst = self._worst()
        mine = _some(np.flatnonzero(self.placed[worst]), _PARTNERS, turn)
        exchanges = [
            (given, taken, worst, other)
            for other in range(len(self.shares))
            if other != worst
            for taken in _some(np.flatnonzero(self.placed[other]), _PARTNERS, turn)
            for given in mine
            if given != taken
        ]
        return np.array(single + exchanges, np.int64).reshape(-1, 4)

    def _worst(self) -> int:
        """Return the fold that deviates most in any share."""
        whole = max(int(self.total.sum()), 1)
        sizes = self.now.sum(axis=1)
        share = np.abs(self.now / np.maximum(sizes, 1)[:, None] - self.total / whole).max(axis=1)
        units = np.rint(np.maximum(share, np.abs(sizes / whole - self.shares)) * _UNIT)
        return int(units.argmax())

    def folds(self, kind: Folds, ranks: NDArray[np.int64]) -> Folds:
        """Return each group's fold, (G,): the groups of a kind go in the order of their ranks."""
        order = np.lexsort((ranks, kind))
        n_folds, n_kinds = self.placed.shape
        result = np.empty(len(order), np.int64)
        result[order] = np.repeat(np.tile(np.arange(n_folds), n_kinds), self.placed.T.reshape(-1))
        return result


def _towards_due(
    now: Counts, kind: NDArray[np.int64], total: Counts, shares: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return how much farther from its due each fold would be with a group, squared, (K,)."""
    scale = _UNIT / shares[:, None]
    classes = (2 * (now - shares[:, None] * total) + kind) * kind / np.maximum(total, 1)
    size, whole = kind.sum(), max(int(total.sum()), 1)
    sizes = (2 * (now.sum(axis=1) - shares * whole) + size) * size / whole
    gain = np.concatenate([classes, sizes[:, None]], axis=1) * scale
    return np.asarray(np.rint(gain).astype(np.int64).sum(axis=1))


def _evenly_spread(
    now: Counts, kind: NDArray[np.int64], total: Counts, shares: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return how unevenly the classes would lie if a group went into each fold, (K,).

    This is the measure of StratifiedGroupKFold: the mean over classes of the standard deviation
    over folds, here of what each fold has of its due.
    """
    n_folds = len(shares)
    cases = np.repeat(now[None], n_folds, axis=0)
    cases[np.arange(n_folds), np.arange(n_folds)] += kind
    spread = (cases / (np.maximum(total, 1) * shares[:, None])).std(axis=1)
    return np.asarray(np.rint(spread * _UNIT).astype(np.int64).sum(axis=1))


Terms = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def _terms(folds: Counts, shares: NDArray[np.float64]) -> Terms:
    """Return missing classes, largest deviations of share and size, and the sum of their squares.

    Args:
        folds: (M, K, C) what the folds would hold, in M cases.
        shares: (K,) wanted share of each fold.

    Returns:
        Four arrays (M,) of int64; deviations in 1/_UNIT.
    """
    total = folds.sum(axis=1, keepdims=True)
    sizes = folds.sum(axis=2, keepdims=True)
    whole = np.maximum(total.sum(axis=2, keepdims=True), 1)
    missing = ((folds == 0) & (total > 0)).sum(axis=(1, 2))
    share = np.abs(folds / np.maximum(sizes, 1) - total / whole)
    size = np.abs(sizes / whole - shares[:, None])[..., 0]
    share_units = np.rint(share * _UNIT).astype(np.int64)
    size_units = np.rint(size * _UNIT).astype(np.int64)
    squares = (share_units**2).sum(axis=(1, 2)) + (size_units**2).sum(axis=1)
    return missing, share_units.max(axis=(1, 2)), size_units.max(axis=1), squares


def _scores(folds: Counts, shares: NDArray[np.float64], limit: float) -> NDArray[np.int64]:
    """Return what is compared, most important first: (5, M)."""
    missing, share, size, squares = _terms(folds, shares)
    empty = (folds.sum(axis=2) == 0).sum(axis=1)
    over = np.maximum(share - round((limit + _SLACK) * _UNIT), 0)
    return np.stack([empty, missing, over, _SHARE_WEIGHT * share + size, squares])


def _some(values: NDArray[np.int64], limit: int, turn: int) -> list[int]:
    """Return at most so many of the values, others at each turn."""
    if len(values) <= limit:
        return list(values.tolist())
    start = turn * limit % len(values)
    return list(np.take(values, np.arange(start, start + limit), mode="wrap").tolist())
