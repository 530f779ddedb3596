"""Which pairs of pictures are worth a proof: first by hashes, then by sketches."""

from base64 import b85decode, b85encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

from facecrop.checks.measured import Measured
from facecrop.checks.neighbours import Near, Pairs, near_hashes
from facecrop.checks.proof import Small
from facecrop.checks.sketches import CELLS, alike, sketch
from facecrop.labels.groups import Hashes, Rows

MOST_EACH, _MOST = 64, 1 << 25
"""Candidates of a picture, on average, and in all, beyond which hashes must differ less.

Their number grows with the square of that of the pictures, since strangers' hashes may be near:
one pair in two hundred of aligned faces differs in at most 14 bits. Bounded, all further work grows
with the number of pictures, and memory ends.
"""
_HEADS = 64
"""Pictures of one and the same hash that are compared with all others; more of them, as of gray or
empty ones, are compared with these alone, so that no heap of them makes its square of pairs."""
_PROMISING = 0.88
"""What one photograph agrees by in a sketch, unless more than 4 % of a side was cut off on all
sides; of strangers with near hashes, one in a thousand does, of drawn ones with one layout two in a
hundred. Lower, proofs would take most of the time."""

_UNKNOWN, _MISSING, _MADE = range(3)
"""Of a picture's sketch: not asked for yet, no picture to make it of, there."""
_MADE_TOGETHER = 1 << 18
_TOGETHER = 1 << 20
"""Pairs that are looked at, and pictures whose pairs are, at once."""
_IN_MEMORY = 1 << 21
"""Pictures whose sketches, 576 bytes each, are held in memory; those of more are in a file."""

Draw = Callable[[Sequence[int]], Iterable[tuple[int, str | None]]]
"""Given rows, yields the place of each among them with its sketch as text (`sketched`)."""


def candidate_pairs(
    hashes: Hashes,
    rows: Rows,
    persons: Rows,
    radius: int,
    report: Callable[[int, int], None] | None = None,
) -> tuple[Near, Near]:
    """Return pairs of pictures of different persons with near hashes.

    Args:
        hashes: (H,) uint64.
        rows: (H,) the row of each, in order.
        persons: (N,) of all rows.
        radius: Bits by which hashes differ, at most.
        report: Called with how much is done, and of how much.

    Returns:
        Those of pictures as they are, and those of which one is turned over. The radius is smaller
        than asked for where a picture would have more than `MOST_EACH` candidates on average.
    """
    head = heads(hashes)
    whole = bool(head.all())
    own = rows if whole else rows[head]
    most = min(MOST_EACH * len(own), _MOST)
    found = near_hashes(
        hashes if whole else hashes[head], persons[own], radius, most=most, report=report
    )
    for near in found:
        _number(near.pairs, own)
    if whole:
        return found
    plain, mirrored = found
    beside = [_of_others(rows[pairs], persons) for pairs in _beside_heads(hashes, head)]
    every = np.concatenate([plain.pairs, *beside])
    return plain._replace(pairs=every[np.lexsort((every[:, 1], every[:, 0]))]), mirrored


def _number(pairs: Pairs, rows: Rows) -> None:
    """Put rows in the place of their numbers, in the same memory."""
    for start in range(0, len(pairs), _TOGETHER):
        pairs[start : start + _TOGETHER] = rows[pairs[start : start + _TOGETHER]]


