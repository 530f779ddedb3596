"""One raw image on its way through a recipe: read and decoded at most once, and only if needed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from facecrop.images.codec import Decoded, Limits, Reduce, decode
from facecrop.images.findings import Source
from facecrop.images.frames import Box, Image
from facecrop.images.look.quality import quality
from facecrop.storage import is_remote, read_whole


@dataclass(frozen=True, slots=True)
class Kept:
    """What an earlier run left on disk for a record, believed to be unaltered.

    Args:
        image: Path of the crop below OUT, or None.
        image_sha256: Digest of its bytes.
        image_size: Bytes.
        image_mtime_ns: When it was written; in object storage a hash of its ETag.
        render_key: What it was made from.
        extras_key: What the alpha and box pictures beside it were made from.
    """

    image: str | None = None
    image_sha256: bytes | None = None
    image_size: int | None = None
    image_mtime_ns: int | None = None
    render_key: bytes | None = None
    extras_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A record as a worker gets it.

    Args:
        path: Relative to RAW, escaped.
        file: The same as the file system knows it.
        target: Where its crop belongs below `images/`, without extension.
        size: Bytes, when the folder was scanned.
        mtime_ns: Likewise.
        digest: sha256 of its bytes if that is known and the file unchanged, or None.
        kept: What an earlier run left, or None.
    """

    path: str
    file: str
    target: str
    size: int
    mtime_ns: int
    digest: bytes | None
    kept: Kept | None


class PictureGoneError(Exception):
    """A picture that an earlier run knew cannot be read any more, when its pixels are needed.

    Args:
        picture: Which.
        reason: Why.
    """

    def __init__(self, picture: "Picture", reason: str) -> None:
        super().__init__(f"{picture.item.path}: {reason}")
        self.picture = picture
        self.reason = reason


class Picture:
    """Reads and decodes one record on demand.

    Args:
        item: The record.
        root: RAW, or the folder of the table.
        limits: What decoding allows.
        fault: Why it is not to be opened: it killed a worker before, or kept it for too long.
        read: Gives its bytes once, where they are on their way already (`ahead.Ahead.of`).
    """

    def __init__(
        self,
        item: Item,
        root: Path,
        limits: Limits,
        *,
        fault: str | None = None,
        read: Callable[[], tuple[bytes, int | None]] | None = None,
    ) -> None:
        self.item = item
        self.digest = item.digest if fault is None else None
        self._path = root / item.file
        self._limits = limits
        self._fault = fault
        self._decoded: Decoded | None = None
        self._reduced: Decoded | None = None
        self._data: bytes | None = None
        self._ahead = read
        self.reads = self.decodes = 0

    @property
    def fault(self) -> str | None:
        """Why its bytes cannot be had, where that may be another time: never stored."""
        return self._fault

    def know_digest(self) -> bytes | None:
        """Return the sha256 of its bytes, reading them if nobody knows it; None at a fault."""
        if self.digest is None and self._fault is None:
            data = self._read()
            # What the system keeps of a file in its memory, it does not keep of an object.
            self._data = data if is_remote(self._path) else None
        return self.digest

    @property
    def decoded(self) -> Decoded:
        """Its pixels, all of them, or the reason why there are none."""
        if self._decoded is None:
            self._decoded = self._decode(None)
            self._data = None
        return self._decoded

    @property
    def image(self) -> Image:
        """Its pixels; to be asked only of a picture whose `source()` has no reason.

        Raises:
            PictureGoneError: It is not what an earlier run saw.
        """
        image = self.decoded.image
        if image is None:
            raise self._missing(self.decoded)
        return image

    def pixels(self, reduced: int) -> tuple[Image, Box]:
        """Return its pixels with both sides divided by a number, and what they cover.

        To be asked only of a picture whose `source` has no reason. The same number gives the same
        pixels, whatever else was asked for before.

        Args:
            reduced: 1, or the `reduced` of its `source`.

        Returns:
            (H, W, 3) uint8, and the part of the upright picture under them, in its pixels.

        Raises:
            PictureGoneError: It is not what an earlier run saw.
        """
        if reduced == 1:
            height, width = self.image.shape[:2]
            return self.image, Box(0, 0, width, height)
        if self._reduced is None:
            self._reduced = self._decode(lambda _height, _width: reduced)
        image, place = self._reduced.image, self._reduced.place
        if image is None or place is None:
            raise self._missing(self._reduced)
        return image, place

    def _missing(self, decoded: Decoded) -> Exception:
        if self._fault is not None:
            return PictureGoneError(self, self._fault)
        return RuntimeError(f"{self.item.path} has no pixels: {decoded.reason}")

    def source(self, reduce: Reduce | None = None) -> Source:
        """Return what its pixels alone tell, or the reason why there are none.

        Args:
            reduce: How far they may be reduced for models to look at, and for this; None for not
                at all.
        """
        if reduce is None:
            decoded = self.decoded
        else:
            decoded = self._decode(reduce)
            if decoded.reduced > 1:
                self._reduced = decoded
            else:
                self._decoded, self._data = decoded, None
        if decoded.image is None:
            return Source(
                width=decoded.width, height=decoded.height, reason=decoded.reason, note=decoded.note
            )
        found = quality(decoded.image, note=decoded.note)
        if decoded.reduced == 1:
            return found
        return replace(found, width=decoded.width, height=decoded.height, reduced=decoded.reduced)

    def forget(self) -> None:
        """Let the pixels go; they are decoded again if asked for again."""
        self._decoded = self._reduced = self._data = None

    def _decode(self, reduce: Reduce | None) -> Decoded:
        """Decode it, and keep the bytes: those of a reduced picture may be decoded once more."""
        if self._data is None and self._fault is None:
            self._data = self._read()
        if self._data is None:
            return Decoded(reason=self._fault)
        self.decodes += 1
        return decode(self._data, self._limits, reduce)

    def _read(self) -> bytes | None:
        """Return its bytes and learn their digest; None and a fault if that is not possible."""
        self.reads += 1
        try:
            read, self._ahead = self._ahead, None
            data, mtime_ns = read() if read is not None else read_whole(self._path)
        except FileNotFoundError:
            self._fault = "changed-during-read"
            return None
        except OSError:
            self._fault = "permission"
            return None
        if len(data) != self.item.size or mtime_ns not in (None, self.item.mtime_ns):
            self._fault = "changed-during-read"
            return None
        self.digest = sha256(data).digest()
        return data
