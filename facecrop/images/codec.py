"""Bytes to pixels and back: the one decoder that every part uses, and its contract.

The contract is a table, `docs/decode.md`; each of its rows has a test.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image as Pil
from pydantic import Field

from facecrop.config import Settings
from facecrop.images.colour import on_paper, to_8_bit, to_srgb
from facecrop.images.frames import Box, Image
from facecrop.images.readers import FaultError, Opened, open_picture

DECODE_VERSION = 1
"""Raised when the same bytes would give other pixels or another reason."""

Format = Literal["jpg", "png", "webp"]

_WEBP_METHOD = 2
"""Smallest files of methods 0 to 4 on noisy portraits, at half the time of the default 4."""


class Limits(Settings):
    """What may be read at all."""

    max_pixels: int = Field(default=100_000_000, ge=1)
    """Pictures with more pixels are rejected before memory is taken for them."""
    min_side: int = Field(default=16, ge=1)
    """Pictures whose shorter side has fewer pixels are rejected."""


_ANY_SIZE = Limits(min_side=1)

_FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}
"""OpenCV's code for how a picture of each EXIF orientation is mirrored, once it stands."""
_ALONG_X, _ALONG_Y = (1, -1), (0, -1)

Reduce = Callable[[int, int], int]
"""Given height and width of an upright picture, by what its sides may be divided: 1, 2, 4 or 8."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture, or why there is none; exactly one of `image` and `reason` is there.

    Args:
        image: (H, W, 3) uint8 sRGB, upright, contiguous; or None. H and W are the picture's
            height and width divided by `reduced`, rounded up.
        reason: Slug of `facecrop.index.REASONS`, or None.
        note: `trailing-bytes` or `first-frame`, where a usable picture has more to tell; or None.
        width: Of the upright picture, also of one that was rejected once its header was read.
        height: Likewise.
        reduced: By what the sides were divided.
        start: Where the image begins, x and y, in pixels of the whole upright picture: at most 0,
            and less only where a reduced picture was mirrored, whose last pixels reach beyond it.
    """

    image: Image | None = None
    reason: str | None = None
    note: str | None = None
    width: int | None = None
    height: int | None = None
    reduced: int = 1
    start: tuple[int, int] = (0, 0)

    @property
    def place(self) -> Box | None:
        """What the image covers, in pixels of the whole upright picture; None without an image.

        Where its sides are no multiples of `reduced` it reaches beyond the picture, by less than
        one pixel of the image.
        """
        if self.image is None:
            return None
        height, width = self.image.shape[:2]
        return Box(0, 0, self.reduced * width, self.reduced * height).shift(*self.start)


def decode(data: bytes, limits: Limits | None = None, reduce: Reduce | None = None) -> Decoded:
    """Turn the bytes of a file into pixels, or say why that cannot be done.

    Nothing is guessed: a damaged picture is rejected, never shown in part, and its format is told
    by its bytes, not its name.

    Args:
        data: The whole file.
        limits: What may be read.
        reduce: How far it may be reduced on the way, which only a JPEG is; None for not at all.
            A file gets the same reason as without.
    """
    decoded = _decode(data, limits or Limits(), reduce)
    if decoded.image is not None and _is_blank(decoded.image):
        if decoded.reduced > 1:  # what differs may be smaller than its pixels
            return decode(data, limits)
        return Decoded(reason="blank", width=decoded.width, height=decoded.height)
    return decoded


def decode_crop(data: bytes) -> Decoded:
    """Turn the bytes of a crop that facecrop made into pixels.

    As `decode`, but a crop may be as small as it was cut, and of one colour: where a matte left
    nothing, the painted background is all there is.
    """
    return _decode(data, _ANY_SIZE, None)


