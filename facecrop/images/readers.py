"""Pictures of every allowed format, opened: the header read, the pixels still packed."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil
from PIL import ImageFile

from facecrop.images import jpeg, png
from facecrop.images.colour import ink_to_rgb
from facecrop.images.formats import orientation_in, sniff, webp_header

# Readers are named one by one: `Image.open` would try all that are installed, warns of pictures
# that are large but allowed, and does not say what was wrong.
_READERS = {
    "webp": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "bmp": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "tiff": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "gif": ("PIL.GifImagePlugin", "GifImageFile"),
    "avif": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "heic": ("pillow_heif", "HeifImageFile"),
}
_TURNED_BY_READER = {"tiff", "heic"}
_DNG_VERSION = 0xC612
_WITH_ALPHA = {"RGBA", "LA", "PA", "La", "RGBa"}
_DEEP = ("I", "F")


class FaultError(Exception):
    """Ends a decode early; its argument is the reason. It never leaves `decode`."""


@dataclass(slots=True)
class Opened:
    """A picture whose header was read and found acceptable so far.

    Args:
        height: As stored, pixels.
        width: Likewise.
        pixels: Decodes: (H, W), (H, W, 3) RGB or (H, W, 4) RGBA, as stored; raises `FaultError`.
        orientation: EXIF's, 1 to 8, for those still to be turned.
        icc: Colour profile of RGB pixels; empty if there is none.
        note: `trailing-bytes`, `first-frame` or None.
        scaled: Decodes with both sides divided by 1, 2, 4 or 8, rounded up; None if it cannot.
    """

    height: int
    width: int
    pixels: Callable[[], NDArray[np.generic]]
    orientation: int = 1
    icc: bytes = b""
    note: str | None = None
    scaled: Callable[[int], NDArray[np.generic]] | None = None


def open_picture(data: bytes) -> Opened:
    """Tell the format of a file's bytes and read its header.

    Raises:
        FaultError: There is no picture, or none that may be read; its argument says why.
    """
    if not data:
        raise FaultError("empty")
    name = sniff(data)
    if name is None:
        raise FaultError("not-image")
    if name == "refused":
        raise FaultError("format-not-allowed")
    if name == "jpeg":
        return _open_jpeg(data)
    if name == "png":
        return _open_png(data)
    return _open_other(data, name)


def _open_jpeg(data: bytes) -> Opened:
    header = jpeg.read_header(data)
    if isinstance(header, str):
        raise FaultError(header)

    def pixels(reduced: int = 1) -> NDArray[np.generic]:
        decoded = _or_fault(jpeg.decode_strict(data, header, reduced))
        if decoded.shape[2] == 3:  # noqa: PLR2004 - RGB
            return decoded
        return ink_to_rgb(decoded.astype(np.uint8, copy=False), header.icc)

    note = "trailing-bytes" if jpeg.trailing_bytes(data, header) else None
    opened = Opened(header.height, header.width, pixels, header.orientation, header.icc, note)
    opened.scaled = pixels if jpeg.is_scalable(header) else None
    return opened


def _open_png(data: bytes) -> Opened:
    header = png.read_header(data)
    if isinstance(header, str):
        raise FaultError(header)
    note = (
        "trailing-bytes" if header.end < len(data) else "first-frame" if header.animated else None
    )
    return Opened(
        header.height,
        header.width,
        lambda: _or_fault(png.decode_pixels(header)),
        header.orientation,
        header.icc,
        note,
    )


def _open_other(data: bytes, name: str) -> Opened:
    """Open a format that Pillow reads."""
    note = None
    if name == "webp":
        header = webp_header(data)
        if header is None:
            raise FaultError("truncated" if len(data) < 30 else "corrupt")  # noqa: PLR2004 - one header
        if header.end > len(data):
            raise FaultError("truncated")
        note = "trailing-bytes" if header.end < len(data) else None
        # Its reader takes memory for the canvas when it is made, so it is made later.
        opened = Opened(header.height, header.width, lambda: _pillow_pixels(_reader(data, name)))
        if data[12:16] == b"VP8X":
            opened.orientation, opened.icc, opened.note = _webp_extras(data, note)
        else:
            opened.note = note
        return opened
    picture = _reader(data, name)
    if name == "tiff" and _DNG_VERSION in getattr(picture, "tag_v2", {}):
        raise FaultError("format-not-allowed")
    exif = b"" if name in _TURNED_BY_READER else picture.info.get("exif", b"")
    width, height = picture.size
    opened = Opened(height, width, lambda: _pillow_pixels(picture), orientation_in(exif))
    opened.icc = picture.info.get("icc_profile") or b""
    opened.note = "first-frame" if getattr(picture, "n_frames", 1) > 1 else None
    return opened


def _webp_extras(data: bytes, note: str | None) -> tuple[int, bytes, str | None]:
    """Return orientation, profile and note from the chunks of an extended WebP."""
    orientation, icc = 1, b""
    at = 12
    while at + 8 <= len(data):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind == b"EXIF":
            orientation = orientation_in(data[at + 8 : at + 8 + length])
        elif kind == b"ICCP":
            icc = data[at + 8 : at + 8 + length]
        elif kind == b"ANIM":
            note = note or "first-frame"
        at += 8 + length + length % 2
    return orientation, icc, note


@contextmanager
def _faults() -> Iterator[None]:
    """Turn what Pillow raises at bad bytes into reasons, and keep its warnings to itself."""
    # Other packages may have told Pillow to show damaged pictures in part.
    lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except EOFError:
        raise FaultError("truncated") from None
    except (
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        OverflowError,
    ) as error:
        message = str(error)
        if "truncated" in message or "nexpected end of file" in message:
            raise FaultError("truncated") from None
        if "pixel mode" in message or "not supported" in message or "nsupported" in message:
            raise FaultError("missing-decoder") from None
        raise FaultError("corrupt") from None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient


def _reader(data: bytes, name: str) -> Pil.Image:
    module, attribute = _READERS[name]
    try:
        make = getattr(import_module(module), attribute)
    except ModuleNotFoundError:
        raise FaultError("missing-decoder") from None
    with _faults():
        picture: Pil.Image = make(BytesIO(data))
        return picture


def _pillow_pixels(picture: Pil.Image) -> NDArray[np.generic]:
    with _faults():
        picture.load()
        if picture.mode.startswith(_DEEP):
            return np.asarray(picture)
        if picture.mode == "CMYK":
            return ink_to_rgb(255 - np.asarray(picture), picture.info.get("icc_profile") or b"")
        transparent = picture.mode in _WITH_ALPHA or "transparency" in picture.info
        return np.asarray(picture.convert("RGBA" if transparent else "RGB"))


def _or_fault(pixels: NDArray[np.generic] | NDArray[np.uint8] | str) -> NDArray[np.generic]:
    if isinstance(pixels, str):
        raise FaultError(pixels)
    return pixels
