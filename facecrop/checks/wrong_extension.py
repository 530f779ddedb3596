"""Files whose name promises another format than their bytes hold."""

from collections.abc import Iterator
from pathlib import Path

from facecrop.checks.check import Check, Issue, issue_key
from facecrop.checks.material import Material
from facecrop.labels.paths import unescape

_MAGIC: tuple[tuple[str, int, bytes, frozenset[str]], ...] = (
    ("JPEG", 0, b"\xff\xd8\xff", frozenset({"jpg", "jpeg", "jfif"})),
    ("PNG", 0, b"\x89PNG\r\n\x1a\n", frozenset({"png"})),
    ("GIF", 0, b"GIF8", frozenset({"gif"})),
    ("BMP", 0, b"BM", frozenset({"bmp"})),
    ("TIFF", 0, b"II*\0", frozenset({"tif", "tiff"})),
    ("TIFF", 0, b"MM\0*", frozenset({"tif", "tiff"})),
    ("WebP", 8, b"WEBP", frozenset({"webp"})),
    ("AVIF", 4, b"ftypavif", frozenset({"avif"})),
    ("HEIF", 4, b"ftypheic", frozenset({"heic", "heif"})),
)
"""Format, where its mark stands, the mark, and the extensions that promise it."""
_HEAD = 16


def _find(material: Material) -> Iterator[Issue]:
    raw = material.raw
    if raw is None:
        return
    index = material.index
    columns = (index[name].to_pylist() for name in ("path", "profile", "digest"))
    for path, profile, digest in zip(*columns, strict=True):
        found = _format(raw / unescape(path))
        extension = path.rpartition(".")[2].lower()
        if found is not None and extension not in found[1]:
            yield Issue(
                CHECK.name,
                CHECK.severity,
                profile,
                (path,),
                f"named .{extension}, but its bytes are {found[0]}",
                1.0,
                issue_key(CHECK.name, digest or path),
            )


def _format(file: Path) -> tuple[str, frozenset[str]] | None:
    """Return the format that a file's first bytes tell, None if they tell none that we know."""
    try:
        with file.open("rb") as opened:
            head = opened.read(_HEAD)
    except OSError:
        return None
    for name, start, mark, extensions in _MAGIC:
        if head[start : start + len(mark)] == mark:
            return name, extensions
    return None


CHECK = Check(
    name="wrong-extension",
    title="names that promise another format than the bytes hold",
    severity="warning",
    cure="nothing here minds; other tools may: rename the file in RAW if you share it",
    needs=("raw",),
    find=_find,
)
