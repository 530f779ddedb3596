"""Which hashes are near each other: of few all pairs, of many most, in nearly linear time.

Many hashes are sorted by their bits in a random order, and each is compared with those that follow
it; near ones that one order parts, another brings together (Charikar 2002, "Similarity estimation
techniques from rounding algorithms", section 4). The nearer they are, the surer they are found:
`docs/audit.md` has how often.
"""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from facecrop.labels.groups import MIRRORED, Hashes, Rows

Pairs = NDArray[np.int32]

FEW = 1 << 15
"""Hashes up to which all are compared with all: as fast as orders, and exact."""
_ORDERS, _FOLLOWING = 32, 32
"""How often hashes are sorted, and with how many that follow each is compared then."""
_COLUMNS = 1 << 10
_PIECE = 1 << 18
"""Hashes that are compared with those that follow, and comparisons of all with all: as many at once
as a cache holds."""
_TOGETHER = 1 << 20
"""Pairs that are made unique, counted or turned into rows at once, at least."""
_BITS = 64
_DISTANCE_BITS = 4
"""Of a pair's code, below the numbers of its hashes: distances of 0 to 15."""


def near_hashes(
    hashes: Hashes, persons: Rows, radius: int, *, mirror: bool, most: int
) -> tuple[Pairs, int]:
    """Return pairs of rows of different persons whose hashes differ in few bits.

    Of up to `FEW` hashes these are all; of more, most. The answer does not depend on the
    order of the rows.

    Args:
        hashes: (N,) uint64.
        persons: (N,) a number for each row's person.
        radius: Bits in which they differ, at most, 0 to 15.
        mirror: Whether the second of a pair is mirrored.
        most: Pairs, at most, apart from those of equal hashes. Where there are more, those that
            differ in the most bits are left out.

    Returns:
        (M, 2) rows, the smaller first, each pair once and all in order; and the radius within which
        they are kept: smaller than asked for where there would be too many.
    """
    search = _among_all if len(hashes) <= FEW else _in_orders
    return search(hashes, persons, radius, mirror=mirror, most=most)


