"""Orders of hashes in which near ones come to lie near each other (Charikar 2002).

Hashes are sorted by their bits, shuffled anew for each order. Those that are near each other agree
in the leading bits of some orders. Before, a hash is turned over where one of the bits that a
mirrored picture flips is set: so one order finds copies as they are, and mirrored ones too.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from facecrop.labels.groups import MIRRORED, Hashes, Rows

ORDERS, FOLLOWING = 80, 8
"""How often hashes are sorted, and with how many that follow each is compared then."""
AT_ONCE = 1 << 12
"""Hashes that are shuffled, or compared with those that follow: as many as a cache holds."""
BITS = 64
_DIGIT_BITS = 16
"""Numbers of so many bits are sorted by counting them; so the leading two decide an order."""

Places = NDArray[np.int32]
Distances = NDArray[np.uint8]
Piece = tuple[Places, Places, Distances]


@dataclass(frozen=True, slots=True)
class Order:
    """Hashes in an order.

    Args:
        keys: (N,) the hashes, shuffled, some turned over; the leading bits rise.
        beyond: (FOLLOWING, N) those that follow each; at the end, what is none.
        places: (N,) twice the place of each among the hashes as they were given; one more where it
            is turned over.
    """

    keys: Hashes
    beyond: Hashes
    places: Places


def order_of(hashes: Hashes, rng: np.random.Generator) -> Order:
    """Sort hashes, (N,), by bits that are drawn; equal leading bits keep the order as given."""
    flipped = np.flatnonzero(MIRRORED >> np.arange(BITS, dtype=np.uint64) & np.uint64(1))
    sign, swaps = np.uint64(rng.choice(flipped)), _swaps(rng)
    keys, turned = np.empty_like(hashes), np.empty(len(hashes), np.uint8)
    for start in range(0, len(hashes), AT_ONCE):
        at = slice(start, start + AT_ONCE)
        over = (hashes[at] >> sign) & np.uint64(1)
        turned[at] = over
        keys[at] = shuffled(hashes[at] ^ over * MIRRORED, swaps)
    order = _sorted(keys)
    room = np.zeros(len(hashes) + FOLLOWING, np.uint64)
    np.take(keys, order, out=room[: len(hashes)])
    places = (2 * order + turned[order]).astype(np.int32)
    if not len(hashes):
        return Order(keys, np.zeros((FOLLOWING, 0), np.uint64), places)
    return Order(room[: len(hashes)], sliding_window_view(room[1:], len(hashes)), places)


def _swaps(rng: np.random.Generator) -> list[tuple[np.uint64, np.uint64]]:
    """Draw which bits change places with those so many places higher: the steps of a shuffle."""
    steps = []
    distance = 1
    while distance < BITS:
        lower = sum(1 << bit for bit in range(BITS) if not bit & distance)
        drawn = rng.integers(0, 1 << BITS, dtype=np.uint64)
        steps.append((np.uint64(distance), drawn & np.uint64(lower)))
        distance *= 2
    return steps


def shuffled(hashes: Hashes, swaps: list[tuple[np.uint64, np.uint64]]) -> Hashes:
    """Return hashes whose bits have changed places, all in the same way: distances stay."""
    for distance, which in swaps:
        moving = ((hashes >> distance) ^ hashes) & which
        hashes = hashes ^ moving ^ (moving << distance)
    return hashes


def _sorted(keys: Hashes) -> Rows:
    """Return the order of keys by their leading bits."""
    high = (keys >> np.uint64(BITS - _DIGIT_BITS)).astype(np.uint16)
    # By the less weighty number first: numpy sorts small numbers stably, and ten times as fast.
    order = np.argsort((keys >> np.uint64(BITS - 2 * _DIGIT_BITS)).astype(np.uint16), kind="stable")
    return np.asarray(order[np.argsort(high[order], kind="stable")])


class Window:
    """Compares hashes with those that follow them, in room that is made once."""

    def __init__(self) -> None:
        self._differing = np.empty((FOLLOWING, AT_ONCE), np.uint64)
        self._apart = np.empty((FOLLOWING, AT_ONCE), np.uint8)

    def near(self, order: Order, start: int, radius: int) -> Piece:
        """Return the near ones among some hashes and those that follow each.

        Args:
            order: The hashes.
            start: Where the `AT_ONCE` begin that are compared.
            radius: Bits in which they differ, at most.

        Returns:
            Of each pair the place of either, as `Order.places`, and in how many bits they differ.
        """
        part = order.keys[start : start + AT_ONCE]
        differing, apart = self._differing[:, : len(part)], self._apart[:, : len(part)]
        np.bitwise_xor(order.beyond[:, start : start + len(part)], part, out=differing)
        np.bitwise_count(differing, out=apart)
        step, one = np.divmod(np.flatnonzero(apart <= radius), len(part))
        own = apart[step, one]
        one += start
        two = one + step + 1
        if start + len(part) + FOLLOWING > len(order.keys):
            there = two < len(order.keys)
            one, two, own = one[there], two[there], own[there]
        return order.places[one], order.places[two], own
