"""Ids that name several people: harmless here, where the folder is the key, a trap elsewhere."""

import re
from collections import defaultdict
from collections.abc import Iterator

import pyarrow.compute as pc

from facecrop.checks.check import Check, Issue, issue_key
from facecrop.checks.material import Material

_NUMBERED = re.compile(r"(?P<id>.+)-\d+")
"""What people write for a second one of an id, `001498-1`: another person, or the same again."""
_SHARED, _ALIKE = 1.0, 0.5


def _find(material: Material) -> Iterator[Issue]:
    if material.card.get("layout") != "profiles":
        return
    people = defaultdict(list)
    for profile in pc.unique(material.index["profile"]).sort().to_pylist():
        people[profile.partition("_")[0]].append(profile)
    for name, profiles in people.items():
        if len(profiles) > 1:
            reason = f"id {name} names {len(profiles)} people: {', '.join(profiles)}"
            yield _issue(reason, _SHARED, profiles)
        numbered = _NUMBERED.fullmatch(name)
        if numbered is not None and numbered["id"] in people:
            first = people[numbered["id"]][0]
            reason = f"id {name} looks like a second {numbered['id']}: {profiles[0]} and {first}"
            yield _issue(reason, _ALIKE, [profiles[0], first])


def _issue(reason: str, score: float, profiles: list[str]) -> Issue:
    key = issue_key(CHECK.name, *profiles)
    return Issue(CHECK.name, CHECK.severity, profiles[0], (), reason, score, key)


CHECK = Check(
    name="duplicate-id",
    title="ids that several people share",
    severity="warning",
    cure="name the whole folder in manifests; give one another id before you share the data",
    needs=(),
    find=_find,
)
