"""What is known of a dataset's records before, during and after a run, whatever ended the last.

The index is the truth a user sees. Beside it the store keeps a state (what the files in OUT were
made from) and a journal of the rows finished since the index was last written, so that a killed
run loses only the profiles in flight. The ledger of a shard has a journal of its own and writes
nothing else; whoever writes the index next takes it in.
"""

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.commands.known import (
    JOURNAL,
    LEDGER_SCHEMA,
    STATE_FILE,
    STATE_SCHEMA,
    by_age,
    journals,
    newest,
    read_known,
    read_rows,
)
from facecrop.commands.parts import Part
from facecrop.errors import StoreError
from facecrop.images.rows import COLUMNS, Values
from facecrop.index import (
    INDEX_FILE,
    INDEX_SCHEMA,
    Status,
    write_batches,
    write_table,
)
from facecrop.labels.raw import RAW_SCHEMA
from facecrop.labels.shards import Shard

__all__ = ["LEDGER_SCHEMA", "STATE_SCHEMA", "SUMMARY", "Ledger", "sync"]

_FOUND_SCHEMA = pa.schema([LEDGER_SCHEMA.field(name) for name in COLUMNS])

_FLUSH_ROWS, _FLUSH_S = 4096, 5.0
_PACKED_ROWS = 512
"""Rows that are held as objects at most; then they become a table, in a fraction of the memory."""
_BATCH_ROWS = 1 << 12
"""Rows that are put in order and written at a time: a row group of the index."""
SUMMARY = (
    "path", "profile", "name", "digest", "mask_raw", "gender_raw", "age_raw",
    "image", "status", "reason", "face_source",
)  # fmt: skip
"""What is still asked of the rows of a run when they are written."""


