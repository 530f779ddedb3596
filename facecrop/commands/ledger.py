"""What is known of a dataset's records before, during and after a run, whatever ended the last.

The index is the truth a user sees. Beside it the store keeps a state (what the files in OUT were
made from) and a journal of the rows finished since the index was last written, so that a killed
run loses only the profiles in flight.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facecrop.errors import StoreError
from facecrop.index import INDEX_FILE, INDEX_SCHEMA, read_table, write_table

STATE_SCHEMA = pa.schema(
    [
        ("path", pa.string()), ("image_size", pa.int64()), ("image_mtime_ns", pa.int64()),
        ("render_key", pa.binary(32)),
        ("extras_key", pa.binary(32)), ("alpha_key", pa.binary(32)),
    ]
)  # fmt: skip
LEDGER_SCHEMA = pa.schema([*INDEX_SCHEMA, *list(STATE_SCHEMA)[1:]])
"""Columns of the journal: those of the index, then those of the state."""

_FLUSH_ROWS, _FLUSH_S = 4096, 5.0


class Ledger:
    """The rows of a dataset, old and new.

    Args:
        out: The dataset.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._state = out / ".store" / "state.parquet"
        self._journal = out / ".store" / "rows"
        self._new: list[pa.Table] = []
        self._rows: list[dict[str, Any]] = []
        self._last_flush = time.monotonic()

    def previous(self) -> pa.Table:
        """Return what earlier runs found, newest row of each path, in `LEDGER_SCHEMA`."""
        parts = [self._indexed()]
        for path in sorted(
            self._journal.glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns
        ):
            try:
                parts.append(pq.read_table(path).cast(LEDGER_SCHEMA))
            except (pa.ArrowException, OSError, ValueError):
                path.unlink()  # torn by a power failure: its rows are worked out again
        return _newest(parts)

    def _indexed(self) -> pa.Table:
        if not (self.out / INDEX_FILE).exists():
            return LEDGER_SCHEMA.empty_table()
        index = read_table(self.out / INDEX_FILE).select(INDEX_SCHEMA.names).cast(INDEX_SCHEMA)
        try:
            state = pq.read_table(self._state).cast(STATE_SCHEMA)
        except (pa.ArrowException, OSError, ValueError):
            state = STATE_SCHEMA.empty_table()
        if state["path"].equals(index["path"]):
            joined = index
            for field in list(STATE_SCHEMA)[1:]:
                joined = joined.append_column(field, state[field.name])
            return joined
        return index.join(state, "path").select(LEDGER_SCHEMA.names).cast(LEDGER_SCHEMA)

    def start(self, rows: pa.Table) -> None:
        """Write the index with all its rows, finished or pending, before the first pixel."""
        self._write(rows)

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Take finished rows; they are on disk after a few seconds."""
        self._rows.extend(rows)
        if len(self._rows) >= _FLUSH_ROWS or time.monotonic() - self._last_flush > _FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Write the rows taken so far to the journal, after the files they speak of.

        Raises:
            StoreError: The disk is full or cannot be written.
        """
        if self._rows:
            table = pa.Table.from_pylist(self._rows, schema=LEDGER_SCHEMA)
            self._rows.clear()
            self._new.append(table)
            sync(self.out)
            try:
                self._journal.mkdir(parents=True, exist_ok=True)
                write_table(table, self._journal / f"{uuid4().hex}.parquet")
            except OSError as error:
                raise StoreError(f"{self._journal} cannot be written: {error.strerror}") from None
        self._last_flush = time.monotonic()

    def finish(self, settled: pa.Table) -> pa.Table:
        """Write the index of settled and new rows; return it with its state columns."""
        self.flush()
        rows = _newest([settled, *self._new])
        self._new.clear()
        self._write(rows)
        for path in self._journal.glob("*.parquet"):
            path.unlink()
        return rows

    def _write(self, rows: pa.Table) -> None:
        sync(self.out)
        try:
            write_table(rows.select(STATE_SCHEMA.names), self._state)
            write_table(rows.select(INDEX_SCHEMA.names), self.out / INDEX_FILE)
        except OSError as error:
            raise StoreError(f"{self.out} cannot be written: {error.strerror}") from None


def _newest(parts: Sequence[pa.Table]) -> pa.Table:
    """Return the last row of each path over all parts, sorted by path."""
    rows = pa.concat_tables(parts).combine_chunks()
    order = pc.sort_indices(rows["path"])
    rows = rows.take(order)
    if len(rows) < 2:  # noqa: PLR2004 - one row has no neighbour
        return rows
    paths = rows["path"].combine_chunks()
    last = pa.array([True])
    is_last = pa.concat_arrays([pc.not_equal(paths.slice(0, len(rows) - 1), paths.slice(1)), last])
    return rows.filter(is_last)


def sync(folder: Path) -> None:
    """Have all that was written reach the disk: one call for a batch, not one for each file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _syncfs(descriptor)
    finally:
        os.close(descriptor)


def _syncfs(descriptor: int) -> None:
    import ctypes  # noqa: PLC0415 - only where something was written

    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "syncfs") or library.syncfs(descriptor) != 0:
        os.sync()
