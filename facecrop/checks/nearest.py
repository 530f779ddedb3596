"""Pairs of near hashes as they are found: each once, and no more than are wanted."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from facecrop.checks.orders import Distances, Places
from facecrop.labels.groups import Rows

TOGETHER = 1 << 20
"""Pairs that are made unique, counted or turned into rows at once, at least."""
_DISTANCE_BITS = 4
"""Of a pair's code, below the numbers of its hashes: distances of 0 to 15."""
_DISTANCES = 1 << _DISTANCE_BITS


class Nearest:
    """Pairs of near hashes, each once; the nearest where there are more than are wanted.

    Args:
        sizes: (D,) rows that have each hash.
        of_one: (D,) the person who alone has it, -1 where several have it.
        radius: Bits in which hashes of a pair differ, at most.
        most: Pairs of rows, at most; where there are more, `radius` becomes smaller.
    """

    def __init__(self, sizes: Places, of_one: Places, radius: int, most: int) -> None:
        self._sizes, self._of_one, self._most = sizes, of_one, most
        self._single = int(sizes.max(initial=1)) == 1
        self._bits = len(sizes).bit_length()
        self.radius = radius
        self._kept = np.zeros(0, np.int64)
        self._new: list[Rows] = []
        self._waiting = 0

    def add(self, one: Places, two: Places, apart: Distances) -> None:
        """Take in pairs of hashes, and in how many bits they differ."""
        whose = self._of_one[one]
        wanted = ((whose < 0) | (whose != self._of_one[two])) & (apart <= self.radius)
        one, two = one[wanted], two[wanted]
        low, high = np.minimum(one, two).astype(np.int64), np.maximum(one, two)
        self._new.append((((low << self._bits) | high) << _DISTANCE_BITS) | apart[wanted])
        self._waiting += len(low)
        if self._waiting >= max(len(self._kept) // 2, TOGETHER):
            self._settle()

    def rows(self, starts: Places) -> Iterator[tuple[Places, Places]]:
        """Yield the pairs as places of rows that are in the order of their hashes.

        Args:
            starts: (D,) the first place of each hash.
        """
        self._settle()
        for part in self._parts():
            one, two = self._split(part)
            if self._single:
                yield starts[one], starts[two]
                continue
            times = self._times(one, two)
            pair = np.repeat(np.arange(len(one)), times)
            nth, other = np.divmod(count_up(times), self._sizes[two][pair])
            first, second = starts[one][pair] + nth, starts[two][pair] + other
            yield first.astype(np.int32), second.astype(np.int32)

    def clear(self) -> None:
        """Forget all pairs: they may take much memory."""
        self._kept = np.zeros(0, np.int64)

    def _settle(self) -> None:
        new = np.concatenate([np.zeros(0, np.int64), *self._new])
        self._new, self._waiting = [], 0
        new.sort()
        every = np.concatenate([self._kept, new])
        self._kept = new[:0]
        del new
        every.sort(kind="stable")  # two that are sorted are merged so: a tenth of the time
        # Not `np.unique`: it hashes, which takes several times as long.
        self._kept = every[np.append(True, every[1:] != every[:-1])[: len(every)]]
        del every
        if self._single and len(self._kept) <= self._most:
            return
        counts = sum(map(self._counted, self._parts()), np.zeros(_DISTANCES))
        within = np.flatnonzero(np.cumsum(counts)[: self.radius + 1] <= self._most)
        radius = int(within[-1]) if len(within) else 0  # equal ones are never left out
        if radius < self.radius:
            self.radius = radius
            self._kept = self._kept[(self._kept & (_DISTANCES - 1)) <= radius]

    def _parts(self) -> Iterator[Rows]:
        for start in range(0, len(self._kept), TOGETHER):
            yield self._kept[start : start + TOGETHER]

    def _counted(self, codes: Rows) -> NDArray[np.float64]:
        """Return how many pairs of rows differ in 0, 1 ... bits."""
        weights = None if self._single else self._times(*self._split(codes))
        apart = codes & (_DISTANCES - 1)
        return np.bincount(apart, weights, minlength=_DISTANCES).astype(np.float64)

    def _times(self, one: Rows, two: Rows) -> Rows:
        """Return how many pairs of rows pairs of hashes are."""
        return self._sizes[one].astype(np.int64) * self._sizes[two]

    def _split(self, codes: Rows) -> tuple[Rows, Rows]:
        both = codes >> _DISTANCE_BITS
        return both >> self._bits, both & ((1 << self._bits) - 1)


def count_up(sizes: Rows) -> Rows:
    """Return 0 ... size-1 of each size, one after the other."""
    return np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
