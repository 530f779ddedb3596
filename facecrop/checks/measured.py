"""What was measured on pictures before, kept by their content: no picture is looked at twice.

`OUT/.store/measured/<kind>-<version>/<uuid>.parquet` are fragments, as of findings (`fragments`).
Deleting them costs time, never data.
"""

import contextlib
import json
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from facecrop import fragments
from facecrop.errors import StoreError
from facecrop.fragments import Entry
from facecrop.images.codec import DECODE_VERSION
from facecrop.store import Store

KINDS = {
    "faces": 1,
    "headers": 1,
    "looks": 1,
    "moments": 1,
    "pairs": 2,
    "shapes": 1,
    "sketches": 1,
    "strips": 1,
}
"""What is measured, with its version: raised when the same picture would give another value."""

STORE_FOLDER, FOLDER = ".store", "measured"
"""Of a dataset, and below that."""

_AT_ONCE = 2048
"""Values written together: what an interrupted audit loses."""
_OPEN_GROUPS = 4

Measure = Callable[[Sequence[int]], Iterable[tuple[int, str | None]]]
"""Given rows, yields each with its value; None where nothing could be read."""


class Measured:
    """Values of one kind, kept below a dataset.

    Args:
        out: The dataset.
        kind: One of `KINDS`.
    """

    def __init__(self, out: Path, kind: str) -> None:
        self._store = Store(out / STORE_FOLDER, FOLDER)
        self._name = f"{kind}-{KINDS[kind]}"

    def key(self, *parts: object) -> bytes:
        """Return what a value is found by.

        Args:
            parts: All that it depends on: digests of pictures, and what else JSON knows.
        """
        text = json.dumps([self._name, DECODE_VERSION, *parts], default=bytes.hex)
        return sha256(text.encode()).digest()

    def of(
        self,
        keys: Sequence[bytes | None],
        digests: Sequence[bytes | None],
        measure: Measure,
        report: Callable[[int, int], None] | None = None,
    ) -> list[str | None]:
        """Return the value of each of N rows; those that are not known are measured and kept.

        Rows of one key are measured once, unless that cannot be read: then the next one is tried.

        Args:
            keys: (N,) as `key` makes them; None for what must be measured each time.
            digests: (N,) of the picture that a value is about: with it, it is dropped (`prune`).
            measure: Called with the rows that are left.
            report: Called with how many of them are done, and of how many.

        Returns:
            (N,) text, None where nothing could be read.
        """
        rows: defaultdict[bytes | int, list[int]] = defaultdict(list)
        for row, key in enumerate(keys):
            rows[row if key is None else key].append(row)
        known = self.read(key for key in rows if isinstance(key, bytes))
        found: dict[bytes | int, str] = dict(known.items())
        left = [own for key, own in rows.items() if key not in known]
        done, total = 0, len(left)
        new: list[Entry] = []
        while left:
            again = []
            turn = {own[0]: own for own in left}
            for row, value in measure(sorted(turn)):
                done += 1
                key = keys[row]
                if value is None:
                    again += [turn[row][1:]] if len(turn[row]) > 1 else []
                    continue
                found[row if key is None else key] = value
                if key is not None:
                    new.append(Entry(digests[row] or bytes(32), key, value, None))
                if len(new) >= _AT_ONCE:
                    self.write(new)
                    new = []
                if report is not None:
                    report(min(done, total), total)
            left = again
        self.write(new)
        return [found.get(row if key is None else key) for row, key in enumerate(keys)]

    def read(self, keys: Iterable[bytes] | None = None) -> dict[bytes, str]:
        """Return the values that are known of some keys, or all."""
        wanted = None if keys is None else set(keys)
        return {
            entry.key: entry.facts
            for path in self._store.fragments([self._name])
            for entry in _entries(path)
            if wanted is None or entry.key in wanted
        }

    def locate(self, keys: Iterable[bytes]) -> "Located":
        """Find where the values of some keys lie, without reading them: for large ones."""
        wanted = set(keys)
        places = {
            key: (path, number)
            for path in self._store.fragments([self._name])
            for number, known in enumerate(fragments.read_keys(path))
            for key in known
            if key in wanted
        }
        return Located(places)

    def drop(self, keys: Container[bytes], *, beyond: int) -> None:
        """Drop all values but those of some keys, if more than so many others are kept."""
        with contextlib.suppress(OSError, StoreError):
            others = sum(
                key not in keys
                for path in self._store.fragments([self._name])
                for known in fragments.read_keys(path)
                for key in known
            )
            if others > beyond:
                _rewrite(self._store, self._name, lambda entry: entry.key in keys)

    def write(self, entries: Sequence[Entry]) -> None:
        """Keep values; where nothing can be written, they are measured again the next time."""
        if entries:
            with contextlib.suppress(OSError, StoreError):
                self._store.write(self._name, entries)
                self._store.compact()


class Located:
    """Values that are read when they are asked for; the last few groups stay in memory.

    Args:
        places: Of each key, the fragment and its row group.
    """

    def __init__(self, places: Mapping[bytes, tuple[Path, int]]) -> None:
        self._places = places
        self._groups = lru_cache(maxsize=_OPEN_GROUPS)(_group)

    def find(self, key: bytes) -> str | None:
        """Return a value, None if it is not known."""
        place = self._places.get(key)
        return None if place is None else self._groups(*place).get(key)


def kinds() -> list[str]:
    """Return the names under which values of this version are kept."""
    return [f"{kind}-{version}" for kind, version in KINDS.items()]


def prune(out: Path, alive: Container[bytes]) -> None:
    """Drop values of older versions, and those about pictures that are no longer there.

    Nobody may be writing meanwhile; whoever reads goes on without what is gone.

    Args:
        out: The dataset.
        alive: Digests of its raw pictures and crops.

    Raises:
        StoreError: The folder cannot be written.
    """
    store = Store(out / STORE_FOLDER, FOLDER)
    store.prune(kinds())
    for left in store.findings.glob("*/*.tmp"):  # of an audit that was killed
        left.unlink(missing_ok=True)
    for name in kinds():
        _rewrite(store, name, lambda entry: entry.digest in alive)


def _rewrite(store: Store, name: str, wanted: Callable[[Entry], bool]) -> None:
    """Write anew what is wanted of the fragments that hold something else too."""
    for path in store.fragments([name]):
        kept = [entry for entry in _entries(path) if wanted(entry)]
        if len(kept) < fragments.count_rows(path):
            for start in range(0, len(kept), _AT_ONCE):
                store.write(name, kept[start : start + _AT_ONCE])
            path.unlink(missing_ok=True)
    store.compact()


def _group(path: Path, number: int) -> dict[bytes, str]:
    """Return the values of a row group by key; nothing of what is damaged or gone."""
    file = fragments.open_groups(path)
    if file is None:
        return {}
    with file:
        known = fragments.read_group(file, number)
    return {key: facts for own in known.values() for key, (facts, _) in own.items()}


def _entries(path: Path) -> Iterator[Entry]:
    """Yield what a fragment holds; nothing of what is damaged or gone."""
    file = fragments.open_groups(path)
    if file is None:
        return
    with file:
        for number in range(file.num_row_groups):
            for digest, known in fragments.read_group(file, number).items():
                for key, (facts, alpha) in known.items():
                    yield Entry(digest, key, facts, alpha)
