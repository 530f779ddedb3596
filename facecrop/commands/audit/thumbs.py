"""Pictures of the review page: those that are seen together, reduced and side by side as one."""

import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from facecrop.checks.headers import unchanged
from facecrop.checks.measured import Measured
from facecrop.crops import crop_data
from facecrop.engines.each import Each, InThreads
from facecrop.fragments import Entry
from facecrop.images.codec import decode, decode_crop, encode
from facecrop.images.frames import Image
from facecrop.index import Status
from facecrop.labels.paths import unescape

BLOCK = 32
"""Strips that the page unpacks together."""
_BLOCKS = 16
"""Blocks that are drawn together."""
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
_KEPT_TOGETHER, _SPARE = 512, 512
"""Strips written together, and those of earlier pages that are kept beyond as many as there are."""
_COLUMNS = ("path", "status", "reason", "image", "image_sha256", "digest", "size", "mtime_ns")
_SHOWN_RAW = frozenset({"no-person", "no-face", "face-too-small"})
"""Reasons of rejects whose raw picture is shown; others may be what killed a decoder."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A file that is shown of a record."""

    file: Path
    cropped: bool


class Strips:
    """Draws strips of pictures.

    Args:
        out: The dataset.
        raw: Its raw folder, None if it is not there any more.
        index: All rows.
        strips: Rows of the index of each strip.
        each: Draws them.
    """

    def __init__(
        self,
        out: Path,
        raw: Path | None,
        index: pa.Table,
        strips: Sequence[tuple[int, ...]],
        each: Each | None = None,
    ) -> None:
        self._out, self._raw, self._strips = out.resolve(), raw, strips
        self._each = each or InThreads()
        self._columns = {name: index[name].combine_chunks() for name in _COLUMNS}
        self._kept = Measured(out, "strips")
        self.height, self.width = self._size()

    def blocks(self) -> Iterator[str]:
        """Yield so many strips at a time as JSON; those of an earlier page are not drawn again.

        A strip is its WebP in base64, or null, and for each of its rows the number of its picture
        from the left, or null where it cannot be shown.
        """
        keys = [self._key(rows) for rows in self._strips]
        known = self._kept.locate(key for key in keys if key is not None)
        new: dict[bytes, Entry] = {}
        draw = partial(_strip, size=(self.height, self.width))
        for first in range(0, len(self._strips), BLOCK * _BLOCKS):
            here = range(first, min(first + BLOCK * _BLOCKS, len(self._strips)))
            found = {n: known.find(key) for n in here if (key := keys[n]) is not None}
            missing = [number for number in here if found.get(number) is None]
            shown = [[self._file(row) for row in self._strips[number]] for number in missing]
            for place, drawn in self._each.map(draw, shown):
                number = missing[place]
                text, whole = drawn or (_text(None, [None] * len(shown[place])), False)
                found[number] = text
                key = keys[number]
                if key is not None and whole:
                    new[key] = Entry(self._digest(self._strips[number][0]), key, text, None)
            if len(new) >= _KEPT_TOGETHER:
                self._kept.write(list(new.values()))
                new.clear()
            for start in range(first, here.stop, BLOCK):
                block = range(start, min(start + BLOCK, here.stop))
                yield f"[{','.join(found[number] or '' for number in block)}]"
        self._kept.write(list(new.values()))
        self._kept.drop({key for key in keys if key is not None}, beyond=len(keys) + _SPARE)

    def _key(self, rows: Sequence[int]) -> bytes | None:
        """Return what a strip is found by, None if the index does not say what it shows."""
        shown = [self._shown(row) for row in rows]
        if None in shown or not any(shown):
            return None
        return self._kept.key(self.height, self.width, _QUALITY, shown)

    def _shown(self, row: int) -> str | None:
        """Return what identifies the picture of a row, empty if there is none, None if unknown."""
        shown = self._file(row)
        if shown is None:
            return ""
        values = {name: self._columns[name][row].as_py() for name in _COLUMNS}
        if values["image"] is None and not unchanged(shown.file, values):
            return None
        digest = values["digest" if values["image"] is None else "image_sha256"]
        return None if digest is None else str(digest.hex())

    def _digest(self, row: int) -> bytes:
        """Return with what picture a strip is dropped."""
        found = (self._columns[name][row].as_py() for name in ("image_sha256", "digest"))
        return next(filter(None, found), bytes(32))

    def _file(self, row: int) -> _Shown | None:
        """Return what is shown of a record: its crop, of some rejects the raw file, or nothing."""
        path, status, reason, image = (
            self._columns[name][row].as_py() for name in ("path", "status", "reason", "image")
        )
        if image is not None:
            return _Shown(self._out / str(image), cropped=True)
        shown = status == Status.REJECT and reason in _SHOWN_RAW
        if not shown or self._raw is None:
            return None
        return _Shown(self._raw / unescape(path), cropped=False)

    def _size(self) -> tuple[int, int]:
        """Return height and width of a tile: the usual shape, smaller where there are many."""
        count = sum(map(len, self._strips))
        height = next((height for most, height in _HEIGHTS if count <= most), _SMALLEST)
        rows = [row for strip in self._strips for row in strip][:_ASKED]
        # A crop as wide as a panorama, or as narrow as a lamp post, still gets a usable tile.
        shape = float(np.clip(np.median(self._shapes(rows) or [_SHAPE]), 0.5, 2))
        return height, max(round(height / shape), 1)

    def _shapes(self, rows: Sequence[int]) -> list[float]:
        """Return height by width of the pictures of some rows that can be shown."""

        def missing(places: Sequence[int]) -> Iterator[tuple[int, str | None]]:
            for place in places:
                picture = _picture(self._file(rows[place]))
                yield place, None if picture is None else repr(picture.shape[0] / picture.shape[1])

        kept = Measured(self._out, "shapes")
        shown = [self._shown(row) for row in rows]
        keys = [kept.key(one) if one else None for one in shown]
        found = kept.of(keys, [self._digest(row) for row in rows], missing)
        return [float(text) for text in found if text is not None]


def _strip(shown: Sequence[_Shown | None], size: tuple[int, int]) -> tuple[str, bool]:
    """Return a strip as JSON, and whether all of its pictures could be read."""
    tiles: list[Image] = []
    places: list[int | None] = []
    whole = True
    for one in shown:
        picture = _picture(one)
        whole &= picture is not None or one is None
        places.append(None if picture is None else len(tiles))
        if picture is not None:
            tiles.append(_tile(picture, size))
    strip = b64encode(encode(np.hstack(tiles), "webp", _QUALITY)).decode() if tiles else None
    return _text(strip, places), whole


def _text(strip: str | None, places: Sequence[int | None]) -> str:
    return json.dumps([strip, places], separators=(",", ":"))


def _picture(shown: _Shown | None) -> Image | None:
    """Return the pixels of what is shown, None if there is nothing, or it cannot be read."""
    try:
        data = b"" if shown is None else crop_data(shown.file)
    except OSError:
        return None
    if shown is None or not data:
        return None
    return (decode_crop(data) if shown.cropped else decode(data)).image


def _tile(picture: Image, size: tuple[int, int]) -> Image:
    """Return a picture that fills as much of a tile as its shape allows."""
    scale = min(size[0] / picture.shape[0], size[1] / picture.shape[1])
    height, width = (max(round(side * scale), 1) for side in picture.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(picture, (width, height), interpolation=how)
    if small.shape[:2] == size:
        return np.asarray(small, np.uint8)
    tile = np.full((*size, 3), _GROUND, np.uint8)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    tile[top : top + height, left : left + width] = small
    return tile
