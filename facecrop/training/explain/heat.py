"""How much of a network's heat lies on the face, the rest of the person, and the background."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from facecrop.images.frames import points_in_crops
from facecrop.training.crops import Size, windows
from facecrop.training.regions import FACE, clipped, matrix_of, moved, padded, regions_of

PARTS = ("face", "person", "background")
"""Where heat can lie. Without an alpha, person and background are one: `outside`."""

Mask = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Places:
    """What is where in one input of the network.

    Args:
        face: (H, W) float32 in [0, 1], how much of each pixel the face box covers; None: unknown.
        person: (H, W) float32, the alpha; None where none was kept. 0 outside the picture.
    """

    face: Mask | None
    person: Mask | None

    def shares(self, heat: Mask) -> dict[str, float]:
        """Return how a map that sums to 1 is spread: (H, W), not negative.

        Returns:
            Of `face`, `person` (the person apart from the face box) and `background`, which sum to
            1; or, without an alpha, of `face` and `outside`. Empty where the face is not known or
            there is no heat.
        """
        total = float(heat.sum())
        if self.face is None or total <= 0:
            return {}
        beside = heat * (1 - self.face) / total
        face = float((heat * self.face).sum()) / total
        if self.person is None:
            return {"face": face, "outside": float(beside.sum())}
        person = float((beside * self.person).sum())
        return {"face": face, "person": person, "background": float(beside.sum()) - person}

    def areas(self) -> dict[str, float]:
        """Return the shares of the area: what heat that falls anywhere alike would give."""
        if self.face is None:
            return {}
        return self.shares(np.full(self.face.shape, 1 / self.face.size, np.float32))


class Geometry:
    """The way from source pictures to the network's input, for N records.

    Args:
        index: (N,) rows of the index that have crops.
        out: The dataset, whose card says how crops were brought to size.
        crops: (N, 2) height and width of each crop's file.
        size: Height and width of the network's input.
        center_crop: Height and width of what is cut from the middle of each crop first.
    """

    def __init__(
        self,
        index: pa.Table,
        out: Path,
        crops: NDArray[np.int64],
        size: Size,
        center_crop: Size | None,
    ) -> None:
        self._size = size
        self._windows = windows(crops, center_crop)
        boxes = moved(regions_of(index, out), self._windows)
        self._faces = clipped(boxes)[:, FACE]
        self._ways = self._affine(index, out)
        self._cuts = self._inside(index, out)

    def places(self, row: int, alpha: NDArray[np.uint8] | None) -> Places:
        """Return what is where in one record's input.

        Args:
            row: Of the record.
            alpha: (h, w) uint8, of the upright source picture or at any other scale of it; None.
        """
        person = None if alpha is None else self._alpha(row, alpha)
        box = self._faces[row]
        return Places(None if np.isnan(box).any() else cover(box, self._size), person)

    def face(self, row: int) -> NDArray[np.float32] | None:
        """Return the face box as fractions of the input, (4,) x0, y0, x1, y1, None if unknown."""
        return None if np.isnan(self._faces[row]).any() else self._faces[row]

    def _affine(self, index: pa.Table, out: Path) -> NDArray[np.float64]:
        """Return (N, 2, 3): from fractions of the upright source to fractions of the input."""
        names = ["width", "height", "crop_x0", "crop_y0", "crop_x1", "crop_y1", "rotation"]
        facts = matrix_of(index, names)
        sides, crops, turns = facts[:, :2], facts[:, 2:6], np.nan_to_num(facts[:, 6])
        # An affine map is known by where three corners go; two make a "box", as `padded` reads it.
        corners = sides[:, None, :] * np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])
        points = points_in_crops(corners, crops, turns).reshape(-1, 2, 4)
        points = padded(points, crops[:, 2:] - crops[:, :2], out)
        points = moved(np.asarray(points), self._windows).reshape(-1, 4, 2).astype(np.float64)
        start, right, down = points[:, 0], points[:, 1], points[:, 2]
        return np.stack([right - start, down - start, start], axis=2)

    def _inside(self, index: pa.Table, out: Path) -> NDArray[np.float32]:
        """Return (N, 4) where the cut lies in the input: around it is what `fit-pad` has added."""
        whole = np.tile([0.0, 0, 1, 1], (index.num_rows, 1, 1))
        crops = matrix_of(index, ["crop_x0", "crop_y0", "crop_x1", "crop_y1"])
        cuts = padded(whole, crops[:, 2:] - crops[:, :2], out)
        return clipped(moved(np.asarray(cuts, np.float32), self._windows))[:, 0]

    def _alpha(self, row: int, alpha: NDArray[np.uint8]) -> Mask:
        height, width = self._size
        way = self._ways[row]
        # As many pixels of alpha as the input has there: linear interpolation would skip the rest.
        across = np.linalg.norm(way[:, :2] * np.array([[width], [height]]), axis=0)
        wanted = [
            max(1, round(min(n, side))) for n, side in zip(across, alpha.shape[::-1], strict=True)
        ]
        if wanted != list(alpha.shape[::-1]):
            alpha = np.asarray(cv2.resize(alpha, wanted, interpolation=cv2.INTER_AREA), np.uint8)
        # Pixels are counted by their centres, fractions by edges.
        scale = np.array([[width], [height]])
        turn = way[:, :2] * scale / np.array(alpha.shape[::-1])
        shift = way[:, 2] * scale[:, 0] + turn @ np.array([0.5, 0.5]) - 0.5
        matrix = np.column_stack([turn, shift])
        laid = cv2.warpAffine(alpha, matrix, (width, height), flags=cv2.INTER_LINEAR)
        return np.asarray(laid, np.float32) / np.float32(255) * cover(self._cuts[row], self._size)


def cover(box: NDArray[np.floating], size: Size) -> Mask:
    """Return how much of each pixel a box covers, (H, W) float32 in [0, 1].

    Args:
        box: (4,) x0, y0, x1, y1 as fractions of the picture.
        size: H and W.
    """
    height, width = size
    across = _covered(float(box[0]) * width, float(box[2]) * width, width)
    down = _covered(float(box[1]) * height, float(box[3]) * height, height)
    return np.asarray(np.outer(down, across), np.float32)


def _covered(start: float, end: float, count: int) -> NDArray[np.float64]:
    edges = np.clip(np.arange(count + 1, dtype=np.float64), start, max(start, end))
    return np.diff(edges)
