"""An order that looks random and is the same everywhere: by digests of seed and name."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_AT_ONCE = 1 << 14


def hashed_order(names: Iterable[str], seed: int) -> NDArray[np.int64]:
    """Return the positions of names in an order that depends on seed and names alone, (N,).

    Neither the order in which the names come nor the other names move one before another.
    """
    key = seed.to_bytes(8, "big", signed=True)
    digests = (
        int.from_bytes(blake2b(name.encode(), digest_size=8, key=key).digest(), "big")
        for name in names
    )
    return np.argsort(np.fromiter(digests, np.uint64), kind="stable")


def words(column: pa.ChunkedArray) -> Iterator[str]:
    """Yield the values of a column of strings without ever holding all of them as objects."""
    for chunk in column.chunks:
        for start in range(0, len(chunk), _AT_ONCE):
            yield from chunk.slice(start, _AT_ONCE).to_pylist()
