"""The store: an append-only cache of findings, keyed by content, shared by workers without locks.

`.store/findings/<finder fingerprint>/<uuid>.parquet` are fragments of a few hundred findings (see
`fragments`). A run begins by sorting where every content digest is found into one lookup file,
which all workers map into memory; a worker reads only the row groups it needs.
"""

import contextlib
import fcntl
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from pyarrow.parquet import ParquetFile

from facecrop import fragments
from facecrop.errors import StoreError, unwritable
from facecrop.fragments import SCHEMA, Entry, Group, Known
from facecrop.storage import is_remote, on_this_disk, write_whole
from facecrop.storage.folders import remove, restore

__all__ = ["SCHEMA", "Entry", "Lookup", "Store"]

_Places = NDArray[np.uint64]
"""(2, n): the first eight bytes of a digest, and fragment << 32 | row group where it is found."""

_TEMPORARY = f".*.{'?' * 32}.tmp"
"""What half-written tables beside the store are called (`index.write_atomic`)."""

_CACHED_GROUPS = 24
_OPEN_FILES = 16
"""To open a large fragment is to read where its hundreds of groups lie: as much as reading one."""
_CACHED_IMAGES = 256
"""More than a profile usually has: each finder in turn asks about all pictures of a profile."""
_ROWS_PER_FILE = 16_384
_FEW_FRAGMENTS = 4


