"""Label Studio: `tasks.json` with what is given and what the audit proposes, and `config.xml`.

A task is a picture. It says what was given, so that what comes back is a correction of that. Its
predictions are two: `given`, and, where the last audit proposes something else, `audit`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from facecrop.checks.check import Issue
from facecrop.commands.exports.folder import Folder
from facecrop.commands.exports.material import Entry, Material
from facecrop.index import AGE_GROUPS, GENDERS, MASKS
from facecrop.labels.members import Record, people_now

WORDS = {"mask": MASKS, "gender": GENDERS, "age_group": AGE_GROUPS, "keep": ("yes", "no")}
"""Labels that are chosen; `age` is a number, and a note becomes the reason of a correction."""
AGE, NOTE = "age", "note"
FIELDS = (*WORDS, AGE)
GIVEN = "given_"
"""Before the name of a label in a task: what it was when the task was made."""
NO_DOUBT = "no finding"
_TITLES = {
    "mask": "Mask",
    "gender": "Gender of the person",
    "age_group": "Age group of the person (official bins: young below 30, old from 60)",
    "keep": "Keep the picture",
}
_DIGITS = 3


def export(material: Material, folder: Folder) -> None:
    """Write a dataset as tasks for Label Studio, and how they are to be shown."""
    people = people_now(material.out, {entry.profile for entry in material.entries})
    records = {one.path: one for members in people.values() for one in members}
    tasks = []
    for number, entry in enumerate(material.entries, 1):
        record = records[entry.path]
        given = given_labels(record)
        proposed = _proposed(entry.issues, record, people[record.profile])
        image = material.image_root + material.pictures.address(entry.path)
        tasks.append(_task(number, entry, given, given | proposed, image))
        if material.report is not None:
            material.report(number, len(material.entries))
    folder.write_json("tasks.json", tasks)
    folder.write_text("config.xml", config())


def config() -> str:
    """Return the labelling configuration, XML; no word of it comes from a dataset."""
    lines = [
        "<View>",
        '  <Text name="profile" value="$profile"/>',
        '  <Text name="path" value="$path"/>',
        '  <Text name="finding" value="$finding"/>',
        '  <Image name="image" value="$image" zoom="true"/>',
    ]
    for name, words in WORDS.items():
        lines.append(f'  <Header value="{_TITLES[name]}"/>')
        lines.append(f'  <Choices name="{name}" toName="image" choice="single" showInline="true">')
        lines += [f'    <Choice value="{word}"/>' for word in words]
        lines.append("  </Choices>")
    lines += [
        '  <Header value="Age of the person in years, where the age group is not enough"/>',
        f'  <Number name="{AGE}" toName="image" min="0" max="120" step="1"/>',
        f'  <TextArea name="{NOTE}" toName="image" placeholder="why" maxSubmissions="1"/>',
        "</View>",
    ]
    return "\n".join(lines) + "\n"


def given_labels(record: Record) -> dict[str, str]:
    """Return what is said of a record now as manifests write it; what is unknown is left out."""
    said = {field: getattr(record, field) for field in FIELDS}
    return {field: value for field, value in said.items() if value is not None}


def _proposed(issues: Iterable[Issue], record: Record, members: list[Record]) -> dict[str, str]:
    """Return what the audit would have labels be, by the surest finding about each.

    What no longer is as the audit found it is not proposed.
    """
    found: dict[str, str] = {}
    for issue in issues:
        for one in issue.proposals if issue.profile == record.profile else ():
            now: str | None = one.now
            if one.name not in (None, record.name, record.path.rpartition("/")[2]):
                if one.other != record.name:
                    continue
                now = _mask_of(one.name, members)
            elif one.other is not None:
                now = _mask_of(one.other, members)
            elif getattr(record, one.field) != one.was:
                continue
            if now is not None:
                found.setdefault(one.field, now)
    return found


def _mask_of(name: str | None, members: list[Record]) -> str | None:
    named = [one.mask for one in members if one.name == name]
    return named[0] if len(named) == 1 else None


def _task(
    number: int, entry: Entry, given: Mapping[str, str], proposed: Mapping[str, str], image: str
) -> dict[str, Any]:
    doubts = [f"{one.check} {one.score:.2f}: {one.reason}" for one in entry.issues]
    score = max((one.score for one in entry.issues), default=0.0)
    predictions = [_prediction(number, "given", given, 1 - score)]
    if proposed != given:
        predictions.insert(0, _prediction(number, "audit", proposed, score))
    data = {
        "image": image,
        "path": entry.path,
        "profile": entry.profile,
        "finding": "\n".join(doubts) or NO_DOUBT,
        **({} if entry.part is None else {"part": entry.part}),
        **{f"{GIVEN}{field}": given.get(field) for field in FIELDS},
    }
    return {"data": data, "predictions": predictions}


def _prediction(number: int, version: str, said: Mapping[str, str], score: float) -> dict[str, Any]:
    result = []
    for field, value in said.items():
        kind = "number" if field == AGE else "choices"
        content = int(value) if field == AGE else [value]
        result.append(
            {
                "id": f"{version}-{number}-{field}",
                "from_name": field,
                "to_name": "image",
                "type": kind,
                "value": {kind: content},
            }
        )
    return {"model_version": version, "score": round(score, _DIGITS), "result": result}
