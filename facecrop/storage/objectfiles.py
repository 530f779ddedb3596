"""Objects as open files: read here and there, or written whole when they are closed."""

import io
import os
from collections.abc import Callable
from typing import Any


class Ranges(io.RawIOBase):
    """A large object, of which each read asks for just its range.

    Args:
        read: Returns the bytes from a place to before another.
        size: Bytes of the object.
    """

    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        self._read, self._size, self._place = read, size, 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read anywhere."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Begin the next read elsewhere."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = start + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, in one request."""
        end = min(self._size, self._place + len(buffer))
        if end <= self._place:
            return 0
        data = self._read(self._place, end)
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


class Waiting(io.BytesIO):
    """Bytes that are put when the file is closed, unless an error closes it.

    Args:
        put: Takes all of them.
    """

    def __init__(self, put: Callable[[bytes], object]) -> None:
        super().__init__()
        self._put: Callable[[bytes], object] | None = put

    def close(self) -> None:
        """Put what was written."""
        put, self._put = self._put, None
        if put is not None:
            put(self.getvalue())
        super().close()

    def discard(self) -> None:
        """Close it, and put nothing."""
        self._put = None
        self.close()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


class Text(io.TextIOWrapper):
    """Text of such bytes."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and isinstance(self.buffer, Waiting):
            self.buffer.discard()
        else:
            self.close()
