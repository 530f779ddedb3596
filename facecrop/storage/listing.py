"""What lies where: listings of folders and of object storage, told in the same words.

Object storage is listed as a whole, 1,000 objects in a request: a request for each folder, or for
each file, would take as long as reading them.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import cast

from facecrop.storage.objects import FOLDER, Facts
from facecrop.storage.remote import Remote, as_remote

Told = os.stat_result | Facts
"""What is known of a file without reading it, under the same names."""


@dataclass(slots=True)
class Leaf:
    """An object or folder among others, as `os.DirEntry` tells of it.

    Args:
        path: Its URL.
        facts: Of the object.
        inside: What is in the folder, by name; a slash ends the names of folders.
    """

    path: str
    facts: Facts
    inside: dict[str, "Leaf"] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The last part of its URL."""
        return self.path.rpartition("/")[2]

    def is_dir(self) -> bool:
        """Tell whether it is a folder."""
        return S_ISDIR(self.facts.st_mode)

    def is_symlink(self) -> bool:
        """Tell that it is no link."""
        return False

    def stat(self) -> Facts:
        """Return its facts."""
        return self.facts


Entry = os.DirEntry[str] | Leaf
"""What lies in a folder."""

Names = Sequence[str | None]
"""Ways from a folder to files; None stands for no file."""
_NONE = (-1, -1)


def listed(folder: Path | Entry, *, deep: bool = True) -> Sequence[Entry]:
    """Return what lies in a folder, in no certain order.

    Args:
        folder: A place, or an entry of the one above it.
        deep: Folders in it will be asked for, too: object storage is listed once, as a whole.

    Raises:
        OSError: It is not there, or cannot be listed.
    """
    if isinstance(folder, Leaf):
        return list(folder.inside.values())
    if (remote := as_remote(folder)) is not None:
        if not deep:
            return [Leaf(str(one), one.stat()) for one in remote.iterdir()]
        return list(_grown(remote).inside.values())
    with os.scandir(folder if isinstance(folder, Path) else folder.path) as listing:
        return list(listing)


def teller(folder: Path) -> Callable[[str], Told]:
    """Return what tells the facts of a file by its way from a folder; it raises `OSError`.

    Object storage is listed once, as a whole.
    """
    if (remote := as_remote(folder)) is None:
        return lambda path: (folder / path).stat()
    known = dict(remote.below())

    def tell(path: str) -> Told:
        if path not in known:
            raise FileNotFoundError(path)
        return known[path]

    return tell


@dataclass(frozen=True, slots=True)
class File:
    """One file below a folder.

    Args:
        path: The way from the folder to it, POSIX.
        size: Bytes.
        mtime_ns: When it was written.
        stamp: Another number whenever it holds something else: locally `mtime_ns` once more.
    """

    path: str
    size: int
    mtime_ns: int
    stamp: int


def files_below(folder: Path) -> Iterator[File]:
    """Yield all files below a folder, in no certain order; nothing if it is not there.

    In object storage 1,000 of them come in a request.

    Raises:
        OSError: The storage does not answer, or refuses.
    """
    if (remote := as_remote(folder)) is not None:
        for way, facts in remote.below():
            yield File(way, facts.st_size, facts.st_mtime_ns, facts.st_ino)
        return
    for above, _, names in os.walk(folder):
        for name in names:
            file = Path(above, name)
            with contextlib.suppress(FileNotFoundError):
                told = file.stat()
                way = file.relative_to(folder).as_posix()
                yield File(way, told.st_size, told.st_mtime_ns, told.st_mtime_ns)


def seen(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return files below a folder; those of object storage know their facts from one listing.

    Raises:
        OSError: The storage does not answer, or refuses.
    """
    if (remote := as_remote(folder)) is None:
        return [folder / name for name in names]
    known = dict(remote.below())
    return [
        cast("Path", Remote(remote.kind, f"{remote.key}/{name}", known.get(name))) for name in names
    ]


def on_disk(out: Path, names: Names) -> Iterator[tuple[int, int]]:
    """Yield bytes and stamp (`File`) of files below a folder, in order; -1, -1 where is none.

    Raises:
        OSError: The storage does not answer, or refuses.
    """
    return found_in(out)(names)


def found_in(out: Path) -> Callable[[Names], Iterator[tuple[int, int]]]:
    """Return what tells the same for some names after others.

    In object storage each folder right below `out` is listed as a whole when it is first asked for,
    and not again: what is written there later is not seen.
    """
    if as_remote(out) is None:
        return lambda names: _by_stat(out, names)
    known: dict[str, dict[str, tuple[int, int]]] = {}

    def facts(name: str | None) -> tuple[int, int]:
        if name is None:
            return _NONE
        top, _, below = name.partition("/") if "/" in name else ("", "", name)
        if top not in known:
            known[top] = {file.path: (file.size, file.stamp) for file in files_below(out / top)}
        return known[top].get(below, _NONE)

    return lambda names: map(facts, names)


def _by_stat(out: Path, names: Names) -> Iterator[tuple[int, int]]:
    for name in names:
        if name is None:
            yield _NONE
            continue
        try:
            facts = os.stat(f"{out}/{name}")  # noqa: PTH116 - a Path for each file takes as long
        except OSError:
            yield _NONE
            continue
        yield (facts.st_size, facts.st_mtime_ns) if S_ISREG(facts.st_mode) else _NONE


def _grown(folder: Remote) -> Leaf:
    """Return a folder with all folders and objects below it, from one listing."""
    root = Leaf(str(folder), FOLDER)
    for way, facts in folder.below():
        here = root
        *folders, name = way.split("/")
        for one in folders:
            here = here.inside.setdefault(f"{one}/", Leaf(f"{here.path}/{one}", FOLDER))
        here.inside[name] = Leaf(f"{here.path}/{name}", facts)
    return root
