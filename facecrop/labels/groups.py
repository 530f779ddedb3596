"""Who may not be parted: records of the same bytes or near hashes, and the groups they make."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Hashes = NDArray[np.uint64]

_BANDS, _BAND_BITS = 4, 16
_PAIRS_AT_ONCE = 1 << 20
"""Candidate pairs held in memory together: 8 MB for each array."""
_BLOCK = 1 << 10
"""Pairs of two buckets, from which on they are compared as a block rather than with many others."""
_TILE = 1 << 14
"""Pairs of a block compared at once: 128 kB, so that a cache holds them."""

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


def near_hashes(hashes: Hashes, radius: int, flip: int = 0) -> Iterator[Rows]:
    """Yield all pairs of rows whose hashes differ in few bits, without comparing all with all.

    Of four bands of 16 bits one at least differs in at most a quarter of the radius (Norouzi,
    Punjani and Fleet 2012, "Fast search in Hamming space with multi-index hashing"); so it is
    enough to look into the buckets of that band that lie so near. Two buckets are looked into
    once, for the pairs of both. The work still grows with the square of the number of hashes.

    Args:
        hashes: (N,) uint64.
        radius: Largest number of differing bits, 0 to 15.
        flip: Bits of the second hash of a pair that count as flipped (`MIRRORED`); a picture is
            then not compared with itself.

    Yields:
        (M, 2) int64, the smaller row first; each pair comes once.
    """
    members = np.argsort(hashes, kind="stable")
    ordered = hashes[members]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    distinct, bounds = ordered[starts], np.append(starts, len(ordered))
    del ordered, starts
    for band, bits in enumerate(_most_bits(radius)):
        keys = _band(distinct, band)
        order = np.argsort(keys, kind="stable")
        ends = np.append(0, np.cumsum(np.bincount(keys, minlength=1 << _BAND_BITS)))
        sought = _Band(distinct[order], ends, flip, radius)
        own = int(_band(np.array([flip], np.uint64), band)[0])
        for difference in _differences(bits):
            for left, right in sought.pairs(difference ^ own):
                one, two = order[left], order[right]
                fresh = _first_found(distinct[one], distinct[two] ^ np.uint64(flip), band, radius)
                yield from _rows(one[fresh], two[fresh], members, bounds)


def _most_bits(radius: int) -> list[int]:
    """Return in how many bits each band may differ, so that near hashes do so in one at least.

    Were it more in every band, it would be more than the radius in all; -1: not looked at.
    """
    usual, rest = divmod(radius - (_BANDS - 1), _BANDS)
    return [usual + (band < rest) for band in range(_BANDS)]


def looked_at(apart: Hashes, radius: int) -> int:
    """Return how many comparisons `near_hashes` makes of pairs that differ in these bits, (M,)."""
    bands = [np.bitwise_count(_band(apart, band)) for band in range(_BANDS)]
    most = _most_bits(radius)
    return sum(int((found <= bits).sum()) for found, bits in zip(bands, most, strict=True))


def _differences(bits: int) -> list[int]:
    return [
        sum(1 << bit for bit in chosen)
        for count in range(bits + 1)
        for chosen in combinations(range(_BAND_BITS), count)
    ]


def _band(hashes: Hashes, band: int) -> Rows:
    mask = np.uint64((1 << _BAND_BITS) - 1)
    return ((hashes >> np.uint64(band * _BAND_BITS)) & mask).astype(np.int64)


class _Band:
    """Hashes in the order of one band, to be compared bucket with bucket.

    Args:
        hashes: (D,) distinct ones, in the order of the band.
        ends: (65537,) where each bucket starts among them, and the last one ends.
        flip: As in `near_hashes`.
        radius: Likewise.
    """

    def __init__(self, hashes: Hashes, ends: Rows, flip: int, radius: int) -> None:
        self._left, self._right = hashes, hashes ^ np.uint64(flip)
        self._starts, self._sizes, self._radius = ends[:-1], np.diff(ends), radius
        self._filled = np.flatnonzero(self._sizes)

    def pairs(self, apart: int) -> Iterator[tuple[Rows, Rows]]:
        """Yield places of near hashes whose buckets' numbers differ in exactly these bits.

        Of a bucket and itself, the pairs of a hash with itself are among them.
        """
        one = self._filled[self._filled <= self._filled ^ apart]
        one = one[self._sizes[one ^ apart] > 0]
        two = one ^ apart
        large = self._sizes[one] * self._sizes[two] >= _BLOCK
        for left, right in zip(one[large].tolist(), two[large].tolist(), strict=True):
            yield from self._block(left, right)
        if not large.all():
            yield from self._flat(one[~large], two[~large])

    def _block(self, one: int, two: int) -> Iterator[tuple[Rows, Rows]]:
        """Compare all of a large bucket with all of another, a tile that fits a cache at once."""
        starts, sizes = self._starts, self._sizes
        wide = min(int(sizes[two]), _TILE)
        high = max(_TILE // wide, 1)
        for top in range(starts[one], starts[one] + sizes[one], high):
            left = self._left[top : min(top + high, starts[one] + sizes[one]), None]
            for side in range(starts[two], starts[two] + sizes[two], wide):
                right = self._right[side : min(side + wide, starts[two] + sizes[two])]
                near = np.bitwise_count(left ^ right) <= self._radius
                if near.any():
                    rows, columns = np.nonzero(near)
                    yield self._once(rows + top, columns + side, same=one == two)

    def _flat(self, one: Rows, two: Rows) -> Iterator[tuple[Rows, Rows]]:
        """Compare many small buckets with one other each."""
        places = np.repeat(self._starts[one], self._sizes[one])
        places += _count_up(self._sizes[one])
        others = np.repeat(two, self._sizes[one])
        same = np.repeat(one == two, self._sizes[one])
        totals = np.cumsum(self._sizes[others])
        begin = 0
        while begin < len(places):
            done = totals[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(totals, done + _PAIRS_AT_ONCE, side="right")))
            sizes = self._sizes[others[begin:end]]
            right = np.repeat(self._starts[others[begin:end]], sizes) + _count_up(sizes)
            left = np.repeat(self._left[places[begin:end]], sizes)
            near = np.flatnonzero(np.bitwise_count(left ^ self._right[right]) <= self._radius)
            of_left = begin + np.searchsorted(np.cumsum(sizes), near, side="right")
            left_near, right_near = places[of_left], right[near]
            kept = ~same[of_left] | (left_near <= right_near)
            yield left_near[kept], right_near[kept]
            begin = end

    @staticmethod
    def _once(left: Rows, right: Rows, *, same: bool) -> tuple[Rows, Rows]:
        kept = left <= right if same else slice(None)
        return left[kept], right[kept]


def _count_up(sizes: Rows) -> Rows:
    """Return 0 ... size-1 of each size, one after the other."""
    return np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _first_found(left: Hashes, right: Hashes, band: int, radius: int) -> NDArray[np.bool_]:
    """Tell which near pairs no earlier band has found already."""
    difference = left ^ right
    fresh = np.ones(len(left), np.bool_)
    for earlier, bits in enumerate(_most_bits(radius)[:band]):
        fresh &= np.bitwise_count(_band(difference, earlier)) > bits
    return fresh


def _rows(left: Rows, right: Rows, members: Rows, bounds: Rows) -> Iterator[Rows]:
    """Turn pairs of distinct hashes into pairs of the rows that have them."""
    same = left == right
    pairs = (bounds[left + 1] - bounds[left]) * (bounds[right + 1] - bounds[right])
    simple = ~same & (pairs == 1)
    if simple.any():
        found = [members[bounds[left[simple]]], members[bounds[right[simple]]]]
        yield np.sort(np.stack(found, axis=1), axis=1)
    several = pairs > 1
    for one, two in zip(left[several].tolist(), right[several].tolist(), strict=True):
        a, b = members[bounds[one] : bounds[one + 1]], members[bounds[two] : bounds[two + 1]]
        for row in a.tolist():
            others = b[b > row] if one == two else b
            if len(others):
                yield np.sort(np.stack([np.full_like(others, row), others], axis=1), axis=1)
