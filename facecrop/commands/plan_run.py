"""What a preprocess run has to do: which profiles are settled, and which go to the workers."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from facecrop.commands.ledger import LEDGER_SCHEMA
from facecrop.engines.work import Task
from facecrop.images.output import extra_file
from facecrop.images.picture import Item, Kept
from facecrop.index import RETRIED, Status
from facecrop.labels.layouts import RawFile, Scan
from facecrop.labels.paths import crop_names, unescape

_TRUST_NS = 2_000_000_000
"""A file touched less than this before the last scan may have changed since with equal times."""
_TASK_IMAGES = 28
"""Images of a task at most: enough to form batches."""
_TASKS_EACH = 8
"""Tasks for each worker at least, so that none is left alone with a long last one."""

_RAW_COLUMNS = {
    "profile": "profile",
    "name": "name",
    "mask_raw": "mask",
    "gender_raw": "gender",
    "age_raw": "age",
    "size": "size",
    "mtime_ns": "mtime_ns",
    "ctime_ns": "ctime_ns",
    "inode": "inode",
}
"""Columns of the index that the raw folder tells, and what a raw file calls them."""

_FACTS = ("size", "mtime_ns", "ctime_ns", "inode")
_CROP_FACTS = ("image", "image_sha256", "image_size", "image_mtime_ns", "render_key")
_WANTED = (
    "path", "profile", "digest", *_FACTS, "status", "reason", "recipe",
    *_CROP_FACTS, "extras_key",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The parts of a run.

    Args:
        settled: Rows that stay as they are, in the ledger's schema.
        profiles: What has to be worked on.
        unread: Files whose unchanged size and times spared reading them.
    """

    settled: pa.Table
    profiles: tuple[tuple[Item, ...], ...]
    unread: int

    @property
    def images(self) -> int:
        """How many records have to be worked on."""
        return sum(map(len, self.profiles))

    def tasks(self, workers: int) -> Iterator[Task]:
        """Yield the work in handy pieces: neighbouring profiles together."""
        enough = min(_TASK_IMAGES, self.images / (workers * _TASKS_EACH))
        parts: list[tuple[Item, ...]] = []
        for profile in self.profiles:
            parts.append(profile)
            if sum(map(len, parts)) >= enough:
                yield Task(parts)
                parts = []
        if parts:
            yield Task(parts)


def plan_run(
    out: Path,
    scan: Scan,
    previous: pa.Table,
    recipe: bytes,
    *,
    scanned_ns: int,
    extension: str,
    keep: frozenset[str],
    kept_before: frozenset[str],
    verify: bool,
) -> RunPlan:
    """Compare a raw folder with what is known of it.

    Args:
        out: The dataset.
        scan: RAW as it is now.
        previous: What earlier runs found (`Ledger.previous`).
        recipe: Fingerprint of the recipe of this run.
        scanned_ns: When the last run scanned RAW, 0 if unknown.
        extension: Of the crops.
        keep: What to write beside the crops.
        kept_before: What the last run that came to its end wrote beside them.
        verify: Read every file and crop again.
    """
    known = _by_path(previous)
    targets = crop_names(
        [file.profile for file in scan.files],
        [file.name for file in scan.files],
        [file.path for file in scan.files],
    )
    on_disk = _Disk(out)
    counts = _count_profiles(previous)
    settled: list[int] = []
    work: list[tuple[Item, ...]] = []
    unread = 0
    by_profile = sorted(
        zip(scan.files, targets, strict=True), key=lambda pair: (pair[0].profile, pair[0].path)
    )
    for profile, group in groupby(by_profile, key=lambda pair: pair[0].profile):
        members = list(group)
        items, done = [], keep <= kept_before and len(members) == counts.get(profile, 0)
        numbers = []
        for file, target in members:
            row = known.get(file.path)
            same = row is not None and _unchanged(file, row, scanned_ns) and not verify
            unread += same
            item = _item(file, target, row, on_disk, keep=keep, same=same, verify=verify)
            items.append(item)
            done = (
                done
                and same
                and row is not None
                and _is_done(row, item, on_disk, recipe=recipe, extension=extension, keep=keep)
            )
            numbers.append(row["row"] if row else -1)
        if done:
            settled.extend(numbers)
        else:
            work.append(tuple(items))
    order = pa.array(sorted(settled), pa.int64())
    return RunPlan(previous.take(order), tuple(work), unread)


