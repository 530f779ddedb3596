"""Files of every kind that raw folders hold, sound and broken."""

from io import BytesIO

import cv2
import numpy as np
import simplejpeg
from PIL import Image as PillowImage

from facecrop.demo.strokes import U8
from facecrop.images.frames import Box

QUALITY = 91
_ORIENTATION_TAG, _TURN_CLOCKWISE = 0x0112, 6
_COPY_QUALITY = 78
_COPY_BORDER = 0.015
_ZEROS = 1024

# An AppleDouble header, as macOS leaves on foreign disks: magic, version, filler, one entry.
APPLE_DOUBLE = bytes.fromhex("0005160700020000") + b"Mac OS X        " + bytes(4072)


def jpeg(image: U8, quality: int = QUALITY) -> bytes:
    """Encode as an ordinary JPEG."""
    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(image), quality=quality, colorspace="RGB", colorsubsampling="420"
    )
    return encoded


def png(image: U8) -> bytes:
    """Encode RGB or gray as an ordinary PNG."""
    gray = image.ndim == 2  # noqa: PLR2004 - rows and columns, no channels
    pixels = image if gray else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def png_16_bit(image: U8) -> bytes:
    """Encode as a PNG with 16 bits a channel."""
    deep = cv2.cvtColor(image, cv2.COLOR_RGB2BGR).astype(np.uint16) * 257
    return cv2.imencode(".png", deep, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def turned(image: U8) -> bytes:
    """Encode as a JPEG that lies on its side, with the EXIF entry that sets it upright."""
    exif = PillowImage.Exif()
    exif[_ORIENTATION_TAG] = _TURN_CLOCKWISE
    return _pillow(PillowImage.fromarray(np.rot90(image)), exif=exif.tobytes())


def cmyk(image: U8) -> bytes:
    """Encode as a JPEG of four inks."""
    return _pillow(PillowImage.fromarray(image).convert("CMYK"))


def truncated(image: U8) -> bytes:
    """Encode as a JPEG that ends too early."""
    whole = jpeg(image)
    return whole[: len(whole) * 6 // 10]


def zeroed(image: U8) -> bytes:
    """Encode as a JPEG with a block of zero bytes in it: its length is right.

    The block lies where a strict decoder notices: now and then zeros happen to decode to just as
    many coefficients as they replaced, and nothing could tell such a file from a sound one.
    """
    whole = jpeg(image)
    for start in range(len(whole) // 2, len(whole) - _ZEROS - 2, _ZEROS // 4):
        damaged = whole[:start] + bytes(_ZEROS) + whole[start + _ZEROS :]
        try:
            simplejpeg.decode_jpeg(damaged, strict=True)
        except ValueError:
            return damaged
    raise AssertionError("no block of zeros damages this picture")


def near_copy(image: U8, alpha: U8, face: Box) -> tuple[bytes, U8, Box]:
    """Return a picture cropped a little and saved again, its alpha and its face box."""
    height, width = alpha.shape
    dx, dy = round(_COPY_BORDER * width), round(_COPY_BORDER * height)
    cut = slice(dy, height - dy), slice(dx, width - dx)
    size = (width, height)
    copy = np.asarray(cv2.resize(image[cut], size, interpolation=cv2.INTER_LINEAR), np.uint8)
    copy_alpha = np.asarray(cv2.resize(alpha[cut], size, interpolation=cv2.INTER_LINEAR), np.uint8)
    sx, sy = width / (width - 2 * dx), height / (height - 2 * dy)
    return jpeg(copy, _COPY_QUALITY), copy_alpha, face.shift(-dx, -dy).scale(sx, sy)


def _pillow(picture: PillowImage.Image, exif: bytes = b"") -> bytes:
    file = BytesIO()
    picture.save(file, "JPEG", quality=QUALITY, exif=exif)
    return file.getvalue()
