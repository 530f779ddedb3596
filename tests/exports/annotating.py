"""Simulated annotators: Label Studio's exports of a project, in both of their forms."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import facecrop
from facecrop.labels.manifests import Correction, read_manifest

Tasks = list[dict[str, Any]]
Change = Callable[[Mapping[str, Any]], Mapping[str, str]]

FIRST = "000001_male_Asian_30"
"""A person of the dataset."""


def exported(out: Path, target: Path, **options: Any) -> Tasks:
    facecrop.export(out, target, to="labelstudio", **options)
    found: Tasks = json.loads((target / "tasks.json").read_text(encoding="utf-8"))
    return found


def result(field: str, value: str) -> dict[str, Any]:
    """One answer as Label Studio stores it."""
    kind = {"age": "number", "note": "text"}.get(field, "choices")
    content: Any = int(value) if kind == "number" else [value]
    kinds = {"text": "textarea"}
    return {
        "id": f"x{field}", "from_name": field, "to_name": "image", "origin": "manual",
        "type": kinds.get(kind, kind), "value": {kind: content},
    }  # fmt: skip


def annotation(said: Mapping[str, str], **facts: Any) -> dict[str, Any]:
    """What one person submitted of one task."""
    usual = {
        "id": 7, "completed_by": {"id": 1, "email": "ann@example.org"}, "was_cancelled": False,
        "created_at": "2026-11-20T10:00:00.1Z", "updated_at": "2026-11-20T10:05:00.1Z",
    }  # fmt: skip
    return usual | {"result": [result(*pair) for pair in said.items()]} | facts


def said_of(task: Mapping[str, Any]) -> dict[str, str]:
    """What the first prediction of a task says: what a person submits who changes nothing."""
    found = {}
    for one in task["predictions"][-1]["result"]:
        (value,) = one["value"].values()
        found[one["from_name"]] = str(value[0] if isinstance(value, list) else value)
    return found


def annotated(tasks: Tasks, change: Change) -> Tasks:
    """The export of a project in which one person submitted every task."""
    return [
        task | {"id": number, "annotations": [annotation(said_of(task) | change(task["data"]))]}
        for number, task in enumerate(tasks, 100)
    ]


def minimal(tasks: Tasks) -> Tasks:
    """The same as JSON-MIN: a record for each annotation, answers beside the data."""
    rows = []
    for task in tasks:
        for one in task["annotations"]:
            if one["was_cancelled"]:
                continue
            row = dict(task["data"]) | {"id": task["id"]}
            for answer in one["result"]:
                (value,) = answer["value"].values()
                single = answer["type"] != "number"
                row[answer["from_name"]] = value[0] if single else [answer["value"]]
            who = one["completed_by"]
            row |= {"annotator": who["email"], "annotation_id": one["id"], "lead_time": 3.2}
            rows.append(row | {"created_at": one["created_at"], "updated_at": one["updated_at"]})
    return rows


def came_back(
    out: Path, folder: Path, answers: object, *, latest: bool = False
) -> list[Correction]:
    """What becomes of a file that Label Studio exported."""
    file, manifest = folder / "project.json", folder / "corrections.csv"
    file.write_text(json.dumps(answers), encoding="utf-8")
    facecrop.relabel_from_labelstudio(out, file, manifest, latest=latest)
    rows = [row.content for row in read_manifest(manifest)]
    assert all(isinstance(row, Correction) for row in rows)
    return [row for row in rows if isinstance(row, Correction)]