def pending_rows(files: Iterable[RawFile]) -> pa.Table:
    """Return rows for records whose pixels were not worked on yet."""
    known = list(files)
    columns: dict[str, list[Any]] = {name: [] for name in ("path", "status", *_RAW_COLUMNS)}
    for file in known:  # by column: a mapping for each row would be most of the parent's memory
        columns["path"].append(file.path)
        columns["status"].append(Status.PENDING.value)
        for name, fact in _RAW_COLUMNS.items():
            columns[name].append(getattr(file, fact))
    return pa.table(
        [
            pa.array(columns[field.name], field.type)
            if field.name in columns
            else pa.nulls(len(known), field.type)
            for field in LEDGER_SCHEMA
        ],
        schema=LEDGER_SCHEMA,
    )


def raw_columns(file: RawFile) -> dict[str, Any]:
    """Return the columns of the index that the raw folder alone tells."""
    return {name: getattr(file, fact) for name, fact in _RAW_COLUMNS.items()}


def _by_path(previous: pa.Table) -> dict[str, dict[str, Any]]:
    columns = {name: previous[name].to_pylist() for name in _WANTED}
    return {
        values[0]: dict(zip(_WANTED, values, strict=True)) | {"row": row}
        for row, values in enumerate(zip(*columns.values(), strict=True))
    }


def _count_profiles(previous: pa.Table) -> dict[str, int]:
    counts = previous.group_by("profile").aggregate([("path", "count")])
    return dict(zip(counts["profile"].to_pylist(), counts["path_count"].to_pylist(), strict=True))


def _unchanged(file: RawFile, row: dict[str, Any], scanned_ns: int) -> bool:
    same = all(getattr(file, fact) == row[fact] for fact in _FACTS)
    return same and max(file.mtime_ns, file.ctime_ns) < scanned_ns - _TRUST_NS


def _item(
    file: RawFile,
    target: str,
    row: dict[str, Any] | None,
    on_disk: "_Disk",
    *,
    keep: frozenset[str],
    same: bool,
    verify: bool,
) -> Item:
    kept = None
    if row is not None:
        beside = row["extras_key"] if on_disk.has_extras(target, keep) else None
        kept = Kept(extras_key=beside)
        if row["image"] is not None and on_disk.intact(row, verify=verify):
            kept = replace(kept, **{name: row[name] for name in _CROP_FACTS})
    digest = row["digest"] if same and row is not None else None
    return Item(file.path, unescape(file.path), target, file.size, file.mtime_ns, digest, kept)


def _is_done(
    row: dict[str, Any],
    item: Item,
    on_disk: "_Disk",
    *,
    recipe: bytes,
    extension: str,
    keep: frozenset[str],
) -> bool:
    if row["recipe"] != recipe or row["status"] == Status.PENDING or row["reason"] in RETRIED:
        return False
    usable = row["status"] != Status.REJECT
    if usable and (item.kept is None or item.kept.image != f"images/{item.target}.{extension}"):
        return False
    return not (keep and usable) or on_disk.has_extras(item.target, keep)


class _Disk:
    """What is in OUT, asked folder by folder."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._folders: dict[str, dict[str, os.stat_result]] = {}

    def intact(self, row: dict[str, Any], *, verify: bool) -> bool:
        """Tell whether a crop is what was written: by size and time, else by its digest."""
        facts = self._stat(row["image"])
        if facts is None or row["render_key"] is None:
            return False
        if not verify and (facts.st_size, facts.st_mtime_ns) == (
            row["image_size"],
            row["image_mtime_ns"],
        ):
            return True
        data = (self._out / row["image"]).read_bytes()
        return bool(sha256(data).digest() == row["image_sha256"])

    def has_extras(self, target: str, keep: frozenset[str]) -> bool:
        """Tell whether what `--keep` asks for lies beside the crop."""
        return all(self._stat(extra_file(kind, target)) for kind in keep)

    def _stat(self, name: str) -> os.stat_result | None:
        folder, _, file = name.rpartition("/")
        if folder not in self._folders:
            try:
                with os.scandir(self._out / folder) as entries:
                    self._folders[folder] = {
                        entry.name: entry.stat() for entry in entries if entry.is_file()
                    }
            except OSError:
                self._folders[folder] = {}
        return self._folders[folder].get(file)
