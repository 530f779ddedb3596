"""The cells of a manifest's rows, however it is written: CSV, JSON lines, Parquet."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from facecrop.errors import ManifestError

_DELIMITERS = ",;\t"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_HEAD_BYTES = 1 << 12
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row of a manifest."""

    message: str


_Line = tuple[int, dict[str, str] | Fault]
"""Its number, counted from 1, and the cells by column, or what is wrong with them."""


def read_cells(file: Path, columns: Sequence[str], required: Sequence[str]) -> Iterator[_Line]:
    """Yield the rows of a file one by one; which kind it is of, its bytes tell.

    Args:
        file: It.
        columns: That there may be.
        required: Those that there must be.

    Raises:
        ManifestError: The file as a whole cannot be read; a bad row is a `Fault` instead.
    """
    header = _Header(file, columns, required)
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
        if head.startswith(b"PAR1"):
            yield from _parquet_rows(file, header)
            return
        encoding = _encoding(head)
        start = head.decode(encoding, errors="ignore").lstrip("\ufeff \r\n\t")
        rows = _json_rows if start.startswith("{") else _csv_rows
        yield from rows(file, encoding, header)
    except UnicodeDecodeError as error:
        byte, place = error.object[error.start], f"{file}:{_undecodable_line(file, error.encoding)}"
        raise ManifestError(
            f"{place}: byte {byte:#04x} is not {error.encoding}; save it as UTF-8"
        ) from None
    except (OSError, pa.ArrowException) as error:
        raise ManifestError(f"{file} cannot be read: {str(error).splitlines()[0]}") from None


@dataclass(frozen=True, slots=True)
class _Header:
    """The columns that a file may have, and must."""

    file: Path
    columns: Sequence[str]
    required: Sequence[str]

    def check(self, names: Sequence[str]) -> list[str]:
        """Return the columns of the file, or raise."""
        header = [str(name).strip().lower() for name in names]
        while header and not header[-1]:
            header.pop()
        for name in header:
            if name not in self.columns:
                raise ManifestError(f"{self.file}: {unknown('column', name, self.columns)}")
        missing = [name for name in self.required if name not in header]
        if missing:
            raise ManifestError(
                f"{self.file}: no column {missing[0]!r}; a manifest needs "
                f"{', '.join(self.required)}, found {', '.join(header) or 'nothing'}"
            )
        if len(set(header)) < len(header):
            raise ManifestError(f"{self.file}: a column comes twice in {', '.join(header)}")
        return header


def unknown(what: str, value: str, known: Sequence[str]) -> str:
    """Return the message for a value that is not one of the known: the nearest, and all."""
    near = get_close_matches(value.lower(), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"no {what} {value!r}{hint} (known: {', '.join(known)})"


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


def _csv_rows(file: Path, encoding: str, header: _Header) -> Iterator[_Line]:
    with file.open(encoding=encoding, newline="", buffering=_READ_BYTES) as stream:
        first = stream.readline()
        skipped = 0
        if first.lower().startswith("sep="):  # a hint that some spreadsheets write
            first, skipped = stream.readline(), 1
        delimiter = max(_DELIMITERS, key=first.count)
        names = header.check(next(csv.reader([first], delimiter=delimiter), []))
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        start = skipped + 2
        try:
            for cells in reader:
                yield from _csv_row(start, cells, names)
                start = skipped + 2 + reader.line_num
        except csv.Error as error:
            raise ManifestError(f"{file}:{start}: {error}; is a quote not closed?") from None


def _csv_row(line: int, cells: list[str], header: list[str]) -> Iterator[_Line]:
    if any(cell.strip() for cell in cells[len(header) :]):
        yield line, Fault(f"{len(cells)} cells, but the header has {len(header)} columns")
    elif any(cell.strip() for cell in cells):
        yield line, dict(zip(header, cells, strict=False))


def _json_rows(file: Path, encoding: str, header: _Header) -> Iterator[_Line]:
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
                header.check(list(data))
            except ManifestError as error:
                yield line, Fault(str(error).removeprefix(f"{file}: "))
                continue
            yield line, {name: _text(value) for name, value in data.items()}


def _parquet_rows(file: Path, header: _Header) -> Iterator[_Line]:
    line = 0
    with pq.ParquetFile(file) as table:
        header.check(table.schema_arrow.names)
        for batch in table.iter_batches(1 << 14):
            for row in batch.to_pylist():
                line += 1
                yield line, {name: _text(value) for name, value in row.items()}


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # what a column of whole years with gaps becomes on its way
    return "" if value is None or value != value else str(value)  # noqa: PLR0124 - only NaN differs from itself


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
