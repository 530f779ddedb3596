"""A raw folder of faces, drawn people and near duplicates of some, and what is whose copy."""

import csv
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from planted import facecrop

from facecrop.images.codec import decode, encode
from facecrop.images.frames import Image

Rng = np.random.Generator
Change = Callable[[Image, Rng], Image]

TRUTH = "copies.csv"
_LEAST, _MOST = 0.01, 0.04
"""Shares of a side that are cut off along each border."""
_PATTERN = ("*.jpg", "*.png")


def compressed(image: Image, rng: Rng) -> Image:
    return _again(image, int(rng.integers(30, 81)))


def resized(image: Image, rng: Rng) -> Image:
    scale = float(rng.uniform(0.4, 1.5))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=how), np.uint8)


def cropped(image: Image, rng: Rng) -> Image:
    height, width = image.shape[:2]
    top, bottom = (round(share * height) for share in rng.uniform(_LEAST, _MOST, 2))
    left, right = (round(share * width) for share in rng.uniform(_LEAST, _MOST, 2))
    return image[top : height - bottom, left : width - right]


def mirrored(image: Image, rng: Rng) -> Image:  # noqa: ARG001 - as all changes
    return image[:, ::-1]


CHANGES: dict[str, tuple[Change, ...]] = {
    "compressed": (compressed,),
    "resized": (resized, compressed),
    "cropped": (cropped, compressed),
    "mirrored": (mirrored, compressed),
    "cropped, resized": (cropped, resized, compressed),
    "cropped, resized, mirrored": (cropped, resized, mirrored, compressed),
}


def make(raw: Path, faces: Path | None, drawn: Path, images: int, seed: int) -> None:
    """Write so many pictures, unless they are there: all faces, drawn people, and copies.

    Every face and every copy is a profile of its own; a copy's original, and how it was changed,
    stand in `copies.csv` beside the folder. Nearly a quarter of all are copies.

    Args:
        raw: Folder to write.
        faces: Folder of face pictures, other people each; None: none.
        drawn: A raw folder of drawn people; drawn there if it does not exist.
        images: How many in all.
        seed: Of the choice and of the changes.
    """
    truth = raw.with_name(TRUTH)
    if truth.exists():
        return
    copies = round(images * 0.22)
    found = [] if faces is None else sorted(p for one in _PATTERN for p in faces.glob(one))
    if not drawn.exists():
        facecrop("demo", drawn, "--profiles", -(-(images - copies - len(found)) // 7), "--seed", 1)
    originals = [_write(raw, f"8{n:05d}_male_Asian_30", p, "normal") for n, p in enumerate(found)]
    names = {path: file.name for path, file in zip(originals, found, strict=True)}
    people = sorted(path for path in drawn.iterdir() if path.is_dir())
    pictures = [file for person in people for file in sorted(person.iterdir())]
    pictures = pictures[: images - copies - len(originals)]
    originals += [_write(raw, file.parent.name, file, file.stem) for file in pictures]
    names |= {path: path.parent.name for path in originals[len(found) :]}
    _write_copies(truth, names, copies, np.random.default_rng(seed))


def _write_copies(truth: Path, names: dict[Path, str], copies: int, rng: Rng) -> None:
    raw, originals = next(iter(names)).parents[1], list(names)
    # Faces are few beside the drawn: half of the copies are theirs.
    faces = [path for path in originals if path.parent.name.startswith("8")]
    drawn = [path for path in originals if not path.parent.name.startswith("8")]
    most = min(copies // 2, len(faces))
    chosen = [faces[k] for k in rng.choice(len(faces), most, replace=False)] if most else []
    chosen += [drawn[k] for k in rng.choice(len(drawn), copies - len(chosen), replace=False)]
    rows = []
    for number, path in enumerate(chosen):
        name = list(CHANGES)[number % len(CHANGES)]
        image: NDArray[np.uint8] | None = decode(path.read_bytes()).image
        if image is None:
            continue
        for change in CHANGES[name]:
            image = change(np.ascontiguousarray(image), rng)
        copy = raw / f"9{number:05d}_male_Asian_30" / "normal.jpg"
        copy.parent.mkdir()
        copy.write_bytes(encode(np.ascontiguousarray(image), "jpg", 92))
        rows.append([copy.relative_to(raw), path.relative_to(raw), name, half(names[path])])
    with truth.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("copy", "original", "change", "half"), *rows])


def half(name: str) -> int:
    """Return 0 or 1 by what a face's file or a drawn person is called.

    Limits were chosen on faces of half 0; figures of half 1 are those of faces held out.
    """
    return sha256(name.encode()).digest()[0] & 1


def _write(raw: Path, profile: str, file: Path, stem: str) -> Path:
    place = raw / profile / f"{stem}{file.suffix}"
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        place.write_bytes(file.read_bytes())
    return place


def _again(image: Image, quality: int) -> Image:
    back = decode(encode(np.ascontiguousarray(image), "jpg", quality)).image
    return image if back is None else back
