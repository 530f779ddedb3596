"""What people answered in Label Studio, read from what it exports: JSON or JSON-MIN."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from facecrop.commands.exports.labelstudio import FIELDS, NOTE
from facecrop.errors import ManifestError

_KINDS = ("choices", "number", "text")
_LISTS = ("annotations", "completions")
"""What a task holds its annotations under; the second is what old versions call them."""
_NEVER = datetime.min.replace(tzinfo=UTC)


class WrongTaskError(Exception):
    """A task cannot be used; its argument says which and why. Collected, never seen by a user."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody said of a picture.

    Args:
        task: How the task is named in messages.
        data: What the task was made with.
        said: Label or `note` -> value, as manifests write it; what was not answered is left out.
        who: The annotator: a mail address or a number; empty if unknown.
        when: As Label Studio writes it; empty if unknown.
    """

    task: str
    data: Mapping[str, Any]
    said: Mapping[str, str]
    who: str
    when: str

    @property
    def moment(self) -> datetime:
        """When it was said; long ago if that is not known."""
        try:
            moment = datetime.fromisoformat(self.when)
        except ValueError:
            return _NEVER
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_tasks(file: Path) -> list[Any]:
    """Read a file that Label Studio exported.

    Raises:
        ManifestError: It is not there, or is no JSON of tasks.
    """
    try:
        tasks = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ManifestError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ManifestError(
            f"{file} is no JSON ({error}); export from Label Studio as JSON or JSON-MIN"
        ) from None
    if not isinstance(tasks, list):
        raise ManifestError(f"{file} holds no list of tasks; export as JSON or JSON-MIN")
    return tasks


def answers_of(number: int, task: Any) -> Iterator[Answer]:
    """Yield the answers of a task; what was skipped or cancelled is none.

    Args:
        number: Of the task in its file, from 1; for messages where it has no id.
        task: One item of the file.

    Raises:
        WrongTaskError: It is no task, or an answer says several things.
    """
    if not isinstance(task, dict):
        raise WrongTaskError(f"task {number}: a task must be an object, got {str(task)[:40]!r}")
    name = f"task {task.get('id', f'no. {number}')}"
    kind = next((one for one in _LISTS if one in task), None)
    if kind is None:
        if not {"annotator", "annotation_id"} & task.keys():
            raise WrongTaskError(f"{name} has no annotations; export as JSON or JSON-MIN")
        yield _answer(name, task, task, task, task.get("annotator"))
        return
    data, annotations = task.get("data"), task[kind]
    if not isinstance(data, dict) or not isinstance(annotations, list):
        raise WrongTaskError(f"{name} has no data, or no list of annotations")
    for one in annotations:
        if not isinstance(one, dict):
            raise WrongTaskError(f"{name}: an annotation must be an object, got {str(one)[:40]!r}")
        if one.get("was_cancelled") or one.get("skipped"):
            continue
        yield _answer(name, data, _results(name, one), one, one.get("completed_by"))


def _results(name: str, annotation: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    results = annotation.get("result") or []
    if not isinstance(results, list):
        raise WrongTaskError(f"{name}: results must be a list, got {str(results)[:40]!r}")
    for one in results:
        if not isinstance(one, dict):
            raise WrongTaskError(f"{name}: a result must be an object, got {str(one)[:40]!r}")
        found.setdefault(str(one.get("from_name")), []).append(one.get("value"))
    return found


def _answer(
    name: str,
    data: Mapping[str, Any],
    said: Mapping[str, Any],
    facts: Mapping[str, Any],
    who: Any,
) -> Answer:
    values: dict[str, str] = {}
    for field in (*FIELDS, NOTE):
        found = list(dict.fromkeys(_texts(said.get(field))))
        if field == NOTE and found:
            values[field] = "; ".join(found)
        elif len(found) > 1:
            raise WrongTaskError(f"{name} says several things about {field}: {', '.join(found)}")
        elif found:
            values[field] = found[0]
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    when = facts.get("updated_at") or facts.get("created_at") or ""
    return Answer(name, data, values, "" if who is None else str(who), str(when))


def _texts(value: Any) -> Iterator[str]:
    """Yield what an answer says, in whichever of its forms: alone, in a list, in an object."""
    if isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for kind in _KINDS:
            yield from _texts(value.get(kind))
    elif isinstance(value, float) and value.is_integer():
        yield str(int(value))
    elif value is not None and str(value).strip():
        yield str(value).strip()
