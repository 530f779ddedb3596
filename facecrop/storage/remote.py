"""Places in object storage, which look like `pathlib.Path` as far as facecrop uses that.

A `Remote` is two texts, so that it travels to other processes as it is; the connection is opened
where it is used, one for each process. There are no folders: what lies below a name makes it one.
Objects are written whole or not at all.
"""

import hashlib
import io
import os
import stat
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any, Self, cast

from facecrop.errors import StoreError
from facecrop.storage.objectfiles import Ranges, Text, Waiting
from facecrop.storage.objects import Facts, asked, facts_of, number_of, system
from facecrop.storage.urls import Url

_WHOLE = 8 << 20
"""Objects up to this many bytes are read in one request, whatever part of them is asked for."""
_AHEAD = 1 << 20
"""Bytes that are read ahead where somebody reads a larger one from its beginning."""
_PUT_BYTES = 64 << 20
_BULK = 1000
_PATTERN = frozenset("*?[]")


class Remote(Url):
    """A place in object storage.

    Args:
        kind: One of `objects.EXTRAS`.
        key: Bucket and key, without a slash at either end.
        facts: What a listing told of it; `stat` answers that and asks nobody.
    """

    __slots__ = ("_facts",)

    def __init__(self, kind: str, key: str, facts: Facts | None = None) -> None:
        super().__init__(kind, key)
        self._facts = facts

    # What is there.

    def stat(self) -> Facts:
        """Return its facts: those of the listing that it comes from, else by a request.

        Raises:
            FileNotFoundError: There is nothing.
            OSError: The storage does not answer, or refuses.
        """
        return self._facts or facts_of(self._ask("info", self.key))

    def exists(self) -> bool:
        """Tell whether there is an object of this name, or one below it."""
        try:
            self._ask("info", self.key)
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        """Tell whether there is something below it."""
        return self._is(stat.S_ISDIR)

    def is_file(self) -> bool:
        """Tell whether there is an object of this name."""
        return self._is(stat.S_ISREG)

    def _is(self, kind: Callable[[int], bool]) -> bool:
        try:
            return kind(self.stat().st_mode)
        except FileNotFoundError:
            return False

    def is_symlink(self) -> bool:
        """Tell that it is no link."""
        return False

    def iterdir(self) -> Iterator[Self]:
        """Return what lies in a folder, in order, with its facts: 1,000 names in a request.

        Raises:
            FileNotFoundError: There is nothing.
        """
        own = f"{self.key}/"
        found = []
        for entry in self._ask("ls", self.key, detail=True):
            name = str(entry["name"]).strip("/")
            if name.startswith(own) and name != own:
                found.append(type(self)(self.kind, name, facts_of(entry)))
        return iter(sorted(found))

    def glob(self, pattern: str) -> Iterator[Self]:
        """Return what lies below it and fits a pattern without `**`, in order; maybe nothing."""
        first, _, rest = pattern.partition("/")
        try:
            entries = self.iterdir()
        except FileNotFoundError:
            return
        for entry in entries:
            if fnmatchcase(entry.name, first):
                yield from entry.glob(rest) if rest else (entry,)

    def rglob(self, pattern: str) -> Iterator[Self]:
        """Return all objects below it whose name fits a pattern, in order."""
        for name, facts in self.below():
            if fnmatchcase(name.rpartition("/")[2], pattern):
                yield type(self)(self.kind, f"{self.key}/{name}", facts)

    def below(self) -> Iterator[tuple[str, Facts]]:
        """Yield the way to all objects below it, and their facts, in order: 1,000 in a request."""
        try:
            found = self._ask("find", self.key, detail=True)
        except FileNotFoundError:
            return
        own = f"{self.key}/"
        for raw_name in sorted(found):
            name = raw_name.lstrip("/")
            # Consoles make empty objects that end in a slash, to show a folder.
            if name.startswith(own) and not name.endswith("/"):
                yield name[len(own) :], facts_of(found[raw_name])

    # Reading and writing.

    def read_bytes(self) -> bytes:
        """Return its bytes, in one request.

        Raises:
            OSError: It is not there, or the storage does not answer, or refuses.
        """
        return bytes(self._ask("cat_file", self.key))

    def read_range(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to before `end`, in one request."""
        return bytes(self._ask("cat_file", self.key, start=start, end=end))

    def read_text(self, encoding: str = "utf-8") -> str:
        """Return its text."""
        return self.read_bytes().decode(encoding)

    def write_bytes(self, data: bytes) -> int:
        """Write an object whole, in one request; return the `st_ino` that it has now.

        Raises:
            OSError: The storage does not answer, or refuses.
        """
        answer = self._ask("pipe_file", self.key, data)
        if isinstance(answer, Mapping) and answer.get("ETag"):
            return number_of(str(answer["ETag"]))
        if self.kind == "gs":
            digest = hashlib.md5(data, usedforsecurity=False).digest()
            return number_of(b64encode(digest).decode())
        return facts_of(self._ask("info", self.key)).st_ino

    def write_text(self, text: str, encoding: str = "utf-8") -> int:
        """Write a text whole; return the `st_ino` that it has now."""
        return self.write_bytes(text.encode(encoding))

    def take(self, file: Path) -> None:
        """Become what a file of this machine holds, whole."""
        if file.stat().st_size > _PUT_BYTES:
            self._ask("put_file", str(file), self.key)
        else:
            self._ask("pipe_file", self.key, file.read_bytes())

    def give(self, file: Path) -> None:
        """Copy what it holds to a file of this machine."""
        self._ask("get_file", self.key, str(file))

    def random(self, whole: int = _WHOLE) -> IO[bytes]:
        """Open it for reading here and there: a request for each read, or one if it is small.

        Args:
            whole: Up to how many bytes it is read in one piece.

        Raises:
            OSError: It is not there, or the storage does not answer, or refuses.
        """
        size = self.stat().st_size
        if size <= whole:
            return io.BytesIO(self.read_bytes())
        return cast("IO[bytes]", Ranges(self.read_range, size))

    def open(
        self,
        mode: str = "r",
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> Any:
        """Open it for reading; or for writing, where it is there when it was closed in peace.

        Raises:
            OSError: It is not there, or the storage does not answer, or refuses.
        """
        if mode not in ("r", "rb", "w", "wb"):
            raise StoreError(f"{self} can only be read or written whole")
        binary: Any = Waiting(self.write_bytes) if mode[0] == "w" else self.random()
        if isinstance(binary, Ranges):
            binary = io.BufferedReader(binary, _AHEAD)
        if mode[-1] == "b":
            return binary
        return Text(binary, encoding=encoding or "utf-8", errors=errors, newline=newline)

    def unlink(self, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - as pathlib's
        """Remove an object.

        Raises:
            OSError: The storage does not answer, or refuses.
        """
        try:
            self._ask("rm_file", self.key)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - as pathlib's
        """Do nothing: a folder is there as soon as something is in it."""

    def rmdir(self) -> None:
        """Do nothing: a folder has gone when nothing is in it any more."""

    def remove_all(self) -> None:
        """Remove all that lies below it, up to 1,000 objects in a request.

        Raises:
            OSError: The storage does not answer, or refuses.
        """
        keys = [f"{self.key}/{name}" for name, _ in self.below()]
        plain = [key for key in keys if not _PATTERN.intersection(key)]
        for start in range(0, len(plain), _BULK):
            self._ask("rm", plain[start : start + _BULK])
        for key in keys:
            if _PATTERN.intersection(key):  # which `rm` would take for several
                self._ask("rm_file", key)

    def _ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        def call() -> Any:
            return getattr(system(self.kind, os.getpid()), method)(*arguments, **options)

        return asked(call, str(self), self.kind)


def as_remote(path: object) -> Remote | None:
    """Return a place in object storage as what it is, though it is called a `Path`; else None."""
    return path if isinstance(path, Remote) else None
