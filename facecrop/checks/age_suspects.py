"""People whose age, to models that had not seen them, is far from what the label says."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.checks.check import Check, Issue, Proposal, issue_key
from facecrop.checks.material import Material
from facecrop.checks.outoffold import (
    Floats,
    Ints,
    People,
    identities,
    paths_of,
    people_of,
    read_said,
    read_years,
)
from facecrop.checks.person_labels import PersonLabels, doubt_people
from facecrop.checks.rows import numbers
from facecrop.checks.suspect_years import doubt_years
from facecrop.checks.suspects import FEWEST, pool
from facecrop.index import AGE_GROUPS
from facecrop.labels.ages import OLDEST, AgePolicy

_LOOKS_IN_YEARS, _LOOKS_IN_GROUPS = 2.0, 3.0
"""Years by which somebody may look older or younger: near a border, age groups change in a step."""


@dataclass(frozen=True, slots=True)
class _Sight:
    """What N pictures tell of age.

    Args:
        rows: (N,) of the index.
        older: (N, V) each the higher, the older: years where the model knows them.
        in_years: Whether they are years.
    """

    rows: Ints
    older: Floats
    in_years: bool


def _find(material: Material) -> Iterator[Issue]:
    sight, groups = _sight(material), doubt_people(material, "age_group", AGE_GROUPS)
    in_years = _labelled_in_years(material)
    if sight is not None:
        yield from _wrong_years(material, sight, groups, in_years)
    if groups is not None:
        yield from _wrong_groups(material, groups, in_years)


def _sight(material: Material) -> _Sight | None:
    years = read_years(material)
    if years is not None and len(years[0]):
        return _Sight(years[0], years[1][:, None], in_years=True)
    said = read_said(material, "age_group", AGE_GROUPS)
    # The odds at either border: one number alone would not tell the young from the old.
    return None if said is None else _Sight(said.rows, np.diff(said.log_p, axis=1), in_years=False)


def _labelled_in_years(material: Material) -> NDArray[np.bool_]:
    """Tell of which records, (N,), the year is known, and the group is the year's.

    A group that was set by hand says more than the year that it corrects.
    """
    labels = material.labels
    ages, groups = labels["age"].combine_chunks(), labels["age_group"].combine_chunks()
    by_year = material.policy.groups(ages)
    agree = pc.fill_null(pc.equal(groups, by_year), False)
    neither = pc.and_(pc.is_null(groups), pc.is_null(by_year))
    possible = pc.fill_null(pc.and_(pc.greater_equal(ages, 0), pc.less_equal(ages, OLDEST)), False)
    return np.asarray(pc.and_(possible, pc.or_(agree, neither)).to_numpy(zero_copy_only=False))


def _wrong_years(
    material: Material, sight: _Sight, groups: PersonLabels | None, in_years: NDArray[np.bool_]
) -> Iterator[Issue]:
    """Yield people whose year is known and cannot be theirs."""
    labelled = in_years[sight.rows]
    rows, older = sight.rows[labelled], sight.older[labelled]
    people = people_of(material, rows)
    given = numbers(material.labels["age"])[rows[people.first]].astype(np.int64)
    if len(given) < FEWEST:
        return
    looks = _LOOKS_IN_YEARS if sight.in_years else _LOOKS_IN_GROUPS
    found = doubt_years(_features(older, people, by_kind=sight.in_years), given, looks)
    truth = {} if groups is None else _by_name(groups)
    for person in np.flatnonzero(found.wrong > material.limits.suspect).tolist():
        age, seen = int(given[person]), float(found.seen[person])
        spread = float(found.spread[person])
        shares = truth.get(people.names[person])
        proposal = _correction(material.policy, age, seen, shares)
        words = ("", "")
        if proposal.field == "age_group":
            words = (f" ({proposal.was})", f" ({proposal.now})")
        pictures = people.pictures(person)
        clear = (older[pictures].mean(axis=1)) * np.sign(seen - age)
        shown = rows[pictures[np.argsort(-clear, kind="stable")]]
        yield Issue(
            CHECK.name,
            CHECK.severity,
            people.names[person],
            paths_of(material, shown),
            f"labelled {age} years{words[0]}, seen as {seen:.0f} ± {spread:.0f}{words[1]} "
            f"in {len(pictures)} pictures",
            float(found.wrong[person]),
            issue_key(CHECK.name, *identities(material, shown), str(age)),
            (proposal,),
            {"labelled": float(age), "seen": round(seen, 1), "error": round(spread, 1)}
            | _facts(shares),
        )


def _wrong_groups(
    material: Material, groups: PersonLabels, in_years: NDArray[np.bool_]
) -> Iterator[Issue]:
    """Yield people of whom only the group is known, and cannot be theirs."""
    unsaid = ~in_years[groups.said.rows[groups.people.first]]
    suspect = unsaid & (groups.found.wrong > material.limits.suspect)
    for person in np.flatnonzero(suspect).tolist():
        was = int(groups.given[person])
        shares = groups.found.truth[person]
        now = _other(shares, was)
        rows = groups.said.rows[groups.people.pictures(person)]
        yield Issue(
            CHECK.name,
            CHECK.severity,
            groups.people.names[person],
            paths_of(material, rows),
            f"labelled {AGE_GROUPS[was]}, seen as {AGE_GROUPS[now]} in {len(rows)} pictures",
            float(groups.found.wrong[person]),
            issue_key(CHECK.name, *identities(material, rows), AGE_GROUPS[was]),
            (Proposal("age_group", AGE_GROUPS[was], AGE_GROUPS[now]),),
            _facts(shares),
        )


def _features(older: Floats, people: People, *, by_kind: bool) -> Floats:
    """Return (P, F) what speaks for a higher age, NaN where a person has no such picture.

    Years of each kind of picture have a weight of their own: some show more. Odds of groups are
    two numbers already, and are averaged over all pictures.
    """
    kind = people.kind if by_kind else np.zeros_like(people.kind)
    means, sizes = pool(older, people.person, kind)
    return np.where(sizes[:, :, None] > 0, means, np.nan).reshape(len(means), -1)


def _by_name(groups: PersonLabels) -> dict[str, Floats]:
    return dict(zip(groups.people.names, groups.found.truth, strict=True))


def _correction(policy: AgePolicy, age: int, seen: float, shares: Floats | None) -> Proposal:
    """Return the group that is proposed; a year where that would change nothing.

    The year that is seen is a guess, so the group alone is corrected. Which one, the model's
    probabilities of the groups say, where they are known: a border is nothing that years err at.
    """
    year = int(np.clip(round(seen), 0, OLDEST))
    was, now = policy.group(age), AgePolicy(cuts=policy.cuts).group(year)
    if shares is not None:
        now = AGE_GROUPS[int(shares.argmax())]
    if was is None or now is None or was == now:
        return Proposal("age", str(age), str(year))
    return Proposal("age_group", was, now)


def _other(shares: Floats, was: int) -> int:
    """Return the most probable group but one."""
    return int(np.where(np.arange(len(shares)) == was, -1, shares).argmax())


def _facts(shares: Floats | None) -> dict[str, float | str]:
    if shares is None:
        return {}
    said: dict[str, float | str] = {"seen as": AGE_GROUPS[int(shares.argmax())]}
    return said | {
        f"p_{word}": round(float(share), 4) for word, share in zip(AGE_GROUPS, shares, strict=True)
    }


CHECK = Check(
    name="age-suspect",
    title="people whose age is far from what they look like",
    severity="warning",
    cure="decide on the review page, then: facecrop relabel OUT --manifest FILE",
    needs=("predictions",),
    find=_find,
)
