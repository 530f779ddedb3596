"""Parquet tables on disk: one file, or beyond so many rows a folder of parts.

The parts are named by their number and their bytes, so that a reader who meets a table that is
being replaced finds the old parts or the new ones, or a part that is missing: never some of each.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import file_digest
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from facecrop.storage import is_remote, readable, remove_all
from facecrop.storage.folders import put_in_place, sync

PART_ROWS = 1 << 21
"""Rows of a part; a table with more is a folder. Of the index these are 240 to 420 MB."""
_TRIES = 5
"""A table that is replaced so often while it is opened is not waited for."""
_NAMED = 16
"""Digits of a digest in a name."""


def is_folder(path: Path) -> bool:
    """Tell whether a table is a folder of parts; in object storage none is."""
    return not is_remote(path) and path.is_dir()


def files_of(path: Path) -> list[Path]:
    """Return the files that a table consists of, in the order of their rows."""
    return sorted(path.glob("*.parquet")) if is_folder(path) else [path]


@contextmanager
def opened(path: Path) -> Iterator[list[pq.ParquetFile]]:
    """Open all parts of a table, so that it is one table whoever replaces it meanwhile.

    Raises:
        FileNotFoundError: It is not there.
        OSError, pyarrow.ArrowException: It cannot be read.
    """
    for number in range(_TRIES):
        with ExitStack() as stack:
            try:
                parts = [
                    stack.enter_context(pq.ParquetFile(readable(part), pre_buffer=is_remote(part)))
                    for part in files_of(path)
                ]
            except FileNotFoundError:
                if number + 1 == _TRIES or not path.exists():
                    raise
                continue  # replaced since its parts were listed
            if not parts:
                raise FileNotFoundError(f"{path} holds no parts of a table")
            yield parts
            return


def read(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a table, or some of its columns.

    Raises:
        FileNotFoundError: It is not there.
        OSError, pyarrow.ArrowException: It cannot be read.
    """
    for _ in range(_TRIES - 1):
        try:
            return _read(path, columns)
        except FileNotFoundError:
            if not path.exists():
                raise
    return _read(path, columns)


def _read(path: Path, columns: list[str] | None) -> pa.Table:
    # Without its buffer, which would hold all that is read a second time, compressed.
    found = [
        pq.read_table(readable(part), columns=columns, pre_buffer=is_remote(part))
        for part in files_of(path)
    ]
    if not found:
        raise FileNotFoundError(f"{path} holds no parts of a table")
    return found[0] if len(found) == 1 else pa.concat_tables(found)


def count_rows(path: Path) -> int:
    """Return how many rows a table has, without reading them.

    Raises:
        OSError, pyarrow.ArrowException: It is not there, or cannot be read.
    """
    with opened(path) as parts:
        return sum(part.metadata.num_rows for part in parts)


def write_parts(batches: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
    """Write a table as a folder of parts of `PART_ROWS` rows, in one step; equal rows, equal bytes.

    Args:
        batches: The rows; each batch becomes a row group, cut where a part ends.
        schema: Of all of them.
        path: On this machine; there may be a file or a folder, which is replaced.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    folder = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        folder.mkdir()
        for number, part in enumerate(_parts(batches)):
            _write_part(part, schema, folder, number)
        sync(folder)
        put_in_place(folder, path)
        sync(path.parent)
    finally:
        remove_all(folder)


def _parts(batches: Iterable[pa.Table]) -> Iterator[Iterator[pa.Table]]:
    """Yield the batches of each part; each part is to be used up before the next is asked for."""
    waiting = iter(batches)
    rest = next(waiting, None)

    def part() -> Iterator[pa.Table]:
        nonlocal rest
        room = PART_ROWS
        while rest is not None and room:
            taken = rest.slice(0, room)
            room -= len(taken)
            rest = rest.slice(len(taken)) if len(taken) < len(rest) else next(waiting, None)
            if len(taken):
                yield taken

    while rest is not None:
        yield part()


def _write_part(batches: Iterator[pa.Table], schema: pa.Schema, folder: Path, number: int) -> None:
    file = folder / "part"
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_table(batch)
            pa.default_memory_pool().release_unused()
    with file.open("rb") as written:
        digest = file_digest(written, "sha256").hexdigest()[:_NAMED]
        os.fsync(written.fileno())
    file.rename(folder / f"part-{number:05}-{digest}.parquet")
