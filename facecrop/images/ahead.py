"""Reading pictures of object storage ahead: a request takes longer than the work on a picture."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from facecrop.images.picture import Item
from facecrop.storage import is_remote, read_whole

Read = Callable[[], tuple[bytes, int | None]]
"""Returns a picture's bytes and time as `storage.read_whole` does, or raises what that raises."""

_THREADS = 8
_PICTURES = 16
"""Pictures that are read or held ahead: a few megabytes."""


class Ahead:
    """Reads the pictures that will surely be asked for, while others are worked on.

    On a disk it does nothing: the system reads ahead by itself.

    Args:
        root: RAW, or the folder of the table.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pool = ThreadPoolExecutor(_THREADS) if is_remote(root) else None
        self._coming: Iterator[Item] = iter(())
        self._reading: deque[tuple[Item, Future[tuple[bytes, int | None]]]] = deque()

    def expect(self, items: Iterable[Item]) -> None:
        """Take the records of a task, in the order in which they will be asked for."""
        self._forget()
        if self._pool is not None:
            # Where the digest is known, the picture may not have to be read at all.
            self._coming = (item for item in items if item.digest is None)
            self._fill()

    def of(self, item: Item) -> Read | None:
        """Return what gives the bytes of a record once, or None if they are not on their way."""
        if item.digest is not None:
            return None
        while self._reading and self._reading[0][0] is not item:
            self._reading.popleft()[1].cancel()  # passed over: it may have killed a worker
        if not self._reading:
            return None
        _, future = self._reading.popleft()
        self._fill()
        return future.result

    def close(self) -> None:
        """Stop reading."""
        self._forget()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _fill(self) -> None:
        while self._pool is not None and len(self._reading) < _PICTURES:
            item = next(self._coming, None)
            if item is None:
                return
            self._reading.append((item, self._pool.submit(read_whole, self._root / item.file)))

    def _forget(self) -> None:
        for _, future in self._reading:
            future.cancel()
        self._reading.clear()
