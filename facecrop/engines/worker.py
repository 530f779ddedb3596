"""What runs inside a worker process of the local engine."""

import contextlib
import os
import pickle
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from facecrop.engines.work import Task, Work
from facecrop.errors import FacecropError

NOTHING = -1
"""Number of no part and no picture."""


class SharedMarker:
    """Memory shared by a worker and its parent: the open picture, and the wish to stop.

    Args:
        context: The multiprocessing context that starts the worker.
    """

    def __init__(self, context: Any) -> None:
        self._open = context.RawArray("l", [NOTHING, NOTHING])
        self._stop = context.RawValue("b", 0)

    def at(self, part: int, picture: int) -> None:
        """Note the picture that is opened now."""
        self._open[0], self._open[1] = part, picture

    @property
    def stopping(self) -> bool:
        """Whether to end as soon as what is in hand is whole."""
        return bool(self._stop.value)

    def stop(self) -> None:
        """Ask the worker to end."""
        self._stop.value = 1

    @property
    def open(self) -> tuple[int, int]:
        """Part and picture that were opened last, `NOTHING` if none were."""
        return self._open[0], self._open[1]


def live(
    pipe: Connection,
    marker: SharedMarker,
    make: Callable[[], Work],
    log: Path | None,
    core: int | None,
) -> None:
    """Take tasks until told to stop.

    Args:
        pipe: To the parent. Down come tasks, then None; up go (`part`, number, result) and
            (`end`, ...) of each task, or (`bug`, ..., error), which is the last word.
        marker: Shared with the parent.
        make: Makes the work.
        log: File that takes what native libraries print, or None to let it through.
        core: Where to run, if the system can do that, or None to leave it to the system.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if core is not None and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):  # a core that was taken away meanwhile
            os.sched_setaffinity(0, {core})
    if log is not None:
        _redirect(log)
    try:
        _work(pipe, marker, make)
    except _ParentGoneError:
        return
    except Exception as error:  # noqa: BLE001 - carried to the parent, which raises it
        with contextlib.suppress(_ParentGoneError):
            _send(pipe, "bug", NOTHING, portable(error))


def _work(pipe: Connection, marker: SharedMarker, make: Callable[[], Work]) -> None:
    work = make()
    while (task := _receive(pipe)) is not None:
        for part, result in work.run(task, marker):
            _send(pipe, "part", part, result)
        _send(pipe, "end", NOTHING, None)
    work.close()


class _ParentGoneError(Exception):
    """The pipe is closed; the errors that say so could come from the work as well."""


def _receive(pipe: Connection) -> Task | None:
    try:
        task: Task | None = pipe.recv()
    except (EOFError, ConnectionError):
        raise _ParentGoneError from None
    return task


def _send(pipe: Connection, kind: str, part: int, value: object) -> None:
    try:
        pipe.send((kind, part, value))
    except ConnectionError:
        raise _ParentGoneError from None


def _redirect(log: Path) -> None:
    """Send standard error to a file: model runtimes chatter there, below Python's reach."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def portable(error: Exception) -> Exception:
    """Return an error that survives the way to another process.

    A bug takes its traceback along, as a note; what a user can mend needs none.
    """
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own error, made one line above
    except Exception:  # noqa: BLE001 - some errors cannot be rebuilt from their arguments
        error = RuntimeError(f"{type(error).__name__}: {error}")
    if not isinstance(error, FacecropError):
        error.add_note(f"in a worker process:\n{text}")
    return error
