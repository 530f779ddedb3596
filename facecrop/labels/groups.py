"""Who may not be parted: records of the same bytes, and the groups that linked ones make."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Hashes = NDArray[np.uint64]

MIRRORED = np.uint64(0x5555555555555555)
"""Bits of a perceptual hash that flip when the picture is mirrored.

The hash has one bit for each of the 8 x 8 lowest coefficients of a cosine transform, row by row;
mirroring negates those of odd horizontal frequency, and they lie around their median, 0.
"""


@dataclass(frozen=True, slots=True)
class Link:
    """Two records of different persons that show the same photograph.

    Args:
        first: Row of one record.
        second: Row of the other.
        kind: `bytes` (the files are identical), `pixels` (proven on the registered pictures) or
            `mirror` (likewise, one of them mirrored).
        score: Agreement of the registered pixels, in [0, 1]; 1 for identical bytes.
    """

    first: int
    second: int
    kind: str
    score: float


class Groups:
    """Numbers 0 ... n-1 that join into groups; the name of a group is its smallest number.

    >>> groups = Groups(4)
    >>> groups.join(3, 1), groups.join(1, 3)
    (True, False)
    >>> groups.names().tolist()
    [0, 1, 2, 1]
    """

    def __init__(self, n: int) -> None:
        self._parent = list(range(n))

    def find(self, number: int) -> int:
        """Return the name of its group."""
        root = number
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[number] != root:
            self._parent[number], number = root, self._parent[number]
        return root

    def join(self, first: int, second: int) -> bool:
        """Make two groups one; return False if they were one already."""
        low, high = sorted((self.find(first), self.find(second)))
        self._parent[high] = low
        return low != high

    def names(self) -> Rows:
        """Return each number's group, (n,) int64."""
        return np.array([self.find(number) for number in range(len(self._parent))], dtype=np.int64)


def same_value_links(values: Rows, persons: Rows) -> list[tuple[int, int]]:
    """Link records of different persons that hold the same value.

    Args:
        values: (N,) a number for each record's bytes; negative where they are unknown.
        persons: (N,) a number for each record's profile.

    Returns:
        Pairs of rows, the first record of a value with the first of each other person.
    """
    order = np.lexsort((np.arange(len(values)), values))
    order = order[values[order] >= 0]
    starts = np.flatnonzero(np.diff(values[order], prepend=-1))
    sizes = np.diff(starts, append=len(order))
    links = []
    for start, size in zip(starts[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        rows = order[start : start + size]
        _, first = np.unique(persons[rows], return_index=True)
        head, *others = sorted(rows[first].tolist())
        links += [(head, other) for other in others]
    return links
