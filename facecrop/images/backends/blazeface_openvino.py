"""BlazeFace on OpenVINO, and what mediapipe's `FaceDetector` task does before and after it."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facecrop.images.backends.blazeface import candidate
from facecrop.images.backends.openvino_model import OpenvinoModel, read, unreadable
from facecrop.images.findings import Boxes, Candidate
from facecrop.images.frames import Box, Image

_GRIDS = {896: (128, ((8, 2), (16, 6))), 2304: (192, ((4, 1),))}
"""By number of anchors: the model's side, and pixels of a cell with anchors in it, grid by grid."""
_HALF = 127.5
"""Bytes become numbers from -1 to 1."""
_COORDINATES = 16
"""Of an anchor: centre and sides of the box, six points xy."""


class OpenvinoBlazeFace:
    """A BlazeFace model, ready to look.

    Args:
        path: The TFLite file.
        floor: Score below which a candidate is dropped.
        same: Intersection over union from which candidates are blended into one.

    Raises:
        WeightsError: The file is no such model.
    """

    batch_size = 1

    def __init__(self, path: Path, floor: float, same: float) -> None:
        model = read(path)
        shapes = [tuple(one.partial_shape.to_shape()) for one in model.outputs]
        self._places = _numbers(shapes)
        count = max((shape[1] for shape in shapes if len(shape) > 1), default=0)
        if count not in _GRIDS or len(self._places) < 2:  # noqa: PLR2004 - boxes and scores
            raise unreadable(path, f"its outputs are {shapes}, not those of BlazeFace")
        self._side, grids = _GRIDS[count]
        self._centres = anchors(self._side, grids)
        self._model = OpenvinoModel(model, "NHWC", mean=_HALF, scale=_HALF)
        self._least = math.log(floor / (1 - floor))
        self._same = same

    def prepare(self, image: Image) -> NDArray[np.uint8]:
        """Return the whole picture in a black square, (S, S, 3) uint8 RGB, as the task samples it.

        The corners of both pictures lie at the origin, and nothing is averaged where it shrinks.
        """
        step, left, top = _framed(image.shape[0], image.shape[1], self._side)
        place = np.array([[step, 0, -left], [0, step, -top]])
        sampled = cv2.warpAffine(
            image,
            place,
            (self._side, self._side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
        )
        return np.asarray(sampled, np.uint8)

    def infer(self, batch: NDArray[np.uint8]) -> Sequence[NDArray[np.float64]]:
        """Return a (K, 13) float array for each picture, in pixels of the square: box, score.

        Box xyxy, four points xy (two eyes, nose, mouth), score.
        """
        return [self._look(picture) for picture in batch]

    def interpret(self, raw: Any, height: int, width: int) -> Boxes:
        """Return the faces in pixels of the picture that was `height` by `width`."""
        step, left, top = _framed(height, width, self._side)
        return Boxes(tuple(_candidate(row, step, left, top) for row in raw))

    def _look(self, picture: NDArray[np.uint8]) -> NDArray[np.float64]:
        said = self._model(picture)
        logits = said[self._places[1]].reshape(-1)
        found = np.flatnonzero(logits >= self._least)
        values = said[self._places[_COORDINATES]].reshape(-1, _COORDINATES)[found]
        return blended(decoded(values, logits[found], self._centres[found]), self._same)


def anchors(side: int, grids: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """Return where the anchors lie, (N, 2) xy in pixels: centres of cells, row by row.

    Args:
        side: Of the square picture, pixels.
        grids: Pixels of a cell and the number of anchors in it, grid by grid.
    """
    places = []
    for stride, number in grids:
        line = stride * (np.arange(side // stride) + 0.5)
        x, y = np.meshgrid(line, line)
        places.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), number, axis=0))
    return np.concatenate(places)


def decoded(
    values: NDArray[np.float32], logits: NDArray[np.float32], centres: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return candidates as rows of box xyxy, four points xy, score: (K, 13), pixels of the square.

    Args:
        values: (K, 16), offsets from the anchors.
        logits: (K,)
        centres: (K, 2), of the anchors.
    """
    exact = values.astype(np.float64)
    middle, half = exact[:, :2] + centres, exact[:, 2:4] / 2
    points = exact[:, 4:12] + np.tile(centres, 4)
    # The task cuts logits at 100 so that the exponential stays finite.
    scores = 1 / (1 + np.exp(-logits.astype(np.float64).clip(-100, 100)))
    return np.hstack([middle - half, middle + half, points, scores[:, None]])


def blended(rows: NDArray[np.float64], same: float) -> NDArray[np.float64]:
    """Return one row for each face, best first: the mean of what overlaps the best one, by score.

    Args:
        rows: (K, 13): box xyxy, points, score.
        same: Intersection over union above which a row is of the same face.

    Source:
        mediapipe's weighted non-maximum suppression: the score stays that of the best row.
    """
    left = rows[np.argsort(-rows[:, 12], kind="stable")]
    faces = []
    while len(left):
        together = _overlap(left[0], left) > same
        together[0] = True  # a box without area too
        face = np.average(left[together], axis=0, weights=left[together, 12])
        face[12] = left[0, 12]
        faces.append(face)
        left = left[~together]
    return np.array(faces, np.float64).reshape(-1, rows.shape[1])


def _overlap(one: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    near, far = np.maximum(one[:2], rows[:, :2]), np.minimum(one[2:4], rows[:, 2:4])
    inside = (far - near).clip(0).prod(axis=1)
    areas = (rows[:, 2:4] - rows[:, :2]).clip(0).prod(axis=1)
    union = (one[2:4] - one[:2]).clip(0).prod() + areas - inside
    return np.asarray(inside / union.clip(np.finfo(np.float64).tiny), np.float64)


def _numbers(shapes: Sequence[tuple[int, ...]]) -> dict[int, int]:
    """Return by values of an anchor, 16 or 1, which output has them."""
    return {shape[-1]: number for number, shape in enumerate(shapes) if len(shape) == 3}  # noqa: PLR2004 - (1, anchors, values)


def _framed(height: int, width: int, side: int) -> tuple[float, float, float]:
    """Return the square: pixels of the picture for one of its own, left and top border of it."""
    longer = max(height, width)
    return longer / side, (longer - width) / 2, (longer - height) / 2


def _candidate(row: NDArray[np.float64], step: float, left: float, top: float) -> Candidate:
    places = row[:12].reshape(6, 2) * step - (left, top)
    (x0, y0), (x1, y1) = places[:2].tolist()
    return candidate(Box(x0, y0, x1, y1).quantised(), places[2:], float(row[12]))
