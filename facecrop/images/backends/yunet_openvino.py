"""YuNet on OpenVINO, and what OpenCV's `FaceDetectorYN` does before and after its network."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facecrop.images.backends.openvino_model import OpenvinoModel, read, unreadable

_STRIDES = (8, 16, 32)
"""Pixels of the picture for one cell of each of the network's three grids."""
_PARTS = ("cls", "obj", "bbox", "kps")
"""Of each grid: whether it is a face, whether there is anything, the box, five points."""
_SIDES = 32
"""Sides of what the network sees are multiples of this; black is laid below and to the right."""
_MOST = 5000
"""Candidates that suppression looks at, best first: `FaceDetectorYN`'s own value."""


class OpenvinoYuNet:
    """YuNet's network on OpenVINO.

    Args:
        path: The ONNX file.
        floor: Score below which a candidate is dropped.
        same: Intersection over union from which the weaker of two boxes is dropped.

    Raises:
        WeightsError: The file is no such model.
    """

    def __init__(self, path: Path, floor: float, same: float) -> None:
        model = read(path)
        places = {name: at for at, one in enumerate(model.outputs) for name in one.names}
        needed = [[f"{part}_{one}" for part in _PARTS] for one in _STRIDES]
        if missing := {name for names in needed for name in names} - set(places):
            raise unreadable(path, f"it has no output {min(missing)}")
        self._grids = [[places[name] for name in names] for names in needed]
        try:
            model.reshape([1, 3, -1, -1])
        except RuntimeError as error:
            raise unreadable(path, str(error)) from None
        self._model = OpenvinoModel(model, "NCHW")
        self._floor, self._same = floor, same

    def __call__(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the faces of a picture (h, w, 3) BGR, best first.

        Returns:
            (K, 15) float32: box xywh, five points xy, score.
        """
        height, width = picture.shape[:2]
        below, beside = -height % _SIDES, -width % _SIDES
        framed = cv2.copyMakeBorder(picture, 0, below, 0, beside, cv2.BORDER_CONSTANT)
        outputs = self._model(np.asarray(framed, np.uint8))
        found = []
        for stride, places in zip(_STRIDES, self._grids, strict=True):
            kind, thing, boxes, points = (outputs[place][0] for place in places)
            scores = np.sqrt((kind * thing).clip(0, 1))
            cells = np.flatnonzero(scores >= self._floor)
            columns = framed.shape[1] // stride
            corners = np.stack([cells % columns, cells // columns], axis=1)
            faces = decoded(boxes[cells], points[cells], corners, stride)
            found.append(np.hstack([faces, scores[cells]]))
        return suppressed(np.concatenate(found), self._floor, self._same)


def decoded(
    boxes: NDArray[np.float32], points: NDArray[np.float32], corners: NDArray[np.int64], stride: int
) -> NDArray[np.float32]:
    """Return what cells of a grid say, in pixels: (K, 14) float32, box xywh, five points xy.

    Args:
        boxes: (K, 4) offset of the centre, and logarithm of the sides, in cells.
        points: (K, 10) xy of five points, from the cell, in cells.
        corners: (K, 2) xy of the cells.
        stride: Pixels of a cell.
    """
    origins = corners.astype(np.float32)
    sides = np.exp(boxes[:, 2:])
    near = boxes[:, :2] + origins - sides / 2
    rows = np.hstack([near, sides, points + np.tile(origins, 5)])
    return np.asarray(stride * rows, np.float32)


def suppressed(rows: NDArray[np.float32], floor: float, same: float) -> NDArray[np.float32]:
    """Return what is left, best first, after the weaker of boxes that are the same are dropped.

    Args:
        rows: (K, 15), boxes first.
        floor: Scores below it are none.
        same: Intersection over union, of boxes cut to whole pixels as `FaceDetectorYN` does.
    """
    if len(rows) < 2:  # noqa: PLR2004 - one alone has nobody beside it
        return rows
    boxes = rows[:, :4].astype(np.int32).tolist()
    kept = cv2.dnn.NMSBoxes(boxes, rows[:, 14].tolist(), floor, same, 1.0, _MOST)
    return rows[np.asarray(kept, np.int64).reshape(-1)]