def _decode(data: bytes, limits: Limits, reduce: Reduce | None) -> Decoded:
    opened: Opened | None = None
    try:
        opened = open_picture(data)
        height, width = _turned(opened.height, opened.width, opened.orientation)
        _check_size(opened, limits)
        reduced = 1
        if reduce is None or opened.scaled is None:
            pixels = opened.pixels()
        else:
            reduced = reduce(height, width)
            pixels = opened.scaled(reduced)
        image = _upright(_to_rgb(pixels, opened.icc), opened.orientation)
    except FaultError as fault:
        if opened is None:
            return Decoded(reason=str(fault))
        return Decoded(reason=str(fault), width=width, height=height)
    if reduced == 1:
        height, width = image.shape[:2]
        return Decoded(image, None, opened.note, width, height)
    flip = _FLIPS.get(opened.orientation)
    x = width - reduced * image.shape[1] if flip in _ALONG_X else 0
    y = height - reduced * image.shape[0] if flip in _ALONG_Y else 0
    return Decoded(image, None, opened.note, width, height, reduced, (x, y))


def _turned(height: int, width: int, orientation: int) -> tuple[int, int]:
    return (width, height) if orientation > 4 else (height, width)  # noqa: PLR2004 - 5 to 8 lie on their side


def _check_size(opened: Opened, limits: Limits) -> None:
    if opened.height * opened.width > limits.max_pixels:
        raise FaultError("too-many-pixels")
    if min(opened.height, opened.width) < limits.min_side:
        raise FaultError("too-small")


def _to_rgb(pixels: NDArray[np.generic], icc: bytes) -> Image:
    values = to_8_bit(pixels)
    if values.ndim == 2:  # noqa: PLR2004 - gray
        return cv2.cvtColor(values, cv2.COLOR_GRAY2RGB).astype(np.uint8, copy=False)
    if values.shape[2] == 3:  # noqa: PLR2004 - RGB
        return to_srgb(values, icc)
    if icc:
        values = np.dstack([to_srgb(np.ascontiguousarray(values[..., :3]), icc), values[..., 3]])
    return on_paper(values)


def _upright(image: Image, orientation: int) -> Image:
    """Apply an EXIF orientation (Exif 2.32, section 4.6.4, tag 0x0112)."""
    if orientation > 4:  # noqa: PLR2004 - 5 to 8 lie on their side
        image = cv2.transpose(image).astype(np.uint8, copy=False)
    flip = _FLIPS.get(orientation)
    return image if flip is None else cv2.flip(image, flip).astype(np.uint8, copy=False)


def _is_blank(image: Image) -> bool:
    """Tell whether all pixels are equal. A few are looked at first: most pictures differ there."""
    first = image[0, 0]
    height, width = image.shape[:2]
    few = image[:: max(height // 8, 1), :: max(width // 8, 1)]
    return bool((few == first).all()) and bool((image == first).all())


def encode(image: Image, format: Format, quality: int) -> bytes:  # noqa: A002 - its name
    """Turn pixels into the bytes of a file; equal pixels give equal bytes.

    Nothing but pixels goes in: no EXIF, no place, no profile.

    Args:
        image: (H, W, 3) uint8 RGB.
        format: JPEG is written with 4:2:0 chroma: at 95 it is half the time and 0.6 of the bytes
            of 4:4:4, for detail that the resize of a training throws away.
        quality: 1 to 100; PNG, which loses nothing, has none.
    """
    pixels = np.ascontiguousarray(image)
    if format == "jpg":
        return bytes(simplejpeg.encode_jpeg(pixels, quality, "RGB", "420"))
    if format == "png":
        return _png(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    out = BytesIO()
    Pil.fromarray(pixels).save(out, "WEBP", quality=quality, method=_WEBP_METHOD)
    return out.getvalue()


def _png(pixels: NDArray[np.integer | np.floating]) -> bytes:
    # OpenCV's defaults are both faster and smaller than its levels 1 to 6 and their strategies.
    done, data = cv2.imencode(".png", pixels)
    if not done:
        raise RuntimeError(f"OpenCV did not encode a PNG of {pixels.shape}")
    return data.tobytes()
