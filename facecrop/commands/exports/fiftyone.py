"""FiftyOne: `samples.json`, `metadata.json` and `data/`, read by `Dataset.from_dir`.

`fiftyone.types.FiftyOneDataset` has two forms. Written here is the one whose `metadata.json` has no
`version`: plain samples, from which the reader makes fields and ids itself. The other is a dump of
its database, tied to a version of it.
"""

from typing import Any

from facecrop.commands.exports.folder import Folder
from facecrop.commands.exports.material import Entry, Material
from facecrop.index import Status

_TAGS = {"train": "train", "val": "validation"}
_DIGITS = 6


def export(material: Material, folder: Folder) -> None:
    """Write a dataset for FiftyOne: labels as classifications, boxes as detections."""
    samples = []
    for number, entry in enumerate(material.entries):
        placed = material.place(number, entry, folder.path / "data")
        metadata = {"_cls": "ImageMetadata", "width": placed.width, "height": placed.height}
        samples.append(
            {"filepath": f"data/{placed.name}", "metadata": metadata} | sample_fields(entry)
        )
    folder.write_json("samples.json", {"samples": samples})
    facts = {"split": material.split} if material.split else {}
    folder.write_json(
        "metadata.json",
        {"name": material.out.resolve().name, "media_type": "image", "info": facts},
    )


def sample_fields(entry: Entry) -> dict[str, Any]:
    """Return the fields of a sample, but for its picture; what is not known is left out."""
    part = _TAGS.get(entry.part or "")
    tags = [part, "fallback" if entry.status == Status.FALLBACK else None]
    tags.append(None if entry.kept_reason is None else "not kept")
    fields: dict[str, Any] = {
        "tags": [tag for tag in tags if tag is not None],
        "path": entry.path,
        "profile": entry.profile,
    }
    for name, value in entry.labels.items():
        fields[name] = value if name == "age" else _classification(str(value))
    if entry.kept_reason is not None:
        fields["kept_reason"] = entry.kept_reason
    if entry.boxes:
        found = [_detection(entry, thing) for thing in entry.boxes]
        fields["boxes"] = {"_cls": "Detections", "detections": found}
    if entry.issues:
        doubts = [
            _classification(issue.check)
            | {"confidence": round(issue.score, _DIGITS), "reason": issue.reason}
            for issue in entry.issues
        ]
        fields["findings"] = {"_cls": "Classifications", "classifications": doubts}
    return fields


def _classification(label: str) -> dict[str, Any]:
    return {"_cls": "Classification", "tags": [], "label": label}


def _detection(entry: Entry, thing: str) -> dict[str, Any]:
    x0, y0, x1, y1 = entry.boxes[thing]
    sides = [round(one, _DIGITS) for one in (x0, y0, x1 - x0, y1 - y0)]
    facts = {"_cls": "Detection", "tags": [], "label": thing, "bounding_box": sides}
    known = {"confidence": round(entry.scores[thing], _DIGITS)} if thing in entry.scores else {}
    return facts | known
