"""Which hashes are near each other: of few all pairs, of many most, in nearly linear time.

Many hashes are sorted by their bits in random orders (`orders`), and each is compared with those
that follow it; near ones that one order parts, another brings together. The nearer they are, the
surer they are found: `docs/audit.md` has how often.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facecrop.checks.nearest import TOGETHER, Nearest, count_up
from facecrop.checks.orders import (
    AT_ONCE,
    BITS,
    FOLLOWING,
    ORDERS,
    Places,
    Window,
    order_of,
)
from facecrop.labels.groups import MIRRORED, Hashes, Rows

Pairs = NDArray[np.int32]

FEW = 1 << 15
"""Hashes up to which all are compared with all: as fast as orders, and exact."""
_PIECE = 1 << 18
"""Comparisons of all with all made at once: as many as a cache holds."""
_DISTANCES = 16
_MISSED, _FEWEST = 1e-3, 8
"""The share of the farthest pairs that so many orders miss; how many there are at least."""


class Near(NamedTuple):
    """Pairs of rows with near hashes.

    Args:
        pairs: (M, 2) rows, the smaller first, each pair once and all in order.
        radius: Bits in which their hashes differ, at most: fewer than asked for where there would
            be too many pairs.
    """

    pairs: Pairs
    radius: int


def near_hashes(
    hashes: Hashes,
    persons: Rows,
    radius: int,
    *,
    most: int,
    report: Callable[[int, int], None] | None = None,
) -> tuple[Near, Near]:
    """Return pairs of rows of different persons whose hashes differ in few bits.

    Of up to `FEW` hashes these are all; of more, most. The answer does not depend on the
    order of the rows.

    Args:
        hashes: (N,) uint64.
        persons: (N,) a number for each row's person.
        radius: Bits in which they differ, at most, 0 to 15.
        most: Pairs of either kind, at most, apart from those of equal hashes. Where there are more,
            those that differ in the most bits are left out.
        report: Called with how much is done, and of how much.

    Returns:
        Those of pictures as they are, and those of which one is mirrored.
    """
    if len(hashes) > FEW:
        return _in_orders(hashes, persons, radius, most, report)
    plain, mirrored = (
        _among_all(hashes, persons, radius, mirror=mirror, most=most) for mirror in (False, True)
    )
    return plain, mirrored


def _among_all(hashes: Hashes, persons: Rows, radius: int, *, mirror: bool, most: int) -> Near:
    """Compare all with all."""
    others = hashes ^ MIRRORED if mirror else hashes
    found: list[tuple[Pairs, NDArray[np.uint8]]] = []
    counts = np.zeros(_DISTANCES, np.int64)
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
    every = np.concatenate([np.zeros((0, 2), np.int32), *(pairs for pairs, _ in found)])
    return Near(every, radius)


def _in_orders(
    hashes: Hashes,
    persons: Rows,
    radius: int,
    most: int,
    report: Callable[[int, int], None] | None,
) -> tuple[Near, Near]:
    """Compare each with those that follow it, in several orders."""
    members = np.argsort(hashes, kind="stable").astype(np.int32)
    ordered = hashes[members]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])).astype(np.int32)
    distinct, sizes = ordered[starts], np.diff(starts, append=np.int32(len(ordered)))
    del ordered
    of_one = _only_person(persons[members], starts)
    found = [Nearest(sizes, of_one, radius, most) for _ in range(2)]
    rng, window = np.random.default_rng(0), Window()
    done = 0
    while done < (enough := _orders(len(distinct), max(one.radius for one in found))):
        order = order_of(distinct, rng)
        for start in range(0, len(distinct), AT_ONCE):
            wide = max(one.radius for one in found)
            one, two, apart = window.near(order, start, wide)
            turned = ((one ^ two) & 1).astype(np.bool_)
            one, two = one >> 1, two >> 1
            for mine, own in zip((~turned, turned), found, strict=True):
                own.add(one[mine], two[mine], apart[mine])
        done += 1
        if report is not None:
            report(done, enough)
    plain, mirrored = found
    del found
    same = [_codes(members[a], members[b], persons) for a, b in _equal(starts, sizes)]
    return (
        _near(plain, members, starts, persons, same),
        _near(mirrored, members, starts, persons, []),
    )


def _orders(count: int, radius: int) -> int:
    """Return in how many orders to compare so many hashes: fewer where all pairs are next to equal.

    Two meet where the bits agree that tell a few hashes from the others. Bits of pictures are not
    independent, as is taken here, so it is twice as many.
    """
    leading = np.log2(max(count / FOLLOWING, 1)) + 1
    missed = 1 - (1 - radius / BITS) ** leading
    enough = 2 * np.log(_MISSED) / np.log(missed) if missed else 0
    return int(np.clip(np.ceil(enough), _FEWEST, ORDERS))


def _near(
    found: Nearest, members: Places, starts: Places, persons: Rows, codes: list[Rows]
) -> Near:
    """Return the rows of what was found, and of other pairs, which are emptied."""
    codes += [_codes(members[a], members[b], persons) for a, b in found.rows(starts)]
    radius = found.radius
    found.clear()
    every = np.empty(sum(map(len, codes)), np.int64)
    end = len(every)
    while codes:
        part = codes.pop()
        every[end - len(part) : end] = part
        end -= len(part)
    every.sort()
    pairs = every.view(np.int32).reshape(-1, 2)  # in the same memory: there may be many
    for start in range(0, len(every), TOGETHER):
        part = every[start : start + TOGETHER].copy()
        pairs[start : start + TOGETHER, 0] = part >> 32
        pairs[start : start + TOGETHER, 1] = part & 0xFFFFFFFF
    return Near(pairs, radius)


def _only_person(persons: Rows, starts: Places) -> Places:
    """Return the person who alone has each hash, -1 where several have it."""
    low, high = np.minimum.reduceat(persons, starts), np.maximum.reduceat(persons, starts)
    return np.where(low == high, low, -1).astype(np.int32)


def _codes(one: Places, two: Places, persons: Rows) -> Rows:
    """Return one number for each pair of rows of different persons, in the order of the pairs."""
    others = persons[one] != persons[two]
    one, two = one[others], two[others]
    return (np.minimum(one, two).astype(np.int64) << 32) | np.maximum(one, two)


def _equal(starts: Places, sizes: Places) -> Iterator[tuple[Places, Places]]:
    """Yield the pairs of places that have one hash."""
    several = np.flatnonzero(sizes > 1)
    squares = sizes[several].astype(np.int64) ** 2
    done = np.cumsum(squares)
    begin = 0
    while begin < len(several):
        before = done[begin - 1] if begin else 0
        end = max(int(np.searchsorted(done, before + TOGETHER, side="right")), begin + 1)
        own, times = several[begin:end], squares[begin:end]
        nth, other = np.divmod(count_up(times), np.repeat(sizes[own], times))
        later, first = nth < other, np.repeat(starts[own], times)
        yield (first + nth)[later].astype(np.int32), (first + other)[later].astype(np.int32)
        begin = end
