"""Pictures as they come in life: odd ones and broken ones, made in code, with what is expected."""

import struct
import zlib
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

HEIGHT, WIDTH = 96, 72


@cache
def scene(height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """Return a coloured picture with a bright top left corner, so that turns can be told."""
    y, x = np.mgrid[:height, :width]
    colours = [
        60 + 120 * x / width,
        200 - 140 * y / height,
        60 + 60 * np.sin(x / 5) * np.cos(y / 7),
    ]
    pixels = np.stack(colours, axis=-1)
    pixels += np.random.default_rng(7).normal(0, 4, pixels.shape)
    pixels[: height // 3, : width // 3] = (240, 230, 40)
    return pixels.clip(0, 255).astype(np.uint8)


def saved(picture: Image.Image | None = None, kind: str = "JPEG", **options: Any) -> bytes:
    """Return the bytes Pillow writes."""
    out = BytesIO()
    (picture or Image.fromarray(scene())).save(out, kind, **options)
    return out.getvalue()


def jpeg(**options: Any) -> bytes:
    return saved(**{"quality": 92, **options})


def with_orientation(value: int, kind: str = "JPEG") -> bytes:
    """Return a picture that is `scene()` once it is turned as its EXIF says."""
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(value)
    picture = Image.fromarray(scene())
    exif = Image.Exif()
    exif[0x0112] = value
    stored = picture if back is None else picture.transpose(back)
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    return saved(stored, kind, exif=exif, **options)


def chunk(kind: bytes, body: bytes, *, good: bool = True) -> bytes:
    """Return a PNG chunk, with a right or a wrong checksum."""
    sum_ = zlib.crc32(kind + body) ^ (0 if good else 1)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", sum_)


def deep_png(channels: int) -> bytes:
    """Return a 16-bit PNG of the scene, each value 257 times the 8-bit one."""
    deep = scene().astype(np.uint16) * 257
    stored = {1: deep[..., 0], 3: deep[..., ::-1]}.get(channels)
    if stored is None:
        stored = np.dstack([deep[..., ::-1], np.full(deep.shape[:2], 65535, np.uint16)])
    return cv2.imencode(".png", np.ascontiguousarray(stored))[1].tobytes()


def huge_png(side: int = 20_000) -> bytes:
    """Return a small file that says it is a huge picture."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(3000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def huge_jpeg(side: int = 60_000) -> bytes:
    """Return a JPEG whose header was altered to say that it is huge."""
    data = bytearray(jpeg())
    at = data.find(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def _huge_webp() -> bytes:
    data = bytearray(saved(kind="WEBP", lossless=True))
    data[21:25] = b"\xff\xff\xff\x0f"
    return bytes(data)


def zeroed(data: bytes, start: float = 0.5, length: int = 400) -> bytes:
    """Return the bytes with a hole in them, as a lost disk block leaves one."""
    at = int(len(data) * start)
    return data[:at] + bytes(length) + data[at + length :]


def bit_flipped(data: bytes, seed: int = 0, count: int = 20) -> bytes:
    """Return the bytes with single bits turned over in their later half."""
    damaged = bytearray(data)
    rng = np.random.default_rng(seed)
    for at in rng.integers(len(data) // 2, len(data) - 2, count):
        damaged[at] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def large_jpeg() -> bytes:
    """Return a JPEG of several tens of kilobytes, for damage in its middle."""
    noise = np.random.default_rng(1).normal(0, 9, (512, 384, 3))
    pixels = (cv2.resize(scene(), (384, 512)) + noise).clip(0, 255).astype(np.uint8)
    return saved(Image.fromarray(pixels), quality=92)


def display_p3() -> bytes:
    """Return a profile with Display P3's primaries and a gamma of 2.2 (ICC.1:2010, v2 matrix)."""

    def xyz(*values: float) -> bytes:
        return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * value) for value in values))

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    name = b"Display P3 alike\0"
    text = b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78)
    text += bytes(-len(text) % 4)
    tags = {
        b"desc": text,
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.5151, 0.2412, -0.0011),
        b"gXYZ": xyz(0.2920, 0.6922, 0.0419),
        b"bXYZ": xyz(0.1571, 0.0666, 0.7841),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    at = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        table += tag + struct.pack(">II", at + len(body), len(data))
        body += data
    header = struct.pack(">I4sI", at + len(body), b"lcms", 0x02100000) + b"mntrRGB XYZ "
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    return header + table + body


def _srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _animated(kind: str) -> bytes:
    frames = [Image.fromarray(np.roll(scene(), shift, axis=1)) for shift in (0, 20, 40)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)


