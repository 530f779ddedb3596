"""Fragments: files of a few hundred findings each, written whole and never changed.

Their pages carry checksums, so that what a machine that lost power has left of a fragment is never
taken for findings. All of it is a cache: what is damaged is removed, and learnt again.
"""

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from facecrop.storage import is_remote, put, readable

SCHEMA = pa.schema(
    [
        ("digest", pa.binary(32)),
        ("key", pa.binary(32)),
        ("facts", pa.string()),
        ("alpha", pa.binary()),
    ]
)
"""Columns of a fragment: sha256 of the image, sha256 of digest + view + finder, the finding."""

Known = dict[bytes, tuple[str, bytes | None]]
"""Findings about one image: key -> facts and alpha."""

Group = dict[bytes, Known]
"""The findings of a row group by the digest of the image."""

_UNREADABLE = (pa.ArrowException, OSError)


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored finding: its keys, and its value as packed by `images.findings`."""

    digest: bytes
    key: bytes
    facts: str
    alpha: bytes | None


def write(folder: Path, entries: Sequence[Entry]) -> None:
    """Write a fragment, whole or not at all, as one row group.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    columns = {name: [getattr(entry, name) for entry in entries] for name in SCHEMA.names}
    with _writer(folder) as writer:
        writer.write_table(pa.table(columns, schema=SCHEMA))


def join(folder: Path, paths: Sequence[Path]) -> None:
    """Replace fragments by one with the same row groups, in the same order.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    with _writer(folder) as writer:
        for path in paths:
            try:
                with _open(path) as file:
                    groups = [_read(file, group) for group in range(file.num_row_groups)]
            except _UNREADABLE as error:
                _remove_damaged(path, error)
                continue
            for group in groups:
                writer.write_table(group)
            pa.default_memory_pool().release_unused()  # else it keeps a share of what it has seen
    for path in paths:
        path.unlink(missing_ok=True)


def count_rows(path: Path) -> int:
    """Return how many findings a fragment has; a damaged one is removed and has none."""
    try:
        return int(pq.read_metadata(readable(path, footer=True)).num_rows)
    except _UNREADABLE as error:
        _remove_damaged(path, error)
        return 0


def read_prefixes(path: Path) -> list[NDArray[np.uint64]]:
    """Return the `prefixes` of all digests, an (N,) array for each row group.

    A damaged fragment is removed and has no row groups.
    """
    try:
        with _open(path) as file:
            groups = range(file.num_row_groups)
            return [prefixes(_read(file, group, ["digest"])["digest"]) for group in groups]
    except _UNREADABLE as error:
        _remove_damaged(path, error)
        return []


def read_keys(path: Path) -> list[list[bytes]]:
    """Return the keys of all findings by row group; none of what is damaged or gone."""
    try:
        with _open(path) as file:
            groups = range(file.num_row_groups)
            return [_read(file, group, ["key"])["key"].to_pylist() for group in groups]
    except _UNREADABLE:
        return []


def open_groups(path: Path) -> pq.ParquetFile | None:
    """Open a fragment for `read_group`; None if it is damaged or gone."""
    try:
        return _open(path)
    except _UNREADABLE:
        return None


def read_group(file: pq.ParquetFile, number: int) -> Group:
    """Return the findings of one row group; none if it is damaged."""
    try:
        columns = _read(file, number).to_pydict()
    except _UNREADABLE:
        return {}
    group: Group = {}
    for digest, key, facts, alpha in zip(*(columns[name] for name in SCHEMA.names), strict=True):
        group.setdefault(digest, {})[key] = (facts, alpha)
    return group


def prefixes(digests: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Return the first eight bytes of N digests as numbers, (N,), big-endian."""
    whole = digests.combine_chunks()
    if not len(whole):
        return np.empty(0, np.uint64)
    data = np.frombuffer(whole.buffers()[1], np.uint8).reshape(-1, 32)
    data = data[whole.offset : whole.offset + len(whole)]
    return np.ascontiguousarray(data[:, :8]).view(">u8").ravel().astype(np.uint64)


def _open(path: Path) -> pq.ParquetFile:
    # What is far away is fetched a row group at a time: one request, not one for each column.
    return pq.ParquetFile(
        readable(path), page_checksum_verification=True, pre_buffer=is_remote(path)
    )


def _read(file: pq.ParquetFile, number: int, columns: list[str] | None = None) -> pa.Table:
    """Return a row group; in this thread, as each of others would keep memory of its own."""
    return file.read_row_group(number, columns, use_threads=False)


def _remove_damaged(path: Path, error: Exception) -> None:
    """Remove a fragment whose bytes are wrong; one that the system would not open is left alone."""
    if getattr(error, "errno", None) is None:
        path.unlink(missing_ok=True)
    elif not isinstance(error, FileNotFoundError):
        raise error


@contextlib.contextmanager
def _writer(folder: Path) -> Iterator[pq.ParquetWriter]:
    """Write a fragment under another name, and give it its own when it is whole."""
    path = folder / f"{uuid4().hex}.parquet"
    if is_remote(path):
        buffer = io.BytesIO()
        with _new(buffer) as writer:
            yield writer
        put(path, buffer.getvalue())
        return
    temporary = path.with_suffix(".tmp")
    try:
        with _new(temporary) as writer:
            yield writer
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _new(file: Path | io.BytesIO) -> pq.ParquetWriter:
    return pq.ParquetWriter(file, SCHEMA, compression="none", write_page_checksum=True)
