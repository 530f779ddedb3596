"""The layout `table`: a CSV or Parquet file that names pictures, persons and labels."""

import csv
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from facecrop.errors import RawError
from facecrop.labels.paths import escape
from facecrop.labels.raw import Claims, Scan, is_image, raw_file
from facecrop.storage import readable, teller

_MASK_WORDS = {
    **dict.fromkeys(("worn", "mask", "wear", "correct"), "worn"),
    **dict.fromkeys(("incorrect", "incorrect_mask"), "incorrect"),
    **dict.fromkeys(("none", "normal", "no_mask", "not wear"), "none"),
}
_GENDER_WORDS = {"male": "male", "m": "male", "female": "female", "f": "female"}
_COLUMNS = ("path", "profile", "mask", "gender", "age")
_NEEDED = _COLUMNS[:2]
_DELIMITERS = ",;\t"
_OLDEST = 150


def read_table(raw: Path, skip: Path | None) -> Scan:
    """Return the records that a table names and that are there.

    Args:
        raw: The table; paths are relative to its folder.
        skip: A folder, resolved, that is left out.

    Raises:
        RawError: As `read_claims`.
    """
    result = Scan("table", raw)
    told = teller(raw.parent)
    for path, profile, claims in read_claims(raw):
        file = raw.parent / path
        try:
            facts = told(path)
        except OSError:
            result.ignore(path, "missing-file")
            continue
        if not is_image(file.name):
            result.ignore(path, "foreign")
        elif stat.S_ISREG(facts.st_mode) and (skip is None or skip not in file.resolve().parents):
            result.add(raw_file(path, profile, claims, facts))
        else:
            result.ignore(path, "not-a-file")
    return result


def read_claims(table: Path) -> Iterator[tuple[str, str, Claims]]:
    """Yield path, profile and claims (mask, gender, age) of each row, in the table's order.

    CSV with comma, semicolon or tab, in UTF-8, or Parquet; other columns than `path`, `profile`,
    `mask`, `gender` and `age` are left alone, and an empty cell claims nothing. Rows are read one
    by one. Paths and profiles come without `.` and doubled slashes, the profile escaped
    (`labels.paths.escape`); an age of 25.5 is 25.

    Raises:
        RawError: A column is missing, a value is not understood, a path leaves the table's folder
            or comes twice, or one person has two genders or ages; the message has the line (of a
            Parquet file the row, counted from 1).
    """
    paths: set[str] = set()
    persons: dict[str, tuple[str | None, int | None]] = {}
    for line, cells in _rows(table):
        place = f"{table}:{line}"
        path, profile, mask, gender, age = (cells.get(name, "").strip() for name in _COLUMNS)
        path, profile = _below(path, "path", place), escape(_below(profile, "profile", place))
        if path in paths:
            raise RawError(f"{place}: the path {path!r} comes twice")
        paths.add(path)
        claims = (
            _word(mask, _MASK_WORDS, "mask", place),
            _word(gender, _GENDER_WORDS, "gender", place),
            _age(age, place),
        )
        if persons.setdefault(profile, claims[1:]) != claims[1:]:
            raise RawError(
                f"{place}: profile {profile!r} has another gender or age than in an earlier line; "
                "they belong to the person: give all its rows the same"
            )
        yield path, profile, claims


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        if table.suffix.lower() == ".parquet":
            yield from _parquet_rows(table)
        else:
            yield from _csv_rows(table)
    except UnicodeDecodeError as error:
        raise RawError(f"{table} is not {error.encoding}; save it as UTF-8") from None
    except (OSError, pa.ArrowException) as error:
        raise RawError(f"{table} cannot be read: {str(error).splitlines()[0]}") from None


def _parquet_rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    line = 0
    with pq.ParquetFile(readable(table)) as file:
        names = _header(file.schema_arrow.names, table)
        known = [name for name in file.schema_arrow.names if name.strip().lower() in _COLUMNS]
        for batch in file.iter_batches(columns=known):
            for row in batch.to_pylist():
                line += 1
                yield line, {names[name]: _text(row[name]) for name in known}


def _csv_rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    with table.open(encoding="utf-8-sig", newline="") as stream:
        first = stream.readline()
        delimiter = max(_DELIMITERS, key=first.count)
        header = next(csv.reader([first], delimiter=delimiter), [])
        names = _header(header, table)
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        line = 2
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells[len(header) :]):
                    raise RawError(
                        f"{table}:{line}: {len(cells)} cells, but the header has {len(header)} "
                        "columns; a cell that holds the separator needs quotes"
                    )
                if any(cell.strip() for cell in cells):
                    pairs = zip(header, cells, strict=False)
                    yield line, {names[name]: cell for name, cell in pairs}
                line = 2 + reader.line_num
        except csv.Error as error:
            raise RawError(f"{table}:{line}: {error}; is a quote not closed?") from None


def _header(columns: Sequence[str], table: Path) -> dict[str, str]:
    """Return our name of each column; case and spaces around it do not matter."""
    names = {column: column.strip().lower() for column in columns}
    for name in _NEEDED:
        if name not in names.values():
            found = ", ".join(columns) or "nothing"
            raise RawError(f"{table}: no column {name!r}; found: {found}")
    ours = [name for name in map(str.lower, map(str.strip, columns)) if name in _COLUMNS]
    if len(set(ours)) < len(ours):
        raise RawError(f"{table}: a column comes twice in {', '.join(columns)}")
    return names


def _text(value: object) -> str:
    return "" if value is None or value != value else str(value)  # noqa: PLR0124 - only NaN differs from itself


def _below(path: str, column: str, place: str) -> str:
    pure = PurePosixPath(path)
    if (
        not pure.parts
        or pure.is_absolute()
        or ".." in pure.parts
        or "\0" in path
        or "\\" in path
        or pure.parts[0].endswith(":")
    ):
        raise RawError(
            f"{place}: {column} must be a relative path below the table's folder, got {path!r}"
        )
    return str(pure)


def _word(value: str, words: dict[str, str], column: str, place: str) -> str | None:
    if not value:
        return None
    if value.lower() not in words:
        known = ", ".join(sorted(words))
        raise RawError(f"{place}: {column} {value!r} is not understood; choose from: {known}")
    return words[value.lower()]


def _age(value: str, place: str) -> int | None:
    if not value:
        return None
    try:
        age = float(value)
    except ValueError:
        age = -1
    if not 0 <= age <= _OLDEST:
        raise RawError(f"{place}: age {value!r} is not a number of years between 0 and {_OLDEST}")
    return int(age)
