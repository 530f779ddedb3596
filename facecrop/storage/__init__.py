"""Where RAW and OUT are: folders of this machine, or object storage by its URL.

A local place is a `pathlib.Path`, and everything goes to the disk as it always did. A URL becomes
a `remote.Remote`, which has the same names. What the two do differently is here, and here alone:

    path = place("s3://bucket/out")                  # or a folder
    write_whole(path / "x.tar", lambda file: ...)    # file: a Path on this machine, written by you
    read_range(path / "x.tar", start, length)        # some bytes, in one request
    pq.ParquetFile(readable(path / "x.parquet"))     # what pyarrow can open
    for file in files_below(path): ...               # all files with facts, in few requests
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote
from uuid import uuid4

from facecrop.errors import ConfigError
from facecrop.storage.folders import put_in_place, sync
from facecrop.storage.listing import (
    Entry,
    File,
    Told,
    files_below,
    found_in,
    listed,
    on_disk,
    seen,
    teller,
)
from facecrop.storage.objects import EXTRAS
from facecrop.storage.remote import Remote, as_remote

__all__ = [
    "Entry", "File", "Told", "check_shared", "files_below", "found_in", "is_in_memory",
    "is_remote", "listed", "local", "on_disk", "on_this_disk", "place", "put", "read_range",
    "read_whole", "readable", "remove_all", "seen", "teller", "way", "whither", "write_whole",
]  # fmt: skip

_FOOTER = 1 << 16
"""Bytes that pyarrow reads of the end of a Parquet file before anything else."""
_URL = re.compile(r"(?P<kind>[A-Za-z][A-Za-z0-9+.-]+):(?:/(?P<rest>.*))?", re.DOTALL)
_SLASHLESS = re.compile(r"(s3a?|gs|gcs|memory):[^/]", re.IGNORECASE)
_ALIASES = {"s3a": "s3", "gcs": "gs"}


def place(where: str | os.PathLike[str] | Remote) -> Path:
    """Return what a text or path means: a `Path`, or for a URL what can be used like one.

    `file:///folder` is a folder; a `~` is the home folder. A URL that went through `Path`, and lost
    a slash, is understood.

    Raises:
        ConfigError: The URL is of no kind that is known, or has no bucket.
    """
    if isinstance(where, Remote):
        return cast("Path", where)
    text = os.fspath(where)
    url = _URL.fullmatch(text)
    if url is None:
        if _SLASHLESS.match(text) and not Path(text).exists():
            kind, _, rest = text.partition(":")
            raise ConfigError(
                f"{text!r} is no URL; write {kind}://{rest}, or ./{text} for a folder"
            )
        return Path(text).expanduser() if text.startswith("~") else Path(text)
    kind, rest = url["kind"].lower(), (url["rest"] or "").lstrip("/")
    kind = _ALIASES.get(kind, kind)
    if kind in ("file", "local"):
        return _local(text, url["rest"] or "")
    if kind not in EXTRAS:
        return _unknown(text, kind)
    parts = [part for part in rest.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise ConfigError(f"{text!r} names no place; write {kind}://bucket/folder")
    return cast("Path", Remote(kind, "/".join(parts)))


def local(where: str | os.PathLike[str] | Remote) -> Path:
    """Return a place that must be on a disk of this machine.

    Raises:
        ConfigError: It is in object storage; or as `place`.
    """
    path = place(where)
    if (remote := as_remote(path)) is not None:
        raise ConfigError(remote.elsewhere)
    return path


def is_remote(path: Path) -> bool:
    """Tell whether a place is in object storage."""
    return as_remote(path) is not None


def is_in_memory(path: Path) -> bool:
    """Tell whether a place is in the memory of this process, and ends with it."""
    remote = as_remote(path)
    return remote is not None and remote.kind == "memory"


def check_shared(path: Path, *, alone: bool) -> None:
    """Raise if other processes cannot see a place.

    Args:
        path: The place.
        alone: There are none.

    Raises:
        ConfigError: It is in the memory of this process, and others are to work.
    """
    if is_in_memory(path) and not alone:
        raise ConfigError(f"{path} is in the memory of one process: use the engine 'serial'")


def readable(path: Path, *, footer: bool = False) -> Any:
    """Return what pyarrow opens a file by: its path; of an object, a file that asks for ranges.

    Args:
        path: The file.
        footer: Only its end is wanted.

    Raises:
        OSError: The object is not there, or the storage does not answer, or refuses.
    """
    if (remote := as_remote(path)) is None:
        return path
    return remote.random(whole=_FOOTER) if footer else remote.random()


def read_whole(path: Path) -> tuple[bytes, int | None]:
    """Return a file's bytes, and its time in ns as it was read; None where one does not know.

    An object is read in one request, which tells no time: another one of the same size may have
    taken its place since it was listed. The next listing tells by its stamp.

    Raises:
        OSError: It is not there, or cannot be read.
    """
    if (remote := as_remote(path)) is not None:
        return remote.read_bytes(), None
    with path.open("rb") as file:
        data = file.read()
        facts = os.fstat(file.fileno())
    return data, facts.st_mtime_ns if facts.st_size == len(data) else -1


def read_range(path: Path, start: int, length: int) -> bytes:
    """Return `length` bytes of a file from `start` on; fewer where it ends.

    Raises:
        OSError: It is not there, or cannot be read.
    """
    if (remote := as_remote(path)) is not None:
        return remote.read_range(start, start + length)
    with path.open("rb") as file:
        file.seek(start)
        return file.read(length)


@contextlib.contextmanager
def on_this_disk(path: Path) -> Iterator[Path]:
    """Hold a file where it can be mapped into memory: itself, or a copy for as long as needed.

    Raises:
        OSError: It is not there, or cannot be copied.
    """
    if (remote := as_remote(path)) is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="facecrop-") as folder:
        copy = Path(folder, path.name)
        remote.give(copy)
        yield copy


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write(file)` make a file of this machine, and put it at `path` in one step.

    Locally the file lies beside `path` and is synced before it takes its name; for object storage
    it is in the folder for temporary files, and becomes one object.

    Raises:
        OSError: The disk is full, or the place cannot be written.
    """
    if (remote := as_remote(path)) is not None:
        with tempfile.TemporaryDirectory(prefix="facecrop-") as folder:
            file = Path(folder, path.name)
            write(file)
            remote.take(file)
        return
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        write(temporary)
        with temporary.open("rb") as file_there:
            os.fsync(file_there.fileno())
        put_in_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def put(path: Path, data: bytes) -> int:
    """Write an object whole, in one request; return what `on_disk` tells of it as long as it stays.

    Raises:
        OSError: The storage does not answer, or refuses.
    """
    return cast("Remote", path).write_bytes(data)


