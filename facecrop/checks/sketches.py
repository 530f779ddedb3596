"""Sketches: whether two pictures may be one photograph, in microseconds, before proof is sought.

Hashes propose too many: of aligned faces, one pair in two hundred. A sketch keeps where a picture
is lighter and darker than around, which the same photograph keeps when it is compressed, resized or
cropped a little; strangers seldom agree in it.
"""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from facecrop.checks.proof import Small

CELLS = 24
"""Numbers along each side of a sketch: four pixels of a picture as it is compared."""

_BORDER = 2
"""Cells along each edge that only one picture of a pair shows: 8 %."""
_INNER = CELLS - 2 * _BORDER
_FINE_SIGMA, _BROAD_SIGMA = 2.5, 8.0
"""Pixels of the details that are kept: finer ones fall between cells, broader ones are shading."""
_SCALES = (1 / 1.05, 1.0, 1.05)
_SHIFTS = (-0.02, 0.0, 0.02)
"""How pictures are laid on each other: sizes, and shares of the side along x and y."""
_LARGEST = 127
_TINY = 1e-6

Sketch = NDArray[np.int8]


def sketch(picture: Small) -> Sketch:
    """Return what is kept of a picture, (CELLS * CELLS,) int8, row by row.

    Args:
        picture: As `proof.prepare` returns it.
    """
    gray = picture.astype(np.float32)
    details = cv2.GaussianBlur(gray, (0, 0), _FINE_SIGMA) - cv2.GaussianBlur(
        gray, (0, 0), _BROAD_SIGMA
    )
    cells = cv2.resize(details, (CELLS, CELLS), interpolation=cv2.INTER_AREA).ravel()
    largest = max(float(np.abs(cells).max()), 1.0)  # a flat picture has nothing but rounding
    return np.asarray(np.round(cells * (_LARGEST / largest)), np.int8)


def alike(first: Sketch, others: Sketch, *, mirror: bool = False) -> NDArray[np.float32]:
    """Return how well each of other pictures agrees with the first, however it is laid on it.

    Args:
        first: (CELLS * CELLS,).
        others: (K, CELLS * CELLS).
        mirror: Whether the others are turned over.

    Returns:
        (K,) the largest correlation of the inner cells over all layings, at most 1.
    """
    places, weights = _layings()
    laid = np.einsum("vpc,vpc->vp", first.astype(np.float32)[places], weights)
    cells = others.reshape(-1, CELLS, CELLS)
    if mirror:
        cells = cells[:, :, ::-1]
    inner = cells[:, _BORDER:-_BORDER, _BORDER:-_BORDER].reshape(len(others), -1)
    found = _normal(inner.astype(np.float32)) @ _normal(laid).T
    return np.asarray(found.max(axis=1), np.float32)


def _normal(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(
        rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY), np.float32
    )


@cache
def _layings() -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return, for V ways to lay the inner cells, the 4 cells around each and their weights.

    Both (V, _INNER ** 2, 4): linear interpolation.
    """
    along = np.arange(_INNER) - (_INNER - 1) / 2
    middle = (CELLS - 1) / 2
    places, weights = [], []
    for scale in _SCALES:
        for down in _SHIFTS:
            for right in _SHIFTS:
                y, x = np.meshgrid(
                    *(
                        np.clip(middle + shift * CELLS + scale * along, 0, CELLS - 1)
                        for shift in (down, right)
                    ),
                    indexing="ij",
                )
                top, left = (np.minimum(one.ravel().astype(int), CELLS - 2) for one in (y, x))
                part_y, part_x = y.ravel() - top, x.ravel() - left
                at = top * CELLS + left
                places.append(np.stack([at, at + 1, at + CELLS, at + CELLS + 1], axis=1))
                corner = [
                    (1 - part_y) * (1 - part_x), (1 - part_y) * part_x,
                    part_y * (1 - part_x), part_y * part_x,
                ]  # fmt: skip
                weights.append(np.stack(corner, axis=1))
    return np.array(places, np.int64), np.array(weights, np.float32)
