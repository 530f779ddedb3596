"""What the first bytes of raw files tell, and how their pictures are stored: one pass over RAW."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facecrop.checks.measured import Measured
from facecrop.images import jpeg, png
from facecrop.images.formats import sniff
from facecrop.images.readers import FaultError, open_picture
from facecrop.labels.paths import unescape
from facecrop.storage import seen

if TYPE_CHECKING:
    from facecrop.checks.material import Material

ALWAYS = {
    "trailing-bytes": "bytes follow the end of the picture",
    "first-frame": "several frames or pages, of which the first is used",
}
"""Notes of the decoder that are told however many files have them."""

_MAGIC: tuple[tuple[str, int, bytes], ...] = (
    ("JPEG", 0, b"\xff\xd8\xff"),
    ("PNG", 0, b"\x89PNG\r\n\x1a\n"),
    ("GIF", 0, b"GIF8"),
    ("BMP", 0, b"BM"),
    ("TIFF", 0, b"II*\0"),
    ("TIFF", 0, b"MM\0*"),
    ("WebP", 8, b"WEBP"),
    ("AVIF", 4, b"ftypavif"),
    ("HEIF", 4, b"ftypheic"),
)
"""Format, where its mark stands, and the mark."""
_NAMES = {"jpeg": "JPEG", "png": "PNG", "webp": "WebP", "bmp": "BMP", "tiff": "TIFF",
          "gif": "GIF", "avif": "AVIF", "heic": "HEIF"}  # fmt: skip
_CHANNELS = {1: "gray", 4: "CMYK"}
_USUAL_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Header:
    """What is told of a file.

    Args:
        kind: The format that its first bytes tell; None if they tell none that we know.
        traits: What can be odd about it, in words; none of what is no picture.
    """

    kind: str | None = None
    traits: tuple[str, ...] = ()


def read_headers(material: "Material") -> list[Header]:
    """Return what is told of each record's raw file, reading those that were not read before.

    Args:
        material: With its raw folder; without one, nothing is told of any.
    """
    raw = material.raw
    if raw is None:
        return [Header()] * len(material.index)
    columns = ["path", "digest", "size", "mtime_ns"]
    rows = material.index.select(columns).to_pylist()
    files = seen(raw, [unescape(row["path"]) for row in rows])
    kept = Measured(material.out, "headers")

    def missing(numbers: Sequence[int]) -> Iterator[tuple[int, str | None]]:
        for place, text in material.each.map(_read, [files[number] for number in numbers]):
            yield numbers[place], text

    def report(done: int, total: int) -> None:
        if material.report is not None:
            material.report("reading headers", done, total)

    report(0, len(rows))
    keys = [
        kept.key(row["digest"], file.suffix.lower()) if unchanged(file, row) else None
        for file, row in zip(files, rows, strict=True)
    ]
    found = []
    for text in kept.of(keys, [row["digest"] for row in rows], missing, report):
        kind, traits = json.loads(text) if text is not None else (None, ())
        found.append(Header(kind, tuple(traits)))
    return found


def unchanged(file: Path, row: Mapping[str, Any]) -> bool:
    """Tell whether a raw file is still the one that a row of the index speaks of.

    Args:
        file: It.
        row: With `digest`, `size` and `mtime_ns`.
    """
    if row["digest"] is None:
        return False
    try:
        now = file.stat()
    except OSError:
        return False
    return (now.st_size, now.st_mtime_ns) == (row["size"], row["mtime_ns"])


def _read(file: Path) -> str | None:
    """Return kind and traits of a file as JSON, None if it cannot be read."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    kind = next(
        (name for name, start, mark in _MAGIC if data[start : start + len(mark)] == mark), None
    )
    return json.dumps([kind, _traits(data, file.suffix.lower())])


def _traits(data: bytes, suffix: str) -> tuple[str, ...]:
    try:
        opened = open_picture(data)
    except (OSError, FaultError):
        return ()
    name = sniff(data) or ""
    traits = [f"{_NAMES.get(name, name)} named {suffix}"]
    if name == "jpeg":
        header = jpeg.read_header(data)
        if not isinstance(header, str) and header.components in _CHANNELS:
            traits.append(f"{_CHANNELS[header.components]} JPEG")
    elif name == "png":
        chunks = png.read_header(data)
        if not isinstance(chunks, str) and chunks.depth != _USUAL_DEPTH:
            traits.append(f"{chunks.depth} bits a channel")
    if opened.orientation != 1:
        traits.append(f"stored turned, EXIF orientation {opened.orientation}")
    if opened.note in ALWAYS:
        traits.append(ALWAYS[opened.note])
    return tuple(traits)
