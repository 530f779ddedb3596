"""PNG: its chunks checked one by one, its pixels by OpenCV, which scales 16 bits and keeps alpha.

Pillow turns 16-bit gray into white, reads over a wrong checksum of the picture data and a missing
end, and gives up at a wrong checksum of a comment: each the other way round from what is wanted.
"""

from dataclasses import dataclass, field
from zlib import crc32, decompressobj, error

import cv2
import numpy as np
from numpy.typing import NDArray

from facecrop.images.formats import orientation_in

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_OF_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_MOST_PROFILE = 1 << 24
"""Bytes of a colour profile that are unpacked at most; larger ones are somebody's joke."""


@dataclass(slots=True)
class PngHeader:
    """What the chunks of a PNG say.

    Args:
        height: As stored, before orientation, pixels.
        width: Likewise.
        depth: Bits a channel.
        gray: Whether it has one colour channel.
        transparent: The value that is transparent in a gray picture, or None.
        orientation: EXIF's, 1 to 8.
        icc: The colour profile; empty if there is none.
        animated: Whether more frames follow.
        end: Where the picture ends, in bytes.
        chunks: The chunks that make up the pixels.
    """

    height: int = 0
    width: int = 0
    depth: int = 8
    gray: bool = False
    transparent: int | None = None
    orientation: int = 1
    icc: bytes = b""
    animated: bool = False
    end: int = 0
    chunks: list[memoryview] = field(default_factory=list)


def read_header(data: bytes) -> PngHeader | str:
    """Walk along all chunks and check them.

    Returns:
        The header, or the reason why there is none: `truncated` or `corrupt`. Wrong checksums of
        chunks that do not concern the pixels are passed over, and the chunk with them.

    Source:
        W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", sections 5 and 11.
    """
    header = PngHeader()
    view = memoryview(data)
    at = len(_SIGNATURE)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        end = at + 12 + length
        if not kind.isalpha():
            return "corrupt"
        if end > len(data):
            return "truncated"
        if crc32(view[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big"):
            _read_chunk(header, kind, data[at + 8 : end - 4] if kind != b"IDAT" else b"")
            if kind in _OF_PIXELS:
                header.chunks.append(view[at:end])
        elif kind[:1].isupper():
            return "corrupt"
        if kind == b"IEND":
            header.end = end
            return header if header.width and header.height else "corrupt"
        at = end
    return "truncated"


def _read_chunk(header: PngHeader, kind: bytes, body: bytes) -> None:
    if kind == b"IHDR" and len(body) == 13:  # noqa: PLR2004 - its fixed length
        header.width, header.height = (int.from_bytes(body[k : k + 4], "big") for k in (0, 4))
        header.depth, header.gray = body[8], body[9] == 0
    elif kind == b"eXIf":
        header.orientation = orientation_in(body)
    elif kind == b"tRNS" and header.gray:
        header.transparent = int.from_bytes(body[:2], "big")
    elif kind == b"iCCP":
        header.icc = _unpacked(body.partition(b"\0")[2][1:])
    elif kind == b"acTL":
        header.animated = int.from_bytes(body[:4], "big") > 1


def _unpacked(packed: bytes) -> bytes:
    try:
        return decompressobj().decompress(packed, _MOST_PROFILE)
    except error:
        return b""


def decode_pixels(header: PngHeader) -> NDArray[np.generic] | str:
    """Decode a PNG whose chunks were found whole, as stored.

    Returns:
        (H, W), (H, W, 3) RGB or (H, W, 4) RGBA, uint8 or uint16; or `corrupt`.
    """
    # libpng sees no chunk but these: it unpacks texts, and prints its opinions about profiles.
    packed = np.frombuffer(b"".join([_SIGNATURE, *header.chunks]), np.uint8)
    pixels = cv2.imdecode(packed, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        return "corrupt"
    if pixels.ndim == 2:  # noqa: PLR2004 - gray
        return pixels if header.transparent is None else _with_alpha(pixels, header)
    code = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA  # noqa: PLR2004 - RGB
    return cv2.cvtColor(pixels, code)


def _with_alpha(gray: NDArray[np.generic], header: PngHeader) -> NDArray[np.generic]:
    """Return RGBA for gray with one transparent value, which OpenCV drops."""
    full = 255 if gray.dtype == np.uint8 else 65535
    step = full // ((1 << min(header.depth, 16)) - 1)  # OpenCV widens 1, 2 and 4 bits to 8
    alpha = np.where(gray == (header.transparent or 0) * step, 0, full).astype(gray.dtype)
    return np.dstack([gray, gray, gray, alpha])
