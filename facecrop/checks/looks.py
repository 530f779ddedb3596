"""What crops look like, in numbers: one pass over the pictures for all checks that ask."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import cos, radians, sin
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facecrop.checks.measured import Measured
from facecrop.checks.pixelstats import (
    CROP_COLUMNS,
    Colour,
    CropFile,
    crop_file,
    crop_key,
    painted_by,
    person_of,
)
from facecrop.crops import crop_data
from facecrop.images.codec import decode_crop
from facecrop.images.frames import Box, Image
from facecrop.images.render.settings import Resize
from facecrop.index import CARD_FILE

if TYPE_CHECKING:
    from facecrop.checks.material import Material

Looks = Mapping[str, NDArray[np.float64]]
"""(N,) for each of `MEASURES`; NaN where there is no crop, or nothing tells it."""

MEASURES = (
    "blur", "brightness", "blown", "bits", "chroma", "border", "person", "face", "pieces",
)  # fmt: skip
"""What is measured: see `look_at`."""

_FACE = ("face_x0", "face_y0", "face_x1", "face_y1")
_SIZE = ("width", "height")
_NAMES = (*CROP_COLUMNS, *_FACE, *_SIZE)
_INNER = 0.1
"""Share of the face box that is left out on each side: hair and background lie there."""
_LEAST_SIDE = 16
"""Pixels below which a face tells nothing, and the whole crop is measured."""
_LARGEST = 256
"""Longer side at which a picture is measured: larger ones are reduced, as a training does."""
_BLURRED_OVER = 11
"""Pixels of the box filter, as in the paper."""
_BLOWN = 250
_LOUD = 95
"""Percentile of the pixels whose chroma counts: the rest may be noise of the compression."""
_EVEN, _SAME = 3.0, 6.0
"""Grey levels: deviation within a row of a bar, and between its rows."""
_EDGE, _EDGE_SHARE = 16, 0.7
"""Levels of the step where a bar ends, and the share of the row that must have it."""
_NEAR = 12
"""Grey levels by which a painted colour moves in a JPEG."""


def measure_looks(material: "Material") -> Looks:
    """Measure all crops of a dataset that were not measured before, in parallel.

    Args:
        material: The dataset.
    """
    columns = ["image", "image_sha256", "digest", "recipe", *CROP_COLUMNS, *_FACE, *_SIZE]
    rows = material.index.select(columns).to_pylist()
    painted, resize = painted_by(material.out / CARD_FILE)
    there = [number for number, row in enumerate(rows) if row["image"] is not None]
    files = [crop_file(material.out.resolve(), rows[number]) for number in there]

    def measure(places: Sequence[int]) -> Iterator[tuple[int, str | None]]:
        crops = [(files[place], rows[there[place]]) for place in places]
        look = partial(_measured, painted=painted, resize=resize)
        for number, text in material.each.map(look, crops):
            yield places[number], text

    def report(done: int, total: int) -> None:
        if material.report is not None:
            material.report("looking at crops", done, total)

    kept = Measured(material.out, "looks")
    keys = [
        crop_key(kept, file, rows[number], (painted, resize), [rows[number][one] for one in _NAMES])
        for number, file in zip(there, files, strict=True)
    ]
    digests = [rows[number]["image_sha256"] for number in there]
    report(0, len(there))
    found = np.full((len(rows), len(MEASURES)), np.nan)
    for number, values in zip(there, kept.of(keys, digests, measure, report), strict=True):
        if values is not None:
            found[number] = json.loads(values)
    return dict(zip(MEASURES, found.T, strict=True))


def _measured(
    crop: tuple[CropFile, Mapping[str, Any]], painted: Colour | None, resize: Resize | None
) -> str | None:
    """Return what is measured of a crop and its row as JSON, None if it cannot be read."""
    file, row = crop
    try:
        image = decode_crop(crop_data(file.image)).image
    except OSError:
        return None
    if image is None:
        return None
    person = person_of(image, file, painted, resize)
    found = look_at(image, face_in_crop(row, image, resize), person, painted, _outside(row))
    return json.dumps([found[name] for name in MEASURES])


def look_at(
    image: Image,
    face: Box | None = None,
    person: NDArray[np.bool_] | None = None,
    painted: Colour | None = None,
    outside: tuple[bool, bool, bool, bool] = (False,) * 4,
) -> dict[str, float]:
    """Measure a crop.

    Args:
        image: (H, W, 3) uint8.
        face: Where the face is, in its pixels.
        person: (H, W), where the person is, if that is known.
        painted: Colour of the background, if it was painted over.
        outside: Whether the crop reaches beyond the source at the left, top, right and bottom.

    Returns:
        Inside the face, or in the whole crop without one: `blur`, see `blur_effect`; `brightness`,
        the mean luma, of 1; `blown`, the share of pixels with a luma from 250 on; `bits`, the
        entropy of the luma's 256 levels; `chroma`, the 95th percentile of the distance between
        the largest and the smallest channel. Of the whole crop: `border`, the thickness of the
        thickest even bar along an edge, as a share of that side. `person`, the share of the crop
        that shows the person; `face`, the share of the face that does; `pieces`, the share of the
        person that does not hang together with its largest piece. NaN where it is not known.
    """
    region = _region(image, face)
    part = image[region]
    gray = np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), np.uint8)
    counts = np.bincount(gray.ravel(), minlength=256) / gray.size
    red, green, blue = cv2.split(part)
    spread = cv2.max(cv2.max(red, green), blue) - cv2.min(cv2.min(red, green), blue)
    filled = counts[counts > 0]
    return {
        "blur": blur_effect(_reduced(gray)),
        "brightness": float(counts @ np.arange(256)) / 255,
        "blown": float(counts[_BLOWN:].sum()),
        "bits": float(-(filled @ np.log2(filled))),
        "chroma": float(np.percentile(spread, _LOUD)),
        "border": _thickest_bar(image, painted, outside),
        **_matte(person, region if face is not None else None),
    }


def blur_effect(gray: NDArray[np.uint8]) -> float:
    """Return how little a picture changes when it is blurred: 0 for sharp, 1 for even.

    Unlike the variance of a Laplacian it hardly depends on what is shown, a mask or a beard.

    Args:
        gray: (H, W).

    Source:
        Crete, Dolmiere, Ladret and Nicolas 2007, "The blur effect: perception and estimation with a
        new no-reference perceptual blur metric", section 3. The larger of both directions.
    """
    picture = gray.astype(np.float32)
    worst = 0.0
    for axis, size in ((0, (1, _BLURRED_OVER)), (1, (_BLURRED_OVER, 1))):
        if picture.shape[axis] <= _BLURRED_OVER:
            return float("nan")
        before = np.abs(np.diff(picture, axis=axis))
        after = np.abs(np.diff(cv2.blur(picture, size), axis=axis))
        total = float(before.sum())
        lost = float(np.maximum(before - after, 0).sum())
        worst = max(worst, (total - lost) / total if total else 1.0)
    return worst


def face_in_crop(row: Mapping[str, Any], image: Image, resize: Resize | None) -> Box | None:
    """Return where the face box of a record is in its crop, None where that is not known.

    Args:
        row: Of the index.
        image: The crop.
        resize: How it was brought to size.
    """
    crop, face = ([row[name] for name in names] for names in (CROP_COLUMNS[:4], _FACE))
    if None in crop or None in face:
        return None
    height, width = image.shape[:2]
    box, own = Box(*map(float, crop)), Box(*map(float, face))
    if not (box.area and own.area):
        return None
    scale_x, scale_y = width / box.width, height / box.height
    if resize is not None and resize.mode == "fit-pad":
        scale_x = scale_y = min(scale_x, scale_y)
    # The inverse of how crops are cut: a turned crop is read clockwise.
    angle = radians(row["rotation"] or 0.0)
    x, y = (one - other for one, other in zip(own.center, box.center, strict=True))
    x, y = x * cos(angle) + y * sin(angle), -x * sin(angle) + y * cos(angle)
    half_x, half_y = own.width / 2 * scale_x, own.height / 2 * scale_y
    x, y = width / 2 + x * scale_x, height / 2 + y * scale_y
    return Box(x - half_x, y - half_y, x + half_x, y + half_y)


def _outside(row: Mapping[str, Any]) -> tuple[bool, bool, bool, bool]:
    """Tell at which sides a crop reaches beyond its source: what is there was made here."""
    x0, y0, x1, y1 = (row[name] for name in CROP_COLUMNS[:4])
    width, height = row["width"], row["height"]
    if None in (x0, y0, x1, y1, width, height):
        return (False,) * 4
    turned = bool(row["rotation"])  # its corners may reach out anywhere
    return x0 < 0 or turned, y0 < 0 or turned, x1 > width or turned, y1 > height or turned


def _region(image: Image, face: Box | None) -> tuple[slice, slice]:
    height, width = image.shape[:2]
    if face is None:
        return slice(0, height), slice(0, width)
    x0, y0, x1, y1 = map(round, face.grow(-_INNER).clip(width, height).corners)
    if min(x1 - x0, y1 - y0) < _LEAST_SIDE:
        return slice(0, height), slice(0, width)
    return slice(y0, y1), slice(x0, x1)


def _reduced(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = _LARGEST / max(gray.shape)
    if scale >= 1:
        return gray
    size = (max(round(gray.shape[1] * scale), 1), max(round(gray.shape[0] * scale), 1))
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)


def _thickest_bar(
    image: Image, painted: Colour | None, outside: tuple[bool, bool, bool, bool]
) -> float:
    thickest = 0.0
    gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)
    for side, beyond in enumerate(outside):
        if not beyond:
            # Turned so that the left, top, right or bottom edge becomes the first row.
            turned = np.rot90(image, side - 1), np.rot90(gray, side - 1)
            thickest = max(thickest, _bar(*turned, painted))
    return thickest


def _bar(image: Image, gray: NDArray[np.float32], painted: Colour | None) -> float:
    """Return how much of a picture's height an even bar at its top takes."""
    if gray[0].std() > _EVEN:  # nearly all pictures end here
        return 0.0
    means, deviations = gray.mean(axis=1), gray.std(axis=1)
    even = (deviations <= _EVEN) & (np.abs(means - means[0]) <= _SAME)
    count = len(even) if even.all() else int(even.argmin())
    if not 0 < count < len(gray) / 2:
        return 0.0
    if painted is not None:
        colour = image[:count].reshape(-1, 3).mean(axis=0)
        if np.abs(colour - np.array(painted)).max() <= _NEAR:
            return 0.0
    # A bar ends at once, along its whole length; a plain wall ends where somebody stands.
    below = min(count + 2, len(gray) - 1)
    step = np.abs(image[below].astype(np.int16) - image[count - 1]).max(axis=1) > _EDGE
    return count / len(gray) if step.mean() >= _EDGE_SHARE else 0.0


def _matte(person: NDArray[np.bool_] | None, face: tuple[slice, slice] | None) -> dict[str, float]:
    unknown = float("nan")
    if person is None:
        return dict.fromkeys(("person", "face", "pieces"), unknown)
    area = int(person.sum())
    pieces = 0.0
    if area:
        _, _, stats, _ = cv2.connectedComponentsWithStats(person.astype(np.uint8), connectivity=8)
        pieces = 1 - float(stats[1:, cv2.CC_STAT_AREA].max()) / area
    return {
        "person": area / person.size,
        "face": unknown if face is None else float(person[face].mean()),
        "pieces": pieces,
    }
