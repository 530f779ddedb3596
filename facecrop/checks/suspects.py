"""How probable it is that a label is wrong, from what models say that had not seen it.

A model's probabilities are taken as measurements, not at their word: how far they can be trusted,
what each kind of picture adds, and how often labels are wrong are all learnt from how the labels
and the measurements go together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facecrop.errors import MissingExtraError

FEWEST = 20
"""Labels below which nothing is claimed: too few to tell a model's errors from the labels'."""

_START = 0.1
"""Share of wrong labels that is supposed at first: with less, wrong ones would hold the weights."""
_RATE = 0.05
"""Share of wrong labels where none can be counted."""
_WORTH = 10.0
"""Labels of a class that this is worth beside those that are counted."""
_HOLD_APART = 0.3
"""Precision by which weights of different kinds are held together: they say nearly the same."""
_HOLD_BIAS = 0.3
"""Likewise of biases at 0: a model may lean towards a class, but not as far as to excuse errors."""
_COUNTED_WORTH = 100.0
"""Labels of a class that what confident learning counts is worth beside the labels themselves."""
_CERTAIN = 0.99
"""Probabilities above this count as equally sure."""
_AT_MOST = 100_000
"""Labels that are learnt from; of more, so many at random."""
_STEPS = 100
_STILL = 1e-6
_HOLD = 0.1
"""Precision by which weights are held at those of a plain mean. Weak: it only keeps them finite."""
OF_PERSONS = 3.0
"""The same for evidence about persons. A model that errs alike in all pictures of somebody looks
just as if the label were wrong, and of some hundred people nothing else tells the two apart: larger
weights would make every error of the model a wrong label, and be sure of it."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is thought of P labels.

    Args:
        wrong: (P,) probability that the label is wrong.
        truth: (P, C) probability of each class by the measurements alone, the label unseen.
        noise: (C, C) share of each true class (row) that is labelled as each class.
    """

    wrong: Floats
    truth: Floats
    noise: Floats


def pool(values: Floats, person: Ints, kind: Ints) -> tuple[Floats, Ints]:
    """Average the pictures of each person that are of one kind.

    Args:
        values: (N, V) of each picture.
        person: (N,) in [0, P).
        kind: (N,) in [0, G).

    Returns:
        (P, G, V) means, 0 where there is no such picture, and (P, G) how many there are.
    """
    people, kinds = int(person.max(initial=-1)) + 1, int(kind.max(initial=0)) + 1
    cell = person * kinds + kind
    sizes = np.bincount(cell, minlength=people * kinds)
    sums = np.stack([np.bincount(cell, one, len(sizes)) for one in values.T], axis=1)
    means = sums / np.maximum(sizes, 1)[:, None]
    return means.reshape(people, kinds, values.shape[1]), sizes.reshape(people, kinds)


def evidence(log_p: Floats, given: Ints, person: Ints, kind: Ints) -> Floats:
    """Join the pictures of each person, discounted by how much they repeat each other.

    n pictures whose errors correlate by r tell as much as n / (1 + (n - 1) r) independent ones. So
    a plain mean over the kinds is what a person with the usual number of pictures is worth, as far
    as the probabilities can be taken at their word; how far that is, is learnt later.

    Args:
        log_p: (N, C) of each picture, mean 0 over the classes.
        given: (N,) label of each picture, in [0, C).
        person: (N,) in [0, P).
        kind: (N,) in [0, G).

    Returns:
        (P, G, C).
    """
    means, sizes = pool(log_p, person, kind)
    alike = _alike(np.take_along_axis(log_p, given[:, None], 1)[:, 0], given, person, kind)
    worth = _independent(sizes, alike)
    usual = [np.median(one[one > 0]) if one.any() else 1.0 for one in worth.T]
    whole = _independent(np.asarray(np.median(sizes.sum(axis=1)) if len(sizes) else 1.0), alike)
    return np.asarray(means * (whole * worth / np.array(usual))[:, :, None], np.float64)


def doubt(features: Floats, given: Ints, hold: float = _HOLD) -> Doubt:
    """Work out how probable it is that each label is wrong.

    The truth follows a softmax of the features, weighted by kind; labels follow the truth but for
    noise. First the noise is taken to be 10 %; in the probabilities that this gives, confident
    learning counts it: who is labelled i, and at least as surely j as those labelled j are on
    average. That counts a weak model's own errors as well, so it is the first guess from which
    weights and noise are found together. The answer is Bayes' rule with both.

    Args:
        features: (P, G, C) evidence for each class in G kinds of picture, about log-probabilities.
        given: (P,) labels in [0, C).
        hold: How strongly the features are taken at their word, as log-probabilities whose mean
            over the kinds is what is known: `OF_PERSONS` where they are `evidence`.

    Raises:
        MissingExtraError: cleanlab is not installed.

    Source:
        Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset
        Labels", arXiv:1911.00068: the joint of eq. 1 and 2, by cleanlab. They prune by counts;
        ours asks for the posterior. Softmax under noise: Bootkrajang and Kabán 2012, "Label-noise
        Robust Logistic Regression and Its Applications".
    """
    total, _, count = features.shape
    wrong, truth, noise = np.zeros(total), np.zeros((total, count)), np.eye(count)
    classes, one_of_each, codes = np.unique(given, return_index=True, return_inverse=True)
    truth[:, classes] = np.bincount(codes, minlength=len(classes)) / max(total, 1)
    if total < FEWEST or len(classes) == 1:
        return Doubt(wrong, truth, noise)
    features = features[:, :, classes] - features[:, :, classes].mean(axis=2, keepdims=True)
    some = np.union1d(sample(total), one_of_each)
    start = _even(_START, len(classes))
    kinds = features.shape[1]
    rest = np.append(np.full(kinds, 1 / kinds), np.zeros(len(classes)))
    first, _ = _learn(features[some], codes[some], rest, start, np.inf, held=hold)
    counted = _confident(codes[some], _softmax(features[some], first))
    at, found = _learn(features[some], codes[some], first, counted, _COUNTED_WORTH, held=hold)
    truth[:, classes] = _softmax(features, at)
    noise[np.ix_(classes, classes)] = found
    joint = truth * noise[:, given].T
    wrong = 1 - joint[np.arange(total), given] / joint.sum(axis=1)
    return Doubt(np.clip(wrong, 0, 1), truth, noise)


def sample(total: int) -> Ints:
    """Return which of so many labels are learnt from, rising: all, or the same ones each time."""
    if total <= _AT_MOST:
        return np.arange(total)
    return np.sort(np.random.default_rng(0).choice(total, _AT_MOST, replace=False))


def _even(rate: float, count: int) -> Floats:
    """Return noise that strikes all classes alike, (C, C)."""
    noise = np.full((count, count), rate / (count - 1))
    np.fill_diagonal(noise, 1 - rate)
    return noise


def _confident(given: Ints, truth: Floats) -> Floats:
    """Return the noise that confident learning counts, (C, C): true class, label."""
    try:
        from cleanlab.count import estimate_joint  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError:
        raise MissingExtraError(
            'label suspects need cleanlab: pip install "facecrop[audit]"'
        ) from None
    # A class that is all but certain has a mean that hardly any of its own reach.
    joint = estimate_joint(given, np.minimum(truth, _CERTAIN))
    counts = np.asarray(joint, np.float64).T * len(given)
    counts += _WORTH * _even(_RATE, truth.shape[1])
    return np.asarray(counts / counts.sum(axis=1, keepdims=True), np.float64)


def _learn(
    features: Floats, given: Ints, at: Floats, guess: Floats, worth: float, *, held: float
) -> tuple[Floats, Floats]:
    """Return the softmax behind the labels, (G + C,) weights and biases, and the noise, (C, C).

    Expectation maximisation: the share of each true class in a label; then a step of Newton's
    towards these shares, and the noise that they make.

    Args:
        features: (P, G, C).
        given: (P,) labels.
        at: (G + C,) where to begin. Where a model is as unsure as labels are wrong, either explains
            the other, and what was begun with stays.
        guess: (C, C) noise.
        worth: How many labels of each class the guess is worth; infinite: it stays.
        held: Precision of the weights.
    """
    total, kinds, count = features.shape
    rest = np.append(np.full(kinds, 1 / kinds), np.zeros(count))
    hold = np.diag(np.append(np.full(kinds, held), np.full(count, _HOLD_BIAS)))
    hold[:kinds, :kinds] += _HOLD_APART * (np.eye(kinds) - 1 / kinds)
    noise = guess
    design = np.concatenate(
        [features.transpose(0, 2, 1), np.broadcast_to(np.eye(count), (total, count, count))], axis=2
    )
    labels = np.eye(count)[given]
    for _ in range(_STEPS):
        p = _softmax(features, at)
        share = p * noise[:, given].T
        share /= share.sum(axis=1, keepdims=True)
        if np.isfinite(worth):
            noise = share.T @ labels + worth * guess
            noise /= noise.sum(axis=1, keepdims=True)
        slope = np.einsum("nc,ncp->p", share - p, design) - hold @ (at - rest)
        mean = np.einsum("nc,ncp->np", p, design)
        bend = np.einsum("ncp,ncq->pq", p[:, :, None] * design, design) - mean.T @ mean
        step = np.linalg.solve(bend + hold, slope)
        step /= max(1.0, float(np.abs(step).max()))  # far from the maximum, Newton leaps too far
        at = at + step
        at[:kinds] = np.maximum(at[:kinds], 0)  # no kind of picture speaks against what it shows
        if np.abs(step).max() < _STILL:
            break
    return at, noise


def _softmax(features: Floats, at: Floats) -> Floats:
    kinds = features.shape[1]
    scores = np.einsum("g,ngc->nc", at[:kinds], features) + at[kinds:]
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True), np.float64)


def _independent(pictures: Floats | Ints, alike: float) -> Floats:
    """Return how many independent pictures tell as much as so many whose errors correlate."""
    return np.asarray(pictures / (1 + np.maximum(pictures - 1, 0) * alike), np.float64)


def _alike(values: Floats, given: Ints, person: Ints, kind: Ints) -> float:
    """Return the correlation of a person's pictures once label and kind are known, in [0, 1].

    The intraclass correlation of a one-way analysis of variance; 0 where nobody has two pictures.
    """
    sizes = np.bincount(person)
    people, total = int((sizes > 0).sum()), len(values)
    if people in {total, 1}:
        return 0.0
    _, cell = np.unique(np.stack([given, kind]), axis=1, return_inverse=True)
    cell = cell.ravel()
    rest = values - (np.bincount(cell, values) / np.bincount(cell))[cell]
    means = np.bincount(person, rest) / np.maximum(sizes, 1)
    within = float(((rest - means[person]) ** 2).sum()) / (total - people)
    between = float((sizes * (means - rest.mean()) ** 2).sum()) / (people - 1)
    each = (total - float((sizes**2).sum()) / total) / (people - 1)
    spread = between + (each - 1) * within
    return float(np.clip((between - within) / spread, 0, 1)) if spread > 0 else 1.0
