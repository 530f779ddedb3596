"""A raw folder as read: its records, and what was left out."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from facecrop.index import INDEX_SCHEMA
from facecrop.labels.paths import escape

EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp"}
    | {".tif", ".tiff", ".gif", ".avif", ".heic", ".heif"}
)
"""A file is a record if its extension, case-blind, is one of these."""

Claims = tuple[str | None, str | None, int | None]
"""What is claimed about a picture: mask, gender, age."""

_SHOWN = 1000
"""Ignored paths that are named one by one; beyond, they are counted only."""


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
        ctime_ns: Of its inode.
        inode: Number of the inode.
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

    Args:
        layout: How it was read.
        root: The folder, or the table.
        files: Its records, in the order of their paths.
        ignored: How often what was left out, by reason.
        ignored_paths: Path and reason of the first so many of these.
        empty_profiles: Profiles without a record.
        missing: By profile, which of the seven pictures of the mask task it has not.
        extra: By profile, which names it has beside these, or twice.
    """

    layout: str
    root: Path
    files: list[RawFile] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    ignored_paths: list[tuple[str, str]] = field(default_factory=list)
    empty_profiles: list[str] = field(default_factory=list)
    missing: dict[str, list[str]] = field(default_factory=dict)
    extra: dict[str, list[str]] = field(default_factory=dict)

    def table(self) -> pa.Table:
        """Return what it tells of each record, with `RAW_SCHEMA`."""
        return pa.table(
            [
                pa.array([file[number] for file in self.files], column.type)
                for number, column in enumerate(RAW_SCHEMA)
            ],
            schema=RAW_SCHEMA,
        )

    def ignore(self, path: str, reason: str) -> None:
        """Count something that is no record, and name it while there are not too many."""
        self.ignored[reason] += 1
        if len(self.ignored_paths) < _SHOWN:
            self.ignored_paths.append((escape(path), reason))


def raw_file(path: str, profile: str, claims: Claims, facts: os.stat_result) -> RawFile:
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
