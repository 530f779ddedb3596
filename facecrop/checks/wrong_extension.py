"""Files whose name promises another format than their bytes hold."""

from collections.abc import Iterator

from facecrop.checks.check import Check, Issue, issue_key
from facecrop.checks.material import Material

_PROMISED = {
    "JPEG": frozenset({"jpg", "jpeg", "jfif"}),
    "PNG": frozenset({"png"}),
    "GIF": frozenset({"gif"}),
    "BMP": frozenset({"bmp"}),
    "TIFF": frozenset({"tif", "tiff"}),
    "WebP": frozenset({"webp"}),
    "AVIF": frozenset({"avif"}),
    "HEIF": frozenset({"heic", "heif"}),
}
"""Format -> the extensions that promise it."""


def _find(material: Material) -> Iterator[Issue]:
    index = material.index
    columns = (index[name].to_pylist() for name in ("path", "profile", "digest"))
    for path, profile, digest, header in zip(*columns, material.headers, strict=True):
        extension = path.rpartition(".")[2].lower()
        if header.kind is not None and extension not in _PROMISED[header.kind]:
            yield Issue(
                CHECK.name,
                CHECK.severity,
                profile,
                (path,),
                f"named .{extension}, but its bytes are {header.kind}",
                1.0,
                issue_key(CHECK.name, digest or path),
            )


CHECK = Check(
    name="wrong-extension",
    title="names that promise another format than the bytes hold",
    severity="warning",
    cure="nothing here minds; other tools may: rename the file in RAW if you share it",
    needs=("raw",),
    find=_find,
)
