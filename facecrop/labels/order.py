"""An order that looks random and is the same everywhere: by digests of seed and name."""

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray


def hashed_order(names: Iterable[str], seed: int) -> NDArray[np.int64]:
    """Return the positions of names in an order that depends on seed and names alone, (N,).

    Neither the order in which the names come nor the other names move one before another.
    """
    key = seed.to_bytes(8, "big", signed=True)
    digests = [
        int.from_bytes(blake2b(name.encode(), digest_size=8, key=key).digest(), "big")
        for name in names
    ]
    return np.argsort(np.array(digests, np.uint64), kind="stable")
