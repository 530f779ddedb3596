"""Alphas where they are needed: brought to the pixels of a crop, summed up inside a box."""

import cv2
import numpy as np
from numpy.typing import NDArray

from facecrop.images.findings import Alpha
from facecrop.images.frames import Box


def alpha_in(alpha: Alpha, box: Box, height: int, width: int) -> NDArray[np.uint8]:
    """Return the matte of a part of the source at the size of its crop.

    Only the part that is asked for is computed, so a crop never pays for the whole picture. Between
    the model's pixels the matte is interpolated linearly, which cannot overshoot; where the crop is
    coarser than the model, the model's pixels are averaged first.

    Args:
        alpha: The finding.
        box: The part, in pixels of the upright source; what lies outside the region of the
            finding is nobody's.
        height: Of the crop, pixels.
        width: Likewise.

    Returns:
        (height, width) uint8, 255 on the person.
    """
    values, region = alpha.values, alpha.region
    if not (region.area and box.area):
        return np.zeros((height, width), np.uint8)
    step_x, step_y = box.width / width, box.height / height
    values = _coarse(values, region.height / step_y, region.width / step_x)
    on_pixels = region.shift(-box.x0, -box.y0).scale(1 / step_x, 1 / step_y)
    if _whole_and_inside(on_pixels, height, width):
        return _pasted(values, on_pixels, height, width)
    scale_x, scale_y = values.shape[1] / region.width, values.shape[0] / region.height
    # Centres of pixels lie at halves, in the crop as in the matte.
    place = np.array(
        [
            [step_x * scale_x, 0, (box.x0 - region.x0 + step_x / 2) * scale_x - 0.5],
            [0, step_y * scale_y, (box.y0 - region.y0 + step_y / 2) * scale_y - 0.5],
        ]
    )
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    found = cv2.warpAffine(
        values, place, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE
    )
    result = np.asarray(found, np.uint8)
    left, right = _inside(box.x0, step_x, width, region.x0, region.x1)
    top, bottom = _inside(box.y0, step_y, height, region.y0, region.y1)
    result[:top] = result[bottom:] = 0
    result[:, :left] = result[:, right:] = 0
    return result


def coverage(alpha: Alpha, box: Box) -> float:
    """Return how much of a box the person covers, in [0, 1]; what is outside the region is empty.

    Each pixel of the model counts with its value and the part of it that lies inside the box.

    Args:
        alpha: The finding.
        box: In pixels of the upright source.
    """
    height, width = alpha.values.shape
    region = alpha.region
    if not (region.area and box.area):
        return 0.0
    if box.overlap(region) == region.area:  # all of it counts, which is the usual case
        mean = cv2.sumElems(alpha.values)[0] / alpha.values.size  # numpy's mean takes ten times it
        return min(mean / 255 * region.area / box.area, 1.0)
    across = _shares(width, region.x0, region.x1, box.x0, box.x1)
    down = _shares(height, region.y0, region.y1, box.y0, box.y1)
    covered = float(down @ (alpha.values.astype(np.float64) @ across))
    return min(covered / 255 / box.area, 1.0)


def _whole_and_inside(box: Box, height: int, width: int) -> bool:
    whole = all(float(side).is_integer() for side in box.corners)
    return whole and box == box.clip(width, height)


def _pasted(values: NDArray[np.uint8], place: Box, height: int, width: int) -> NDArray[np.uint8]:
    """Return the matte resized into a place of whole pixels: the same numbers, much sooner."""
    x0, y0, x1, y1 = (int(side) for side in place.corners)
    resized = cv2.resize(values, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    result = np.zeros((height, width), np.uint8)
    result[y0:y1, x0:x1] = resized
    return result


def _coarse(values: NDArray[np.uint8], height: float, width: float) -> NDArray[np.uint8]:
    """Return the matte with no more pixels than the crop has there, each the mean of old ones."""
    size = (
        min(values.shape[1], max(round(width), 1)),
        min(values.shape[0], max(round(height), 1)),
    )
    if size == (values.shape[1], values.shape[0]):
        return values
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.uint8)


def _inside(start: float, step: float, count: int, low: float, high: float) -> tuple[int, int]:
    """Return the first and the end of those of `count` pixels whose centres lie in [low, high)."""
    first = int(np.ceil((low - start) / step - 0.5))
    end = int(np.ceil((high - start) / step - 0.5))
    return min(max(first, 0), count), min(max(end, 0), count)


def _shares(count: int, low: float, high: float, start: float, end: float) -> NDArray[np.float64]:
    """Return the length inside [start, end) of each of `count` equal pieces of [low, high)."""
    edges = np.linspace(low, high, count + 1).clip(start, end)
    return np.diff(edges)