def _among_all(
    hashes: Hashes, persons: Rows, radius: int, *, mirror: bool, most: int
) -> tuple[Pairs, int]:
    """Compare all with all."""
    others = hashes ^ MIRRORED if mirror else hashes
    found: list[tuple[Pairs, NDArray[np.uint8]]] = []
    counts = np.zeros(1 << _DISTANCE_BITS, np.int64)
    room = np.empty(max(_PIECE, len(hashes)), np.uint64)  # made once: else that takes a third
    start = 0
    while start < len(hashes):
        wide = len(hashes) - start
        end = min(start + max(_PIECE // wide, 1), len(hashes))
        differing = room[: (end - start) * wide].reshape(end - start, wide)
        np.bitwise_xor(hashes[start:end, None], others[start:], out=differing)
        apart = np.bitwise_count(differing)
        near = np.flatnonzero(apart <= radius).astype(np.int32)
        one, two = np.divmod(near, np.int32(wide))
        wanted = (one < two) & (persons[start + one] != persons[start + two])
        own = apart.ravel()[near[wanted]]
        pairs = np.stack([one[wanted], two[wanted]], axis=1) + np.int32(start)
        found.append((pairs, own))
        counts += np.bincount(own, minlength=len(counts))
        while radius and counts[int(not mirror) : radius + 1].sum() > most:
            radius -= 1
        if counts[radius + 1 :].any():
            found = [(pairs[own <= radius], own[own <= radius]) for pairs, own in found]
            counts[radius + 1 :] = 0
        start = end
    return np.concatenate([np.zeros((0, 2), np.int32), *(pairs for pairs, _ in found)]), radius


def _in_orders(
    hashes: Hashes, persons: Rows, radius: int, *, mirror: bool, most: int
) -> tuple[Pairs, int]:
    """Compare each with those that follow it, in several orders."""
    members = np.argsort(hashes, kind="stable")
    ordered = hashes[members]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    distinct, sizes = ordered[starts], np.diff(starts, append=len(ordered))
    del ordered
    found = _Found(sizes, _only_person(persons[members], starts), radius, most)
    for one, two, apart in _following_pairs(distinct, found, mirror=mirror):
        found.add(one, two, apart)
    codes = [_codes(members[a], members[b], persons) for a, b in found.rows(starts)]
    if not mirror:
        codes += [_codes(members[a], members[b], persons) for a, b in _equal(starts, sizes)]
    every = np.concatenate([np.zeros(0, np.int64), *codes])
    del codes
    every.sort()
    pairs = np.empty((len(every), 2), np.int32)
    pairs[:, 0], pairs[:, 1] = every >> 32, every & 0xFFFFFFFF
    return pairs, found.radius


def _only_person(persons: Rows, starts: Rows) -> Rows:
    """Return the person who alone has each hash, -1 where several have it."""
    if not len(starts):
        return np.zeros(0, np.int64)
    low, high = np.minimum.reduceat(persons, starts), np.maximum.reduceat(persons, starts)
    return np.where(low == high, low, -1)


def _codes(one: Rows, two: Rows, persons: Rows) -> Rows:
    """Return one number for each pair of rows of different persons, in the order of the pairs."""
    others = persons[one] != persons[two]
    one, two = one[others], two[others]
    return (np.minimum(one, two) << 32) | np.maximum(one, two)


class _Found:
    """Pairs of near hashes, each once, and no more than are wanted.

    Args:
        sizes: (D,) rows that have each hash.
        of_one: (D,) the person who alone has it, -1 where several have it.
        radius: Bits in which hashes of a pair differ, at most.
        most: Pairs of rows, at most; where there are more, `radius` becomes smaller.
    """

    def __init__(self, sizes: Rows, of_one: Rows, radius: int, most: int) -> None:
        self._sizes, self._of_one, self._most = sizes, of_one, most
        self._bits = len(sizes).bit_length()
        self.radius = radius
        self._kept = np.zeros(0, np.int64)
        self._new: list[Rows] = []
        self._waiting = 0

    def add(self, one: Rows, two: Rows, apart: NDArray[np.uint8]) -> None:
        """Take in pairs of hashes, and in how many bits they differ."""
        whose = self._of_one[one]
        others = (whose < 0) | (whose != self._of_one[two])
        low, high = np.minimum(one, two)[others], np.maximum(one, two)[others]
        self._new.append((((low << self._bits) | high) << _DISTANCE_BITS) | apart[others])
        self._waiting += len(low)
        if self._waiting >= max(len(self._kept) // 2, _TOGETHER):
            self._settle()

    def rows(self, starts: Rows) -> Iterator[tuple[Rows, Rows]]:
        """Yield the pairs as places of rows that are in the order of their hashes.

        Args:
            starts: (D,) the first place of each hash.
        """
        self._settle()
        for part in self._parts():
            one, two = self._split(part)
            if self._of_single_rows():
                yield starts[one], starts[two]
                continue
            times = self._sizes[one] * self._sizes[two]
            pair = np.repeat(np.arange(len(one)), times)
            nth, other = np.divmod(_count_up(times), self._sizes[two][pair])
            yield starts[one][pair] + nth, starts[two][pair] + other

    def _settle(self) -> None:
        every = np.concatenate([self._kept, *self._new])
        self._new, self._waiting = [], 0
        every.sort()
        # Not `np.unique`: it hashes, which takes several times as long.
        self._kept = every[np.append(True, every[1:] != every[:-1])[: len(every)]]
        del every
        counts = sum(map(self._counted, self._parts()), np.zeros(1 << _DISTANCE_BITS))
        within = np.flatnonzero(np.cumsum(counts)[: self.radius + 1] <= self._most)
        radius = int(within[-1]) if len(within) else -1
        if radius < self.radius:
            self.radius = max(radius, 0)
            self._kept = self._kept[(self._kept & ((1 << _DISTANCE_BITS) - 1)) <= radius]

    def _parts(self) -> Iterator[Rows]:
        for start in range(0, len(self._kept), _TOGETHER):
            yield self._kept[start : start + _TOGETHER]

    def _counted(self, codes: Rows) -> NDArray[np.float64]:
        """Return how many pairs of rows differ in 0, 1 ... bits."""
        apart, weights = codes & ((1 << _DISTANCE_BITS) - 1), None
        if not self._of_single_rows():
            one, two = self._split(codes)
            weights = self._sizes[one] * self._sizes[two]
        return np.bincount(apart, weights, minlength=1 << _DISTANCE_BITS).astype(np.float64)

    def _of_single_rows(self) -> bool:
        return int(self._sizes.max(initial=1)) == 1

    def _split(self, codes: Rows) -> tuple[Rows, Rows]:
        both = codes >> _DISTANCE_BITS
        return both >> self._bits, both & ((1 << self._bits) - 1)


Piece = tuple[Rows, Rows, NDArray[np.uint8]]


def _following_pairs(hashes: Hashes, found: _Found, *, mirror: bool) -> Iterator[Piece]:
    """Yield near ones, many of them again and again."""
    rng = np.random.default_rng(0)
    count = len(hashes)
    for _ in range(_ORDERS):
        bits = rng.permutation(_BITS)
        keys = _moved(hashes, bits)
        if mirror:
            keys = np.concatenate([keys, keys ^ _moved(np.array([MIRRORED]), bits)])
        order = np.argsort(keys)
        keys = keys[order]
        for start in range(0, len(keys), _COLUMNS):
            one, two, apart = _windows(keys, start, found.radius)
            one, two = order[one], order[two]
            if mirror:
                mixed = (one < count) != (two < count)
                one, two, apart = one[mixed] % count, two[mixed] % count, apart[mixed]
            yield one, two, apart


def _windows(keys: Hashes, start: int, radius: int) -> Piece:
    """Compare some of the keys, from a place on, with those that follow each."""
    part = keys[start : start + _COLUMNS]
    beyond = keys[start + 1 : start + len(part) + _FOLLOWING]
    lacking = len(part) + _FOLLOWING - 1 - len(beyond)
    if lacking:  # the last ones are followed by fewer
        beyond = np.append(beyond, np.zeros(lacking, np.uint64))
    apart = np.bitwise_count(sliding_window_view(beyond, len(part)) ^ part)
    near = np.flatnonzero(apart <= radius)
    step, one = np.divmod(near, len(part))
    one += start
    two = one + step + 1
    there = slice(None) if not lacking else two < len(keys)
    return one[there], two[there], apart.ravel()[near[there]]


def _moved(hashes: Hashes, bits: Rows) -> Hashes:
    """Return hashes whose bits lie in another order: distances stay.

    Args:
        hashes: (N,).
        bits: (64,) the place of each bit.
    """
    single = np.uint64(1) << bits.astype(np.uint64)
    values = np.arange(1 << 8)
    found = np.zeros(len(hashes), np.uint64)
    for number in range(_BITS // 8):
        table = np.zeros(1 << 8, np.uint64)
        for bit in range(8):
            table[(values >> bit & 1) == 1] |= single[8 * number + bit]
        found |= table[(hashes >> np.uint64(8 * number)) & np.uint64(0xFF)]
    return found


def _equal(starts: Rows, sizes: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Yield the pairs of places that have one hash."""
    several = np.flatnonzero(sizes > 1)
    done = np.cumsum(sizes[several] ** 2)
    begin = 0
    while begin < len(several):
        before = done[begin - 1] if begin else 0
        end = max(int(np.searchsorted(done, before + _TOGETHER, side="right")), begin + 1)
        own = several[begin:end]
        times = sizes[own] ** 2
        nth, other = np.divmod(_count_up(times), np.repeat(sizes[own], times))
        later, first = nth < other, np.repeat(starts[own], times)
        yield (first + nth)[later], (first + other)[later]
        begin = end


def _count_up(sizes: Rows) -> Rows:
    """Return 0 ... size-1 of each size, one after the other."""
    return np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
