"""Who may not be parted: records of the same bytes or near hashes, and the groups they make."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Hashes = NDArray[np.uint64]

_BANDS, _BAND_BITS = 4, 16
_PAIRS_AT_ONCE = 1 << 22
"""Candidate pairs held in memory together: 32 MB for each array."""

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
    links = []
    for rows in np.split(order, starts[1:]) if len(order) else []:
        if len(rows) > 1:
            _, first = np.unique(persons[rows], return_index=True)
            head, *others = sorted(rows[first].tolist())
            links += [(head, other) for other in others]
    return links


def near_hashes(hashes: Hashes, radius: int, flip: int = 0) -> Iterator[Rows]:
    """Yield all pairs of rows whose hashes differ in few bits, without comparing all with all.

    Of four bands of 16 bits one at least differs in at most a quarter of the radius (Norouzi,
    Punjani and Fleet 2012, "Fast search in Hamming space with multi-index hashing"); so it is
    enough to look into the buckets of that band that lie so near.

    Args:
        hashes: (N,) uint64.
        radius: Largest number of differing bits, 0 to 15.
        flip: Bits of the second hash of a pair that count as flipped (`MIRRORED`); a picture is
            then not compared with itself.

    Yields:
        (M, 2) int64, the smaller row first; each pair comes once.
    """
    distinct, inverse = np.unique(hashes, return_inverse=True)
    members = np.argsort(inverse, kind="stable")
    bounds = np.searchsorted(inverse[members], np.arange(len(distinct) + 1))
    flipped = distinct ^ np.uint64(flip)
    for band in range(_BANDS):
        keys, other = _band(distinct, band), _band(flipped, band)
        order = np.argsort(other, kind="stable")
        starts = np.searchsorted(other[order], np.arange((1 << _BAND_BITS) + 1))
        for difference in _differences(radius // _BANDS):
            bucket = keys ^ difference
            for left, place in _expand(starts[bucket], starts[bucket + 1]):
                right = order[place]
                near = _first_found(distinct[left], flipped[right], band, radius)
                near &= left <= right
                yield from _rows(left[near], right[near], members, bounds)


def _differences(bits: int) -> list[int]:
    return [
        sum(1 << bit for bit in chosen)
        for count in range(bits + 1)
        for chosen in combinations(range(_BAND_BITS), count)
    ]


def _band(hashes: Hashes, band: int) -> Rows:
    mask = np.uint64((1 << _BAND_BITS) - 1)
    return ((hashes >> np.uint64(band * _BAND_BITS)) & mask).astype(np.int64)


def _expand(starts: Rows, ends: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Yield (i, each of starts[i] ... ends[i]-1) as flat arrays, a bounded number at once."""
    filled = np.flatnonzero(ends > starts)
    totals = np.cumsum((ends - starts)[filled])
    begin = 0
    while begin < len(filled):
        done = totals[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(totals, done + _PAIRS_AT_ONCE, side="right")))
        part = filled[begin:end]
        sizes = (ends - starts)[part]
        first = np.repeat(np.cumsum(sizes) - sizes, sizes)
        yield np.repeat(part, sizes), np.repeat(starts[part], sizes) + np.arange(len(first)) - first
        begin = end


def _first_found(left: Hashes, right: Hashes, band: int, radius: int) -> NDArray[np.bool_]:
    """Tell which pairs are near, leaving those that an earlier band has found already."""
    difference = left ^ right
    near: NDArray[np.bool_] = np.bitwise_count(difference) <= radius
    for earlier in range(band):
        near &= np.bitwise_count(_band(difference, earlier)) > radius // _BANDS
    return near


def _rows(left: Rows, right: Rows, members: Rows, bounds: Rows) -> Iterator[Rows]:
    """Turn pairs of distinct hashes into pairs of the rows that have them."""
    if not len(left):
        return
    same = left == right
    pairs = (bounds[left + 1] - bounds[left]) * (bounds[right + 1] - bounds[right])
    simple = ~same & (pairs == 1)
    yield np.sort(
        np.stack([members[bounds[left[simple]]], members[bounds[right[simple]]]], axis=1), axis=1
    )
    for one, two in zip(left[~simple].tolist(), right[~simple].tolist(), strict=True):
        a, b = members[bounds[one] : bounds[one + 1]], members[bounds[two] : bounds[two + 1]]
        for row in a.tolist():
            others = b[b > row] if one == two else b
            if len(others):
                yield np.sort(np.stack([np.full_like(others, row), others], axis=1), axis=1)


def distances(hashes: Hashes, pairs: Rows, flip: int = 0) -> Rows:
    """Return in how many bits the hashes of each pair differ, (M,) int64."""
    difference = hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]] ^ np.uint64(flip)
    return np.asarray(np.bitwise_count(difference), np.int64)
