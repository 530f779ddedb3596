"""Downloads that survive interruption: resumed, tried again, and never mistaken for whole."""

import errno
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO, NoReturn
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from facecrop.errors import WeightsError

Report = Callable[[int, int | None], None]
"""Is told the bytes done and their total (None if the server does not say)."""

_CHUNK_BYTES = 1 << 18
_TIMEOUT_S = 30.0
_PAUSES_S = (0.5, 2.0, 5.0)
_CURE = "make room, or name another folder for models in FACECROP_MODELS"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class OriginError(WeightsError):
    """One origin does not deliver; the next one may."""


def download(url: str, part: Path, report: Report, pauses_s: Sequence[float] = _PAUSES_S) -> None:
    """Fetch a URL into a file, continuing behind the bytes that are there.

    A connection that breaks off is tried again after each of `pauses_s`; one that brought the file
    further than ever starts the pauses anew. Whether the bytes are the right ones is not checked.

    Raises:
        OriginError: The server cannot be reached, does not have the file, or never sends all of it.
        WeightsError: The disk is full.
    """
    best, left = _size(part), list(pauses_s)
    while True:
        try:
            _attempt(url, part, report)
        except _BrokenOffError as error:
            if _size(part) > best:
                best, left = _size(part), list(pauses_s)
            if not left:
                raise OriginError(
                    f"{_host(url)} cannot be reached or breaks off: {error}"
                ) from None
            time.sleep(left.pop(0))
        else:
            return


class _BrokenOffError(Exception):
    """The transfer ended early for a reason that may go away."""


def _attempt(url: str, part: Path, report: Report) -> None:
    have = _size(part)
    headers = {"User-Agent": "facecrop", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        # The table of models admits http and https only.
        response = urlopen(Request(url, headers=headers), timeout=_TIMEOUT_S)  # noqa: S310 - see above
    except HTTPError as error:
        error.close()
        _refused(url, part, have, error)
    except (OSError, HTTPException) as error:
        raise _BrokenOffError(getattr(error, "reason", None) or error) from None
    with response:
        start = _start(response)
        if start not in {0, have}:
            part.unlink(missing_ok=True)
            raise _BrokenOffError("it sent another part of the file than asked for")
        length = response.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        _require_space(part, (total or 0) - start)
        with part.open("ab" if start else "wb") as file:
            done = _copy(response, file, start, total, report)
    if total is not None and done < total:
        raise _BrokenOffError(f"{done:,} of {total:,} bytes came")


def _refused(url: str, part: Path, have: int, error: HTTPError) -> NoReturn:
    if error.code == 416 and have:  # noqa: PLR2004 - HTTP: no such range; what is there is not a beginning
        part.unlink(missing_ok=True)
        raise _BrokenOffError("it does not continue the part that is there")
    if error.code in {408, 425, 429} or error.code >= 500:  # noqa: PLR2004 - HTTP: may go away by itself
        raise _BrokenOffError(f"it answers {error.code} {error.reason}")
    raise OriginError(f"{_host(url)} answers {error.code} {error.reason} for {url}")


def _start(response: HTTPResponse) -> int:
    """Return where the answer begins: 0 if the server ignored the range."""
    if response.status != 206:  # noqa: PLR2004 - HTTP: partial content
        return 0
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else -1


def _copy(
    response: HTTPResponse, file: BinaryIO, done: int, total: int | None, report: Report
) -> int:
    report(done, total)
    while True:
        try:
            chunk = response.read(_CHUNK_BYTES)
        except (OSError, HTTPException) as error:
            raise _BrokenOffError(error) from None
        if not chunk:
            break
        with disk_errors(Path(file.name).parent):
            file.write(chunk)
        done += len(chunk)
        report(done, total)
    with disk_errors(Path(file.name).parent):
        file.flush()
        os.fsync(file.fileno())
    return done


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what a full or read-only disk answers into a message that names the folder.

    Raises:
        WeightsError: Whatever the operating system refused inside the block.
    """
    try:
        yield
    except OSError as error:
        fault = "is full" if error.errno in _FULL else f"cannot be written ({error.strerror})"
        raise WeightsError(f"{folder} {fault}: {_CURE}") from None


def _require_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        needed_mb, free_mb = f"{needed / 1e6:,.0f} MB", f"{free / 1e6:,.0f} MB"
        raise WeightsError(f"{part.parent} is full, {needed_mb} needed, {free_mb} free: {_CURE}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
