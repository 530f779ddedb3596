"""How probable it is that two pictures of a person bear each other's label."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facecrop.checks.suspects import Doubt, doubt

_RATE = 0.005
"""Share of people with a pair of exchanged labels, of each two labels, at the start."""
_WORTH = 20.0
"""People that this guess is worth beside those that are seen."""
_STEPS = 100
_STILL = 1e-7
_LIKELY = 0.5
_MOST = 64
"""Pictures of a person beyond which it is no person's profile, and no pair is looked for."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Swaps:
    """Pairs of pictures of one person with different labels.

    Args:
        pairs: (M, 2) places among the N pictures.
        exchanged: (M,) probability that each bears the other's label.
        wrong: (N,) probability that a picture's label is wrong all by itself.
        truth: (N, C) probability of each class by the measurements alone.
    """

    pairs: Ints
    exchanged: Floats
    wrong: Floats
    truth: Floats


def doubt_pairs(log_p: Floats, given: Ints, person: Ints) -> Swaps:
    """Weigh, for each person: all labels are right but for single errors, or two are exchanged.

    An exchange explains two errors by one cause. So it is judged by what both pictures say
    together, and single errors are counted anew without the pictures that an exchange explains.

    Args:
        log_p: (N, C) of each picture, mean 0 over the classes.
        given: (N,) labels, in [0, C).
        person: (N,) in [0, P).
    """
    pairs = _pairs(given, person)
    features = log_p[:, None, :]
    single = doubt(features, given)
    # Exchanges that are counted as single errors would explain themselves by the noise they make.
    apparent = _of_pictures(pairs, _reversed(single, pairs, given), len(given)) > _LIKELY
    if apparent.any() and not apparent.all():
        single = _without(features, given, apparent, single)
    exchanged = _exchanged(single, pairs, given, person)
    explained = _of_pictures(pairs, exchanged, len(given))
    return Swaps(pairs, exchanged, single.wrong * (1 - explained), single.truth)


def _reversed(single: Doubt, pairs: Ints, given: Ints) -> Floats:
    """Return (M,) 1 for each pair that looks more like each other's label than like its own."""
    one, other = pairs.T
    truth = single.truth
    swapped = truth[one, given[other]] * truth[other, given[one]]
    as_given = truth[one, given[one]] * truth[other, given[other]]
    return np.asarray(swapped > as_given, np.float64)


def _without(features: Floats, given: Ints, left_out: NDArray[np.bool_], before: Doubt) -> Doubt:
    """Return the doubt with what is learnt from the other pictures alone.

    A picture that is left out is judged as it was before, but by the noise of the others.
    """
    clean = doubt(features[~left_out], given[~left_out])
    truth = before.truth.copy()
    truth[~left_out] = clean.truth
    joint = truth * clean.noise[:, given].T
    own = joint[np.arange(len(given)), given]
    total = joint.sum(axis=1)
    wrong = 1 - np.divide(own, total, out=np.ones(len(given)), where=total > 0)
    return Doubt(np.clip(wrong, 0, 1), truth, clean.noise)


def _pairs(given: Ints, person: Ints) -> Ints:
    """Return (M, 2): every two pictures of a person with different labels."""
    order = np.argsort(person, kind="stable")
    order = order[np.bincount(person)[person[order]] <= _MOST]
    found = [np.zeros((0, 2), np.int64)]
    for apart in range(1, _MOST):
        ahead, behind = order[:-apart], order[apart:]
        same = person[ahead] == person[behind]
        if not same.any():
            break
        differ = same & (given[ahead] != given[behind])
        found.append(np.stack([ahead[differ], behind[differ]], axis=1))
    return np.concatenate(found)


def _exchanged(single: Doubt, pairs: Ints, given: Ints, person: Ints) -> Floats:
    """Return (M,) the probability of each exchange; at most one of a person is thought of."""
    if not len(pairs):
        return np.zeros(0)
    one, other = pairs.T
    alone = np.maximum((single.truth * single.noise[:, given].T).sum(axis=1), np.finfo(float).tiny)
    both = single.truth[one, given[other]] * single.truth[other, given[one]]
    ratio = both / (alone[one] * alone[other])
    labels = np.sort(np.stack([given[one], given[other]]), axis=0)
    _, sort = np.unique(labels, axis=1, return_inverse=True)
    sort = sort.ravel()
    owner = person[one]
    # A person's chance of an exchange is shared by all pairs that have the same two labels.
    cell = owner * (int(sort.max()) + 1) + sort
    _, cell, size = np.unique(cell, return_inverse=True, return_counts=True)
    ratio = ratio / size[cell]
    people = int(person.max()) + 1
    count = len(np.unique(owner))
    rate = np.full(int(sort.max()) + 1, _RATE)
    found = np.zeros(len(pairs))
    for _ in range(_STEPS):
        odds = ratio * rate[sort]
        found = odds / (np.bincount(owner, odds, people) + 1 - rate.sum())[owner]
        before, rate = rate, np.bincount(sort, found, len(rate))
        rate = (rate + _RATE * _WORTH) / (count + _WORTH)
        if np.abs(rate - before).max() < _STILL:
            break
    return np.asarray(found, np.float64)


def _of_pictures(pairs: Ints, exchanged: Floats, count: int) -> Floats:
    """Return (N,) the probability that a picture is one of an exchanged pair."""
    whole = np.bincount(pairs.ravel(), np.repeat(exchanged, 2), count)
    return np.asarray(np.clip(whole, 0, 1), np.float64)
