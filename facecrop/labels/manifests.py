"""Manifests: files of label corrections, read row by row with the place of each row."""

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from facecrop.config import manifests_dir
from facecrop.errors import ConfigError
from facecrop.index import AGE_GROUPS, GENDERS, MASKS, write_atomic
from facecrop.labels.ages import OLDEST
from facecrop.labels.cells import Fault, escape_cell, read_cells, unescape_cell, unknown
from facecrop.labels.history import FIELDS, PERSON_FIELDS
from facecrop.registry import no_such
from facecrop.storage import local

SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".parquet")
SWAP = "swap:"
_REQUIRED = ("profile", "field", "was", "now")


@dataclass(frozen=True, slots=True)
class Correction:
    """One row of a manifest: what was said, what shall be said, and who says so.

    Args:
        profile: Directory name of the person.
        name: File stem (or whole file name) of one image; None for the whole person.
        field: One of `history.FIELDS`.
        was: What is said now; None if nothing is.
        now: What shall be said; `swap:<name>` exchanges the mask labels of two images.
        reason: Why, in a few words.
        source: Who found it.
        confidence: How sure they are.
    """

    profile: str
    name: str | None
    field: str
    was: str | None
    now: str
    reason: str | None = None
    source: str | None = None
    confidence: str | None = None


COLUMNS = tuple(column.name for column in fields(Correction))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a manifest with its place; lines (of a Parquet file: rows) count from 1."""

    manifest: str
    line: int
    content: Correction | Fault

    @property
    def place(self) -> str:
        """Where the row stands, as `file:line`."""
        return f"{self.manifest}:{self.line}"


def shipped_manifests() -> dict[str, Path]:
    """Return the manifests that come with facecrop, by name."""
    return {path.stem: path for path in sorted(manifests_dir().glob("*/*.csv"))}


def find_corrections(name_or_file: str | Path) -> Path:
    """Return the file that a user means by a shipped name or a path of their own.

    Raises:
        ConfigError: There is no such name or file.
    """
    path, shipped = local(name_or_file), shipped_manifests()
    if str(name_or_file) in shipped:
        return shipped[str(name_or_file)]
    if path.suffix.lower() in SUFFIXES or path.name != str(name_or_file):
        if path.is_file():
            return path
        raise ConfigError(f"manifest file {str(name_or_file)!r} does not exist")
    error = no_such("manifest", str(name_or_file), list(shipped))
    raise ConfigError(f"{error}; or give the path of a file ({' '.join(SUFFIXES)})")


def digest_of(file: Path) -> bytes:
    """Return the sha256 of a file's bytes, 32 bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def read_manifest(file: Path) -> Iterator[Row]:
    """Yield the rows of a manifest one by one, so that its size does not matter.

    CSV with comma, semicolon or tab; UTF-8 or UTF-16, with or without byte order mark; JSON
    lines; Parquet. Which one it is, its bytes tell.

    Raises:
        ManifestError: The file as a whole cannot be read; a bad row is a `Fault` instead.
    """
    for line, cells in read_cells(file, COLUMNS, _REQUIRED):
        yield Row(str(file), line, cells if isinstance(cells, Fault) else correction(cells))


def correction(cells: dict[str, str]) -> Correction | Fault:
    """Make a correction of the cells of a row, or say what is wrong with them."""
    values = {name: unescape_cell(cells.get(name, "").strip()) or None for name in COLUMNS}
    profile, field, now = values["profile"], values["field"], values["now"]
    if profile is None or field is None or now is None:
        empty = next(name for name in ("profile", "field", "now") if values[name] is None)
        return Fault(f"{empty} is empty")
    if field not in FIELDS:
        return Fault(unknown("field", field, FIELDS))
    fault = _scope_fault(field, values["name"]) or _value_fault(field, values["was"], now)
    if fault is not None:
        return Fault(fault)
    was, now = _years(field, values["was"]), _years(field, now)
    if was == now or now is None:
        return Fault(f"the row changes nothing: was and now are both {now!r}")
    return Correction(
        profile, values["name"], field, was, now,
        values["reason"], values["source"], values["confidence"],
    )  # fmt: skip


def _scope_fault(field: str, name: str | None) -> str | None:
    if field in PERSON_FIELDS and name is not None:
        return f"{field} belongs to the person, not to {name!r}: leave name empty"
    if field == "mask" and name is None:
        return "mask belongs to one image: name is empty"
    return None


def _value_fault(field: str, was: str | None, now: str) -> str | None:
    swap = field == "mask" and now.startswith(SWAP)
    for value in [was] if swap else [was, now]:
        if value is None:
            continue
        if field == "age" and not (value.isascii() and value.isdigit() and int(value) <= OLDEST):
            return f"age must be a whole number of years from 0 to {OLDEST}, got {value!r}"
        words = {"gender": GENDERS, "age_group": AGE_GROUPS, "mask": MASKS, "keep": ("yes", "no")}
        if field != "age" and value not in words[field]:
            return unknown(field, value, words[field])
    return None


def _years(field: str, value: str | None) -> str | None:
    """Return an age as other ages are written, without leading zeros."""
    return str(int(value)) if field == "age" and value is not None else value


def write_manifest(file: Path, corrections: Iterable[Correction]) -> int:
    """Write corrections as CSV, whole or not at all; return how many.

    Cells that a spreadsheet would take for a formula are escaped.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for count, row in enumerate(corrections, start=1):  # noqa: B007 - the count is the result
        writer.writerow([escape_cell(getattr(row, name) or "") for name in COLUMNS])
    write_atomic(file, lambda temporary: temporary.write_text(text.getvalue(), encoding="utf-8"))
    return count
