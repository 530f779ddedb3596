"""From answers to corrections: one for each label that somebody changed, and no two that differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from facecrop.commands.exports.answers import Answer
from facecrop.commands.exports.labelstudio import (
    AGE,
    FIELDS,
    GIVEN,
    NO_DOUBT,
    NOTE,
    given_labels,
)
from facecrop.labels.ages import OFFICIAL
from facecrop.labels.cells import Fault, escape_cell
from facecrop.labels.history import PERSON_FIELDS
from facecrop.labels.manifests import Correction, correction
from facecrop.labels.members import Record, name_of_image

_GROUP = "age_group"
_HINTS = 3
"""Unknown records for which the nearest known one is told."""


@dataclass(frozen=True, slots=True)
class _Said:
    """One answer about one label.

    Args:
        value: What it shall be.
        was: What was given.
        answer: Whose.
    """

    value: str
    was: str | None
    answer: Answer


_Subject = tuple[str, str | None, str]
"""Profile, name of the picture or None for the person, label."""


def conclude(
    answers: Sequence[Answer], people: Mapping[str, list[Record]], *, latest: bool
) -> tuple[list[Correction], list[str]]:
    """Work out what answers correct.

    Args:
        answers: In any order.
        people: The records of everybody, as they are labelled now.
        latest: Of answers that differ, the newest counts; else they are a fault.

    Returns:
        The corrections, sorted; and what is wrong, one line each.
    """
    faults: list[str] = []
    said = _by_subject(answers, people, faults)
    chosen: dict[_Subject, _Said] = {}
    for subject, group in said.items():
        one = _agreed(subject, group, latest=latest)
        if isinstance(one, str):
            faults.append(one)
        elif one.value != one.was:
            chosen[subject] = one
    rows = []
    for subject, one in sorted(chosen.items(), key=lambda pair: [part or "" for part in pair[0]]):
        if subject[2] == _GROUP and (age := chosen.get((*subject[:2], AGE))) is not None:
            faults += _age_faults(one, age)
            continue  # the age says it already
        row = _row(subject, one)
        if isinstance(row, Fault):
            faults.append(f"{one.answer.task}: {row.message}")
        else:
            rows.append(row)
    return rows, faults


def _by_subject(
    answers: Sequence[Answer], people: Mapping[str, list[Record]], faults: list[str]
) -> dict[_Subject, list[_Said]]:
    records = {one.path: one for members in people.values() for one in members}
    said: dict[_Subject, list[_Said]] = {}
    hints = _HINTS
    for answer in answers:
        path = answer.data.get("path")
        record = records.get(path) if isinstance(path, str) else None
        if record is None:
            hints -= 1  # to look for a name among very many takes seconds
            near = get_close_matches(str(path), list(records), n=1) if hints >= 0 else []
            hint = f"; did you mean {near[0]!r}?" if near else ""
            faults.append(f"{answer.task}: there is no record {path!r}{hint}")
            continue
        now = given_labels(record)
        for field in FIELDS:
            if field in answer.said:
                name = None
                if field not in PERSON_FIELDS:
                    stems = [one.name for one in people[record.profile]]
                    name = name_of_image(record.path, record.name, stems)
                was = answer.data.get(f"{GIVEN}{field}", now.get(field))
                one = _Said(answer.said[field], None if was is None else str(was), answer)
                said.setdefault((record.profile, name, field), []).append(one)
    return said


def _agreed(subject: _Subject, group: Sequence[_Said], *, latest: bool) -> _Said | str:
    """Return the answer that counts, or what is wrong."""
    if subject[1] is None:
        group = _of_person(group)
    newest = max(group, key=lambda one: one.answer.moment)
    rivals = [one for one in group if one.value != newest.value]
    if not rivals:
        return newest
    tied = any(one.answer.moment == newest.answer.moment for one in rivals)
    if latest and not tied:
        return newest
    profile, name, field = subject
    about = profile if name is None else f"{profile}/{name}"
    each = [f"{one.value!r} in {one.answer.task}{_by(one.answer)}" for one in (newest, *rivals)]
    cure = "their times do not tell which is newer" if latest else "or let the latest count"
    return f"{about}: {field} is {', '.join(dict.fromkeys(each))}; make them agree, {cure}"


def _of_person(group: Sequence[_Said]) -> list[_Said]:
    """Return what annotators say of a person, who is in several tasks.

    Whoever changes a label in one of them has said it; that the others were submitted as they were
    given does not take it back.
    """
    changes = {one.answer.who for one in group if one.value != one.was}
    return [one for one in group if one.value != one.was or one.answer.who not in changes]


def _age_faults(group: _Said, age: _Said) -> list[str]:
    known = age.value.isascii() and age.value.isdigit()
    follows = OFFICIAL.group(int(age.value)) if known else group.value
    if follows == group.value:
        return []
    task = age.answer.task
    return [
        f"{task}: {age.value} years are {follows!r}, but {group.answer.task} says {group.value!r}"
    ]


def _row(subject: _Subject, one: _Said) -> Correction | Fault:
    profile, name, field = subject
    finding = one.answer.data.get("finding")
    doubt = "; ".join(finding.splitlines()) if isinstance(finding, str) else ""
    when = f" at {one.answer.when}" if one.answer.when else ""
    cells = {
        "profile": profile,
        "name": name or "",
        "field": field,
        "was": one.was or "",
        "now": one.value,
        "reason": one.answer.said.get(NOTE) or ("" if doubt == NO_DOUBT else doubt),
        "source": f"Label Studio, {one.answer.task}{_by(one.answer)}{when}",
        "confidence": "reviewed",
    }
    return correction({column: escape_cell(cell) for column, cell in cells.items()})


def _by(answer: Answer) -> str:
    return f" by {answer.who}" if answer.who else ""
