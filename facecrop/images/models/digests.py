"""Digests of weights, computed once for each state of a file."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from fcntl import LOCK_EX, flock
from hashlib import md5, sha256
from pathlib import Path
from typing import Self
from uuid import uuid4

from facecrop.images.models.registry import Model

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Digests:
    """What identifies a file's bytes, as hex digits."""

    sha256: str
    md5: str

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Return the digests of bytes in memory."""
        return cls(sha256(content).hexdigest(), md5(content, usedforsecurity=False).hexdigest())

    def fit(self, model: Model) -> bool:
        """Tell whether these are the digests that the table asks for; true if it asks for none."""
        if model.sha256:
            return self.sha256 == model.sha256
        return not model.md5 or self.md5 == model.md5

    def found(self, model: Model) -> str:
        """Return the digest to show beside the expected one: `md5 60024c…`."""
        return f"md5 {self.md5}" if model.md5 and not model.sha256 else f"sha256 {self.sha256}"


def compute(path: Path) -> Digests:
    """Read a file and return its digests."""
    strong, published = sha256(), md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            strong.update(chunk)
            published.update(chunk)
    return Digests(strong.hexdigest(), published.hexdigest())


class DigestCache:
    """Remembers digests in a small file, for as long as size, times and inode stay the same.

    Args:
        file: Where to remember them. If it cannot be written, they are computed anew each time.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, dict[str, str]] = {}

    def of(self, path: Path) -> Digests:
        """Return the digests of a file, reading it only if it changed since the last time."""
        key, state = str(path.resolve()), _state(path)
        known = self._known.get(key) or self._read().get(key)
        if known is None or known.get("state") != state:
            digests = compute(path)
            known = {"state": state, **asdict(digests)}
            if _state(path) == state:
                self._remember(key, known)
        self._known[key] = known
        return Digests(known["sha256"], known["md5"])

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        lines = content.items() if isinstance(content, dict) else ()
        return {key: known for key, known in lines if isinstance(known, dict) and _is_whole(known)}

    def _remember(self, key: str, known: dict[str, str]) -> None:
        # Two processes may lose each other's lines here: then a digest is computed once more.
        with suppress(OSError):
            lines = json.dumps({**self._read(), key: known}, indent=1, sort_keys=True)
            write_whole(self._file, lines.encode())


def _is_whole(known: dict[str, str]) -> bool:
    return {"state", "sha256", "md5"} <= known.keys()


def _state(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that `path` is either what it was or the whole new content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Let one process at a time fetch a thing into a folder; the others wait."""
    with (folder / f".{name}.lock").open("wb") as file:
        flock(file, LOCK_EX)
        yield
