"""Finding the photographs that two people share: hashes and sketches propose, pixels prove."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.checks.candidates import Sketches, candidate_pairs, sketched
from facecrop.checks.measured import Measured
from facecrop.checks.neighbours import Pairs
from facecrop.checks.proof import Small, agreement, prepare
from facecrop.crops import crop_data
from facecrop.engines.each import Each, InThreads
from facecrop.fragments import Entry
from facecrop.images.codec import decode
from facecrop.labels.groups import MIRRORED, Groups, Hashes, Link, Rows
from facecrop.labels.split_table import content_digests, digest_links

_REMEMBERED = 8192
"""Pictures kept in memory, 9 kB each."""
_KEPT_TOGETHER = 4096
_NEAR, _LESS = 4, 0.05
"""Bits by which hashes of strangers hardly ever differ less, and by how much less pairs with such
hashes may agree: crops differ by more than the photographs where a background was painted over. Of
27,814 promising pairs of drawn strangers 211 have such hashes; the most alike agree by 0.82."""
_NONE = -1.0
"""The agreement where a picture is missing."""
_AT_ONCE = 256
"""Pairs compared before links are drawn: fixed, so that any number of threads finds the same."""
_TOGETHER = 1 << 20
"""Pairs of which those that are joined already are left out at once."""
_PICTURE = ("image", "image_sha256")
"""Columns of the index by which pictures are found and compared."""
HASHES, PICTURES = "comparing hashes", "comparing photographs"
"""What is being done."""

Columns = Callable[[list[str]], pa.Table]
Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Found:
    """What is known about shared photographs.

    Args:
        links: Proven ones, enough to connect all that belong together.
        candidates: Pairs of pictures with near hashes that were compared or would have been.
        unread: Records with a candidate that have no crop to compare.
        radius: By which hashes of candidates differed, at most: less than asked for where that
            would have been too many (`candidate_pairs`).
    """

    links: list[Link]
    candidates: int
    unread: int
    radius: int = 0


def find_duplicates(
    out: Path,
    index: Columns,
    persons: Rows,
    radius: int,
    least_agreement: float,
    *,
    each: Each | None = None,
    report: Report | None = None,
) -> Found:
    """Find records of different persons that show one photograph.

    Args:
        out: The dataset.
        index: Gives columns of the index, (N,) rows; it is asked for some at a time, and lets them
            go, as all at once may not fit a memory.
        persons: (N,) a number for each record's person.
        radius: Bits by which hashes of candidates differ, at most.
        least_agreement: Agreement of registered pixels that is proof; 0.05 less where the hashes of
            the photographs are next to equal.
        each: Looks at pictures; None: threads of this process.
        report: Called with what is being done, how much of it is done, and of how much.
    """
    contents = content_digests(index(["digest", "phash", "status"]))
    links = [Link(*rows, "bytes", 1.0) for rows in digest_links(contents, persons)]
    del contents
    groups = Groups(int(persons.max(initial=-1)) + 1)
    for link in links:
        groups.join(int(persons[link.first]), int(persons[link.second]))
    of_row, hashed = _hashes(index(["phash"])["phash"])
    pa.default_memory_pool().release_unused()  # else it keeps what the columns took
    near = candidate_pairs(
        of_row[hashed], hashed, persons, radius, None if report is None else partial(report, HASHES)
    )
    del hashed
    candidates, used = sum(len(one.pairs) for one in near), min(one.radius for one in near)
    told = None if report is None else partial(report, PICTURES)
    compared = _Compared(out, index([*_PICTURE]), each or InThreads())
    sketches = Sketches(out, compared.digests, compared.draw, told)
    waiting = [one.pairs for one in reversed(near)]
    del near
    done, total = 0, 0
    for mirror in (False, True):
        pairs = waiting.pop()
        if links:
            pairs = _apart(pairs, groups.names().astype(np.int32)[persons])
        pairs = sketches.promising(pairs, mirror=mirror)
        total += len(pairs)
        for start in range(0, len(pairs), _AT_ONCE):
            part = pairs[start : start + _AT_ONCE].tolist()
            open_pairs = [
                (one, two)
                for one, two in part
                if groups.find(int(persons[one])) != groups.find(int(persons[two]))
            ]
            scores = compared.scores(open_pairs, mirror=mirror)
            for (one, two), found in zip(open_pairs, scores, strict=True):
                apart = of_row[one] ^ of_row[two] ^ (MIRRORED if mirror else np.uint64(0))
                enough = least_agreement - (_LESS if int(apart).bit_count() <= _NEAR else 0)
                if found >= enough and groups.join(int(persons[one]), int(persons[two])):
                    kind = "mirror" if mirror else "pixels"
                    links.append(Link(one, two, kind, round(found, 3)))
            done += len(part)
            if told is not None:
                told(done, total)
    compared.keep()
    return Found(links, candidates, sketches.missing(), used)


def _hashes(column: pa.ChunkedArray) -> tuple[Hashes, Rows]:
    """Return the hash of each row, (N,), 0 where there is none; and the rows that have one."""
    hashed = np.flatnonzero(pc.is_valid(column).to_numpy())
    return pc.fill_null(column, 0).to_numpy().astype(np.uint64, copy=False), hashed


def _apart(pairs: Pairs, groups: NDArray[np.int32]) -> Pairs:
    """Return the pairs whose rows, in such groups, are not together yet."""
    parts = (pairs[start : start + _TOGETHER] for start in range(0, len(pairs), _TOGETHER))
    some = [groups[part[:, 0]] != groups[part[:, 1]] for part in parts]
    return np.asarray(pairs[np.concatenate([np.zeros(0, np.bool_), *some])])


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
        index: With the image of each record and its digest.
        each: As in `find_duplicates`.
    """

    def __init__(self, out: Path, index: pa.Table, each: Each) -> None:
        self._look, self._each = _Look(out.resolve()), each
        self._images = index["image"]
        self.digests = _Values(index["image_sha256"])
        self._kept = Measured(out, "pairs")
        self._known = {key: float(text) for key, text in self._kept.read().items()}
        self._new: list[Entry] = []

    def draw(self, rows: Sequence[int]) -> Iterator[tuple[int, str | None]]:
        """Yield the place of each row with the sketch of its picture, as `Sketches` wants them."""
        for start in range(0, len(rows), _KEPT_TOGETHER):
            names = [self._images[row].as_py() for row in rows[start : start + _KEPT_TOGETHER]]
            for place, text in self._each.map(self._look.sketch, names):
                yield start + place, text

    def scores(self, pairs: Sequence[tuple[int, int]], *, mirror: bool) -> list[float]:
        """Return the agreement of pairs of rows, -1 where one of them has no picture to compare.

        Args:
            pairs: Rows of the index.
            mirror: Whether the second of each is turned over first.
        """
        keys = [self._key(pair, mirror=mirror) for pair in pairs]
        # By content: a picture that many people have is compared once with another.
        asked = {
            key or number: pair
            for number, (key, pair) in reversed(list(enumerate(zip(keys, pairs, strict=True))))
            if key is None or key not in self._known
        }
        names, images = list(asked), self._images
        both = [(images[one].as_py(), images[two].as_py(), mirror) for one, two in asked.values()]
        found = {
            names[place]: _NONE if score is None else score
            for place, score in self._each.map(self._look.agreement, both)
        }
        for key in names:
            score = found[key]
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


class _Look:
    """Looks at crops by their names; a few thousand stay in memory where this is used.

    Args:
        out: The dataset.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._picture = lru_cache(maxsize=_REMEMBERED)(self._read)

    def __reduce__(self) -> "tuple[type[_Look], tuple[Path]]":
        return _Look, (self._out,)

    def sketch(self, name: str | None) -> str | None:
        """Return the sketch of a crop as text, None if it cannot be read."""
        return sketched(self._picture(name))

    def agreement(self, pair: tuple[str | None, str | None, bool]) -> float:
        """Return how far two crops agree, the second turned over or not; -1 if one is missing."""
        one, two = (self._picture(name) for name in pair[:2])
        if one is None or two is None:
            return _NONE
        return agreement(one, np.ascontiguousarray(two[:, ::-1]) if pair[2] else two)

    def _read(self, name: str | None) -> Small | None:
        return read_small(self._out / name) if name else None


def read_small(file: Path) -> Small | None:
    """Return a crop as it is compared, None if it cannot be read."""
    try:
        image = decode(crop_data(file)).image
    except OSError:
        return None
    return None if image is None else prepare(image)
