"""Where eyes and face are in a crop, from what the index knows of the source."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from facecrop.config import read_toml
from facecrop.images.frames import points_in_crops
from facecrop.index import CARD_FILE

_SIDES = ("x0", "y0", "x1", "y1")
_FACE = [f"face_{side}" for side in _SIDES]
_EYES = ["left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y"]
_CROP = [f"crop_{side}" for side in _SIDES]

REGION_COLUMNS = (*_FACE, *_EYES, *_CROP, "rotation")
"""Columns of the index that regions are worked out from."""

EYES, FACE = 0, 1
"""Places of the two regions."""

_EYES_BESIDE, _EYES_ABOVE = 0.5, 0.35
"""Border of the eye region as shares of the distance between the eyes: from temple to temple, and
from the brow to where a mask begins."""

Boxes = NDArray[np.float32]


def regions_of(index: pa.Table, out: Path) -> Boxes:
    """Return where eyes and face are in each crop.

    The eye region goes from temple to temple around the two landmarks. The face box keeps its size
    when the picture was turned: its corners turned with it would enclose far more than the face.

    Args:
        index: (N,) rows with `REGION_COLUMNS`.
        out: The dataset, whose card says how crops were brought to size.

    Returns:
        (N, 2, 4) float32: eyes and face, x0, y0, x1, y1 as fractions of the crop, cut off at its
        border; nan where unknown or outside.
    """
    face, eyes, crops = (matrix_of(index, names) for names in (_FACE, _EYES, _CROP))
    rotations = np.nan_to_num(matrix_of(index, ["rotation"])[:, 0])
    aspect = _extent(crops)
    eye_points = points_in_crops(eyes.reshape(-1, 2, 2), crops, rotations)
    apart = np.linalg.norm((eye_points[:, 0] - eye_points[:, 1]) * aspect, axis=1)
    border = apart[:, None] * (_EYES_BESIDE, _EYES_ABOVE) / aspect
    eye_boxes = np.hstack([eye_points.min(axis=1) - border, eye_points.max(axis=1) + border])
    boxes = np.stack([eye_boxes, _followed(face, crops, rotations)], axis=1)
    return clipped(padded(boxes, aspect, out).astype(np.float32))


def boxes_in_crops(index: pa.Table, things: Sequence[str], out: Path) -> Boxes:
    """Return where boxes of the index are in each crop; they keep their size as the face does.

    Args:
        index: (N,) rows with their columns, such as `face_x0`, and `crop_x0` to `rotation`.
        things: What the boxes are of: `face`, `person`.
        out: The dataset, whose card says how crops were brought to size.

    Returns:
        (N, len(things), 4) float32, as `regions_of`.
    """
    crops = matrix_of(index, _CROP)
    rotations = np.nan_to_num(matrix_of(index, ["rotation"])[:, 0])
    found = [
        _followed(matrix_of(index, [f"{thing}_{side}" for side in _SIDES]), crops, rotations)
        for thing in things
    ]
    return clipped(padded(np.stack(found, axis=1), _extent(crops), out).astype(np.float32))


def boxes_in_sources(index: pa.Table, things: Sequence[str]) -> Boxes:
    """Return boxes of the index as fractions of the upright sources, as `boxes_in_crops`."""
    sides = np.tile(matrix_of(index, ["width", "height"]), 2)[:, None]
    boxes = [matrix_of(index, [f"{thing}_{side}" for side in _SIDES]) for thing in things]
    return clipped((np.stack(boxes, axis=1) / sides).astype(np.float32))


def _followed(
    boxes: NDArray[np.float64], crops: NDArray[np.float64], rotations: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (N, 4) boxes of sources as fractions of what was cut out: the middle is turned."""
    middle = points_in_crops((boxes[:, None, :2] + boxes[:, None, 2:]) / 2, crops, rotations)[:, 0]
    half = _extent(boxes) / _extent(crops) / 2
    return np.hstack([middle - half, middle + half])


def clipped(boxes: Boxes) -> Boxes:
    """Return boxes, (..., 4) fractions, cut off at the border; nan where nothing is left."""
    inside = np.clip(boxes, 0, 1)
    empty = ~((inside[..., 2:] > inside[..., :2]).all(axis=-1))
    inside[empty] = np.nan
    return np.asarray(inside, np.float32)


def moved(boxes: Boxes, windows: NDArray[np.floating]) -> Boxes:
    """Return boxes as fractions of a part of the picture that they were fractions of.

    Args:
        boxes: (N, R, 4) fractions of the whole.
        windows: (N, 4) the parts, x0, y0, x1, y1 as fractions of the whole; may reach outside.
    """
    start, end = windows[:, None, :2], windows[:, None, 2:]
    places = boxes.reshape(len(boxes), -1, 2)  # corners, two a box
    return np.asarray(((places - start) / (end - start)).reshape(boxes.shape), np.float32)


def padded(boxes: NDArray[np.float64], extent: NDArray[np.float64], out: Path) -> Any:
    """Move boxes into crops that were laid into the middle of a larger canvas (`fit-pad`).

    Args:
        boxes: (N, R, 4) fractions of what was cut out.
        extent: (N, 2) width and height of what was cut out, pixels of the source.
        out: The dataset, whose card says whether that was done.

    Returns:
        (N, R, 4) fractions of each crop.
    """
    resize = _resize(out)
    if resize.get("mode") != "fit-pad":
        return boxes
    canvas = np.array(resize["size"][::-1], np.float64)  # width and height, as everything here
    # As `render` fits a crop: whole pixels, the odd one of the border on the far side.
    inner = np.clip(np.rint(extent * (canvas / extent).min(axis=1, keepdims=True)), 1, canvas)
    start = (canvas - inner) // 2
    windows = np.hstack([-start, canvas - start]) / np.hstack([inner, inner])
    return moved(boxes.astype(np.float32), windows)


def _resize(out: Path) -> dict[str, Any]:
    card = out / CARD_FILE
    recipe = read_toml(card).get("recipe", {}) if card.exists() else {}
    found = recipe.get("render", {}).get("resize")
    return found if isinstance(found, dict) else {}


def _extent(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return width and height of (N, 4) boxes, (N, 2)."""
    return boxes[:, 2:] - boxes[:, :2]


def matrix_of(index: pa.Table, names: list[str]) -> NDArray[np.float64]:
    """Return columns side by side, (N, len(names)) float64, nan where they are null."""
    columns = [index[name].cast(pa.float64()).to_numpy() for name in names]
    return np.stack([np.asarray(column, np.float64) for column in columns], axis=1)
