"""Take a trained model, or a dataset, to other programs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from facecrop.commands.exports.folder import export_folder
from facecrop.commands.exports.material import gather_export
from facecrop.commands.exports.pictures import raw_folder
from facecrop.commands.exports.table import EXPORTERS
from facecrop.errors import ConfigError
from facecrop.index import CARD_FILE, INDEX_FILE
from facecrop.registry import no_such
from facecrop.storage import is_remote, place

ONNX = "onnx"
KINDS = (ONNX, *EXPORTERS)
"""What can be exported to: of a run, `onnx`; of a dataset, all others."""
LOCAL_FILES = "/data/local-files/?d="
"""What addresses of Label Studio's local files begin with."""


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What was written.

    Args:
        kind: One of `KINDS`.
        target: The file, or the folder.
        records: Of a dataset, how many it holds.
        left_out: Records that are not in it, by why.
        split: Which split its parts come from, None if there is none.
    """

    kind: str
    target: Path
    records: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    split: str | None = None


def export(
    source: Path | str,
    target: Path | str,
    *,
    to: str | None = None,
    images: str = "crops",
    split: str | None = None,
    everything: bool = False,
    suspects: bool = False,
    image_root: str | None = None,
    link: bool = False,
    overwrite: bool = False,
    report: Callable[[int, int], None] | None = None,
) -> ExportResult:
    """Write a trained model as ONNX, or a dataset in another tool's format.

    A model takes bytes and gives logits, see `exports.onnx`. A dataset becomes a folder of its own,
    whole or not at all, with `export.toml` that says how it was made.

    Args:
        source: `OUT/runs/<name>`, a single training; or OUT.
        target: The `.onnx` file; or the folder, outside the dataset and its raw pictures.
        to: One of `KINDS`; None: `onnx`, if the source is no dataset.
        images: `crops`, or `source` for the raw pictures; boxes are those of the picture.
        split: Name of the split that parts come from; None: `default`, if there is one.
        everything: Also what is set aside, or left out by the age policy.
        suspects: Only what the last audit found something about.
        image_root: For Label Studio: what the addresses of pictures begin with; None: its local
            files, with OUT (or RAW) as document root.
        link: Make symbolic links to pictures instead of copies.
        overwrite: Replace an earlier export.
        report: Told how many pictures are done, and of how many.

    Raises:
        ConfigError: There is no such kind, or the target cannot be it.
        TableError: Source or pictures are missing or damaged.
        StoreError: The target cannot be written.
    """
    source, target = place(source), place(target)
    if is_remote(target):
        raise ConfigError(
            f"{target} is in object storage: export into a folder, and copy that there"
        )
    kind = to or _kind_of(source)
    if kind not in KINDS:
        raise no_such("export", kind, list(KINDS))
    if kind != "labelstudio" and image_root is not None:
        raise ConfigError("--image-root goes with --to labelstudio: others hold their pictures")
    if kind == ONNX:
        if images != "crops" or split or everything or suspects or link or overwrite:
            raise ConfigError("--to onnx takes a run and a file, and no further options")
        from facecrop.commands.exports.onnx import export_model  # noqa: PLC0415 - torch

        export_model(source, target)
        return ExportResult(kind, target)
    exporter = EXPORTERS.load(kind)
    material = gather_export(
        source,
        images=images,
        split=split,
        everything=everything,
        suspects=suspects,
        image_root=LOCAL_FILES if image_root is None else image_root,
        link=link,
        parted=kind in ("coco", "imagefolder"),
        report=report,
    )
    facts = {
        "to": kind,
        "dataset": source.resolve().name,
        "images": images,
        "split": material.split,
        "all": everything,
        "suspects": suspects,
        "records": len(material.entries),
    }
    raw = raw_folder(source)
    apart = {"the dataset": source} | ({} if raw is None else {"the raw folder": raw})
    with export_folder(target, facts, apart=apart, overwrite=overwrite) as folder:
        exporter(material, folder)
    return ExportResult(
        kind, target, len(material.entries), dict(material.left_out), material.split
    )


def _kind_of(source: Path) -> str:
    if (source / INDEX_FILE).exists() or (source / CARD_FILE).exists():
        kinds = ", ".join(EXPORTERS)
        raise ConfigError(f"{source} is a dataset: say what for, --to with one of {kinds}")
    return ONNX
