"""Files of very many names that lie on no disk: what a file system would tell of them.

`os.scandir` and `os.stat` answer for them, and everything above is what the commands use.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

STEMS = ("incorrect_mask", "mask1", "mask2", "mask3", "mask4", "mask5", "normal")
EACH = len(STEMS)
CHANGED_EACH = 100
"""Where pictures are said to have changed, those of one profile in so many."""

_MIX = (0x9E3779B97F4A7C15, 0x94D049BB133111EB)
_MASK = (1 << 64) - 1
_PLACES = {f"{stem}.jpg": number for number, stem in enumerate(STEMS)}
_REGULAR = stat.S_IFREG | 0o644


def profile(person: int) -> str:
    return f"{person:08d}_{'fe' * (person % 2)}male_Asian_{18 + person * 7919 % 43}"


def _mixed(number: int) -> int:
    value = (number + 1) * _MIX[0] & _MASK
    return (value ^ value >> 31) * _MIX[1] & _MASK


def raw_facts(numbers: NDArray[np.uint64]) -> dict[str, NDArray[Any]]:
    """Return what the file system tells of raw files, as columns of the index."""
    value = (numbers + np.uint64(1)) * np.uint64(_MIX[0])
    value = (value ^ value >> np.uint64(31)) * np.uint64(_MIX[1])
    times = (value >> np.uint64(5)).astype(np.int64)
    return {
        "size": (20_000 + value % np.uint64(40_000)).astype(np.int64),
        "mtime_ns": times,
        "ctime_ns": times + 1,
        "inode": numbers * np.uint64(3) + value % np.uint64(3),
    }


def crop_facts(numbers: NDArray[np.uint64]) -> dict[str, NDArray[Any]]:
    """Return what it tells of crops, as columns of the state."""
    facts = raw_facts(numbers)
    return {"image_size": facts["size"] // 3, "image_mtime_ns": facts["mtime_ns"] + 2}


@dataclass(slots=True)
class Facts:
    """What is asked of an `os.stat_result`."""

    st_size: int
    st_mtime_ns: int
    st_ctime_ns: int
    st_ino: int
    st_mode: int = _REGULAR


def _raw(number: int, changed: int) -> Facts:
    value = _mixed(number)
    time = (value >> 5) + (changed if number // EACH % CHANGED_EACH == 0 else 0)
    return Facts(20_000 + value % 40_000, time, time + 1, 3 * number + value % 3)


def _crop(number: int) -> Facts:
    value = _mixed(number)
    return Facts((20_000 + value % 40_000) // 3, (value >> 5) + 2, (value >> 5) + 2, number)


class Entry:
    """A file or folder as `os.scandir` tells of it."""

    __slots__ = ("_changed", "_number", "name", "path")

    def __init__(self, folder: str, name: str, number: int = -1, changed: int = 0) -> None:
        self.name, self.path = name, f"{folder}/{name}"
        self._number, self._changed = number, changed

    def is_dir(self) -> bool:
        return self._number < 0

    def is_symlink(self) -> bool:
        return False

    def stat(self) -> Facts:
        return _raw(self._number, self._changed)


class _Listing(list[Entry]):
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""


def pretend(raw: Path, out: Path, rows: int, *, changed: int = 0) -> None:
    """Have this process see a raw folder of so many pictures, and a crop of each.

    Args:
        raw: The raw folder, which is there and empty.
        out: The dataset, whose folder of crops is.
        rows: How many pictures.
        changed: How many ns later those of some profiles were written.
    """
    top, images = str(raw), f"{out}/images/"
    scandir, real = os.scandir, os.stat
    people = -(-rows // EACH)

    def listed(folder: Any = ".") -> Any:
        place = "" if isinstance(folder, int) else os.path.normpath(folder)
        if place == top:
            return _Listing(Entry(top, profile(person)) for person in range(people))
        if not place.startswith(f"{top}/"):
            return scandir(folder)
        start = int(place[len(top) + 1 :][:8]) * EACH
        names = STEMS[: rows - start]
        return _Listing(
            Entry(place, f"{stem}.jpg", start + at, changed) for at, stem in enumerate(names)
        )

    def told(path: Any, *arguments: Any, **options: Any) -> Any:
        if type(path) is str and path.startswith(images):
            person, _, name = path[len(images) :].partition("/")
            if name in _PLACES:
                return _crop(int(person[:8]) * EACH + _PLACES[name])
        return real(path, *arguments, **options)

    patch.multiple(os, scandir=listed, stat=told).start()


def folders(rows: int) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield first row, profiles and stems of batches, in the order of their paths."""
    batch = 1 << 12
    for start in range(0, rows, batch):
        numbers = range(start, min(start + batch, rows))
        yield start, [profile(n // EACH) for n in numbers], [STEMS[n % EACH] for n in numbers]
