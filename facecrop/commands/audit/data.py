"""What the review page is told, but for the pictures: people, their labels, what is doubted."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from facecrop.checks.check import Check, Issue, Proposal
from facecrop.checks.material import Material
from facecrop.commands.audit.beliefs import Beliefs, examples_of, read_beliefs
from facecrop.index import AGE_GROUPS, GENDERS, MASKS
from facecrop.labels.ages import OFFICIAL
from facecrop.labels.members import Record, people_now
from facecrop.labels.paths import same_name

MOST_ISSUES = 20_000
"""Findings on the page; the page says how many it leaves out."""
_MOST_PICTURES = 14
"""Pictures of a card. A profile with more, a folder of everybody, has a card for each finding."""
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Card:
    """What is decided at once: a person, or a picture of a profile that is no person.

    Args:
        profile: Empty for what is about the whole dataset.
        rows: Of the index, shown side by side: the person's, then those of others.
        issues: What is doubted, the surest first.
    """

    profile: str
    rows: tuple[int, ...]
    issues: tuple[Issue, ...]


@dataclass(frozen=True, slots=True)
class Review:
    """What goes on the page.

    Args:
        data: What the page's script reads, ready for JSON.
        strips: Rows of the index of the pictures that are stored as one, for each such strip.
    """

    data: dict[str, Any]
    strips: list[tuple[int, ...]]


def collect(
    material: Material,
    issues: Sequence[Issue],
    checks: Sequence[Check],
    known: frozenset[str],
    most_issues: int = MOST_ISSUES,
) -> Review:
    """Gather what the page shows.

    Args:
        material: The dataset.
        issues: What the audit found, in any order.
        checks: Those that ran, also the ones that found nothing.
        known: Keys of issues that were accepted earlier.
        most_issues: How many may be shown; each check gets its turn, its surest ones first.
    """
    shown = choose_issues(issues, known, most_issues)
    cards = cards_of(shown, material)
    beliefs = read_beliefs(material)
    people = _people(material, cards)
    strips = [card.rows for card in cards]
    examples: dict[str, Any] = {}
    if beliefs is not None:
        suspects = {card.profile for card in cards}
        for axis, words in examples_of(material, beliefs, suspects).items():
            examples[axis] = {}
            for word, found in words.items():
                examples[axis][word] = [
                    {"p": _rounded(p), "strip": len(strips) + place, "profile": profile}
                    for place, (_, p, profile) in enumerate(found)
                ]
                strips += [(row,) for row, _, _ in found]
    describe = _Describer(material, people, beliefs, known)
    data = {
        "dataset": {
            "id": dataset_id(material.index),
            "name": material.out.resolve().name,
            "run": None if material.run is None else material.run.name,
        },
        "counts": {"found": len(issues), "shown": len(shown), "images": len(material.index)},
        "checks": _checks(checks, issues, shown),
        "words": {"gender": GENDERS, "age_group": AGE_GROUPS, "mask": MASKS},
        "people": {profile: describe.person(members) for profile, members in people.items()},
        "cards": [describe.card(card, number) for number, card in enumerate(cards)],
        "examples": examples,
        "baseline": bool(known),
    }  # fmt: skip
    return Review(data, strips)


def choose_issues(issues: Iterable[Issue], known: frozenset[str], most: int) -> list[Issue]:
    """Return the issues that are shown: each check's in turn, new and sure ones first."""
    taken: Counter[str] = Counter()
    turns: list[tuple[int, int, Issue]] = []
    for issue in sorted(issues, key=lambda one: (one.key in known, -one.score, one.key)):
        turns.append((taken[issue.check], len(turns), issue))
        taken[issue.check] += 1
    turns.sort(key=lambda turn: turn[:2])
    return [issue for _, _, issue in turns[:most]]


def cards_of(issues: Iterable[Issue], material: Material) -> list[Card]:
    """Group issues by what is decided at once, ranked by the surest issue of each."""
    profiles = material.index["profile"].combine_chunks()
    codes = profiles.dictionary_encode()
    names = codes.dictionary.to_pylist()
    of_row = codes.indices.to_numpy()
    order = np.argsort(of_row, kind="stable")
    starts = np.searchsorted(of_row[order], np.arange(len(names) + 1))
    numbers = {name: number for number, name in enumerate(names)}
    groups: dict[tuple[str, str], list[Issue]] = {}
    members: dict[tuple[str, str], list[int]] = {}
    for issue in issues:
        about = [material.rows[path] for path in issue.paths if path in material.rows]
        profile = issue.profile or (names[of_row[about[0]]] if about else "")
        number = numbers.get(profile)
        own = [] if number is None else order[starts[number] : starts[number + 1]].tolist()
        crowd = len(own) > _MOST_PICTURES
        key = (profile, issue.paths[0] if crowd and issue.paths else "")
        groups.setdefault(key, []).append(issue)
        members.setdefault(key, [] if crowd else own)
        members[key] += about
    cards = [
        Card(
            profile,
            tuple(dict.fromkeys(members[profile, path]))[:_MOST_PICTURES],
            tuple(sorted(found, key=lambda one: (-one.score, one.key))),
        )
        for (profile, path), found in groups.items()
    ]
    return sorted(cards, key=lambda card: (-card.issues[0].score, card.profile, card.rows))


