"""Manifests: files of label corrections, read row by row with the place of each row."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from facecrop.config import manifests_dir
from facecrop.errors import ConfigError, ManifestError
from facecrop.index import AGE_GROUPS, GENDERS, MASKS, write_atomic
from facecrop.labels.ages import OLDEST
from facecrop.labels.history import FIELDS, PERSON_FIELDS
from facecrop.registry import no_such

SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".parquet")
SWAP = "swap:"
_DELIMITERS = ",;\t"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_REQUIRED = ("profile", "field", "was", "now")
_HEAD_BYTES = 1 << 12
_READ_BYTES = 1 << 20

T = TypeVar("T")


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
class Fault:
    """What is wrong with a row of a manifest."""

    message: str


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
    path, shipped = Path(name_or_file), shipped_manifests()
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
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
        if head.startswith(b"PAR1"):
            rows: Iterable[tuple[int, dict[str, str] | Fault]] = _parquet_rows(file)
        else:
            encoding = _encoding(head)
            start = head.decode(encoding, errors="ignore").lstrip("\ufeff \r\n\t")
            rows = (
                _json_rows(file, encoding) if start.startswith("{") else _csv_rows(file, encoding)
            )
        for line, cells in rows:
            yield Row(str(file), line, cells if isinstance(cells, Fault) else correction(cells))
    except UnicodeDecodeError as error:
        byte, place = error.object[error.start], f"{file}:{_undecodable_line(file, error.encoding)}"
        raise ManifestError(
            f"{place}: byte {byte:#04x} is not {error.encoding}; save it as UTF-8"
        ) from None
    except (OSError, pa.ArrowException) as error:
        raise ManifestError(f"{file} cannot be read: {str(error).splitlines()[0]}") from None


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


def unknown(what: str, value: str, known: Sequence[str]) -> str:
    """Return the message for a value that is not one of the known: the nearest, and all."""
    near = get_close_matches(value.lower(), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"no {what} {value!r}{hint} (known: {', '.join(known)})"


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


def _encoding(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if head[1:2] == b"\0" or head[:1] == b"\0":
        return "utf-16-le" if head[1:2] == b"\0" else "utf-16-be"
    return "utf-8-sig"


def _undecodable_line(file: Path, encoding: str) -> int:
    with file.open(encoding=encoding, errors="surrogateescape", newline="") as stream:
        for line, text in enumerate(stream, start=1):
            if any("\udc80" <= char <= "\udcff" for char in text):
                return line
    return 1


def _csv_rows(file: Path, encoding: str) -> Iterator[tuple[int, dict[str, str] | Fault]]:
    with file.open(encoding=encoding, newline="", buffering=_READ_BYTES) as stream:
        first = stream.readline()
        skipped = 0
        if first.lower().startswith("sep="):  # a hint that some spreadsheets write
            first, skipped = stream.readline(), 1
        delimiter = max(_DELIMITERS, key=first.count)
        header = _header(next(csv.reader([first], delimiter=delimiter), []), file)
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        start = skipped + 2
        try:
            for cells in reader:
                yield from _csv_row(start, cells, header)
                start = skipped + 2 + reader.line_num
        except csv.Error as error:
            raise ManifestError(f"{file}:{start}: {error}; is a quote not closed?") from None


def _csv_row(
    line: int, cells: list[str], header: list[str]
) -> Iterator[tuple[int, dict[str, str] | Fault]]:
    if any(cell.strip() for cell in cells[len(header) :]):
        yield line, Fault(f"{len(cells)} cells, but the header has {len(header)} columns")
    elif any(cell.strip() for cell in cells):
        yield line, dict(zip(header, cells, strict=False))


def _json_rows(file: Path, encoding: str) -> Iterator[tuple[int, dict[str, str] | Fault]]:
    with file.open(encoding=encoding, buffering=_READ_BYTES) as stream:
        for line, text in enumerate(stream, start=1):
            if not text.strip():
                continue
            try:
                data = json.loads(text.rstrip())
            except json.JSONDecodeError as error:
                yield line, Fault(f"no JSON: {error.msg} at column {error.colno}")
                continue
            if not isinstance(data, dict):
                yield line, Fault(f"a row must be an object {{...}}, got {text.strip()[:40]!r}")
                continue
            try:
                _header(list(data), file)
            except ManifestError as error:
                yield line, Fault(str(error).removeprefix(f"{file}: "))
                continue
            yield line, {name: _text(value) for name, value in data.items()}


def _parquet_rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    line = 0
    with pq.ParquetFile(file) as table:
        _header(table.schema_arrow.names, file)
        for batch in table.iter_batches(1 << 14):
            for row in batch.to_pylist():
                line += 1
                yield line, {name: _text(value) for name, value in row.items()}


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # what a column of whole years with gaps becomes on its way
    return "" if value is None or value != value else str(value)  # noqa: PLR0124 - only NaN differs from itself


def _header(names: Sequence[str], file: Path) -> list[str]:
    header = [str(name).strip().lower() for name in names]
    while header and not header[-1]:
        header.pop()
    for name in header:
        if name not in COLUMNS:
            raise ManifestError(f"{file}: {unknown('column', name, COLUMNS)}")
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        raise ManifestError(
            f"{file}: no column {missing[0]!r}; a manifest needs {', '.join(_REQUIRED)}, "
            f"found {', '.join(header) or 'nothing'}"
        )
    if len(set(header)) < len(header):
        raise ManifestError(f"{file}: a column comes twice in {', '.join(header)}")
    return header


def escape_cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula; `unescape_cell` gives it back.

    >>> escape_cell("=1+1"), unescape_cell("'=1+1"), escape_cell("male")
    ("'=1+1", '=1+1', 'male')
    """
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def unescape_cell(text: str) -> str:
    """Return what `escape_cell` was given."""
    escaped = text.startswith("'") and text.lstrip("'").startswith(_FORMULA)
    return text[1:] if escaped else text


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
