"""Which pairs of pictures are worth a proof: first by hashes, then by sketches."""

from base64 import b85decode, b85encode
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facecrop.checks.measured import Measured
from facecrop.checks.proof import Small
from facecrop.checks.sketches import CELLS, alike, sketch
from facecrop.labels.groups import MIRRORED, Hashes, Rows, looked_at, near_hashes

MOST_EACH = 64
"""Candidates of a picture, on average, beyond which hashes that differ less are asked for.

Their number grows with the square of that of the pictures, since strangers' hashes may be near:
one pair in two hundred of aligned faces differs in at most 14 bits. Bounded, all further work grows
with the number of pictures.
"""
_MOST_COMPARED = 1 << 12
"""Likewise hashes that a hash is compared with, on average, to find them."""
_FEW = 1 << 17
"""Hashes up to which all are compared with all: seconds, and of real faces no slower than buckets,
of which some are large."""
_ROWS_TOGETHER = 8
_SAMPLE, _SMALL_SAMPLE = 4096, 1024
"""Pictures of which all pairs are counted, to know how near strangers' hashes are."""
_ROWS_AT_ONCE = 512
_HEADS = 64
"""Pictures of one and the same hash that are compared with all others; more of them, as of gray or
empty ones, are compared with these alone, so that no heap of them makes its square of pairs."""
_PROMISING = 0.88
"""What one photograph agrees by in a sketch, unless more than 4 % of a side was cut off on all
sides; of strangers with near hashes, one in a thousand does, of drawn ones with one layout two in a
hundred. Lower, proofs would take most of the time."""

_UNKNOWN, _MISSING = -1, -2
"""In place of a picture's sketch: not asked for yet, and not there."""

Read = Callable[[int], Small | None]


