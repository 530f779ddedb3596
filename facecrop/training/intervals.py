"""Confidence intervals by resampling persons: the pictures of one person are not independent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from facecrop.training.metrics import Floats, macro_f1

_CHUNK = 64
"""Resamples that are worked out together: 64 tables of 18 classes of 10,000 persons stay small."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a score would fall with other people of the same kind.

    Args:
        low: Lower end.
        score: Of the records as they are.
        high: Upper end.
    """

    low: float
    score: float
    high: float


def interval(
    truth: Tensor,
    chosen: Tensor,
    persons: Sequence[str] | NDArray[np.str_] | NDArray[np.int64],
    n_classes: int,
    *,
    metric: Callable[[NDArray[np.int64]], Floats] = macro_f1,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Return a percentile bootstrap interval over persons.

    As many persons as there are are drawn, with replacement, each with all of their records; the
    metric of each such set is computed, and the interval holds the middle `level` of them.
    Resampling records instead would treat seven pictures of one face as seven people, and the
    interval would be far too narrow.

    It says how the score varies with the people of the validation set; not with those of training,
    nor with the seed of the training.

    Args:
        truth: (N,) int64, -1 where unknown.
        chosen: (N,) int64.
        persons: (N,) name or number of each record's person.
        n_classes: C.
        metric: Of (…, C, C) confusion tables.
        n: Resamples.
        seed: Of the resampling.
        level: Share of the resamples inside, in (0, 1).

    Source:
        Field and Welsh 2007, "Bootstrapping clustered data", the cluster bootstrap; Efron's
        percentile interval.
    """
    known = (truth >= 0).numpy()
    _, person = np.unique(np.asarray(persons)[known], return_inverse=True)
    cell = truth.numpy()[known] * n_classes + chosen.cpu().numpy()[known]
    cells, cell = np.unique(cell, return_inverse=True)
    n_persons = int(person.max()) + 1 if len(person) else 0
    if not n_persons:
        return Interval(float("nan"), float("nan"), float("nan"))
    # Only the cells that occur: at most persons x records of one, not persons x C x C.
    # Floats, exact up to 2**53, since only they have a fast matrix product.
    counts = np.zeros((n_persons, len(cells)))
    np.add.at(counts, (person, cell), 1)

    def scores(times: NDArray[np.int64]) -> Floats:
        tables = np.zeros((len(times), n_classes * n_classes), np.int64)
        tables[:, cells] = times.astype(np.float64) @ counts
        return metric(tables.reshape(-1, n_classes, n_classes))

    rng = np.random.default_rng(seed)
    shares = np.full(n_persons, 1 / n_persons)
    drawn = np.concatenate(
        [
            scores(rng.multinomial(n_persons, shares, size=min(_CHUNK, n - start)))
            for start in range(0, n, _CHUNK)
        ]
    )
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    score = scores(np.ones((1, n_persons), np.int64))[0]
    return Interval(float(low), float(score), float(high))
