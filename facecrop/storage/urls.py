"""Names of places in object storage: `s3://bucket/folder/name`, taken apart as paths are."""

import os
import posixpath
from pathlib import PurePosixPath
from typing import Self

from facecrop.errors import ConfigError, StoreError

_COPY = {
    "s3": ("aws s3 sync {} FOLDER", "aws s3 cp {} FOLDER"),
    "gs": ("gcloud storage rsync -r {} FOLDER", "gcloud storage cp {} FOLDER"),
}
"""What copies a folder, and a file."""
_FILES = (".csv", ".json", ".onnx", ".parquet", ".png", ".pt", ".toml", ".xlsx")
"""Of files that a command reads or writes; a folder's name may have a dot, too."""


class Url:
    """The name of a place in object storage, with the names that `pathlib.PurePath` has.

    Args:
        kind: What the URL begins with.
        key: Bucket and key, without a slash at either end.
    """

    __slots__ = ("_pure", "kind")

    def __init__(self, kind: str, key: str) -> None:
        self.kind = kind
        self._pure = PurePosixPath(key)

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        return type(self), (self.kind, self.key)

    def __fspath__(self) -> str:
        """Refuse: whoever asks would look for it on this machine's disk."""
        raise StoreError(self.elsewhere)

    @property
    def elsewhere(self) -> str:
        """What is said where only a disk of this machine will do."""
        run = _COPY.get(self.kind)
        how = f"; run: {run[self.suffix in _FILES].format(self)}" if run else ""
        return f"{self} is in object storage, and this needs it on a disk of this machine{how}"

    @property
    def key(self) -> str:
        """Bucket and key."""
        return str(self._pure)

    def __str__(self) -> str:
        return f"{self.kind}://{self.key}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Url) and str(self) == str(other)

    def __lt__(self, other: "Url") -> bool:
        return str(self) < str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def _at(self, pure: PurePosixPath) -> Self:
        return type(self)(self.kind, str(pure))

    def __truediv__(self, other: str | os.PathLike[str]) -> Self:
        below = PurePosixPath(other)
        if below.is_absolute():
            raise ValueError(f"{str(below)!r} is no path below {self}")
        there = PurePosixPath(posixpath.normpath(self._pure / below))
        if there.parts[:1] != self.parts[:1]:
            raise ConfigError(f"{str(below)!r} leads from {self} out of its bucket")
        return self._at(there)

    def joinpath(self, *others: str) -> Self:
        """Return a place below."""
        here = self
        for other in others:
            here = here / other
        return here

    @property
    def name(self) -> str:
        """The last part."""
        return self._pure.name

    @property
    def stem(self) -> str:
        """The last part without its suffix."""
        return self._pure.stem

    @property
    def suffix(self) -> str:
        """The suffix, with its dot."""
        return self._pure.suffix

    @property
    def parts(self) -> tuple[str, ...]:
        """All parts, from the bucket on."""
        return self._pure.parts

    @property
    def parent(self) -> Self:
        """The folder that it lies in; of a bucket, itself."""
        return self if len(self.parts) == 1 else self._at(self._pure.parent)

    @property
    def parents(self) -> tuple[Self, ...]:
        """All folders that it lies in, up to the bucket."""
        return tuple(self._at(pure) for pure in self._pure.parents if pure.parts)

    def with_name(self, name: str) -> Self:
        """Return another one in the same folder."""
        return self._at(self._pure.with_name(name))

    def with_suffix(self, suffix: str) -> Self:
        """Return it with another suffix."""
        return self._at(self._pure.with_suffix(suffix))

    def relative_to(self, other: "Url") -> PurePosixPath:
        """Return the way from a folder to it.

        Raises:
            ValueError: It does not lie in that folder.
        """
        if other.kind != self.kind:
            raise ValueError(f"{str(self)!r} is not below {str(other)!r}")
        return self._pure.relative_to(other.key)

    def is_relative_to(self, other: object) -> bool:
        """Tell whether it lies in a folder, or is it."""
        if not isinstance(other, Url) or other.kind != self.kind:
            return False
        return self._pure.is_relative_to(other.key)

    def as_posix(self) -> str:
        """Return the URL."""
        return str(self)

    def resolve(self) -> Self:
        """Return itself: there are no links and no relative paths."""
        return self

    absolute = expanduser = resolve