def affordable_radius(hashes: Hashes, persons: Rows, radius: int) -> int:
    """Return the radius at which a picture has few enough candidates, at most what is asked for.

    Args:
        hashes: (N,) uint64.
        persons: (N,) a number for each picture's person; one person's pictures are no candidates.
        radius: That is asked for.

    Returns:
        The largest one up to it at which there are `MOST_EACH` candidates for each picture, and
        they are found without comparing it with too many others, as counted on a sample; 0 if
        there is none.
    """
    head = heads(hashes)
    hashes, persons = hashes[head], persons[head]
    total = len(hashes)
    chosen = np.arange(total)
    if total > _SAMPLE:
        chosen = np.sort(np.random.default_rng(0).choice(total, _SAMPLE, replace=False))
    some, whose = hashes[chosen], persons[chosen]
    counts = np.zeros(radius + 1, np.int64)
    for flip in (np.uint64(0), MIRRORED):
        own = np.zeros(radius + 1, np.int64)
        for start in range(0, len(some), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            apart = np.bitwise_count(some[part, None] ^ (some ^ flip))
            near = apart[(apart <= radius) & (whose[part, None] != whose)]
            own += np.bincount(near, minlength=radius + 1)
        counts = np.maximum(counts, own)
    # Of the mirrored and the others alike, the more numerous count. Each pair was seen twice.
    scale = total / max(len(some), 1) ** 2 / 2
    each = np.cumsum(counts) * scale
    for fitting in np.flatnonzero(each <= MOST_EACH)[::-1].tolist():
        if total <= _FEW or _compared(hashes, fitting) <= _MOST_COMPARED:
            return int(fitting)
    return 0


def _compared(hashes: Hashes, radius: int) -> float:
    """Return with how many others each hash is compared to find those within a radius."""
    few = hashes[np.linspace(0, len(hashes) - 1, min(len(hashes), _SMALL_SAMPLE)).astype(int)]
    seen = sum(looked_at(few ^ one, radius) for one in few)
    return seen * len(hashes) / max(len(few), 1) ** 2 / 2


def candidate_pairs(
    hashes: Hashes, rows: Rows, persons: Rows, radius: int, *, mirror: bool
) -> Rows:
    """Return pairs of pictures of different persons with near hashes.

    Args:
        hashes: (H,) uint64.
        rows: (H,) the row of each.
        persons: (N,) of all rows.
        radius: Bits by which hashes differ, at most.
        mirror: Whether the second of a pair is turned over.

    Returns:
        (M, 2) int32 rows, in order.
    """
    head = heads(hashes)
    found = [np.zeros((0, 2), np.int32)]
    near = _near(hashes[head], radius, int(MIRRORED) if mirror else 0)
    found += [_of_others(rows[head][pairs], persons) for pairs in near]
    if not mirror and not head.all():
        found += [_of_others(rows[pairs], persons) for pairs in _beside_heads(hashes, head)]
    every = np.concatenate(found)
    return np.asarray(every[np.lexsort((every[:, 1], every[:, 0]))])


def _near(hashes: Hashes, radius: int, flip: int) -> Iterator[Rows]:
    """Yield the pairs of near hashes, as `near_hashes` does."""
    if len(hashes) > _FEW:
        yield from near_hashes(hashes, radius, flip)
        return
    others = hashes ^ np.uint64(flip)
    for start in range(0, len(hashes), _ROWS_TOGETHER):
        apart = np.bitwise_count(hashes[start : start + _ROWS_TOGETHER, None] ^ others[start:])
        one, two = np.divmod(np.flatnonzero(apart <= radius), len(hashes) - start)
        later = one < two
        yield np.stack([one[later], two[later]], axis=1) + start


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


def _of_others(pairs: Rows, persons: Rows) -> NDArray[np.int32]:
    others = persons[pairs[:, 0]] != persons[pairs[:, 1]]
    return np.asarray(pairs[others], np.int32)


class Sketches:
    """Sketches of a dataset's crops, each made once: also over several audits.

    Args:
        out: The dataset.
        digests: (N,) sha256 of each row's crop, None where it is not known.
        read: Gives the picture of a row, None where there is none.
        threads: What makes them.
        report: Called with how many of them are made, and of how many.
    """

    def __init__(
        self,
        out: Path,
        digests: Sequence[bytes | None],
        read: Read,
        threads: Executor,
        report: Callable[[int, int], None] | None = None,
    ) -> None:
        self._read, self._threads, self._report = read, threads, report
        self._digests, self._kept = digests, Measured(out, "sketches")
        self._cells = np.zeros((0, CELLS * CELLS), np.int8)
        self._place = np.full(len(digests), _UNKNOWN, np.int32)

    def promising(self, pairs: Rows, *, mirror: bool) -> Rows:
        """Return those of some pairs, (M, 2), that may be one photograph.

        Args:
            pairs: Rows, in order of the first.
            mirror: Whether the second of each is turned over.
        """
        self._make(np.unique(pairs))
        pairs = pairs[(self._place[pairs] >= 0).all(axis=1)]
        places = self._place[pairs]
        near = np.zeros(len(pairs), np.bool_)
        starts = np.flatnonzero(np.diff(places[:, 0], prepend=_UNKNOWN))
        for start, end in pairwise([*starts.tolist(), len(pairs)]):
            others = self._cells[places[start:end, 1]]
            found = alike(self._cells[places[start, 0]], others, mirror=mirror)
            near[start:end] = found >= _PROMISING
        return np.asarray(pairs[near])

    def missing(self) -> int:
        """Return how many rows were asked for that have no picture."""
        return int((self._place == _MISSING).sum())

    def _make(self, rows: Rows) -> None:
        rows = rows[self._place[rows] == _UNKNOWN]
        digests = [self._digests[row] for row in rows.tolist()]
        keys = [None if digest is None else self._kept.key(digest) for digest in digests]

        def measure(places: Sequence[int]) -> Iterator[tuple[int, str | None]]:
            for start in range(0, len(places), _ROWS_AT_ONCE):
                part = places[start : start + _ROWS_AT_ONCE]
                texts = self._threads.map(lambda place: self._text(int(rows[place])), part)
                yield from zip(part, texts, strict=True)

        made = self._kept.of(keys, digests, measure, self._report)
        there = np.array([text is not None for text in made], np.bool_)
        cells = b"".join(b85decode(text) for text in made if text is not None)
        self._place[rows] = np.where(there, len(self._cells) + np.cumsum(there) - 1, _MISSING)
        new = np.frombuffer(cells, np.int8).reshape(-1, CELLS * CELLS)
        self._cells = np.concatenate([self._cells, new])

    def _text(self, row: int) -> str | None:
        picture = self._read(row)
        return None if picture is None else b85encode(sketch(picture).tobytes()).decode()