class Ledger:
    """The rows of a dataset, old and new.

    Args:
        out: The dataset.
        shard: Whose rows; None for all.
    """

    def __init__(self, out: Path, shard: Shard | None = None) -> None:
        self.out = out
        self.shard = shard
        self._state = out / STATE_FILE
        self._journal = Part.of(out, shard).rows if shard else out / JOURNAL
        self._raw = RAW_SCHEMA.empty_table()
        self._known: list[pa.Table] = []
        self._fresh: list[pa.Table] = []
        self._rows: list[Values] = []
        self._fresh_rows = 0
        self._writer = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None
        self._last_flush = time.monotonic()

    def previous(self) -> pa.Table:
        """Return what earlier runs found, newest row of each path, in `LEDGER_SCHEMA`."""
        return read_known(self.out, self.shard)

    def start(self, raw: pa.Table, settled: pa.Table) -> None:
        """Write the index with all its rows before the first pixel: settled ones, others pending.

        A shard writes nothing: the index belongs to all of them.

        Args:
            raw: What RAW tells of every record, with `RAW_SCHEMA`.
            settled: Rows that stay.
        """
        self.take(raw, settled)
        if self.shard is None:
            self._write(settled)

    def take(self, raw: pa.Table, settled: pa.Table) -> None:
        """Take over rows that stay, as `start` does, and write nothing yet."""
        self._raw, self._known = raw, [settled.select(COLUMNS)]

    def add(self, rows: Sequence[Values]) -> None:
        """Take finished rows (`images.rows.COLUMNS`); they are on disk after a few seconds."""
        self._rows.extend(rows)
        self._fresh_rows += len(rows)
        if len(self._rows) >= _PACKED_ROWS:
            self._pack()
        due = self._fresh_rows >= _FLUSH_ROWS or time.monotonic() - self._last_flush > _FLUSH_S
        if due and (self._writing is None or self._writing.done()):
            self._start_flush()

    def _pack(self) -> None:
        """Turn the rows taken last into a table."""
        if self._rows:
            columns = dict(zip(COLUMNS, zip(*self._rows, strict=True), strict=True))
            self._fresh.append(pa.table(columns, schema=_FOUND_SCHEMA))
            self._rows.clear()

    def flush(self) -> None:
        """Write the rows taken so far to the journal, and wait until they are on disk.

        Raises:
            StoreError: The disk is full or cannot be written.
        """
        self._start_flush()
        self._wait()

    def _start_flush(self) -> None:
        """Have the rows taken so far written beside the run: a disk may take seconds to sync."""
        self._wait()
        self._pack()
        if self._fresh:
            self._writing = self._writer.submit(self._write_journal, pa.concat_tables(self._fresh))
            self._known += self._fresh
            self._fresh, self._fresh_rows = [], 0
        self._last_flush = time.monotonic()

    def _wait(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write_journal(self, found: pa.Table) -> None:
        """Write rows to the journal, with what RAW tells of them, after the files they speak of."""
        places = pc.index_in(found["path"], value_set=self._raw["path"].combine_chunks())
        rows = _rows(self._raw.take(places), found, LEDGER_SCHEMA.names)
        sync(self.out)
        try:
            self._journal.mkdir(parents=True, exist_ok=True)
            write_table(rows, self._journal / f"{uuid4().hex}.parquet")
        except OSError as error:
            raise StoreError(f"{self._journal} cannot be written: {error.strerror}") from None

    def finish(self) -> pa.Table:
        """Write the index of settled and new rows; return its columns `SUMMARY`.

        A shard makes one table of its journal instead.
        """
        self.flush()
        known = _joined(self._known)
        if self.shard is None:
            places = self._write(known)
            for path in journals(self.out, None):
                path.unlink(missing_ok=True)
        else:
            places = self._places(known)
            self._pack_journal()
        return _rows(self._raw, _taken(known, SUMMARY, places), SUMMARY)

    def _pack_journal(self) -> None:
        """Put the rows of the journal into one table, the newest of each path."""
        paths = by_age(self._journal.glob("*.parquet"))
        if len(paths) > 1:
            write_table(newest(list(read_rows(paths))), self._journal / f"{uuid4().hex}.parquet")
            for path in paths:
                path.unlink(missing_ok=True)

    def _places(self, known: pa.Table) -> pa.ChunkedArray:
        """Return where each record is among what is known, (N,), null if it is not."""
        return pc.index_in(self._raw["path"], value_set=known["path"].combine_chunks())

    def _write(self, known: pa.Table) -> pa.ChunkedArray:
        """Write the index and the state: what is known of each record of RAW, else that it waits.

        Rows are put in order batch by batch, so that there is never a second copy of all.

        Returns:
            (N,) where each record is among what is known, null if it is not.
        """
        sync(self.out)
        places = self._places(known)

        def batches(schema: pa.Schema) -> Iterator[pa.Table]:
            for start in range(0, len(places), _BATCH_ROWS):
                found = _taken(known, schema.names, places.slice(start, _BATCH_ROWS))
                yield _rows(self._raw.slice(start, _BATCH_ROWS), found, schema.names)

        try:
            write_batches(batches(STATE_SCHEMA), STATE_SCHEMA, self._state)
            write_batches(batches(INDEX_SCHEMA), INDEX_SCHEMA, self.out / INDEX_FILE)
        except OSError as error:
            raise StoreError(f"{self.out} cannot be written: {error.strerror}") from None
        return places


def _rows(raw: pa.Table, found: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return some columns of the ledger: what RAW tells, and what was found, null while pending."""
    columns = {name: (raw if name in RAW_SCHEMA.names else found)[name] for name in names}
    if "status" in columns:
        columns["status"] = pc.fill_null(columns["status"], Status.PENDING.value)
    return pa.table(columns, schema=pa.schema([LEDGER_SCHEMA.field(name) for name in names]))


def _taken(known: pa.Table, names: Sequence[str], places: pa.ChunkedArray) -> pa.Table:
    """Return those of some columns that RAW does not tell, row by row as asked for."""
    return known.select([name for name in names if name not in RAW_SCHEMA.names]).take(places)


def _joined(parts: list[pa.Table]) -> pa.Table:
    """Return one table in one piece; the parts are emptied column by column on the way."""
    columns = {name: [part[name] for part in parts] for name in COLUMNS}
    parts.clear()
    joined = [
        pa.concat_arrays([chunk for column in columns.pop(name) for chunk in column.chunks])
        for name in COLUMNS
    ]
    return pa.table(joined, schema=_FOUND_SCHEMA)


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
