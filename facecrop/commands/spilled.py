"""A table that may be too large to hold: beyond some rows it lies in a file without a name."""

import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
import pyarrow as pa

from facecrop.errors import unwritable

HELD_ROWS = 1 << 17
"""Rows that stay in memory: some 40 MB."""
_COMPRESSION = "zstd"


class Spilled:
    """Rows that are added part by part, and then read in parts, or some of them.

    What does not stay in memory is written where temporary files are, and ends with this.

    Args:
        schema: Of the rows.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._parts: list[pa.RecordBatch] = []
        self._ends: list[int] = []
        self._file: IO[bytes] | None = None
        self._writer: pa.RecordBatchFileWriter | None = None
        self._reader: pa.RecordBatchFileReader | None = None
        self._open: dict[int, pa.RecordBatch] = {}

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def add(self, rows: pa.Table) -> None:
        """Add some rows, before any are read.

        Raises:
            StoreError: They are too many for memory, and the folder of temporary files is full.
        """
        for part in rows.cast(self.schema).combine_chunks().to_batches():
            self._ends.append(len(self) + len(part))
            self._parts.append(part)
        if len(self) > HELD_ROWS:
            try:
                self._spill()
            except OSError as error:
                raise unwritable(tempfile.gettempdir(), error) from None

    def close(self) -> "Spilled":
        """Note that there are no more; return this."""
        if self._writer is not None and self._file is not None:
            try:
                self._writer.close()
                self._file.flush()
            except OSError as error:
                raise unwritable(tempfile.gettempdir(), error) from None
            self._writer = None
            self._reader = pa.ipc.open_file(pa.PythonFile(self._file, "r"))
        return self

    def __call__(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yield columns of all rows, as `streams.Rows`."""
        yield self.schema.empty_table().select(list(names))
        for number in range(len(self._ends)):
            yield pa.Table.from_batches([self._part(number)]).select(list(names))

    def slice(self, start: int, count: int) -> pa.Table:
        """Return so many neighbouring rows, at least one; best asked for in their order."""
        first, last = np.searchsorted(self._ends, [start, start + count - 1], side="right").tolist()
        held = self._open
        self._open = {
            number: held.get(number) or self._part(number) for number in range(first, last + 1)
        }
        some = pa.Table.from_batches(list(self._open.values()), self.schema)
        before = self._ends[first - 1] if first else 0
        return some.slice(start - before, count)

    def _spill(self) -> None:
        if self._file is None or self._writer is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it ends with this object
            options = pa.ipc.IpcWriteOptions(compression=_COMPRESSION)
            sink = pa.PythonFile(self._file, "w")
            self._writer = pa.ipc.new_file(sink, self.schema, options=options)
        for part in self._parts:
            self._writer.write_batch(part)
        self._parts = []

    def _part(self, number: int) -> pa.RecordBatch:
        return self._parts[number] if self._reader is None else self._reader.get_batch(number)
