"""A raw folder as read: its records, and what was left out."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.index import INDEX_SCHEMA
from facecrop.labels.paths import escape
from facecrop.storage import Told, whither

EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp"}
    | {".tif", ".tiff", ".gif", ".avif", ".heic", ".heif"}
)
"""A file is a record if its extension, case-blind, is one of these."""

Claims = tuple[str | None, str | None, int | None]
"""What is claimed about a picture: mask, gender, age."""

_SHOWN = 1000
"""Ignored paths that are named one by one; beyond, they are counted only."""
_PACKED_ROWS = 1 << 14
"""Records that are held as objects at most."""


RAW_COLUMNS = (
    "path", "profile", "name", "mask_raw", "gender_raw", "age_raw",
    "size", "mtime_ns", "ctime_ns", "inode",
)  # fmt: skip
"""Columns of the index that the raw folder alone tells, in the order of `RawFile`."""

RAW_SCHEMA = pa.schema([INDEX_SCHEMA.field(name) for name in RAW_COLUMNS])


class RawFile(NamedTuple):
    """One raw image: where it is, whose it is, what is claimed, what tells that it is unchanged.

    Args:
        path: Relative to RAW, POSIX, escaped (`labels.paths.escape`).
        profile: The person it shows.
        name: Its file stem.
        mask: What its name or table claims, in our words, or None.
        gender: Likewise.
        age: Years, likewise.
        size: Bytes.
        mtime_ns: Of its content.
        ctime_ns: Of its inode; of an object the same as `mtime_ns`.
        inode: Number of the inode; of an object a hash of its ETag (63 bits).
    """

    path: str
    profile: str
    name: str
    mask: str | None
    gender: str | None
    age: int | None
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(slots=True)
class Scan:
    """A raw folder as read: all its records in order, and all that is not one.

    Records are held as columns, some 0.1 kB each: there may be many millions.

    Args:
        layout: How it was read.
        root: The folder, or the table.
        found: Its first records, if they are known already.
        ignored: How often what was left out, by reason.
        ignored_paths: Path and reason of the first so many of these.
        empty_profiles: Profiles without a record.
        missing: By profile, which of the seven pictures of the mask task it has not.
        extra: By profile, which names it has beside these, or twice.
    """

    layout: str
    root: Path
    found: InitVar[Iterable[RawFile]] = ()
    ignored: Counter[str] = field(default_factory=Counter)
    ignored_paths: list[tuple[str, str]] = field(default_factory=list)
    empty_profiles: list[str] = field(default_factory=list)
    missing: dict[str, list[str]] = field(default_factory=dict)
    extra: dict[str, list[str]] = field(default_factory=dict)
    _latest: list[RawFile] = field(default_factory=list, init=False)
    _parts: list[pa.RecordBatch] = field(default_factory=list, init=False)
    _packed: int = field(default=0, init=False)

    def __post_init__(self, found: Iterable[RawFile]) -> None:
        for file in found:
            self.add(file)

    def add(self, file: RawFile) -> None:
        """Take a record."""
        self._latest.append(file)
        if len(self._latest) >= _PACKED_ROWS:
            self._pack()

    def latest(self, start: int) -> list[RawFile]:
        """Return the records from one on that was taken just now."""
        if start >= self._packed:
            return self._latest[start - self._packed :]
        columns = self.table().slice(start).to_pydict().values()
        return list(map(RawFile._make, zip(*columns, strict=True)))

    @property
    def count(self) -> int:
        """How many records there are."""
        return self._packed + len(self._latest)

    @property
    def profiles(self) -> int:
        """How many people they show."""
        return int(pc.count_distinct(self.table()["profile"]).as_py())

    @property
    def claims(self) -> bool:
        """Whether anything is claimed about whom the first record shows, or about a mask."""
        first = self.table().slice(0, 1)
        return any(first[name].null_count < len(first) for name in ("gender_raw", "mask_raw"))

    @property
    def files(self) -> list[RawFile]:
        """The records as objects: of small folders only."""
        return self.latest(0)

    def table(self) -> pa.Table:
        """Return what it tells of each record, with `RAW_SCHEMA`."""
        self._pack()
        return pa.Table.from_batches(self._parts, RAW_SCHEMA)

    def replace(self, table: pa.Table) -> None:
        """Have these records, with `RAW_SCHEMA`, instead."""
        self._latest, self._packed = [], table.num_rows
        self._parts = table.to_batches(max_chunksize=_PACKED_ROWS)

    def put_in_order(self) -> None:
        """Put the records in the order of their paths, in which most layouts find them."""
        self._pack()
        last = ""
        for part in self._parts:
            paths = part["path"]
            rises = pc.less_equal(paths.slice(0, len(paths) - 1), paths.slice(1))
            if last > paths[0].as_py() or not pc.all(rises, min_count=0).as_py():
                table = self.table()
                self.replace(table.take(pc.sort_indices(table["path"])))
                return
            last = paths[-1].as_py()

    def _pack(self) -> None:
        """Turn the records taken last into columns."""
        if self._latest:
            columns = zip(*self._latest, strict=True)
            arrays = [
                pa.array(values, one.type) for values, one in zip(columns, RAW_SCHEMA, strict=True)
            ]
            self._parts.append(pa.record_batch(arrays, schema=RAW_SCHEMA))
            self._packed += len(self._latest)
            self._latest = []

    def ignore(self, path: str, reason: str) -> None:
        """Count something that is no record, and name it while there are not too many."""
        self.ignored[reason] += 1
        if len(self.ignored_paths) < _SHOWN:
            self.ignored_paths.append((escape(path), reason))


def raw_file(path: str, profile: str, claims: Claims, facts: Told) -> RawFile:
    """Return the record of a file.

    Args:
        path: Relative to RAW, POSIX, as the file system has it.
        profile: The person, escaped.
        claims: What is claimed about the picture.
        facts: Of the file, links followed.
    """
    name = without_extension(path.rpartition("/")[2])
    return RawFile(
        escape(path), profile, escape(name), *claims,
        facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino,
    )  # fmt: skip


def is_image(name: str) -> bool:
    """Tell whether a file of this name is a record."""
    dot = name.rfind(".")
    return dot > 0 and name[dot:].lower() in EXTENSIONS


def without_extension(path: str) -> str:
    """Return the path of a record without its extension."""
    return path[: path.rfind(".")]


def raw_of(out: Path, card: Mapping[str, Any]) -> Path | None:
    """Return the raw folder of a dataset, or the table that names its pictures; None if unknown.

    Args:
        out: The dataset, or the folder of its card.
        card: `dataset.toml`; empty where there is none.
    """
    known = card.get("raw")
    return whither(out, known).resolve() if isinstance(known, str) else None


def root_of(raw: Path) -> Path:
    """Return what the paths of records are relative to: a table lies in the folder of its files."""
    return raw if raw.is_dir() else raw.parent
