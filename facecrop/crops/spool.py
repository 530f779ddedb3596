"""Where workers put crops that are to go into tar files: a file for some hundreds, written whole.

`.store/crops/<name>.bin` has their bytes one after the other, `<name>.parquet` beside it says which
are where; names sort by time. The second is written last: without it the first is nothing. At the
end of a run all of them are packed into tars and removed; of one that was stopped the next run
finds them.
"""

import time
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from facecrop.index import write_atomic, write_table

NAME = "crops"
FOLDER = Path(".store", NAME)
"""Below a dataset; a shard has a folder of that name in its own."""
SCHEMA = pa.schema([("sha256", pa.binary(32)), ("offset", pa.int64()), ("size", pa.int64())])
"""Columns of the table beside a file: a crop's digest, where it begins, how many bytes it has."""
DATA, TABLE = ".bin", ".parquet"

_FULL_BYTES, _WAIT_S = 8 << 20, 5.0
"""A file is written when it has as many bytes, or when its first crop has waited so long."""


class Spool:
    """Takes crops, and writes them from time to time.

    What a worker that dies had not written yet is made again, from its findings.

    Args:
        folder: Where to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: list[tuple[bytes, bytes]] = []
        self._bytes, self._since = 0, 0.0

    def add(self, data: bytes) -> bytes:
        """Take a crop, and return its digest.

        Raises:
            StoreError: The disk is full or cannot be written.
        """
        if not self._waiting:
            self._since = time.monotonic()
        digest = sha256(data).digest()
        self._waiting.append((digest, data))
        self._bytes += len(data)
        if self._bytes >= _FULL_BYTES or time.monotonic() - self._since > _WAIT_S:
            self.write()
        return digest

    def write(self) -> None:
        """Write what was taken since the last time.

        Raises:
            StoreError: The disk is full or cannot be written.
        """
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        if not waiting:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{time.time_ns():016x}{uuid4().hex}{DATA}"
        write_atomic(file, lambda there: there.write_bytes(b"".join(data for _, data in waiting)))
        sizes = [len(data) for _, data in waiting]
        columns = {
            "sha256": [digest for digest, _ in waiting],
            "offset": list(accumulate(sizes[:-1], initial=0)),
            "size": sizes,
        }
        write_table(pa.table(columns, SCHEMA), file.with_suffix(TABLE))