def heads(hashes: Hashes) -> NDArray[np.bool_]:
    """Tell which of some hashes, (H,), are among the first `_HEADS` of their value."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    sizes = np.diff(starts, append=len(ordered))
    rank = np.arange(len(ordered)) - np.repeat(starts, sizes)
    head = np.zeros(len(hashes), np.bool_)
    head[order] = rank < _HEADS
    return head


def _beside_heads(hashes: Hashes, head: NDArray[np.bool_]) -> Iterator[Rows]:
    """Yield each of the other pictures with the heads of its hash, (M, 2), the smaller first."""
    places = np.flatnonzero(head)
    order = places[np.argsort(hashes[places], kind="stable")]
    others = np.flatnonzero(~head)
    first = np.searchsorted(hashes[order], hashes[others])
    for number in range(_HEADS):
        yield np.sort(np.stack([order[first + number], others], axis=1), axis=1)


def _of_others(pairs: Rows, persons: Rows) -> Pairs:
    others = persons[pairs[:, 0]] != persons[pairs[:, 1]]
    return np.asarray(pairs[others], np.int32)


class Sketches:
    """Sketches of a dataset's crops, each made once: also over several audits.

    Args:
        out: The dataset.
        digests: (N,) sha256 of each row's crop, None where it is not known.
        draw: Makes them.
        report: Called with how many of them are made, and of how many.
    """

    def __init__(
        self,
        out: Path,
        digests: Sequence[bytes | None],
        draw: Draw,
        report: Callable[[int, int], None] | None = None,
    ) -> None:
        self._draw, self._report = draw, report
        self._digests, self._kept = digests, Measured(out, "sketches")
        self._cells = _room(len(digests))
        self._state = np.full(len(digests), _UNKNOWN, np.int8)

    def promising(self, pairs: Pairs, *, mirror: bool) -> Pairs:
        """Return those of some pairs, (M, 2), that may be one photograph.

        Args:
            pairs: Rows, in order of the first.
            mirror: Whether the second of each is turned over.
        """
        asked = np.zeros(len(self._state), np.bool_)
        asked[pairs] = True
        unknown = np.flatnonzero(asked & (self._state == _UNKNOWN))
        for start in range(0, len(unknown), _MADE_TOGETHER):
            self._make(unknown[start : start + _MADE_TOGETHER])
        none = pairs[:0]
        parts = (pairs[start : start + _TOGETHER] for start in range(0, len(pairs), _TOGETHER))
        return np.concatenate([none, *(self._alike(part, mirror=mirror) for part in parts)])

    def _alike(self, pairs: Pairs, *, mirror: bool) -> Pairs:
        """Return those of some pairs whose sketches are alike."""
        pairs = pairs[(self._state[pairs] == _MADE).all(axis=1)]
        near = np.zeros(len(pairs), np.bool_)
        starts = np.flatnonzero(np.diff(pairs[:, 0], prepend=-1))
        for start, end in pairwise([*starts.tolist(), len(pairs)]):
            others = self._cells[pairs[start:end, 1]]
            found = alike(self._cells[pairs[start, 0]], others, mirror=mirror)
            near[start:end] = found >= _PROMISING
        return pairs[near]

    def missing(self) -> int:
        """Return how many rows were asked for that have no picture."""
        return int((self._state == _MISSING).sum())

    def _make(self, rows: Rows) -> None:
        digests = [self._digests[row] for row in rows.tolist()]
        keys = [None if digest is None else self._kept.key(digest) for digest in digests]

        def measure(places: Sequence[int]) -> Iterator[tuple[int, str | None]]:
            for number, text in self._draw([int(rows[place]) for place in places]):
                yield places[number], text

        made = self._kept.of(keys, digests, measure, self._report)
        there = np.array([text is not None for text in made], np.bool_)
        cells = b"".join(b85decode(text) for text in made if text is not None)
        self._cells[rows[there]] = np.frombuffer(cells, np.int8).reshape(-1, CELLS * CELLS)
        self._state[rows] = np.where(there, _MADE, _MISSING)


def _room(count: int) -> NDArray[np.int8]:
    """Return zeros for so many sketches: what is not written to takes no memory."""
    shape = (count, CELLS * CELLS)
    if count <= _IN_MEMORY:
        return np.zeros(shape, np.int8)
    with TemporaryFile() as file:  # it lasts as long as it is mapped
        return np.memmap(file, np.int8, "w+", shape=shape)


def sketched(picture: Small | None) -> str | None:
    """Return the sketch of a picture as text, None where there is no picture."""
    return None if picture is None else b85encode(sketch(picture).tobytes()).decode()
