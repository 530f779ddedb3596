"""What is known of a dataset's records before, during and after a run, whatever ended the last.

The index is the truth a user sees. Beside it the store keeps a state (what the files in OUT were
made from) and a journal of the rows finished since the index was last written, so that a killed
run loses only the profiles in flight. The ledger of a shard has a journal of its own and writes
nothing else; whoever writes the index next takes it in.
"""

import os
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.commands.preprocess.known import (
    JOURNAL,
    LEDGER_SCHEMA,
    STATE_FILE,
    STATE_SCHEMA,
    Known,
    by_age,
    journal,
    journals,
)
from facecrop.commands.preprocess.parts import Part
from facecrop.commands.streams import (
    Rows,
    Source,
    held,
    last_of_each,
    matched,
    merged,
    paired,
    rebatched,
    windows,
)
from facecrop.errors import StoreError, unwritable
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
from facecrop.storage import is_remote

__all__ = ["LEDGER_SCHEMA", "STATE_SCHEMA", "SUMMARY", "Ledger", "sync"]

_FOUND_SCHEMA = pa.schema([LEDGER_SCHEMA.field(name) for name in COLUMNS])

_FLUSH_ROWS, _FLUSH_S = 4096, 5.0
_PACKED_ROWS = 512
"""Rows that are held as objects at most; then they become a table, in a fraction of the memory."""
_BATCH_ROWS = 1 << 12
"""Rows that are put in order and written at a time: a row group of the index."""
SUMMARY = ("path", "image", "status", "reason", "face_source")
"""What is still asked of the rows of a shard when they are written."""


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
        self._raw: list[pa.Table] = []
        self._settled: Rows = held(LEDGER_SCHEMA.empty_table())
        self._journals: list[Path] = []
        self._fresh: list[pa.Table] = []
        self._rows: list[Values] = []
        self._fresh_rows = 0
        self._writer = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None
        self._last_flush = time.monotonic()

    def known(self) -> Rows:
        """Return what earlier runs found, newest row of each path, to be read in parts."""
        return Known(self.out, self.shard)

    def previous(self) -> pa.Table:
        """Return the same in one piece, in `LEDGER_SCHEMA`."""
        return pa.concat_tables(self.known()(LEDGER_SCHEMA.names)).combine_chunks()

    def start(self, raw: pa.Table, settled: Rows) -> None:
        """Write the index with all its rows before the first pixel: settled ones, others pending.

        A shard writes nothing: the index belongs to all of them.

        Args:
            raw: What RAW tells of every record, with `RAW_SCHEMA`.
            settled: Rows that stay.
        """
        self.take(raw, settled)
        if self.shard is None:
            self._write(settled)
            self._settled = Known(self.out, paths=())

    def take(self, raw: pa.Table, settled: Rows) -> None:
        """Take over rows that stay, as `start` does, and write nothing yet."""
        self._raw, self._settled = list(windows(raw)), settled

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
            self._fresh, self._fresh_rows = [], 0
        self._last_flush = time.monotonic()

    def _wait(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write_journal(self, found: pa.Table) -> None:
        """Write rows to the journal, with what RAW tells of them, after the files they speak of."""
        found = last_of_each(found)
        rows = _rows(self._told_of(found["path"]), found, LEDGER_SCHEMA.names)
        sync(self.out)
        path = self._new_journal()
        write_table(rows, path)
        self._journals.append(path)

    def _new_journal(self) -> Path:
        """Return where a table goes; names sort by time: object storage tells seconds only."""
        try:
            self._journal.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self._journal, error) from None
        return self._journal / f"{time.time_ns():016x}{uuid4().hex}.parquet"

    def _told_of(self, paths: pa.ChunkedArray) -> pa.Table:
        """Return what RAW tells of some records, given in order."""
        firsts = [part["path"][0].as_py() for part in self._raw if len(part)]
        numbers = [bisect_right(firsts, path) - 1 for path in paths.to_pylist()]
        told, start = [RAW_SCHEMA.empty_table()], 0
        for number, same in groupby(numbers):
            some = paths.slice(start, len(list(same)))
            start += len(some)
            told.append(matched(some, self._raw[number]))
        return pa.concat_tables(told)

    def finish(self) -> Rows:
        """Write the index of settled and new rows; return its rows, of a shard its `SUMMARY`.

        A shard makes one table of its journal instead.
        """
        self.flush()
        rows = self._joined()
        if self.shard is None:
            self._write(rows)
            for path in journals(self.out, None):
                path.unlink(missing_ok=True)
            return Known(self.out, paths=())
        summary = pa.concat_tables(self._all(rows, SUMMARY))
        self._pack_journal()
        return held(summary)

    def gathered(self) -> Rows:
        """Return the rows that `finish` would write now."""
        self.flush()
        known = self._joined()
        return lambda names: self._all(known, names)

    def restamp(self, stamps: pa.Table) -> None:
        """Note other times of crops, in the journal: the next run finds them if this one is killed.

        Args:
            stamps: With `path` and `image_mtime_ns`, in order.

        Raises:
            StoreError: The disk is full or cannot be written.
        """
        if not len(stamps):
            return
        rows = rebatched(_restamped(self.gathered(), stamps), _BATCH_ROWS)
        sync(self.out)  # what the journal vouches for is on the disk
        path = self._new_journal()
        write_batches(rows, LEDGER_SCHEMA, path)
        self._journals.append(path)

    def _joined(self) -> Rows:
        return _joined(self._settled, self._journals)

    def _pack_journal(self) -> None:
        """Put the rows of the journal into one table, the newest of each path."""
        paths = by_age(self._journal.glob("*.parquet"))
        if len(paths) > 1:
            rows = merged([one for one in map(journal, paths) if one], LEDGER_SCHEMA.names)
            packed = self._new_journal()
            write_batches(rebatched(rows, _BATCH_ROWS), LEDGER_SCHEMA, packed)
            for path in paths:
                path.unlink(missing_ok=True)

    def _all(self, known: Rows, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yield columns of what is known of each record of RAW, else that it waits."""
        asked = ["path", *(name for name in names if name not in RAW_SCHEMA.names)]
        yield _rows(RAW_SCHEMA.empty_table(), LEDGER_SCHEMA.empty_table(), names)
        for raw, found in paired(self._raw, known(asked)):
            if len(raw):
                yield _rows(raw, matched(raw["path"], found), names)

    def _write(self, known: Rows) -> None:
        """Write the index and the state: what is known of each record of RAW, else that it waits.

        Rows are read and written batch by batch, once for each table.
        """
        sync(self.out)
        count = sum(map(len, self._raw))
        try:
            for schema, file in (
                (STATE_SCHEMA, self._state),
                (INDEX_SCHEMA, self.out / INDEX_FILE),
            ):
                batches = rebatched(self._all(known, schema.names), _BATCH_ROWS)
                write_batches(batches, schema, file, rows=count)
        except OSError as error:
            raise unwritable(self.out, error) from None


def _rows(raw: pa.Table, found: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return some columns of the ledger: what RAW tells, and what was found, null while pending."""
    columns = {name: (raw if name in RAW_SCHEMA.names else found)[name] for name in names}
    if "status" in columns:
        columns["status"] = pc.fill_null(columns["status"], Status.PENDING.value)
    return pa.table(columns, schema=pa.schema([LEDGER_SCHEMA.field(name) for name in names]))


def _restamped(known: Rows, stamps: pa.Table) -> Iterator[pa.Table]:
    """Yield the rows that have another time now, with it."""
    at = LEDGER_SCHEMA.get_field_index("image_mtime_ns")
    for rows, new in paired(known(LEDGER_SCHEMA.names), windows(stamps)):
        if len(new):
            yield matched(new["path"], rows).set_column(
                at, LEDGER_SCHEMA.field(at), new["image_mtime_ns"]
            )


def _joined(settled: Rows, paths: Sequence[Path]) -> Rows:
    """Return rows that stay and those of journals, which are newer."""
    found = {path: journal(path) for path in paths}
    for path, source in found.items():
        if source is None:
            raise StoreError(f"{path} has gone; run the command again")
    sources = [Source("", settled), *(source for source in found.values() if source)]
    return lambda names: merged(sources, names)


def sync(folder: Path) -> None:
    """Have all that was written reach the disk: one call for a batch, not one for each file."""
    if is_remote(folder):
        return
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
