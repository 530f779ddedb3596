"""Finding the photographs that two people share: hashes and sketches propose, pixels prove."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facecrop.checks.candidates import Sketches, affordable_radius, candidate_pairs
from facecrop.checks.measured import Measured
from facecrop.checks.proof import Small, agreement, prepare
from facecrop.fragments import Entry
from facecrop.images.codec import decode
from facecrop.labels.groups import Groups, Link, Rows
from facecrop.labels.split_table import content_digests, digest_links

_REMEMBERED = 8192
"""Pictures kept in memory, 9 kB each."""
_KEPT_TOGETHER = 4096
_AT_ONCE = 256
"""Pairs compared before links are drawn: fixed, so that any number of threads finds the same."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is known about shared photographs.

    Args:
        links: Proven ones, enough to connect all that belong together.
        candidates: Pairs of pictures with near hashes that were compared or would have been.
        unread: Records with a candidate that have no crop to compare.
        radius: By which hashes of candidates differed, at most: less than asked for where that
            would have been too many (`affordable_radius`).
    """

    links: list[Link]
    candidates: int
    unread: int
    radius: int = 0


def find_duplicates(
    out: Path,
    index: pa.Table,
    persons: Rows,
    radius: int,
    least_agreement: float,
    *,
    report: Callable[[int, int], None] | None = None,
) -> Found:
    """Find records of different persons that show one photograph.

    Args:
        out: The dataset.
        index: (N,) rows with digest, phash, status and image; with `image_sha256`, what was
            compared before is not compared again.
        persons: (N,) a number for each record's person.
        radius: Bits by which hashes of candidates differ, at most.
        least_agreement: Agreement of registered pixels that is proof.
        report: Called with pictures sketched, or pairs compared, and all of them.
    """
    links = [Link(*rows, "bytes", 1.0) for rows in digest_links(content_digests(index), persons)]
    groups = Groups(int(persons.max(initial=-1)) + 1)
    for link in links:
        groups.join(int(persons[link.first]), int(persons[link.second]))
    hashed = np.flatnonzero(pc.is_valid(index["phash"]).to_numpy())
    hashes = index["phash"].drop_null().to_numpy().astype(np.uint64)
    compared = _Compared(out, index)
    radius = affordable_radius(hashes, persons[hashed], radius)
    candidates, done, total = 0, 0, 0
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        sketches = Sketches(out, compared.digests, compared.picture, threads, report)
        for mirror in (False, True):
            pairs = candidate_pairs(hashes, hashed, persons, radius, mirror=mirror)
            candidates += len(pairs)
            if links:
                names = groups.names()[persons[pairs]]
                pairs = pairs[names[:, 0] != names[:, 1]]
            pairs = sketches.promising(pairs, mirror=mirror)
            total += len(pairs)
            for start in range(0, len(pairs), _AT_ONCE):
                part = pairs[start : start + _AT_ONCE].tolist()
                open_pairs = [
                    (one, two)
                    for one, two in part
                    if groups.find(int(persons[one])) != groups.find(int(persons[two]))
                ]
                scores = compared.scores(open_pairs, threads, mirror=mirror)
                for (one, two), found in zip(open_pairs, scores, strict=True):
                    if found >= least_agreement and groups.join(
                        int(persons[one]), int(persons[two])
                    ):
                        kind = "mirror" if mirror else "pixels"
                        links.append(Link(one, two, kind, round(found, 3)))
                done += len(part)
                if report is not None:
                    report(done, total)
    compared.keep()
    return Found(links, candidates, sketches.missing(), radius)


class _Values(Sequence[bytes | None]):
    """A column whose values are made when they are asked for: all at once would be too large."""

    def __init__(self, column: pa.ChunkedArray | pa.Array) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, place: int) -> bytes | None: ...
    @overload
    def __getitem__(self, place: slice) -> list[bytes | None]: ...
    def __getitem__(self, place: int | slice) -> bytes | list[bytes | None] | None:
        if isinstance(place, slice):
            return list(self._column[place].to_pylist())
        value: bytes | None = self._column[place].as_py()
        return value


class _Compared:
    """Compares crops, each pair of pictures once: also over several audits.

    Args:
        out: The dataset.
        index: As in `find_duplicates`.
    """

    def __init__(self, out: Path, index: pa.Table) -> None:
        self._out = out
        self._images = index["image"]
        there = "image_sha256" in index.column_names
        self.digests = _Values(index["image_sha256"] if there else pa.nulls(len(index)))
        self._kept = Measured(out, "pairs")
        self._known = {key: float(text) for key, text in self._kept.read().items()}
        self._new: list[Entry] = []
        self.picture = lru_cache(maxsize=_REMEMBERED)(self._read)

    def scores(
        self, pairs: Sequence[tuple[int, int]], threads: Executor, *, mirror: bool
    ) -> list[float]:
        """Return the agreement of pairs of rows, -1 where one of them has no picture to compare.

        Args:
            pairs: Rows of the index.
            threads: What compares.
            mirror: Whether the second of each is turned over first.
        """
        keys = [self._key(pair, mirror=mirror) for pair in pairs]
        # By content: a picture that many people have is compared once with another.
        asked = {
            key or number: pair
            for number, (key, pair) in reversed(list(enumerate(zip(keys, pairs, strict=True))))
            if key is None or key not in self._known
        }
        found = dict(
            zip(
                asked,
                threads.map(lambda pair: self._agreement(pair, mirror=mirror), asked.values()),
                strict=True,
            )
        )
        for key, score in found.items():
            if isinstance(key, bytes) and score >= 0:
                self._known[key] = score
                digest = self.digests[asked[key][0]] or b""
                self._new.append(Entry(digest, key, repr(score), None))
        if len(self._new) >= _KEPT_TOGETHER:
            self.keep()
        return [
            found[key or number] if (key or number) in found else self._known[key or b""]
            for number, key in enumerate(keys)
        ]

    def keep(self) -> None:
        """Keep what was found out since."""
        self._kept.write(self._new)
        self._new = []

    def _key(self, pair: tuple[int, int], *, mirror: bool) -> bytes | None:
        one, two = (self.digests[row] for row in pair)
        return None if one is None or two is None else self._kept.key(one, two, mirror)

    def _agreement(self, pair: tuple[int, int], *, mirror: bool) -> float:
        one, two = (self.picture(row) for row in pair)
        if one is None or two is None:
            return -1.0
        return agreement(one, np.ascontiguousarray(two[:, ::-1]) if mirror else two)

    def _read(self, row: int) -> Small | None:
        name = self._images[row].as_py()
        return read_small(self._out / name) if name else None


def read_small(file: Path) -> Small | None:
    """Return a crop as it is compared, None if it cannot be read."""
    try:
        image = decode(file.read_bytes()).image
    except OSError:
        return None
    return None if image is None else prepare(image)
