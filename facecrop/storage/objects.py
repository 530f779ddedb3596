"""Asking object storage: connections, second tries, and what the answers tell.

Every kind goes through fsspec, and every error leaves here as an `OSError` with a number and one
line of text, whatever the package raised.
"""

import errno
import hashlib
import logging
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib import import_module
from typing import Any, TypeVar

from facecrop.errors import MissingExtraError, StoreError

_T = TypeVar("_T")

EXTRAS = {"memory": "storage", "s3": "s3", "gs": "gcs"}
"""The kinds of object storage, and the extra that each needs."""

_MODULES = {"memory": "fsspec", "s3": "s3fs", "gs": "gcsfs"}
_OPTIONS: dict[str, dict[str, Any]] = {
    # Listings are never remembered: other processes write, too. One connection for one object: to
    # read in pieces, it would have to be asked for its size before.
    "s3": {"use_listings_cache": False, "max_concurrency": 1},
    "gs": {"use_listings_cache": False},
}
_WORDY = ("gcsfs", "google.auth", "s3fs", "aiobotocore")
"""Loggers that would print a traceback for each try; whoever has set up logging still has them."""
_TRIES, _WAIT_S = 4, 0.2
_OWN_TRIES = {"s3": 2, "gs": 2}
"""Their packages try again by themselves, five times at least, and longer each time; but s3fs not
where a busy server answers without a body, as to every HEAD."""
_FINAL = (PermissionError, FileExistsError, IsADirectoryError, NotADirectoryError)
_NOBODY = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "DefaultCredentialsError"}
)
"""What the packages raise where they find no credentials, by name: they may not be installed."""
_CREDENTIALS = {
    "s3": "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for a public bucket "
    "FSSPEC_S3_ANON=true",
    "gs": "run: gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS; for "
    "a public bucket FSSPEC_GS_TOKEN=anon",
}


class RemoteError(StoreError, OSError):
    """The storage does not answer, or refuses: handled like a disk's error, else one line."""

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a listing tells of an object, named as in `os.stat_result`.

    Args:
        st_size: Bytes.
        st_mtime_ns: When it was written; of S3 to the second.
        st_ino: 63 bits that are another number whenever the object has other bytes: a hash of its
            ETag (S3) or its MD5 (Google), elsewhere of its time.
        st_mode: A file or a folder.
    """

    st_size: int
    st_mtime_ns: int
    st_ino: int
    st_mode: int = stat.S_IFREG | 0o644

    @property
    def st_ctime_ns(self) -> int:
        """The same as `st_mtime_ns`: an object has but one time."""
        return self.st_mtime_ns

    @property
    def st_mtime(self) -> float:
        """The time in seconds."""
        return self.st_mtime_ns / 1e9


FOLDER = Facts(0, 0, 0, stat.S_IFDIR | 0o755)


def facts_of(info: Mapping[str, Any]) -> Facts:
    """Return what an answer of fsspec tells, whatever the storage."""
    if info.get("type") == "directory":
        return FOLDER
    written = next(
        (info[name] for name in ("LastModified", "mtime", "updated", "created") if info.get(name)),
        None,
    )
    written_ns = _nanoseconds(written)
    tag = info.get("ETag") or info.get("md5Hash") or info.get("etag") or str(written_ns)
    return Facts(int(info.get("size") or 0), written_ns, number_of(str(tag)))


def number_of(tag: str) -> int:
    """Return 63 bits that stand for an ETag or digest."""
    return int.from_bytes(hashlib.sha256(tag.strip('"').encode()).digest()[:8]) >> 1


def _nanoseconds(written: object) -> int:
    if isinstance(written, str):
        written = datetime.fromisoformat(written)
    if isinstance(written, datetime):
        written = written.timestamp()
    # To the microsecond, as a number of seconds holds no more: one time, however it is told.
    return round(written * 1e6) * 1000 if isinstance(written, int | float) else 0


def asked(call: Callable[[], _T], url: str, kind: str) -> _T:
    """Return what the storage answers; ask again where waiting may help.

    Raises:
        FileNotFoundError: There is nothing of this name, or no such bucket.
        RemoteError: Anything else, whatever the package raised.
    """
    tries = _OWN_TRIES.get(kind, _TRIES)
    for turn in range(1, tries + 1):
        try:
            return call()
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, _line(error, kind), url) from None
        except MissingExtraError:
            raise
        except _FINAL as error:
            raise RemoteError(error.errno or errno.EACCES, _line(error, kind), url) from None
        except Exception as error:  # noqa: BLE001 - every package has errors of its own
            if turn == tries or type(error).__name__ in _NOBODY:
                raise RemoteError(errno.EIO, _line(error, kind), url) from None
        time.sleep(_WAIT_S * 2 ** (turn - 1))
    raise AssertionError("the last try returns or raises")


def _line(error: BaseException, kind: str) -> str:
    """Return one line: what a package says, and what can be done about it."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    line, cure = str(text).splitlines()[0], ""
    if type(error).__name__ in _NOBODY:
        cure = _CREDENTIALS[kind]
    elif type(error).__name__ == "EndpointConnectionError":
        cure = "is AWS_ENDPOINT_URL, or the region, the right one?"
    elif kind == "s3" and "bucket does not exist" in line:
        cure = "make it first, or look at AWS_PROFILE and AWS_ENDPOINT_URL"
    return f"{line.partition('. ')[0].rstrip('.')}; {cure}" if cure else line


@lru_cache(maxsize=8)
def system(kind: str, process: int) -> Any:  # noqa: ARG001 - a connection does not outlive a fork
    """Return the connection of a process to a kind of storage, as fsspec has it.

    Raises:
        MissingExtraError: The package for it is not installed.
        Exception: Whatever the package raises where it finds no credentials.
    """
    try:
        import_module(_MODULES[kind])
        fsspec = import_module("fsspec")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{kind}:// needs the package {error.name!r}: pip install 'facecrop[{EXTRAS[kind]}]'"
        ) from None
    for name in _WORDY:
        logging.getLogger(name).addHandler(logging.NullHandler())
    options = dict(_OPTIONS.get(kind, {}))
    if kind == "gs" and not _says_who(fsspec.config.conf):
        options["token"] = "google_default"  # noqa: S105 - else it goes on as nobody, after minutes
    return fsspec.filesystem(kind, **options)


def _says_who(config: Mapping[str, Mapping[str, Any]]) -> bool:
    """Tell whether fsspec's configuration says as whom to ask Google, or whom to ask instead."""
    own = {**config.get("gcs", {}), **config.get("gs", {})}
    return bool(own.keys() & {"token", "endpoint_url"}) or "STORAGE_EMULATOR_HOST" in os.environ