def remove_all(folder: Path) -> None:
    """Remove a folder with all that is in it, as far as possible."""
    if (remote := as_remote(folder)) is not None:
        with contextlib.suppress(OSError):
            remote.remove_all()
        return
    shutil.rmtree(folder, ignore_errors=True)


def way(target: Path, start: Path) -> str:
    """Return the way from a folder to a place as text: relative where both are on this machine."""
    if is_remote(target) or is_remote(start):
        return str(target.resolve())
    return Path(os.path.relpath(target.resolve(), start.resolve())).as_posix()


def whither(start: Path, text: str) -> Path:
    """Return the place that `way` wrote down."""
    if is_remote(start) or "://" in text:
        return place(text)
    return start.resolve() / text


def _local(text: str, rest: str) -> Path:
    if not rest.startswith("/"):  # file:/folder, as `Path` leaves it
        return Path(unquote(f"/{rest}"))
    machine, _, path = rest.removeprefix("/").partition("/")  # of file://machine/folder
    if machine not in ("", "localhost"):
        raise ConfigError(f"{text!r} names the machine {machine!r}; write file:///folder")
    return Path(unquote(f"/{path}"))


def _unknown(text: str, kind: str) -> Path:
    if "://" not in text and (":/" not in text or Path(text.partition("/")[0]).exists()):
        return Path(text)  # the name of a file may have a colon
    known = ["file", *EXTRAS]
    near = get_close_matches(kind, known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}://?" if near else ""
    raise ConfigError(
        f"{text!r}: no storage named {kind!r}.{hint} Choose from: "
        f"{', '.join(f'{name}://' for name in known)}"
    )
