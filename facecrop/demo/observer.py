"""The ideal observer: what can be known of a person from the cues, and how well."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from facecrop.demo.people import (
    AGES,
    COUNTS,
    CUES,
    F64,
    FILES,
    OFFICIAL_CUTS,
    WAYS,
    Person,
    Wear,
    cue_means,
    draw_person,
)
from facecrop.index import AGE_GROUPS, GENDERS, MASKS

Cuts = tuple[int, int]

_POPULATION = 4000
_POPULATION_SEED = 60_000_001  # not a seed that anybody draws pictures with
_CELLS = len(GENDERS) * len(AGE_GROUPS)
_PRIOR_MASK = np.array([list(FILES.values()).count(mask) / len(FILES) for mask in MASKS])
_WEIGHTS = np.geomspace(0.4, 2.5, 13)


@dataclass(frozen=True, slots=True)
class Scores:
    """How well an ideal observer of the cues does, as macro-F1 over the 18 classes.

    Args:
        picture: It sees one picture, with the cues that the mask leaves free: the ceiling of a
            model that looks at single pictures.
        person: It sees all cues of the person and the mask of the picture: the ceiling of a model
            that joins the seven pictures.
    """

    picture: float
    person: float


@dataclass(frozen=True, slots=True)
class Posteriors:
    """What the observer believes of each picture, from the priors and the stated noise.

    Args:
        true: (N,) int, class of 18.
        picture: (N, 18) probabilities from that picture alone.
        person: (N, 18) probabilities from all cues of the person.
    """

    true: NDArray[np.int64]
    picture: F64
    person: F64


def posteriors(people: Sequence[Person], cuts: Cuts = OFFICIAL_CUTS) -> Posteriors:
    """Return Bayes' answer for the seven pictures of each person, people first.

    Args:
        people: Whom it sees.
        cuts: First year of middle and of old; the classes are those of the age policy with them.
    """
    groups = np.searchsorted(cuts, AGES, side="right")
    cues = np.repeat([person.cues for person in people], len(FILES), axis=0)
    wears = [person.wears[name] for person in people for name in FILES]
    seen = np.array([[not wear.hides(cue) for cue in CUES] for wear in wears])
    mask = np.array([_mask_posterior(wear) for wear in wears])
    cells = [
        len(AGE_GROUPS) * GENDERS.index(person.gender) + int(groups[person.age - AGES[0]])
        for person in people
        for _ in FILES
    ]
    true = np.array([MASKS.index(wear.mask) for wear in wears]) * _CELLS + np.array(cells)
    picture = _cell_posterior(cues, seen, groups)
    person = _cell_posterior(cues, np.ones_like(seen), groups)
    join = [
        (mask[:, :, None] * cell[:, None, :]).reshape(len(wears), -1) for cell in (picture, person)
    ]
    return Posteriors(true, *join)


def age_gender_posterior(cues: F64, seen: NDArray[np.bool_]) -> F64:
    """Return p(gender, age | cues), (N, 2, 43).

    Args:
        cues: (N, n_cues) values.
        seen: (N, n_cues), False where a cue is hidden.
    """
    means = cue_means().reshape(-1, len(CUES))
    # The terms of the normal density that depend on gender and age, as two matrix products.
    log_p = (cues * seen) @ means.T - 0.5 * (seen.astype(float) @ (means**2).T)
    log_p += np.log(np.maximum(COUNTS.ravel(), 1e-9))
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    posterior: F64 = (p / p.sum(axis=1, keepdims=True)).reshape(len(cues), *COUNTS.shape)
    return posterior


def _cell_posterior(cues: F64, seen: NDArray[np.bool_], groups: NDArray[np.int64]) -> F64:
    """Return p(gender and age group), (N, 6); `groups` is that of each age."""
    p = age_gender_posterior(cues, seen)
    cells: F64 = (p @ np.eye(len(AGE_GROUPS))[groups]).reshape(len(cues), _CELLS)
    return cells


def _mask_posterior(wear: Wear) -> F64:
    """Return p(mask state | edges of the mask), (3,)."""
    if wear.top is None or wear.bottom is None:
        return np.array([float(mask == "none") for mask in MASKS])
    density = np.zeros(len(MASKS))
    for way in WAYS:
        z = ((wear.top - way.top) / way.top_noise) ** 2
        z += ((wear.bottom - way.bottom) / way.bottom_noise) ** 2
        height = way.share * np.exp(-z / 2) / (way.top_noise * way.bottom_noise)
        density[MASKS.index(way.mask)] += height
    p = density * _PRIOR_MASK
    result: F64 = p / p.sum()
    return result


def macro_f1(true: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Return the mean F1 of the classes of 18 that occur."""
    confusion = np.zeros((18, 18))
    np.add.at(confusion, (true, predicted), 1)
    hits = confusion.diagonal()
    size = confusion.sum(axis=0) + confusion.sum(axis=1)
    return float(np.mean(2 * hits[size > 0] / size[size > 0]))


@lru_cache(maxsize=4)
def _expected(cuts: Cuts) -> tuple[Scores, F64, F64]:
    """Return the scores over a large population, and the class weights that reach them."""
    beliefs = posteriors([draw_person(_POPULATION_SEED, i) for i in range(_POPULATION)], cuts)
    weights = [_best_weights(p, beliefs.true) for p in (beliefs.picture, beliefs.person)]
    picture, person = (
        macro_f1(beliefs.true, np.argmax(p * w, axis=1))
        for p, w in zip((beliefs.picture, beliefs.person), weights, strict=True)
    )
    return Scores(picture, person), weights[0], weights[1]


def _best_weights(posterior: F64, true: NDArray[np.int64]) -> F64:
    """Return the (18,) factors under which the largest posterior gives the best macro-F1.

    Macro-F1 is not maximised by the most probable class: rare classes are worth a wrong guess.
    One factor for a mask state, one for a gender, one for an age group, found one at a time.
    """
    axes = [np.ones(len(axis)) for axis in (MASKS, GENDERS, AGE_GROUPS)]
    best = -1.0
    for axis, index in [(2, 2), (2, 0), (0, 1), (0, 2), (1, 1), (2, 2)]:
        kept = axes[axis][index]
        for factor in kept * _WEIGHTS:
            axes[axis][index] = factor
            score = macro_f1(true, np.argmax(posterior * _outer(axes), axis=1))
            if score > best:
                best, kept = score, factor
        axes[axis][index] = kept
    return _outer(axes)


def _outer(axes: Sequence[F64]) -> F64:
    weights: F64 = np.einsum("m,g,a->mga", *axes).ravel()
    return weights


def expected_scores(cuts: Cuts = OFFICIAL_CUTS) -> Scores:
    """Return what the ideal observer reaches on a large population (4,000 people)."""
    return _expected(cuts)[0]


def scores(people: Sequence[Person], cuts: Cuts = OFFICIAL_CUTS) -> Scores:
    """Return what the ideal observer reaches on these people; rough when they are few."""
    _, for_picture, for_person = _expected(cuts)
    beliefs = posteriors(people, cuts)
    return Scores(
        macro_f1(beliefs.true, np.argmax(beliefs.picture * for_picture, axis=1)),
        macro_f1(beliefs.true, np.argmax(beliefs.person * for_person, axis=1)),
    )
