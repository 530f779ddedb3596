"""How probable it is that an age is wrong: how a model sees people of that age, and sees this one.

Ages are numbers, not classes: somebody of 30 who looks 29 is no error though a border lies between.
"""

from dataclasses import dataclass
from math import lgamma, log, pi

import numpy as np
from numpy.typing import NDArray

from facecrop.checks.suspects import sample

_RATE = 0.05
"""Share of wrong ages at the start."""
_WORTH = 20.0
"""People that this guess is worth beside those that are seen."""
_FREEDOM = 6.0
"""Degrees of freedom of a model's error: with 6, large ones are rare but not unheard of."""
_STEPS = 100
_STILL = 1e-6
_BENDS = (0.2, 0.4, 0.6, 0.8)
"""Quantiles of the labels where the line from age to what is seen may bend."""
_HOLD, _HOLD_BEND = 0.001, 0.003
"""How strongly slopes and bends are held at nothing, for each person."""
_NEAR = 4.0
"""Years within which people are seen with about the same error."""
_LEAST_YEARS = 0.5
"""Nothing is seen better than labels in whole years."""
_SAME = 5
"""Years within which a wrong label would do no harm: it is not called wrong."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Years:
    """What is thought of P ages.

    Args:
        wrong: (P,) probability that the label is wrong.
        seen: (P,) age that is expected by the evidence, years.
        spread: (P,) standard deviation of what is expected, years.
        rate: Share of labels that are anybody's, some of them right by chance.
    """

    wrong: Floats
    seen: Floats
    spread: Floats
    rate: float


def doubt_years(features: Floats, given: Ints, looks: float = 2.0) -> Years:
    """Work out how probable it is that each age is wrong.

    The features are joined to one number, m: the best line to the ages. How m lies for people of
    each age is learnt, a bent line and an error of Student's kind whose scale depends on the age.
    A wrong label is anybody's age, so it is the more probable the less m is like that of people
    of this age, p(m | age), and the more it is like anybody's, p(m). A model that sees nothing
    sees the same in everybody, and raises no doubt. All is found together by expectation
    maximisation, so that wrong ages bend no line.

    Args:
        features: (P, F) what speaks for a higher age, such as predicted ages; NaN where unknown,
            at least one of a person is not.
        given: (P,) labels, years.
        looks: Years by which people look older or younger than they are, whatever a model sees of
            them; more where the evidence is that of age groups, which changes in steps.

    Source:
        Lange, Little and Taylor 1989, "Robust Statistical Modeling Using the t Distribution": the
        weights of the residuals. The second component, of wrong labels, and the local scale are
        ours.
    """
    some = sample(len(given))
    filled = _filled(features)
    years = np.arange(given.min(), given.max() + 1)
    place = given - years[0]
    lines = _bent(years, np.quantile(given[some], _BENDS))
    of, ages, at = filled[some], given[some].astype(np.float64), place[some]
    right, small = np.full(len(some), 1 - _RATE), np.ones(len(some))
    rate, scale = _RATE, np.ones(len(years))
    weights, middle, usual = np.zeros(0), np.zeros(0), np.zeros(0)
    for _ in range(_STEPS):
        weights = _fit(of, ages, right)
        m = of @ weights
        middle = lines @ _fit(lines[at], m, right * small / scale[at] ** 2)
        error = m - middle[at]
        counts = _sums(at, right, len(years))
        squares = _sums(at, right * small * error**2, len(years))
        scale = _local(years, counts, squares)
        small = (_FREEDOM + 1) / (_FREEDOM + (error / scale[at]) ** 2)
        usual = counts / counts.sum()
        right = 1 - _anybody(_likelihoods(m, middle, scale, looks), at, usual, rate)
        before, rate = rate, (len(some) - right.sum() + _RATE * _WORTH) / (len(some) + _WORTH)
        if abs(rate - before) < _STILL:
            break
    likely = _likelihoods(filled @ weights, middle, scale, looks)
    own = likely * usual
    own /= np.maximum(own.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    seen = own @ years
    spread = np.sqrt(np.maximum(own @ years**2 - seen**2, 0))
    wrong = _anybody(likely, place, usual, rate) * _elsewhere(own, place)
    return Years(wrong, seen, spread, float(rate))


def _filled(features: Floats) -> Floats:
    """Return 1 and the features of mean 0 and deviation 1; an unknown one is the others' mean."""
    deviation = np.nanstd(features, axis=0)
    scaled = (features - np.nanmean(features, axis=0)) / np.where(deviation > 0, deviation, 1)
    known = np.isfinite(scaled)
    own = np.where(known, scaled, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    filled = np.where(known, scaled, own[:, None])
    return np.concatenate([np.ones((len(filled), 1)), filled], axis=1)


def _bent(years: Ints, bends: Floats) -> Floats:
    """Return (Y, 2 + B): 1, each year, and how far it lies above each bend."""
    scaled, bends = years / 10, np.unique(bends) / 10
    above = np.maximum(0, scaled[:, None] - bends)
    return np.concatenate([np.ones((len(years), 1)), scaled[:, None], above], axis=1)


def _fit(design: Floats, values: Floats, weight: Floats) -> Floats:
    """Return the coefficients of weighted least squares; the first column of the design is 1."""
    hold = np.full(design.shape[1], _HOLD_BEND)
    hold[:2] = 0, _HOLD
    share = weight / weight.sum()
    weighed = design * share[:, None]
    return np.asarray(
        np.linalg.solve(weighed.T @ design + np.diag(hold), weighed.T @ values), np.float64
    )


def _local(years: Ints, counts: Floats, squares: Floats) -> Floats:
    """Return (Y,) the scale of the error at each age, in units of m."""
    near = np.exp(-0.5 * ((years[:, None] - years) / _NEAR) ** 2)
    overall = squares.sum() / counts.sum()
    local = (near @ squares + _WORTH * overall) / (near @ counts + _WORTH)
    return np.asarray(np.maximum(np.sqrt(local), _LEAST_YEARS), np.float64)


def _sums(at: Ints, values: Floats, count: int) -> Floats:
    return np.asarray(np.bincount(at, values, count), np.float64)


def _likelihoods(m: Floats, middle: Floats, scale: Floats, looks: float) -> Floats:
    """Return (P, Y): the density of what is seen, for people of each age."""
    half = (_FREEDOM + 1) / 2
    top = lgamma(half) - lgamma(_FREEDOM / 2) - 0.5 * log(_FREEDOM * pi)
    distance = (m[:, None] - middle) / scale
    density = np.exp(top - np.log(scale) - half * np.log1p(distance**2 / _FREEDOM))
    years = np.arange(len(middle))
    alike = np.exp(-0.5 * ((years[:, None] - years) / looks) ** 2)
    return np.asarray(density @ (alike / alike.sum(axis=0)), np.float64)


def _anybody(likely: Floats, place: Ints, usual: Floats, rate: float) -> Floats:
    """Return (P,) the probability that a label is anybody's rather than the person's own."""
    own = likely[np.arange(len(place)), place] * (1 - rate)
    anybody = likely @ usual * rate
    return np.asarray(anybody / (own + anybody), np.float64)


def _elsewhere(own: Floats, place: Ints) -> Floats:
    """Return (P,) the share of the ages that somebody may have, (P, Y), that is not near a place.

    Also a label that is anybody's may happen to be nearly right.
    """
    joint = np.concatenate([np.zeros((len(place), 1)), np.cumsum(own, axis=1)], axis=1)
    first = np.maximum(place - _SAME, 0)
    last = np.minimum(place + _SAME + 1, own.shape[1])
    people = np.arange(len(place))
    near = joint[people, last] - joint[people, first]
    return np.asarray(np.clip(1 - near, 0, 1), np.float64)
