"""Voting: several predictions of the same pictures become one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from facecrop.errors import ConfigError, TableError
from facecrop.labels.space import WORDS
from facecrop.training.predictions import (
    Floats,
    Predictions,
    product,
    space_of,
)

How = Literal["hard", "soft"]

_TIE = 1e-9
"""Share of all votes by which two classes may differ and still be equal: weights such as 0.1, 0.2
and 0.3 do not add up exactly."""


def vote(
    members: Sequence[Predictions],
    how: How = "hard",
    weights: Sequence[float] | None = None,
    *,
    by_label: bool = False,
    divisor: Floats | None = None,
) -> Predictions:
    """Let several predictions of the same pictures decide together.

    Hard: each member gives its weight to its answer, the class with most wins. Soft: the members'
    probabilities are averaged by weight, the most probable class wins; a member of which only
    answers are known is certain of them. Where classes are equal (to 1e-9 of all votes), the
    member of the highest weight that answers one of them decides, of equal weights the one named
    first. So the order of members matters in ties alone.

    Args:
        members: At least one; all say something about the same pictures, in any order.
        how: As above.
        weights: (M,) not negative, one at least positive; None for equal ones.
        by_label: Vote on each label alone and put the answers together, in place of voting on
            combinations. Done in any case where members answer different labels: each label then
            has the members that answer it.
        divisor: (K,) positive; of soft voting alone: averaged probabilities are divided by it where
            the class is chosen, as members' own answers may have been (`prior_correction`).

    Returns:
        About the pictures in the order of the first member. Its probabilities are the shares of
        the votes (by label: their product).

    Raises:
        TableError: Members know different pictures.
        ConfigError: There are no members, the weights do not fit, or a label has no voter left.

    Source:
        Kittler et al. 1998, "On combining classifiers", majority vote rule and sum rule. Report
        000 takes the mode of class numbers, whose ties go to the lowest number: to masks worn.
    """
    _check_weights(members, weights)
    same = aligned(members)
    worth = np.ones(len(same)) if weights is None else np.asarray(weights, np.float64)
    if not by_label and len({member.axes for member in same}) == 1:
        return _vote(same, how, worth, divisor)
    space = space_of([axis for axis in WORDS if any(axis in member.axes for member in same)])
    if divisor is not None:
        raise ConfigError("a correction is for combinations of labels, not for each alone")
    winners, shares = [], {}
    for axis, _ in space.axes:
        voters = [number for number, member in enumerate(same) if axis in member.axes]
        if not worth[voters].sum() > 0:
            raise ConfigError(f"nobody whose weight is positive answers {axis}")
        one = _vote([same[number].of_axis(axis) for number in voters], how, worth[voters], None)
        winners.append(one.classes)
        shares[axis] = one.distribution()
    lengths = tuple(len(words) for _, words in space.axes)
    classes = np.ravel_multi_index(tuple(winners), lengths).astype(np.int64)
    return replace(
        same[0], name=how, space=space, classes=classes, probabilities=product(shares, space)
    )


def aligned(members: Sequence[Predictions]) -> list[Predictions]:
    """Return the members with their pictures in the order of the first one's.

    Raises:
        TableError: One knows a picture that another does not.
    """
    first = members[0]
    result = [first]
    for member in members[1:]:
        if member.keys == first.keys:
            result.append(member)
            continue
        rows = {key: row for row, key in enumerate(member.keys)}
        missing = [key for key in first.keys if key not in rows]
        extra = rows.keys() - set(first.keys)
        if missing or extra:
            one, other = (first, member) if missing else (member, first)
            example = missing[0] if missing else min(extra)
            count = len(missing or extra)
            raise TableError(
                f"{one.name!r} knows {count:,} pictures that {other.name!r} does not, such as "
                f"{example!r}; only predictions of the same pictures can vote"
            )
        result.append(member.take(np.array([rows[key] for key in first.keys], np.int64)))
    return result


def best(scores: Sequence[float], count: int) -> list[int]:
    """Return the members with the `count` best scores, best first, equal ones as they are named.

    Raises:
        ConfigError: There are not so many.
    """
    _check_count(len(scores), count)
    return sorted(range(len(scores)), key=lambda number: -scores[number])[:count]


def closest(members: Sequence[Predictions], known: Floats, count: int) -> list[int]:
    """Return the `count` members whose answers are distributed most like a known distribution.

    Like means: of small total variation distance. Report 003 chose by likeness to the training
    classes, which needs no leaderboard, and gained by it; it does not name its measure.

    Args:
        members: Each answers all 18 classes.
        known: (18,) shares.
        count: How many.

    Returns:
        Closest first, equal ones as they are named.

    Raises:
        ConfigError: There are not so many, or one answers other classes.
    """
    _check_count(len(members), count)
    distances = [distance(member, known) for member in members]
    return sorted(range(len(members)), key=lambda number: distances[number])[:count]


def distance(member: Predictions, known: Floats) -> float:
    """Return the total variation distance of a member's answers from a known distribution.

        d = 1/2 * sum over classes c of |share of c among the answers - known share of c|

    It is in [0, 1]: the share of answers that would have to change.

    Raises:
        ConfigError: The member answers other classes.
    """
    if len(member.space) != len(known):
        raise ConfigError(
            f"{member.name!r} answers {', '.join(member.axes)} alone: its distribution cannot be "
            f"compared with one of {len(known)} classes"
        )
    return float(np.abs(member.shares() - known).sum() / 2)


def _vote(
    members: Sequence[Predictions], how: How, weights: Floats, divisor: Floats | None
) -> Predictions:
    """Vote in one space; members are aligned."""
    count = len(members[0].space)
    share = weights / weights.sum()
    votes = np.zeros((len(members[0].keys), count))
    for member, worth in zip(members, share, strict=True):
        if how == "hard":
            votes[np.arange(len(votes)), member.classes] += worth
        else:
            votes += worth * member.distribution()
    merits = votes
    if divisor is not None and how == "soft":
        merits = votes / divisor
        merits /= merits.sum(axis=1, keepdims=True)
    leading = merits >= merits.max(axis=1, keepdims=True) - _TIE
    classes = leading.argmax(axis=1)  # where no member answers a leading class: the first of them
    order = sorted(range(len(members)), key=lambda number: -weights[number])
    for number in reversed(order):  # so that the highest weight has the last word
        own = members[number].classes
        decides = leading[np.arange(len(own)), own]
        classes = np.where(decides, own, classes)
    return replace(members[0], name=how, classes=classes.astype(np.int64), probabilities=votes)


def _check_weights(members: Sequence[Predictions], weights: Sequence[float] | None) -> None:
    if not members:
        raise ConfigError("a vote needs at least one member")
    if weights is None:
        return
    if len(weights) != len(members):
        raise ConfigError(f"{len(members)} members need as many weights, got {len(weights)}")
    if not all(0 <= weight < float("inf") for weight in weights) or not sum(weights) > 0:
        raise ConfigError(f"weights must not be negative, and one positive, got {list(weights)}")


def _check_count(members: int, count: int) -> None:
    if not 1 <= count <= members:
        raise ConfigError(f"cannot choose {count} of {members} members")