def _png_with(extra: bytes) -> bytes:
    data = saved(kind="PNG")
    return data[:33] + extra + data[33:]


def _bad_image_data() -> bytes:
    data = bytearray(saved(kind="PNG"))
    at = data.find(b"IDAT")
    data[at + 100] ^= 0x10
    return bytes(data)


def _palette() -> Image.Image:
    return Image.fromarray(scene()).quantize(32)


def _transparent() -> Image.Image:
    """Return RGBA whose left half cannot be seen and hides red."""
    pixels = np.dstack([scene(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    pixels[:, : WIDTH // 2] = (255, 0, 0, 0)
    return Image.fromarray(pixels)


def _hidden() -> Image.Image:
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    pixels[..., 0] = np.arange(WIDTH)
    return Image.fromarray(pixels)


def _floats(low: float, high: float) -> bytes:
    ramp = np.linspace(low, high, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    return saved(Image.fromarray(ramp), "TIFF")


def _colour_floats() -> bytes:
    return cv2.imencode(".tiff", scene().astype(np.float32) / 255)[1].tobytes()


def _raw_tiff() -> bytes:
    """Return a TIFF that says it is a camera's raw file (DNG)."""
    return saved(kind="TIFF", tiffinfo={50706: b"\x01\x04\x00\x00"})


def _exif_jpeg(exif: bytes) -> bytes:
    data = jpeg()
    body = b"Exif\0\0" + exif
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


def _twelve_bit() -> bytes:
    data = bytearray(jpeg())
    at = data.find(b"\xff\xc0")
    data[at + 1], data[at + 4] = 0xC1, 12
    return bytes(data)


def _endless_scans() -> bytes:
    data = jpeg(progressive=True)
    at = data.find(b"\xff\xda")
    scan = data[at : data.find(b"\xff", at + 2)]
    return data[:at] + scan * 600 + data[at:]


_LOOP = b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"
"""A directory whose only entry points back to itself."""

_HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
_VIDEO = b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(64)

Made = tuple[bytes, str | None]

_MAKERS: dict[str, Callable[[], Made]] = {
    "B01-empty": lambda: (b"", "empty"),
    "B02-html": lambda: (b"<!DOCTYPE html><html><body>404</body></html>", "not-image"),
    "B02-json": lambda: (b'{"error": "not found"}', "not-image"),
    "B03-png-bytes": lambda: (saved(kind="PNG"), None),
    "B04-jpeg-half": lambda: (jpeg()[: len(jpeg()) // 2], "truncated"),
    "B05-jpeg-no-end": lambda: (jpeg()[:-2], "truncated"),
    "B06-jpeg-100-bytes": lambda: (jpeg()[:100], "truncated"),
    "B07-zeroed-block": lambda: (zeroed(large_jpeg()), "corrupt"),
    "B07-zeroed-header": lambda: (zeroed(jpeg(), 0.01, 300), "corrupt"),
    "B08-bit-flips": lambda: (bit_flipped(large_jpeg()), "corrupt"),
    "B09-trailing-text": lambda: (jpeg() + b"garbage" * 20, None),
    "B09-png-trailing": lambda: (saved(kind="PNG") + b"garbage", None),
    "B10-png-half": lambda: (saved(kind="PNG")[: len(saved(kind="PNG")) // 2], "truncated"),
    "B10-webp-half": lambda: (saved(kind="WEBP")[:300], "truncated"),
    "B10-gif-half": lambda: (saved(kind="GIF")[: len(saved(kind="GIF")) // 2], "truncated"),
    "B10-bmp-half": lambda: (saved(kind="BMP")[:9000], "truncated"),
    "B10-tiff-half": lambda: (saved(kind="TIFF")[:9000], "truncated"),
    "B11-png-data-checksum": lambda: (_bad_image_data(), "corrupt"),
    "B12-png-comment-checksum": lambda: (_png_with(chunk(b"tEXt", b"a\0b", good=False)), None),
    "B12-png-text-bomb": lambda: (
        _png_with(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 25)))),
        None,
    ),
    "B13-png-20000": lambda: (huge_png(), "too-many-pixels"),
    "B13-webp-16384": lambda: (_huge_webp(), "too-many-pixels"),
    "B14-jpeg-60000": lambda: (huge_jpeg(), "too-many-pixels"),
    "B15-zip": lambda: (b"PK\x03\x04" + bytes(100), "not-image"),
    "B15-gzip": lambda: (b"\x1f\x8b\x08" + bytes(100), "not-image"),
    "B16-pdf": lambda: (b"%PDF-1.7\n%", "format-not-allowed"),
    "B16-eps": lambda: (b"%!PS-Adobe-3.0 EPSF-3.0\n", "format-not-allowed"),
    "B16-svg": lambda: (b'<?xml version="1.0"?>\n<svg width="9"/>', "format-not-allowed"),
    "B16-psd": lambda: (b"8BPS\0\1" + bytes(40), "format-not-allowed"),
    "B16-fits": lambda: (b"SIMPLE  =                    T", "format-not-allowed"),
    "B17-one-pixel": lambda: (saved(Image.new("RGB", (1, 1))), "too-small"),
    "B17-line": lambda: (saved(Image.new("RGB", (65500, 1))), "too-small"),
    "B18-two-jpegs": lambda: (jpeg() + jpeg(), None),
    "B19-motion-photo": lambda: (jpeg() + _VIDEO, None),
    "B20-endless-scans": lambda: (_endless_scans(), "corrupt"),
    "B22-video": lambda: (_VIDEO, "not-image"),
    "M01-gray": lambda: (saved(Image.fromarray(scene()).convert("L"), quality=92), None),
    "M02-one-bit": lambda: (saved(Image.fromarray(scene()).convert("1"), "PNG"), None),
    "M03-palette": lambda: (saved(_palette(), "PNG"), None),
    "M04-palette-transparent": lambda: (saved(_palette(), "PNG", transparency=3), None),
    "M05-gray-alpha": lambda: (saved(_transparent().convert("LA"), "PNG"), None),
    "M06-rgba": lambda: (saved(_transparent(), "PNG"), None),
    "M06-hidden": lambda: (saved(_hidden(), "PNG"), "blank"),
    "M07-gray-16": lambda: (deep_png(1), None),
    "M08-rgb-16": lambda: (deep_png(3), None),
    "M08-rgba-16": lambda: (deep_png(4), None),
    "M09-float": lambda: (_floats(0, 1), None),
    "M09-float-wide": lambda: (_floats(-20, 3000), None),
    "M09-float-colour": lambda: (_colour_floats(), "missing-decoder"),
    "M10-cmyk": lambda: (saved(Image.fromarray(scene()).convert("CMYK"), quality=95), None),
    "M12-display-p3": lambda: (jpeg(icc_profile=display_p3()), None),
    "M12-srgb": lambda: (jpeg(icc_profile=_srgb()), None),
    "M12-broken-profile": lambda: (jpeg(icc_profile=b"no profile" * 30), None),
    "M14-gif": lambda: (_animated("GIF"), None),
    "M14-webp": lambda: (_animated("WEBP"), None),
    "M14-apng": lambda: (_animated("PNG"), None),
    "M14-avif": lambda: (_animated("AVIF"), None),
    "M15-pages": lambda: (_animated("TIFF"), None),
    "M16-12-bit": lambda: (_twelve_bit(), "missing-decoder"),
    "M17-progressive": lambda: (jpeg(progressive=True), None),
    "M18-heic": lambda: (_HEIC, "corrupt" if find_spec("pillow_heif") else "missing-decoder"),
    "M18-jpeg-2000": lambda: (saved(kind="JPEG2000"), "format-not-allowed"),
    "M19-raw": lambda: (_raw_tiff(), "format-not-allowed"),
    **{
        f"E0{value}-{kind.lower()}": lambda value=value, kind=kind: (  # type: ignore[misc]  # bound
            with_orientation(value, kind),
            None,
        )
        for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
        for value in range(1, 9)
    },
    "E09-orientation-0": lambda: (with_orientation(0), None),
    "E09-orientation-9": lambda: (with_orientation(9), None),
    "E09-orientation-99": lambda: (with_orientation(99), None),
    "E12-exif-cut": lambda: (_exif_jpeg(b"II*\0\x08\0\0\0\xff\xff\x12\x01"), None),
    "E12-exif-loop": lambda: (_exif_jpeg(_LOOP), None),
    "C04-black": lambda: (saved(Image.new("RGB", (WIDTH, HEIGHT))), "blank"),
    "C04-white": lambda: (saved(Image.new("RGB", (WIDTH, HEIGHT), "white"), "PNG"), "blank"),
    "C04-red": lambda: (saved(Image.new("RGB", (WIDTH, HEIGHT), "red")), "blank"),
}

IDS = tuple(_MAKERS)


_Test = TypeVar("_Test")


def row(_name: str) -> Callable[[_Test], _Test]:
    """Bind a test to a row of the tables in `docs/decode.md`."""
    return lambda test: test


@cache
def bad_image(name: str) -> Made:
    """Return the bytes of one of `IDS`, and the reason expected for them, None for a picture."""
    return _MAKERS[name]()


def bad_images() -> dict[str, Made]:
    """Return all of them."""
    return {name: bad_image(name) for name in IDS}
