"""COCO: `annotations/instances_<part>.json` with boxes of faces and persons, and `images/`.

Format: https://cocodataset.org/#format-data; labels are the `attributes` of an annotation, as CVAT
and its relatives have them. How the mask is worn is called `mask_state`: readers such as FiftyOne's
take an attribute `mask` for pixels, and stop.
"""

from typing import Any

from facecrop.commands.exports.folder import Folder
from facecrop.commands.exports.material import THINGS, Entry, Material
from facecrop.commands.exports.pictures import Placed

CATEGORIES = {thing: number for number, thing in enumerate(THINGS, 1)}
_DIGITS = 2
"""Of a pixel."""


def export(material: Material, folder: Folder) -> None:
    """Write a dataset as COCO; ids count on over the parts, so that files can be joined."""
    images, annotations = 0, 0
    for part, entries in material.parts.items():
        written: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": []}
        for entry in entries:
            placed = material.place(images, entry, folder.path / "images")
            images += 1
            written["images"].append(_image(images, entry, placed))
            for thing, box in entry.boxes.items():
                annotations += 1
                sides = pixels(box, placed)
                about = _annotation(annotations, images, CATEGORIES[thing], sides)
                about["attributes"] = _attributes(entry)
                if thing in entry.scores:
                    about["score"] = round(entry.scores[thing], 4)
                written["annotations"].append(about)
        name = "instances" if part is None else f"instances_{part}"
        data = {
            "info": {"description": material.out.resolve().name, "version": "1.0"},
            "licenses": [],
            "categories": [
                {"id": number, "name": thing, "supercategory": "person"}
                for thing, number in CATEGORIES.items()
            ],
            **written,
        }
        folder.write_json(f"annotations/{name}.json", data)


def pixels(box: tuple[float, float, float, float], placed: Placed) -> list[float]:
    """Return a box of fractions as x, y, width and height in pixels of its picture."""
    width, height = placed.width, placed.height
    x0, y0, x1, y1 = box
    corner = [x0 * width, y0 * height]
    return [round(one, _DIGITS) for one in (*corner, (x1 - x0) * width, (y1 - y0) * height)]


def _image(number: int, entry: Entry, placed: Placed) -> dict[str, Any]:
    return {
        "id": number,
        "file_name": placed.name,
        "width": placed.width,
        "height": placed.height,
        "path": entry.path,
        "profile": entry.profile,
    }


def _attributes(entry: Entry) -> dict[str, Any]:
    labels = {"mask_state" if axis == "mask" else axis: one for axis, one in entry.labels.items()}
    return labels | {"status": entry.status}


def _annotation(number: int, image: int, category: int, sides: list[float]) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": sides,
        "area": round(sides[2] * sides[3], _DIGITS),
        "segmentation": [],
        "iscrowd": 0,
    }
