"""What worker processes find around them when they start."""

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_KEPT_BYTES = str(64 << 20)
_ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": _KEPT_BYTES, "MALLOC_MMAP_THRESHOLD_": _KEPT_BYTES}
"""glibc: keep freed memory. Else the pages of each decoded picture are fetched from the system
again: 74 page faults a picture."""


def surroundings(threads: int) -> contextlib.AbstractContextManager[None]:
    """Let processes that are started now use so many threads, and keep the memory they free."""
    return variables(dict.fromkeys(_THREADS, str(threads)) | _ALLOCATOR)


@contextlib.contextmanager
def variables(changes: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment, and what they were at the end of the block."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Keep Ctrl-C from processes that are started now: it is the parent's affair.

    A blocked signal stays blocked in the child; the parent gets it at the end of the block.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
