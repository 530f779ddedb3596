"""JPEG, strictly: what the markers say, and pixels only if nothing in the file is damaged.

libjpeg reports damage as *warnings* and fills the rest with grey; most libraries never look at
them. Here each warning makes the file a reject. A hole of zero bytes may still go by without a
warning: zero bits are Huffman codes like any others, and if they stand for as many blocks as were
lost, the decoder notices nothing. So holes are looked for in the bytes.
"""

from dataclasses import dataclass, field

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from facecrop.images.formats import orientation_in

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_APP1, _APP2, _DHT, _SOS, _SOF2 = 0xE1, 0xE2, 0xC4, 0xDA, 0xC2
_SEQUENTIAL = {0xC0, 0xC1}
_SCALABLE = {0xC0, 0xC1, _SOF2}
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_BARE = {0x01, *range(0xD0, 0xD9)}
_ICC = b"ICC_PROFILE\0"
_END_OF_BLOCK = 0

_HOLE = bytes(64)
"""A run of 512 zero bits: many blocks long in every table that `_zero_bits_are_coefficients`."""

_MOST_SCANS = 500
"""libjpeg-turbo's own limit in its fuzzing programs; cameras and editors write at most a dozen."""


@dataclass(slots=True)
class JpegHeader:
    """What stands before the first scan of a JPEG.

    Args:
        height: As stored, before orientation, pixels.
        width: Likewise.
        components: 1 gray, 3 colour, 4 CMYK or YCCK.
        frame: The SOF marker's code.
        orientation: EXIF's, 1 to 8.
        icc: The colour profile; empty if there is none.
        scan: Where the first scan's header begins, in bytes.
        first_symbols: What a code of zero bits stands for in each AC Huffman table.
    """

    height: int = 0
    width: int = 0
    components: int = 0
    frame: int = 0
    orientation: int = 1
    icc: bytes = b""
    scan: int = 0
    first_symbols: dict[int, int] = field(default_factory=dict)


def read_header(data: bytes) -> JpegHeader | str:
    """Walk along the markers up to the first scan.

    Returns:
        The header, or the reason why there is none: `truncated` or `corrupt`.

    Source:
        ITU-T T.81, annex B.
    """
    header = JpegHeader()
    at = len(_SOI)
    while at + 4 <= len(data):
        if data[at] != 0xFF:  # noqa: PLR2004 - every marker begins so
            return "corrupt"
        code = data[at + 1]
        if code == 0xFF or code in _BARE:  # noqa: PLR2004 - fill bytes are allowed between markers
            at += 1 if code == 0xFF else 2  # noqa: PLR2004 - likewise
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data):
            return "truncated"
        if code == _SOS:
            header.scan = at
            return header if header.components else "corrupt"
        _read_segment(header, code, data[at + 4 : end])
        at = end
    return "truncated"


def _read_segment(header: JpegHeader, code: int, body: bytes) -> None:
    if code == _APP1 and body.startswith(b"Exif\0\0"):
        header.orientation = orientation_in(body)
    elif code == _APP2 and body.startswith(_ICC):
        header.icc += body[len(_ICC) + 2 :]
    elif code == _DHT:
        header.first_symbols |= _first_symbols(body)
    elif code in _FRAMES and len(body) >= 6:  # noqa: PLR2004 - the frame header's fixed part
        header.height, header.width = (int.from_bytes(body[k : k + 2], "big") for k in (1, 3))
        header.components, header.frame = body[5], code


def _first_symbols(body: bytes) -> dict[int, int]:
    """Return, for each AC table, the symbol whose code is all zero bits: it is always the first."""
    symbols = {}
    while len(body) > 17:  # noqa: PLR2004 - a table is 17 bytes and its symbols
        table, count = body[0], sum(body[1:17])
        if table >> 4 == 1:
            symbols[table & 0x0F] = body[17]
        body = body[17 + count :]
    return symbols


def trailing_bytes(data: bytes, header: JpegHeader) -> bool:
    """Tell whether something follows the end of the picture (a second picture, a film, padding)."""
    if data.endswith(_EOI):
        # Looking for the pair is a quarter of the work, and misses only a padded second picture.
        return data.find(_EOI + _SOI, header.scan) >= 0
    return data.find(_EOI, header.scan) >= 0


def is_scalable(header: JpegHeader) -> bool:
    """Tell whether such a JPEG can be decoded at a fraction of its size."""
    return header.frame in _SCALABLE


def decode_strict(data: bytes, header: JpegHeader, reduced: int = 1) -> NDArray[np.uint8] | str:
    """Decode a JPEG, as stored.

    Args:
        data: The whole file.
        header: Of the file.
        reduced: 1, 2, 4 or 8: the sides of the result are divided by it, rounded up. Each pixel is
            then made of the slow waves of as many pixels of its block; what is read of the file,
            and complained about, is the same.

    Returns:
        (H, W, 3) uint8 RGB, or (H, W, 4) uint8 inverted CMYK (255 is no ink, as Adobe writes it,
        and everybody after it); or the reason why there are no pixels: `truncated`, `corrupt`, or
        `missing-decoder` for kinds that libjpeg-turbo does not know.
    """
    if _has_hole(data, header):
        return "corrupt"
    if header.frame == _SOF2 and data.count(b"\xff\xda", header.scan) > _MOST_SCANS:
        return "corrupt"
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data,
            "CMYK" if header.components == 4 else "RGB",  # noqa: PLR2004 - CMYK has four
            min_height=-(-header.height // reduced) if reduced > 1 else 0,
            min_width=-(-header.width // reduced) if reduced > 1 else 0,
        )
    except ValueError as error:
        return _reason(str(error))
    return pixels


def _reason(message: str) -> str:
    if "Premature end of JPEG file" in message:
        return "truncated"
    return "missing-decoder" if message.startswith("Unsupported") else "corrupt"


def _has_hole(data: bytes, header: JpegHeader) -> bool:
    """Tell whether zero bytes stand where coefficients should.

    Flat areas may be long runs of zero bits, but only if such bits mean "end of block" in the AC
    table, or come from a progressive file's refinements. In any other table they mean the same
    coefficient again and again, which no encoder ever wrote for 512 bits.
    """
    if header.frame not in _SEQUENTIAL:
        return False
    hole = data.find(_HOLE, header.scan)
    if hole < 0 or not _zero_bits_are_coefficients(data, header):
        return False
    end = data.find(_EOI, header.scan)
    return end < 0 or hole < end


def _zero_bits_are_coefficients(data: bytes, header: JpegHeader) -> bool:
    first_component = data[header.scan + 5 : header.scan + 7]
    table = first_component[1] & 0x0F if len(first_component) == 2 else 0  # noqa: PLR2004 - id, table
    return header.first_symbols.get(table, _END_OF_BLOCK) != _END_OF_BLOCK