def dataset_id(index: pa.Table) -> str:
    """Return what decisions in a browser are filed under, 16 hex digits.

    It is the smallest digest of a record: another dataset has another one, and the same dataset
    keeps it when it is moved, relabelled, and, but for a chance of one in N, when it grows.
    """
    columns = (index[name].to_pylist() for name in ("digest", "path"))
    digests = (
        sha256(digest or path.encode()).digest() for digest, path in zip(*columns, strict=True)
    )
    return min(digests, default=b"\0" * 8).hex()[:16]


def _people(material: Material, cards: Iterable[Card]) -> dict[str, list[Record]]:
    """Return the records of everybody on a card, with their labels as corrections see them."""
    rows = sorted({row for card in cards for row in card.rows})
    profiles = set(material.index["profile"].take(pa.array(rows, pa.int64())).to_pylist())
    found = people_now(material.out, profiles, material.index)
    return {profile: found[profile] for profile in sorted(profiles)}


def _checks(
    checks: Sequence[Check], issues: Sequence[Issue], shown: Sequence[Issue]
) -> list[dict[str, Any]]:
    found, there = (Counter(issue.check for issue in some) for some in (issues, shown))
    listed = [
        {"name": one.name, "title": one.title, "severity": one.severity, "cure": one.cure}
        for one in checks
    ]
    strangers = sorted(found.keys() - {one.name for one in checks})
    listed += [
        {"name": name, "title": name, "severity": "warning", "cure": ""} for name in strangers
    ]
    return [
        one | {"found": found[name], "shown": there[name]}
        for one in listed
        for name in [one["name"]]
    ]


class _Describer:
    """Puts people, pictures and issues into plain values; what is not known is left out.

    Args:
        material: The dataset.
        people: The records of everybody on a card.
        beliefs: What models say, None without a run.
        known: Keys that were accepted earlier.
    """

    def __init__(
        self,
        material: Material,
        people: Mapping[str, list[Record]],
        beliefs: Beliefs | None,
        known: frozenset[str],
    ) -> None:
        self._index, self._rows = material.index, material.rows
        self._beliefs, self._known = beliefs, known
        self._records = {one.path: one for members in people.values() for one in members}
        self._stems = {
            profile: Counter(same_name(one.name) for one in members)
            for profile, members in people.items()
        }
        self._columns = {
            name: self._index[name].combine_chunks()
            for name in ("path", "status", "reason", "image")
        }

    def person(self, members: Sequence[Record]) -> dict[str, Any]:
        """Return a person's labels and what models say about them."""
        first = members[0]
        facts: dict[str, Any] = {
            "gender": first.gender, "age": first.age, "age_group": first.age_group,
            "pictures": len(members),
        }  # fmt: skip
        if self._beliefs is not None:
            said = self._beliefs.of_person(self._rows[first.path])
            facts["p"] = {axis: _list(shares) for axis, shares in said.items()}
        return facts

    def card(self, card: Card, number: int) -> dict[str, Any]:
        """Return a card; its pictures are the strip of its own number."""
        places = {self._columns["path"][row].as_py(): place for place, row in enumerate(card.rows)}
        records = [self._record(row, card.profile) for row in card.rows]
        issues = [self._issue(issue, places) for issue in card.issues]
        return {"profile": card.profile, "strip": number, "records": records, "issues": issues}

    def _record(self, row: int, profile: str) -> dict[str, Any]:
        values = {name: column[row].as_py() for name, column in self._columns.items()}
        record = self._records[values["path"]]
        shared = self._stems[record.profile][same_name(record.name)] > 1
        facts: dict[str, Any] = {
            "path": values["path"],
            "name": values["path"].rpartition("/")[2] if shared else record.name,
            "stem": record.name if shared else None,
            "profile": record.profile if record.profile != profile else None,
            "mask": record.mask,
            "aside": True if record.keep == "no" else None,
            "status": values["status"],
            "reason": values["reason"],
            "image": values["image"],
        }
        if self._beliefs is not None:
            said = self._beliefs.of_record("mask", row)
            facts["p"] = None if said is None else _list(said)
        return {name: value for name, value in facts.items() if value is not None}

    def _issue(self, issue: Issue, places: Mapping[str, int]) -> dict[str, Any]:
        about = [places[path] for path in issue.paths if path in places]
        facts: dict[str, Any] = {
            "key": issue.key, "check": issue.check, "severity": issue.severity,
            "reason": issue.reason, "score": _rounded(issue.score), "records": about,
            "more": len(issue.paths) - len(about),
            "proposals": [_proposal(one) for one in issue.proposals],
            "facts": dict(issue.facts) if issue.facts else None,
            "known": issue.key in self._known,
        }  # fmt: skip
        return {name: value for name, value in facts.items() if value}


def _proposal(one: Proposal) -> dict[str, Any]:
    group = OFFICIAL.group(int(one.now)) if one.field == "age" and one.now.isdigit() else None
    facts = {
        "field": one.field, "was": one.was, "now": one.now, "name": one.name,
        "other": one.other, "group": group,
    }  # fmt: skip
    return {name: value for name, value in facts.items() if value is not None}


def _rounded(value: float) -> float:
    return round(float(value), _DIGITS)


def _list(shares: NDArray[np.float32]) -> list[float]:
    return [_rounded(share) for share in shares.tolist()]
