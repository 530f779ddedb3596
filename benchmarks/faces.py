"""How often the face of a photograph is hit: by each detector, and by a recipe's choice.

Usage: FACECROP_EVAL=FOLDER python benchmarks/faces.py [--recipe embedded] [--set KEY=VALUE]...

The folder has `eval/faces/` with photographs, `boxes.csv` (one row a face: file, mask_state, xmin,
ymin, xmax, ymax) and `labels.csv`. Each photograph is a profile of its own, so no sibling helps.

A detector hits if any of its boxes lies on the largest face (IoU above 0.4). A recipe hits if its
row is `ok` and its box lies on a face with at least 0.8 of the area of the largest one. A box is
on no face if its IoU with every annotated face is 0.1 or less; the boxes are drawn by hand and
differ in where a face ends, so between 0.1 and 0.4 a box lies on a face, but badly.
"""

import argparse
import csv
import os
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np

from facecrop.commands.preprocess.command import preprocess
from facecrop.config import validate
from facecrop.images.findings import Boxes
from facecrop.images.frames import Box
from facecrop.images.look.cascade import Faces
from facecrop.images.models import ModelStore
from facecrop.index import INDEX_FILE, read_table

HIT, LARGE, NOWHERE = 0.4, 0.8, 0.1
STATES = ("mask", "incorrect", "normal")
SHORT, FULL = {"name": "blazeface-short"}, {"name": "blazeface-full"}
SCALES = (160, 320, 640, 1024)
GROUPS = {
    "blazeface-short": ("blazeface-short",),
    "blazeface-full": ("blazeface-full",),
    "yunet-640": ("yunet-640",),
    "the three together": ("blazeface-short", "blazeface-full", "yunet-640"),
    "with yunet at 160, 320, 1024": (
        "blazeface-short",
        "blazeface-full",
        *(f"yunet-{scale}" for scale in SCALES),
    ),
}


@dataclass(frozen=True)
class Photograph:
    """One photograph and the faces that were drawn on it by hand."""

    path: Path
    faces: tuple[Box, ...]
    state: str

    @property
    def largest(self) -> Box:
        return max(self.faces, key=lambda face: face.area)

    def is_hit_by(self, box: Box) -> bool:
        enough = LARGE * self.largest.area
        return any(face.iou(box) > HIT for face in self.faces if face.area >= enough)

    def best_iou(self, box: Box) -> float:
        return max(face.iou(box) for face in self.faces)


def read_photographs(folder: Path) -> list[Photograph]:
    drawn: dict[str, list[tuple[Box, str]]] = defaultdict(list)
    with (folder / "boxes.csv").open() as file:
        for row in csv.DictReader(file):
            box = Box(*(float(row[side]) for side in ("xmin", "ymin", "xmax", "ymax")))
            drawn[row["file"]].append((box, row["mask_state"]))
    return [
        Photograph(
            folder / name,
            tuple(box for box, _ in faces),
            max(faces, key=lambda face: face[0].area)[1],
        )
        for name, faces in sorted(drawn.items())
    ]


def by_detector(photographs: list[Photograph]) -> None:
    """Print how often each detector's boxes have the largest face among them."""
    settings: list[dict[str, Any]] = [SHORT, FULL, *({"name": "yunet", "scale": s} for s in SCALES)]
    faces = validate(Faces, {"detectors": settings}, "benchmark")
    store = ModelStore()
    finders = {one.label: one.load(store.path, "cpu") for one in faces.detectors}
    seen: dict[str, list[Boxes]] = defaultdict(list)
    spent: dict[str, list[float]] = defaultdict(list)
    for photograph in photographs:
        image = np.asarray(cv2.imread(str(photograph.path), cv2.IMREAD_COLOR_RGB), np.uint8)
        height, width = image.shape[:2]
        for label, finder in finders.items():
            start = time.perf_counter()
            raw = finder.infer(finder.prepare(image)[None])[0]
            found = finder.interpret(raw, height, width)
            spent[label].append(time.perf_counter() - start)
            if not isinstance(found, Boxes):
                raise TypeError(f"{label} finds no boxes")
            seen[label].append(found)
    for name, labels in GROUPS.items():
        hits: Counter[str] = Counter()
        for number, photograph in enumerate(photographs):
            hits[photograph.state] += any(
                one.box.iou(photograph.largest) > HIT and one.score >= faces.min_scores[label]
                for label in labels
                for one in seen[label][number].candidates
            )
        total = Counter(photograph.state for photograph in photographs)
        shares = " / ".join(f"{hits[state] / total[state]:.2f}" for state in STATES)
        cost = sum(float(np.median(spent[label])) for label in labels)
        print(f"{name:30} {shares}   {1e3 * cost:6.1f} ms")


def by_recipe(photographs: list[Photograph], recipe: str, settings: list[str]) -> None:
    """Print how often a recipe's choice is right, and what it missed."""
    with TemporaryDirectory() as folder:
        raw, out = Path(folder, "raw"), Path(folder, "out")
        raw.mkdir()
        for photograph in photographs:
            (raw / photograph.path.name).symlink_to(photograph.path)
        start = time.perf_counter()
        preprocess(raw, out, recipe=recipe, settings=settings, layout="flat", contact=False)
        took = time.perf_counter() - start
        rows = {Path(row["path"]).name: row for row in read_table(out / INDEX_FILE).to_pylist()}
    print(f"\nrecipe {recipe} {' '.join(settings)}: {1e3 * took / len(photographs):.1f} ms each")
    print("status:", dict(Counter(rows[one.path.name]["status"] for one in photographs)))
    missed: dict[str, list[str]] = defaultdict(list)
    nowhere: list[str] = []
    badly: list[str] = []
    fallback_hits = 0
    for photograph in photographs:
        row = rows[photograph.path.name]
        sides = [row[f"face_{side}"] for side in ("x0", "y0", "x1", "y1")]
        box = None if None in sides else Box(*sides)
        hit = box is not None and photograph.is_hit_by(box)
        if row["status"] == "fallback":
            fallback_hits += hit
        if row["status"] != "ok" or not hit:
            missed[photograph.state].append(photograph.path.name)
        if row["status"] == "ok" and box is not None and photograph.best_iou(box) <= HIT:
            (nowhere if photograph.best_iou(box) <= NOWHERE else badly).append(photograph.path.name)
    for state in STATES:
        total = sum(photograph.state == state for photograph in photographs)
        print(f"{state:10} missed {len(missed[state])} of {total}: {' '.join(missed[state])}")
    print(f"ok, on no annotated face (IoU <= {NOWHERE}): {len(nowhere)} {' '.join(nowhere)}")
    print(f"ok, badly on a face (IoU <= {HIT}): {len(badly)} {' '.join(badly)}")
    print(f"fallbacks that hit: {fallback_hits}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--recipe", default="embedded")
    parser.add_argument("--set", action="append", default=["choose.subject=largest"], dest="sets")
    options = parser.parse_args()
    if "FACECROP_EVAL" not in os.environ:
        raise SystemExit("FACECROP_EVAL does not name a folder of photographs")
    cv2.setNumThreads(1)
    photographs = read_photographs(Path(os.environ["FACECROP_EVAL"], "eval", "faces"))
    print(f"{len(photographs)} photographs; hits with worn / worn wrongly / no mask")
    by_detector(photographs)
    by_recipe(photographs, options.recipe, options.sets)


if __name__ == "__main__":
    main()
