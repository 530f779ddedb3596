"""From what decoders return to (H, W, 3) 8-bit sRGB: depth, ink, profiles, transparency."""

from functools import lru_cache
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil
from PIL import ImageCms

from facecrop.images.frames import Image

_FULL_16_BIT = 65535
_PAPER = 255
"""What shows through transparent pixels: white, as in browsers and on paper."""


def to_8_bit(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale values of any depth to 8 bits; nothing is cut off.

    Args:
        values: (H, W) or (H, W, C). Whole numbers up to 65535 are taken as 16 bit. Floats within
            [0, 1] are taken as fractions of white. Anything else is stretched from its least to
            its greatest finite value; what is not finite is black.
    """
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:  # noqa: PLR2004 - either byte order
        deep = values.astype(np.uint16, copy=False)
        return cv2.convertScaleAbs(deep, alpha=_PAPER / _FULL_16_BIT).astype(np.uint8, copy=False)
    whole = np.issubdtype(values.dtype, np.integer)
    numbers = values.astype(np.float64)
    finite = np.isfinite(numbers)
    if not finite.any():
        return np.zeros(values.shape, np.uint8)
    low, high = float(numbers[finite].min()), float(numbers[finite].max())
    full = _FULL_16_BIT if whole else 1
    if low >= 0 and high <= full:
        low, high = 0, full
    scaled = (np.where(finite, numbers, low) - low) * (
        _PAPER / max(high - low, np.finfo(float).tiny)
    )
    return np.rint(scaled).astype(np.uint8)


def on_paper(pixels: NDArray[np.uint8]) -> Image:
    """Lay RGBA pixels on white.

    Args:
        pixels: (H, W, 4) uint8, colour not multiplied by alpha.
    """
    colour, alpha = pixels[..., :3], pixels[..., 3:].astype(np.uint16)
    if int(alpha.min()) == _PAPER:
        return np.ascontiguousarray(colour)
    mixed = colour * alpha + _PAPER * (_PAPER - alpha)  # at most 255 * 255: fits 16 bits
    return ((mixed + _PAPER // 2) // _PAPER).astype(np.uint8)


def ink_to_rgb(pixels: NDArray[np.uint8], icc: bytes) -> Image:
    """Convert CMYK to sRGB: through its profile, or as (1 - ink) * (1 - black) without one.

    Args:
        pixels: (H, W, 4) uint8, inverted: 255 is no ink.
        icc: The profile, or no bytes.
    """
    if (transform := _to_srgb(icc, "CMYK")) is not None:
        ink = Pil.frombytes("CMYK", pixels.shape[1::-1], (_PAPER - pixels).tobytes())
        converted = ImageCms.applyTransform(ink, transform)
        if converted is not None:
            return np.asarray(converted)
    light = pixels.astype(np.uint16)
    product = light[..., :3] * light[..., 3:]
    return ((product + _PAPER // 2) // _PAPER).astype(np.uint8)


def to_srgb(image: Image, icc: bytes) -> Image:
    """Convert through a colour profile, if there is one that says something else than sRGB.

    This costs some 15 ns a pixel, so pictures that are sRGB already, by far the most, are left
    alone. Profiles that cannot be read, or are for gray, are ignored.
    """
    transform = _to_srgb(icc, "RGB")
    if transform is None:
        return image
    converted = ImageCms.applyTransform(Pil.fromarray(image), transform)
    return image if converted is None else np.asarray(converted)


@lru_cache(maxsize=8)
def _to_srgb(icc: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the way from a profile to sRGB, or None if there is nothing to be done."""
    if icc[16:20] != {"RGB": b"RGB ", "CMYK": b"CMYK"}[mode]:
        return None
    try:
        profile = ImageCms.getOpenProfile(BytesIO(icc))
        if "srgb" in ImageCms.getProfileDescription(profile).lower():
            return None
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(profile, srgb, mode, "RGB")
    except (ImageCms.PyCMSError, OSError):
        return None
