"""Files of another kind than nearly all: format, channels, depth, a turn by EXIF, a longer tail."""

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from facecrop.checks.check import Check, Issue
from facecrop.checks.material import Material
from facecrop.checks.rows import row_issues
from facecrop.images import jpeg, png
from facecrop.images.formats import sniff
from facecrop.images.readers import FaultError, open_picture
from facecrop.labels.paths import unescape

_RARE = 0.05
"""Share of the files below which a trait is odd."""
_ALWAYS = {
    "trailing-bytes": "bytes follow the end of the picture",
    "first-frame": "several frames or pages, of which the first is used",
}
"""Notes of the decoder that are told however many files have them."""
_NAMES = {"jpeg": "JPEG", "png": "PNG", "webp": "WebP", "bmp": "BMP", "tiff": "TIFF",
          "gif": "GIF", "avif": "AVIF", "heic": "HEIF"}  # fmt: skip
_CHANNELS = {1: "gray", 4: "CMYK"}
_USUAL_DEPTH = 8
_AT_ONCE = 256


def _find(material: Material) -> Iterator[Issue]:
    raw = material.raw
    if raw is None:
        return
    paths = material.index["path"].to_pylist()
    traits: list[tuple[str, ...]] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        for start in range(0, len(paths), _AT_ONCE):
            if material.report is not None:
                material.report("reading headers", start, len(paths))
            part = paths[start : start + _AT_ONCE]
            traits += threads.map(lambda path: _traits(raw / unescape(path)), part)
    # A file that is no picture is told by another check, and no measure of what is usual.
    known = sum(bool(own) for own in traits)
    counts = Counter(trait for own in traits for trait in own)
    always = set(_ALWAYS.values())
    odd = [
        [trait for trait in own if trait in always or counts[trait] < _RARE * known]
        for own in traits
    ]
    rows = material.rows
    yield from row_issues(
        material,
        CHECK.name,
        CHECK.severity,
        np.array([bool(own) for own in odd], bool),
        score=np.array([0.7 if always & set(own) else 0.3 for own in odd]),
        reason=lambda row: ", ".join(odd[rows[str(row["path"])]]),
    )


def _traits(file: Path) -> tuple[str, ...]:
    """Return what can be odd about a file's kind, in words; nothing of what is no picture."""
    try:
        data = file.read_bytes()
        opened = open_picture(data)
    except (OSError, FaultError):
        return ()
    name = sniff(data) or ""
    traits = [f"{_NAMES.get(name, name)} named {file.suffix.lower()}"]
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
    if opened.note in _ALWAYS:
        traits.append(_ALWAYS[opened.note])
    return tuple(traits)


CHECK = Check(
    name="odd-format",
    title="files of another format than nearly all, or with more in them than a picture",
    severity="warning",
    cure="nothing here minds; make sure that no class comes from another source than the rest",
    needs=("raw",),
    find=_find,
)