class Store:
    """The findings kept below a dataset.

    Args:
        folder: `OUT/.store`.
        name: Of the folder below it that holds them; what audits measure has one of its own.
    """

    def __init__(self, folder: Path, name: str = "findings") -> None:
        self.folder = folder
        self.findings = folder / name

    def fragments(self, finders: Iterable[str]) -> list[Path]:
        """Return the paths of the fragments of these finders, in a stable order."""
        return [
            path
            for finder in sorted(set(finders))
            for path in sorted((self.findings / finder).glob("*.parquet"))
        ]

    def write_lookup(self, finders: Iterable[str]) -> "Lookup":
        """Sort where each digest is found into a file that workers can map.

        A fragment that cannot be read (a machine that lost power) is removed: it is only a cache.

        Raises:
            StoreError: The disk is full, or the folder cannot be written.
        """
        paths = self.fragments(finders)
        places = [_places(number, path) for number, path in enumerate(paths)]
        table = np.concatenate([np.empty((2, 0), np.uint64), *places], axis=1)
        table = table[:, np.lexsort((table[1], table[0]))]
        path = self.folder / f"lookup-{uuid4().hex}.npy"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if is_remote(path):
                write_whole(path, lambda file: np.save(file, table))
            else:
                np.save(path, table)
        except OSError as error:
            raise unwritable(path, error) from None
        return Lookup(path, tuple(paths))

    def write(self, finder: str, entries: Sequence[Entry]) -> None:
        """Write one fragment, whole or not at all.

        Raises:
            OSError: The disk is full, or the folder cannot be written.
        """
        folder = self.findings / finder
        folder.mkdir(parents=True, exist_ok=True)
        fragments.write(folder, entries)

    def compact(self) -> None:
        """Merge the small fragments of each finder into few large files, row group by row group.

        Raises:
            StoreError: The disk is full, or the folder cannot be written.
        """
        for folder in self._finders():
            rows = {path: fragments.count_rows(path) for path in sorted(folder.glob("*.parquet"))}
            small = {path: count for path, count in rows.items() if count < _ROWS_PER_FILE // 2}
            if len(small) > _FEW_FRAGMENTS:
                try:
                    _merge(folder, small)
                except OSError as error:
                    raise unwritable(folder, error) from None

    def size(self) -> dict[str, tuple[int, int]]:
        """Return, for each finder, how many findings and bytes are kept."""
        return {
            folder.name: (
                sum(fragments.count_rows(path) for path in folder.glob("*.parquet")),
                sum(path.stat().st_size for path in folder.glob("*.parquet")),
            )
            for folder in self._finders()
        }

    def prune(self, keep: Iterable[str]) -> int:
        """Delete the findings of all finders but these; return the bytes freed."""
        kept, freed = set(keep), 0
        for folder in self._finders():
            if folder.name in kept:
                continue
            for path in folder.iterdir():
                freed += path.stat().st_size
                path.unlink()
            folder.rmdir()
        return freed

    def _finders(self) -> list[Path]:
        return sorted(path for path in self.findings.glob("*") if path.is_dir())

    @contextlib.contextmanager
    def locked(self, *, always: bool = True) -> Iterator[None]:
        """Hold the dataset for one writer; the lock goes when the process ends, however it ends.

        Object storage has no locks: there the user sees to it that there is one writer.

        Args:
            always: Where the file system knows no locks, refuse; else go on without one.

        Raises:
            StoreError: Another process holds it, or the folder cannot be written.
        """
        if is_remote(self.folder):
            self._sweep()
            yield
            return
        file = self._open_lock()
        try:
            _take(file, self.folder.parent, fcntl.LOCK_EX, str(os.getpid()), always=always)
            self._sweep()
            yield
        finally:
            os.close(file)

    @contextlib.contextmanager
    def shared(self, owner: str) -> Iterator[None]:
        """Keep other writers away while several write that do not get into each other's way.

        Where the file system knows no locks there is none, nor in object storage.

        Args:
            owner: What a writer who is refused is told.

        Raises:
            StoreError: Another process holds it alone, or the folder cannot be written.
        """
        if is_remote(self.folder):
            yield
            return
        file = self._open_lock()
        try:
            _take(file, self.folder.parent, fcntl.LOCK_SH, owner, always=False)
            yield
        finally:
            os.close(file)

    def _open_lock(self) -> int:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise unwritable(self.folder.parent, error) from None

    def _sweep(self) -> None:
        """Remove what a killed run left half-written; the lock says that nobody writes now."""
        out = self.folder.parent
        if is_remote(out):  # where a file is whole as soon as it is there
            for path in self.folder.glob("lookup-*.npy"):
                path.unlink(missing_ok=True)
            return
        left = [*self.folder.glob("lookup-*.npy"), *self.folder.glob("tmp/*")]
        left += self.findings.glob("*/*.tmp")
        for folder in (out, self.folder, out / "images", out / "contact"):
            restore(folder)
            left += folder.glob(_TEMPORARY)
        for path in left:
            remove(path)


def _merge(folder: Path, rows: Mapping[Path, int]) -> None:
    """Replace fragments by larger ones with the same row groups, in the same order."""
    taken: list[Path] = []
    for path in rows:
        taken.append(path)
        if sum(rows[one] for one in taken) >= _ROWS_PER_FILE:
            fragments.join(folder, taken)
            taken = []
    if len(taken) > 1:
        fragments.join(folder, taken)


class Lookup:
    """Where findings lie, for one worker. Plain values, so that it travels to other processes.

    Args:
        path: The file that `Store.write_lookup` made.
        fragments: The fragments that its numbers mean.
    """

    def __init__(self, path: Path, fragments: tuple[Path, ...]) -> None:
        self.path = path
        self.fragments = fragments
        self._table: _Places | None = None
        self._files: OrderedDict[int, ParquetFile | None] = OrderedDict()
        self._groups: OrderedDict[int, Group] = OrderedDict()
        self._images: OrderedDict[bytes, Known] = OrderedDict()

    def __reduce__(self) -> tuple[type["Lookup"], tuple[Path, tuple[Path, ...]]]:
        return Lookup, (self.path, self.fragments)

    def find(self, digest: bytes) -> Mapping[bytes, tuple[str, bytes | None]]:
        """Return the findings about an image: key -> facts and alpha, as they were written."""
        found = self._images.get(digest)
        if found is None:
            found = self._images[digest] = self._look_up(digest)
            if len(self._images) > _CACHED_IMAGES:
                self._images.popitem(last=False)
        return found

    def _look_up(self, digest: bytes) -> Known:
        if self._table is None:
            # Mapped, but without what numpy's own type for that costs at each access.
            with on_this_disk(self.path) as file:  # where it may have gone as soon as it is mapped
                self._table = np.load(file, mmap_mode="r").view(np.ndarray)
        prefixes, places = self._table
        prefix = np.uint64(int.from_bytes(digest[:8]))
        first = np.searchsorted(prefixes, prefix, side="left")
        last = np.searchsorted(prefixes, prefix, side="right")
        found: Known = {}
        for place in sorted(set(places[first:last].tolist())):
            found |= self._group(place).get(digest, {})
        return found

    def _group(self, place: int) -> Group:
        """Return the findings of a row group by digest; the last few groups stay in memory."""
        if place in self._groups:
            self._groups.move_to_end(place)
            return self._groups[place]
        file = self._file(place >> 32)
        group = fragments.read_group(file, place & 0xFFFFFFFF) if file else {}
        self._groups[place] = group
        if len(self._groups) > _CACHED_GROUPS:
            self._groups.popitem(last=False)
        return group

    def _file(self, number: int) -> ParquetFile | None:
        """Return an open fragment, None if it cannot be read; the last few stay open."""
        if number in self._files:
            self._files.move_to_end(number)
            return self._files[number]
        file = self._files[number] = fragments.open_groups(self.fragments[number])
        if len(self._files) > _OPEN_FILES:
            _, oldest = self._files.popitem(last=False)
            if oldest is not None:
                oldest.close()
        return file


def _places(number: int, path: Path) -> _Places:
    prefixes = fragments.read_prefixes(path)
    places = [
        np.full(len(group), number << 32 | at, np.uint64) for at, group in enumerate(prefixes)
    ]
    none = np.empty(0, np.uint64)
    return np.stack([np.concatenate([none, *prefixes]), np.concatenate([none, *places])])


def _take(file: int, out: Path, kind: int, owner: str, *, always: bool) -> None:
    """Lock an open file for this process, and say in it who has it."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.pread(file, 32, 0).decode(errors="replace") or "unknown"
        who = f"process {other}" if other.isdecimal() or other == "unknown" else other
        raise StoreError(
            f"{out} is being written by another facecrop ({who}); "
            "wait for it, or choose another OUT"
        ) from None
    except OSError as error:
        if not always:
            return
        raise StoreError(
            f"{out} cannot be locked: {error.strerror}; choose an OUT on another file system"
        ) from None
    with contextlib.suppress(OSError):  # a courtesy: the lock holds without it
        os.truncate(file, 0)
        os.pwrite(file, owner.encode(), 0)
