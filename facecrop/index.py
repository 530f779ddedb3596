"""The spine: records, the reasons for what became of them, and the two tables that hold them."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from facecrop import tables
from facecrop.errors import TableError, unwritable
from facecrop.storage import is_remote, write_whole
from facecrop.tables import opened


class Status(StrEnum):
    """What became of a record's pixels."""

    OK = "ok"
    FALLBACK = "fallback"
    REJECT = "reject"
    PENDING = "pending"


REASONS: dict[str, str] = {
    "empty": "the file has no bytes",
    "not-image": "the bytes are no picture",
    "truncated": "the file ends too early",
    "corrupt": "the picture data are damaged",
    "trailing-bytes": "bytes follow the end of the picture",
    "too-many-pixels": "the picture is larger than the pixel limit",
    "too-small": "the picture is smaller than the recipe can use",
    "format-not-allowed": "the picture's format is not one of those allowed",
    "missing-decoder": "this installation cannot read the format",
    "permission": "the file may not be read",
    "changed-during-read": "the file changed while it was read",
    "decoder-crash": "the worker that read the picture died",
    "decoder-timeout": "reading the picture took too long",
    "blank": "the picture shows one single colour",
    "no-person": "nobody was found in the picture",
    "no-face": "no face was found, and nothing says where it would be",
    "face-too-small": "the face is smaller than the recipe allows",
    "face-by-sibling": "the face box was taken from another picture of the same person",
    "face-by-prior": "the face box was guessed from where the person is",
}
"""Every reason a record can carry, with what it tells a user. A new one is a documented change."""

RETRIED = frozenset(
    {"permission", "changed-during-read", "decoder-crash", "decoder-timeout", "missing-decoder"}
)
"""Reasons that may go away by themselves: such records are tried again by the next run."""

_F, _I, _S = pa.float32(), pa.int32(), pa.string()
_BOX = ("x0", "y0", "x1", "y1")
_POINTS = ("left_eye", "right_eye", "nose", "mouth")

INDEX_SCHEMA = pa.schema(
    [
        ("path", _S), ("profile", _S), ("name", _S),
        ("digest", pa.binary(32)), ("size", pa.int64()),
        ("mtime_ns", pa.int64()), ("ctime_ns", pa.int64()), ("inode", pa.uint64()),
        ("width", _I), ("height", _I), ("phash", pa.uint64()),
        ("sharpness", _F), ("brightness", _F),
        ("mask_raw", _S), ("gender_raw", _S), ("age_raw", _I),
        ("status", _S), ("reason", _S),
        ("image", _S), ("image_sha256", pa.binary(32)), ("recipe", pa.binary(32)),
        *((f"face_{side}", _F) for side in _BOX), ("face_score", _F),
        ("face_source", _S), ("faces", _I),
        *((f"{point}_{axis}", _F) for point in _POINTS for axis in "xy"),
        *((f"person_{side}", _F) for side in _BOX), ("person_score", _F),
        ("persons", _I), ("alpha_coverage", _F),
        *((f"crop_{side}", _I) for side in _BOX), ("rotation", _F),
    ]
)  # fmt: skip
"""Columns of `index.parquet`: one row for each raw image, sorted by path. See `docs/dataset.md`."""

LABELS_SCHEMA = pa.schema(
    [
        ("path", _S), ("mask", _S), ("gender", _S), ("age", _I), ("age_group", _S),
        ("kept", pa.bool_()), ("kept_reason", _S),
    ]
)  # fmt: skip
"""Columns of `labels.parquet`: the same rows in the same order as `index.parquet`."""

MASKS = ("worn", "incorrect", "none")
GENDERS = ("male", "female")
AGE_GROUPS = ("young", "middle", "old")

INDEX_FILE, LABELS_FILE, HISTORY_FILE, CARD_FILE = (
    "index.parquet",
    "labels.parquet",
    "labels.history.parquet",
    "dataset.toml",
)
METADATA_FILE = "images/metadata.parquet"
"""Both tables joined, where there are crops that are files."""


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet table, a file or a folder of parts.

    Raises:
        TableError: It is not there, or cannot be read.
    """
    if not path.exists():
        raise _no_table(path)
    with _reading(path):
        return tables.read(path, columns)


def read_names(path: Path) -> list[str]:
    """Return the names of the columns of a Parquet table.

    Raises:
        TableError: It is not there, or cannot be read.
    """
    with _reading(path), opened(path) as parts:
        return list(parts[0].schema_arrow.names)


def read_batches(path: Path) -> Iterator[pa.Table]:
    """Read a Parquet table, a file or a folder of parts, a row group at a time.

    Raises:
        TableError: It is not there, or cannot be read.
    """
    with _reading(path), opened(path) as parts:
        for part in parts:
            for group in range(part.num_row_groups):
                yield part.read_row_group(group, use_threads=False)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def _no_table(path: Path) -> TableError:
    out = path.parent
    if (out / ".store" / "shards").is_dir():
        return TableError(f"{path} does not exist yet; run: facecrop merge {out}")
    return TableError(f"{path} does not exist; run: facecrop preprocess RAW {out}")


def read_columns(path: Path, columns: list[str], rows: int) -> Iterator[pa.Table]:
    """Read some columns of a Parquet table, a file or a folder of parts, so many rows at a time.

    Raises:
        TableError: It is not there, or cannot be read.
    """
    if not path.exists():
        raise _no_table(path)
    waiting: list[pa.RecordBatch] = []
    size = 0
    for batch in _stored_batches(path, columns, rows):
        waiting.append(batch)
        size += batch.num_rows
        while size >= rows:
            table = pa.Table.from_batches(waiting)
            yield table.slice(0, rows)
            waiting = table.slice(rows).to_batches()
            size -= rows
    if size:
        yield pa.Table.from_batches(waiting)


def _stored_batches(path: Path, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    with _reading(path), opened(path) as parts:
        for part in parts:
            yield from part.iter_batches(rows, columns=columns)


def write_table(table: pa.Table, path: Path) -> None:
    """Write a Parquet table so that `path` is either the old file or the whole new one.

    The same table gives the same bytes.

    Raises:
        StoreError: The disk is full, or the folder cannot be written.
    """
    write_atomic(
        path,
        lambda temporary: pq.write_table(
            table, temporary, compression="zstd", row_group_size=1 << 17
        ),
    )


def write_batches(
    batches: Iterable[pa.Table], schema: pa.Schema, path: Path, *, rows: int = 0
) -> None:
    """Write a Parquet table as `write_table` does, from parts that need not be held together.

    Each part becomes a row group: equal parts give equal bytes.

    Args:
        batches: The parts.
        schema: Of all of them.
        path: The table.
        rows: How many there are, if it may be a folder where they are many (`tables.PART_ROWS`).

    Raises:
        StoreError: The disk is full, or the folder cannot be written.
    """
    if rows > tables.PART_ROWS and not is_remote(path):
        try:
            tables.write_parts(batches, schema, path)
        except OSError as error:
            raise unwritable(path, error) from None
        return

    def write(temporary: Path) -> None:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_table(batch)
                pa.default_memory_pool().release_unused()  # else it keeps what each column took

    write_atomic(path, write)


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write(temporary_path)` make a file, sync it, and move it to `path` in one step.

    Raises:
        StoreError: The disk is full, or the folder cannot be written.
    """
    try:
        write_whole(path, write)
    except OSError as error:
        raise unwritable(path, error) from None
