"""How alike predictions are, to truth and to one another, and what that says of scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facecrop.errors import ConfigError, TableError
from facecrop.training.predictions import Floats, Ints, Predictions, space_of
from facecrop.training.vote import aligned


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a score may be, going by agreement with the best prediction that was scored.

    Args:
        name: Whose score.
        reference: The best of those that were scored.
        agreement: Share of pictures on which both answer the same.
        value: The estimate.
        error: The largest error that the same rule makes for a scored prediction when it is left
            out; None where fewer than three were scored.
        low: No score below is possible, if scores are accuracies over these very pictures.
        high: Likewise, above.
    """

    name: str
    reference: str
    agreement: float
    value: float
    error: float | None
    low: float
    high: float


def agreement(one: Predictions, other: Predictions) -> float:
    """Return the share of pictures on which two predictions agree, in all labels that both answer.

    Returns:
        In [0, 1]; nan if there is no such label.
    """
    one, other = aligned([one, other])
    axes = [axis for axis in one.axes if axis in other.axes]
    if not axes:
        return float("nan")
    same = [one.of_axis(axis).classes == other.of_axis(axis).classes for axis in axes]
    return float(np.logical_and.reduce(same).mean())


def accuracy(said: Predictions, truth: Predictions) -> float:
    """Return the share of pictures whose labels, as far as both know them, are all right.

    Args:
        said: Of the pictures that truth knows, in any order; others are left alone.
        truth: Classes of -1 are not counted.

    Raises:
        TableError: They have no picture in common.
    """
    answers, right, _ = _compared(said, truth)
    return float((answers == right).mean())


def macro_f1(said: Predictions, truth: Predictions) -> float:
    """Return the mean over classes of 2 tp / (2 tp + fp + fn), as the task is scored.

    Classes that are neither true nor answered anywhere are left out of the mean.

    Args:
        said: Of the pictures that truth knows, in any order; others are left alone.
        truth: Classes of -1 are not counted. Labels that only one of both knows are left alone.

    Raises:
        TableError: They have no picture in common.
    """
    answers, right, count = _compared(said, truth)
    hits = np.bincount(right[answers == right], minlength=count)
    sizes = np.bincount(right, minlength=count) + np.bincount(answers, minlength=count)
    return float((2 * hits[sizes > 0] / sizes[sizes > 0]).mean())


def _compared(said: Predictions, truth: Predictions) -> tuple[Ints, Ints, int]:
    """Return answers and truths of the common pictures in the common labels, and their classes."""
    axes = [axis for axis in said.axes if axis in truth.axes]
    rows = {key: row for row, key in enumerate(said.keys)}
    pairs = np.array(
        [
            [rows[key], row]
            for row, key in enumerate(truth.keys)
            if key in rows and truth.classes[row] >= 0
        ],
        np.int64,
    ).reshape(-1, 2)
    if not len(pairs) or not axes:
        what = "label" if len(pairs) else "picture with a known label"
        raise TableError(f"{said.name!r} and {truth.name!r} have no {what} in common")
    space = space_of(axes)
    lengths = tuple(len(words) for _, words in space.axes)
    both = [
        np.ravel_multi_index(tuple(one.of_axis(axis).classes[take] for axis in axes), lengths)
        for one, take in ((said, pairs[:, 0]), (truth, pairs[:, 1]))
    ]
    return both[0].astype(np.int64), both[1].astype(np.int64), len(space)


def agreements(members: Sequence[Predictions]) -> Floats:
    """Return (M, M) the agreement of each with each."""
    same = aligned(members)
    return np.array([[agreement(one, other) for other in same] for one in same])


def estimate(members: Sequence[Predictions], scores: Mapping[str, float]) -> list[Estimate]:
    """Estimate the scores of predictions from those of others, as report 004 did.

        value = s * a + r * (1 - a)

    where `s` is the best score known, `a` the agreement with that prediction, and `r` what is
    scored where the two disagree: fitted by least squares to the other scored predictions, 0 where
    there are none.

    Such a number is a hint. Agreement is measured over all pictures, a leaderboard's score often
    over a part of them; macro-F1 is not a mean over pictures, and the bounds do not hold for it;
    and a prediction that is *better* than the reference looks like a worse one, since it disagrees
    too: the estimate can exceed `s` only if some scored prediction shows that disagreeing pays.

    Args:
        members: Predictions of the same pictures.
        scores: In [0, 1], by name; at least that of one member.

    Returns:
        For each member that was not scored.

    Raises:
        ConfigError: No member was scored.

    Source:
        Report 004's calculator: s * a * c with c (1.1, 1.25) fitted by hand, which gives a copy of
        the best prediction more than its score; it claims +-0.01. With r = 0 ours is c = 1.
    """
    same = {member.name: member for member in aligned(members)}
    known = {name: scores[name] for name in same if name in scores}
    if not known:
        raise ConfigError("an estimate needs the score of at least one of the predictions")
    if wrong := [name for name, score in known.items() if not 0 <= score <= 1]:
        raise ConfigError(f"scores are shares in [0, 1], got {known[wrong[0]]} for {wrong[0]!r}")
    reference = max(known, key=lambda name: known[name])
    top = known.pop(reference)
    found = {name: agreement(same[reference], member) for name, member in same.items()}
    others = np.array([[found[name], score] for name, score in known.items()]).reshape(-1, 2)
    gain, error = _gain(others, top), _left_out(others, top)
    return [
        Estimate(
            name,
            reference,
            found[name],
            float(np.clip(top * found[name] + gain * (1 - found[name]), 0, 1)),
            error,
            *bounds(top, found[name]),
        )
        for name in same
        if name != reference and name not in known
    ]


def bounds(accuracy: float, share: float) -> tuple[float, float]:
    """Return between what an accuracy must lie if it agrees so much with one that is known.

    At worst every disagreement takes a right answer away, at best each puts a wrong one right.

    >>> bounds(0.8, 0.9)
    (0.7, 0.9)
    """
    changed = 1 - share
    low, high = accuracy - min(changed, accuracy), accuracy + min(changed, 1 - accuracy)
    return round(low, 12), round(high, 12)


def _gain(others: Floats, top: float) -> float:
    """Return what is scored per disagreement, by least squares over (n, 2) agreement and score."""
    apart = 1 - others[:, 0]
    return float(apart @ (others[:, 1] - top * others[:, 0])) / max(float(apart @ apart), 1e-12)


def _left_out(others: Floats, top: float) -> float | None:
    """Return the largest error for one of the scored when the rule is fitted to the rest."""
    if len(others) < 2:  # noqa: PLR2004 - one can be fitted exactly, and proves nothing
        return None
    errors = []
    for number, (share, score) in enumerate(others):
        rest = np.delete(others, number, axis=0)
        errors.append(abs(top * share + _gain(rest, top) * (1 - share) - score))
    return float(max(errors))
