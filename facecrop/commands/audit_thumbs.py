"""Pictures of the review page: those that are seen together, reduced and side by side as one."""

import json
import os
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from facecrop.images.codec import decode, decode_crop, encode
from facecrop.images.frames import Image
from facecrop.index import Status
from facecrop.labels.paths import unescape

BLOCK = 32
"""Strips that the page unpacks together."""
_HEIGHTS = ((15_000, 128), (40_000, 96))
_SMALLEST = 80
"""Pixels of a picture on a page with up to so many pictures, and with more."""
_SHAPE = 4 / 3
"""Height to width where no crop tells it."""
_ASKED = 32
"""Crops that are asked for their shape."""
_QUALITY = 50
_GROUND = 128
"""Around pictures of another shape: a gray that is seen on light and dark pages."""
_SHOWN_RAW = frozenset({"no-person", "no-face", "face-too-small"})
"""Reasons of rejects whose raw picture is shown; others may be what killed a decoder."""


class Strips:
    """Draws strips of pictures.

    Args:
        out: The dataset.
        raw: Its raw folder, None if it is not there any more.
        index: All rows.
        strips: Rows of the index of each strip.
    """

    def __init__(
        self, out: Path, raw: Path | None, index: pa.Table, strips: Sequence[tuple[int, ...]]
    ) -> None:
        self._out, self._raw, self._strips = out, raw, strips
        self._columns = {
            name: index[name].combine_chunks() for name in ("path", "status", "reason", "image")
        }
        self.height, self.width = self._size()

    def blocks(self) -> Iterator[str]:
        """Yield so many strips at a time as JSON.

        A strip is its WebP in base64, or null, and for each of its rows the number of its picture
        from the left, or null where it cannot be shown.
        """
        with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
            for start in range(0, len(self._strips), BLOCK):
                made = threads.map(self._strip, self._strips[start : start + BLOCK])
                yield json.dumps(list(made), separators=(",", ":"))

    def _strip(self, rows: Sequence[int]) -> tuple[str | None, list[int | None]]:
        tiles: list[Image] = []
        places: list[int | None] = []
        for row in rows:
            picture = self._picture(row)
            places.append(None if picture is None else len(tiles))
            if picture is not None:
                tiles.append(self._tile(picture))
        if not tiles:
            return None, places
        return b64encode(encode(np.hstack(tiles), "webp", _QUALITY)).decode(), places

    def _tile(self, picture: Image) -> Image:
        """Return a picture that fills as much of a tile as its shape allows."""
        scale = min(self.height / picture.shape[0], self.width / picture.shape[1])
        height, width = (max(round(side * scale), 1) for side in picture.shape[:2])
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(picture, (width, height), interpolation=how)
        if small.shape[:2] == (self.height, self.width):
            return np.asarray(small, np.uint8)
        tile = np.full((self.height, self.width, 3), _GROUND, np.uint8)
        top, left = (self.height - height) // 2, (self.width - width) // 2
        tile[top : top + height, left : left + width] = small
        return tile

    def _picture(self, row: int) -> Image | None:
        """Return a record's crop, of some rejects the raw picture, None if neither can be had."""
        values = {name: column[row].as_py() for name, column in self._columns.items()}
        try:
            if values["image"] is not None:
                return decode_crop((self._out / values["image"]).read_bytes()).image
            if (
                self._raw is not None
                and values["status"] == Status.REJECT
                and values["reason"] in _SHOWN_RAW
            ):
                return decode((self._raw / unescape(values["path"])).read_bytes()).image
        except OSError:
            return None
        return None

    def _size(self) -> tuple[int, int]:
        """Return height and width of a tile: the usual shape, smaller where there are many."""
        count = sum(map(len, self._strips))
        height = next((height for most, height in _HEIGHTS if count <= most), _SMALLEST)
        rows = [row for strip in self._strips for row in strip][:_ASKED]
        pictures = [one for one in map(self._picture, rows) if one is not None]
        shapes = [one.shape[0] / one.shape[1] for one in pictures] or [_SHAPE]
        # A crop as wide as a panorama, or as narrow as a lamp post, still gets a usable tile.
        shape = float(np.clip(np.median(shapes), 0.5, 2))
        return height, max(round(height / shape), 1)
