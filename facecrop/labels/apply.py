"""Corrections against a dataset: what they would change, and everything that is wrong with them.

Rows are read in portions, and of the index only the people of a portion are held, so memory
depends on what changes, not on the size of the manifest or of the dataset.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.errors import ManifestError
from facecrop.labels.cells import Fault
from facecrop.labels.history import CHANGES_SCHEMA
from facecrop.labels.manifests import SWAP, Correction, Row, digest_of, read_manifest
from facecrop.labels.members import MissingError, Record, WrongRowError, image_named, members_of
from facecrop.labels.names import Profiles, forms
from facecrop.labels.overrides import Overrides

_PORTION = 1 << 14
_SHOWN = 1000
_HINTED = 100
"""Faults that are worded, and unknown profiles for which a similar name is looked for."""


@dataclass(slots=True)
class Plan:
    """What manifests would change.

    Args:
        rows: Rows that change at least one record.
        images: Records that change.
        already: Rows whose wish is fulfilled already.
        skipped: Rows left out because the dataset has no such profile or image.
        changes: One row for each change of a record, with `CHANGES_SCHEMA`.
        faults: What is wrong, each with its place; at most a thousand.
        n_faults: How many there are.
    """

    rows: int = 0
    images: int = 0
    already: int = 0
    skipped: int = 0
    changes: pa.Table = field(default_factory=CHANGES_SCHEMA.empty_table)
    faults: list[str] = field(default_factory=list)
    n_faults: int = 0

    def fault(self, place: str, message: str) -> None:
        """Note that something is wrong."""
        self.n_faults += 1
        if len(self.faults) < _SHOWN:
            self.faults.append(f"{place}: {message}")

    def raise_faults(self) -> None:
        """Raise everything that is wrong at once.

        Raises:
            ManifestError: There is anything.
        """
        if not self.n_faults:
            return
        more = self.n_faults - len(self.faults)
        lines = [*self.faults, *([f"and {more:,} more"] if more else [])]
        count = f"{self.n_faults:,} rows are" if self.n_faults > 1 else "one row is"
        raise ManifestError("\n  ".join([f"{count} wrong, nothing was changed:", *lines]))


class _Want(NamedTuple):
    now: str
    place: str


@dataclass(slots=True)
class _Task:
    """The state while manifests are read."""

    index: Callable[[], Iterable[pa.Table]]
    overrides: Overrides
    skip_missing: bool
    plan: Plan = field(default_factory=Plan)
    wants: dict[tuple[str, str], _Want] = field(default_factory=dict)
    profiles: Profiles | None = None
    hinted: int = 0


def plan_corrections(
    files: Sequence[Path],
    index: Callable[[], Iterable[pa.Table]],
    overrides: Overrides,
    *,
    skip_missing: bool = False,
) -> Plan:
    """Find out what manifests would change; nothing is written.

    Args:
        files: The manifests; all see the dataset as it is now, so their order does not matter.
        index: Gives the label columns of the index in batches, anew at each call.
        overrides: What earlier corrections say.
        skip_missing: Pass over rows whose profile or image the dataset does not have. An id in
            place of a directory name or a lost leading zero is an error all the same.

    Raises:
        ManifestError: A file cannot be read at all; bad rows are in the plan's faults.
    """
    task = _Task(index, overrides, skip_missing)
    images: set[str] = set()
    tables = []
    for file in files:
        digest = digest_of(file)
        rows = read_manifest(file)
        while portion := list(islice(rows, _PORTION)):
            changes = _changes(task, portion, file.name, digest)
            images.update(changes["path"].to_pylist())
            tables.append(changes)
    if tables:
        task.plan.changes = pa.concat_tables(tables)
    task.plan.images = len(images)
    return task.plan


def _changes(task: _Task, rows: list[Row], manifest: str, digest: bytes) -> pa.Table:
    """Return the changes of a portion of rows, noting what is wrong."""
    named = {row.content.profile for row in rows if isinstance(row.content, Correction)}
    members = members_of(named, task.index(), task.overrides)
    columns: dict[str, list[object]] = {name: [] for name in CHANGES_SCHEMA.names}
    for row in rows:
        if isinstance(row.content, Fault):
            task.plan.fault(row.place, row.content.message)
            continue
        try:
            changed = list(_effects(task, row, row.content, members))
        except WrongRowError as error:
            task.plan.fault(row.place, str(error))
            continue
        except MissingError:
            task.plan.skipped += 1
            continue
        task.plan.rows += bool(changed)
        task.plan.already += not changed
        for change in changed:
            _append(columns, row, row.content, change)
    size = len(columns["path"])
    columns["manifest"], columns["manifest_digest"] = [manifest] * size, [digest] * size
    return pa.table(columns, schema=CHANGES_SCHEMA)


def _append(
    columns: dict[str, list[object]],
    row: Row,
    content: Correction,
    change: tuple[Record, str | None, str],
) -> None:
    record, was, now = change
    values = {
        "line": row.line, "scope": "image" if content.name else "profile",
        "path": record.path, "profile": record.profile, "name": record.name,
        "digest": record.digest, "field": content.field, "was": was, "now": now,
        "reason": content.reason, "source": content.source, "confidence": content.confidence,
    }  # fmt: skip
    for name, value in values.items():
        columns[name].append(value)


def _effects(
    task: _Task, row: Row, content: Correction, members: dict[str, list[Record]]
) -> Iterator[tuple[Record, str | None, str]]:
    """Yield record, was and now of everything that a row changes.

    Raises:
        WrongRowError: The row does not fit the dataset or another row.
        MissingError: The dataset has no such record, and that is allowed.
    """
    records = _profile(task, content, members)
    if content.now.startswith(SWAP):
        wishes = _swap(task, content, records)
    elif content.name is not None:
        record = _image(task, content.name, records)
        wishes = [(record, content.was, content.now)]
    else:
        wishes = [(record, content.was, content.now) for record in records]
    for record, was, now in wishes:
        current = getattr(record, content.field)
        if current not in (now, was):
            thing = record.path if content.name else record.profile
            raise WrongRowError(
                f"{content.field} of {thing!r} is {_shown(current)}, "
                f"but the row expects {_shown(was)}, to make it {now!r}"
            )
    for record, _, now in wishes:
        current = getattr(record, content.field)
        if _first_wish(task, row, content.field, record, now) and current != now:
            yield record, current, now


def _first_wish(task: _Task, row: Row, name: str, record: Record, now: str) -> bool:
    """Return whether nobody asked for this yet.

    Raises:
        WrongRowError: Another row wants something else.
    """
    earlier = task.wants.setdefault((record.path, name), _Want(now, row.place))
    if earlier.now != now:
        raise WrongRowError(
            f"{name} of {record.path!r} shall be {now!r} here, "
            f"but {earlier.now!r} at {earlier.place}: keep one of the two rows"
        )
    return earlier.place == row.place


def _profile(task: _Task, content: Correction, members: dict[str, list[Record]]) -> list[Record]:
    for form in forms(content.profile):
        if form in members:
            return members[form]
    if task.profiles is None:
        task.profiles = Profiles(_all_profiles(task.index()))
    mistake = task.profiles.mistaken(content.profile)
    if mistake is not None:
        raise WrongRowError(mistake)
    if task.skip_missing:
        raise MissingError
    task.hinted += 1
    near = task.profiles.nearest(content.profile) if task.hinted <= _HINTED else None
    raise WrongRowError(
        f"no profile {content.profile!r}" + (f"; did you mean {near!r}?" if near else "")
    )


def _all_profiles(index: Iterable[pa.Table]) -> set[str]:
    return {name for batch in index for name in pc.unique(batch["profile"]).to_pylist()}


def _image(task: _Task, name: str, records: list[Record]) -> Record:
    try:
        return image_named(name, records)
    except MissingError as error:
        if task.skip_missing:
            raise
        raise WrongRowError(str(error)) from None


def _swap(
    task: _Task, content: Correction, records: list[Record]
) -> list[tuple[Record, str | None, str]]:
    """Return the two wishes of a swap; they start from the raw words, so twice is once."""
    one = _image(task, content.name or "", records)
    other = _image(task, content.now.removeprefix(SWAP), records)
    if one.mask_raw is None or other.mask_raw is None:
        blank = one if one.mask_raw is None else other
        raise WrongRowError(f"{blank.path!r} has no raw mask label to swap")
    if one.mask_raw == other.mask_raw:
        raise WrongRowError(
            f"both {one.path!r} and {other.path!r} are {one.mask_raw!r}: nothing to swap"
        )
    if content.was != one.mask_raw:
        raise WrongRowError(
            f"mask of {one.path!r} is {one.mask_raw!r} by its raw label, "
            f"but the row expects {_shown(content.was)}"
        )
    return [(one, one.mask_raw, other.mask_raw), (other, other.mask_raw, one.mask_raw)]


def _shown(value: str | None) -> str:
    return "unknown" if value is None else repr(value)
