"""Finding the photographs that two people share: hashes propose, registered pixels prove."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facecrop.checks.proof import Small, agreement, prepare
from facecrop.images.codec import decode
from facecrop.labels.groups import MIRRORED, Groups, Link, Rows, near_hashes
from facecrop.labels.split_table import content_digests, digest_links

_REMEMBERED = 8192
"""Pictures kept in memory, 9 kB each."""
_AT_ONCE = 256
"""Pairs compared before links are drawn: fixed, so that any number of threads finds the same."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is known about shared photographs.

    Args:
        links: Proven ones, enough to connect all that belong together.
        candidates: Pairs of pictures with near hashes that were compared or would have been.
        unread: Records with a candidate that have no crop to compare.
    """

    links: list[Link]
    candidates: int
    unread: int


def find_duplicates(
    out: Path, index: pa.Table, persons: Rows, radius: int, least_agreement: float
) -> Found:
    """Find records of different persons that show one photograph.

    Args:
        out: The dataset.
        index: (N,) rows with digest, phash, status and image.
        persons: (N,) a number for each record's person.
        radius: Bits by which hashes of candidates differ, at most.
        least_agreement: Agreement of registered pixels that is proof.
    """
    links = [Link(*rows, "bytes", 1.0) for rows in digest_links(content_digests(index), persons)]
    groups = Groups(int(persons.max(initial=-1)) + 1)
    for link in links:
        groups.join(int(persons[link.first]), int(persons[link.second]))
    hashed = np.flatnonzero(pc.is_valid(index["phash"]).to_numpy())
    hashes = index["phash"].drop_null().to_numpy().astype(np.uint64)
    images = index["image"].to_pylist()

    @lru_cache(maxsize=_REMEMBERED)
    def picture(row: int) -> Small | None:
        return _read(out / images[row]) if images[row] else None

    def score(pair: tuple[int, int], *, mirror: bool) -> float:
        one, two = picture(pair[0]), picture(pair[1])
        if one is None or two is None:
            return -1.0
        return agreement(one, np.ascontiguousarray(two[:, ::-1]) if mirror else two)

    candidates, unread = 0, set[int]()
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        for mirror in (False, True):
            pairs = _candidates(hashes, hashed, persons, radius, mirror=mirror)
            candidates += len(pairs)
            for start in range(0, len(pairs), _AT_ONCE):
                open_pairs = [
                    (one, two)
                    for one, two in pairs[start : start + _AT_ONCE].tolist()
                    if groups.find(int(persons[one])) != groups.find(int(persons[two]))
                ]
                scores = threads.map(lambda pair, m=mirror: score(pair, mirror=m), open_pairs)
                for (one, two), found in zip(open_pairs, scores, strict=True):
                    unread |= {row for row in (one, two) if found < 0 and picture(row) is None}
                    if found >= least_agreement and groups.join(
                        int(persons[one]), int(persons[two])
                    ):
                        kind = "mirror" if mirror else "pixels"
                        links.append(Link(one, two, kind, round(found, 3)))
    return Found(links, candidates, len(unread))


def _candidates(
    hashes: "np.ndarray[tuple[int], np.dtype[np.uint64]]",
    hashed: Rows,
    persons: Rows,
    radius: int,
    *,
    mirror: bool,
) -> Rows:
    """Return pairs of rows of different persons with near hashes, (M, 2), in order."""

    def pairs() -> Iterator[Rows]:
        for found in near_hashes(hashes, radius, int(MIRRORED) if mirror else 0):
            rows = hashed[found]
            yield rows[persons[rows[:, 0]] != persons[rows[:, 1]]]

    every = np.concatenate([np.zeros((0, 2), np.int64), *pairs()])
    return np.asarray(every[np.lexsort((every[:, 1], every[:, 0]))])


def _read(file: Path) -> Small | None:
    """Return a crop as it is compared, None if it cannot be read."""
    try:
        image = decode(file.read_bytes()).image
    except OSError:
        return None
    return None if image is None else prepare(image)
