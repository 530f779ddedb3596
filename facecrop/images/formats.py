"""Which format bytes are in, told by how they begin, and what their headers say of the picture."""

from dataclasses import dataclass

ALLOWED = ("jpeg", "png", "webp", "bmp", "tiff", "gif", "avif", "heic")
"""Formats that facecrop reads; `heic` only where `pillow_heif` is installed."""

_START = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"BM": "bmp",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
}
# Pictures and documents that other libraries would open: their readers start other programs
# (EPS), build pictures out of nothing (SVG), or show a thumbnail for the picture (camera raw).
_REFUSED = (
    b"%!PS", b"\xc5\xd0\xd3\xc6", b"%PDF",              # PostScript, PDF
    b"8BPS", b"gimp xcf", b"v/1\x01", b"DDS ", b"qoif",  # editors and games
    b"SIMPLE  =",                                       # FITS
    b"\xd7\xcd\xc6\x9a", b"\x01\0\0\0",                 # Windows metafiles
    b"\0\0\1\0", b"\0\0\2\0",                           # icons, cursors
    b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51",             # JPEG 2000
    b"\0\0\0\x0cJXL ", b"\xff\x0a",                     # JPEG XL
    b"II+\0", b"MM\0+", b"IIU\0", b"FUJIFILM",          # BigTIFF, camera raw
)  # fmt: skip
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_SVG_WITHIN = 1024
"""An SVG's root element stands within its first bytes, after a declaration and comments."""

_EXIF_ORIENTATION = 0x0112
_UPRIGHT = 1


def sniff(data: bytes) -> str | None:
    """Return the format of a file's bytes, whatever its name says.

    Args:
        data: The whole file, not empty.

    Returns:
        One of `ALLOWED`; `refused` for a picture format that facecrop does not read; None if the
        bytes are no picture.
    """
    for start, name in _START.items():
        if data.startswith(start):
            return "refused" if name == "tiff" and data[8:10] == b"CR" else name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        return _of_brands(data)
    if data.startswith(_REFUSED) or b"<svg" in data[:_SVG_WITHIN].lower():
        return "refused"
    if data[:1] == b"P" and data[1:2] in b"1234567" and data[2:3] in b" \t\r\n":
        return "refused"  # the PNM family
    return None


def _of_brands(data: bytes) -> str | None:
    """Tell AVIF and HEIC apart by the brands of an ISO media file; videos are no pictures."""
    end = min(int.from_bytes(data[:4], "big"), len(data))
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))}
    if brands & {b"avif", b"avis"}:
        return "avif"
    if brands & _HEIF_BRANDS:
        return "heic"
    return "refused" if data[8:12] == b"crx " else None


def orientation_in(exif: bytes) -> int:
    r"""Return the EXIF orientation, 1 to 8; 1 where there is none, or the block is damaged.

    Only the first directory is read, so that neither loops nor lies about lengths matter.

    Args:
        exif: A TIFF block, with or without `Exif\0\0` before it.
    """
    block = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "little", b"MM": "big"}.get(block[:2])
    if order is None:
        return _UPRIGHT
    little = order == "little"
    start = _number(block, 4, 4, little=little)
    for entry in range(start + 2, start + 2 + 12 * _number(block, start, 2, little=little), 12):
        if entry + 12 > len(block):
            break
        if _number(block, entry, 2, little=little) == _EXIF_ORIENTATION:
            value = _number(block, entry + 8, 2, little=little)
            return value if 1 <= value <= 8 else _UPRIGHT  # noqa: PLR2004 - EXIF knows eight
    return _UPRIGHT


def _number(data: bytes, at: int, length: int, *, little: bool) -> int:
    return int.from_bytes(data[at : at + length], "little" if little else "big")


@dataclass(frozen=True, slots=True)
class WebpHeader:
    """What a WebP file says of itself.

    Args:
        width: Of the canvas, pixels.
        height: Likewise.
        end: Bytes that the file should have; fewer is truncated, more is trailing.
    """

    width: int
    height: int
    end: int


def webp_header(data: bytes) -> WebpHeader | None:
    """Read a WebP file's header, without the decoder, which takes its memory first.

    Returns:
        None if the first chunk is none that a picture begins with.

    Source:
        RFC 9649, sections 2.5 to 2.7; RFC 6386, section 9.1.
    """
    kind, body = data[12:16], data[20:30]
    end = 8 + int.from_bytes(data[4:8], "little")
    if kind == b"VP8X" and len(body) >= 10:  # noqa: PLR2004 - its fixed length
        width = 1 + int.from_bytes(body[4:7], "little")
        height = 1 + int.from_bytes(body[7:10], "little")
    elif kind == b"VP8L" and body[:1] == b"\x2f":
        bits = int.from_bytes(body[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width = int.from_bytes(body[6:8], "little") & 0x3FFF
        height = int.from_bytes(body[8:10], "little") & 0x3FFF
    else:
        return None
    return WebpHeader(width, height, end)
