"""Cut, turn and resize: image and alpha together, in as few passes as possible."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facecrop.images.findings import Alpha
from facecrop.images.frames import Box, Image
from facecrop.images.look.alpha import alpha_in

Matte = NDArray[np.uint8]

_LINEAR_UP_TO = 4 / 3
"""Ratio of shrinking up to which linear interpolation loses nothing."""
_HALVED_FROM = 4
"""Ratio from which a picture is halved first; from less, the crops would be softer."""
_CUBIC_REACH = 3
"""Pixels of a crop around which cubic interpolation looks, and one for rounding."""
_SKEWED = 1.5
"""Ratio between the ratios along both sides from which OpenCV's averages are used after all."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What to cut, and the size it shall have.

    Args:
        box: In pixels of the source, turned by `rotation` about its centre; whole ones, but where
            the source was reduced.
        rotation: Degrees, counter-clockwise as seen.
        height: Of the result, pixels.
        width: Likewise.
        pad: Colour of what lies outside the source.
    """

    box: Box
    rotation: float
    height: int
    width: int
    pad: tuple[int, int, int]


def cut(image: Image, alpha: Alpha | None, what: Cut) -> tuple[Image, Matte | None]:
    """Cut out of an image, and the same part out of its alpha.

    Shrinking averages areas, enlarging is cubic. A turned crop, or one that begins within a pixel,
    is first cut with its surroundings and shrunk, then turned with cubic interpolation.

    Args:
        image: (H, W, 3) uint8.
        alpha: The finding, or None.
        what: Where, and how large the result is.

    Returns:
        (height, width, 3) uint8, and (height, width) uint8 or None. Outside the source the image
        has the pad colour and alpha is 0.
    """
    whole = all(float(side).is_integer() for side in what.box.corners)
    if what.rotation == 0 and whole:
        pixels = resized(_part(image, what.box, what.pad), what.height, what.width)
        if alpha is None:
            return pixels, None
        matte = alpha_in(alpha, what.box, what.height, what.width)
        return pixels, _none_outside(matte, what.box, image)
    around = _surroundings(what.box, what.rotation, 1 if whole else _spare(what))
    # Never enlarged before it is turned: that would only be more to turn.
    height = max(round(around.height * min(what.height / what.box.height, 1)), 1)
    width = max(round(around.width * min(what.width / what.box.width, 1)), 1)
    back = _way_back(what, around, height, width)
    straight = what.rotation == 0 and not whole
    part = _extended(image, around, what) if straight else _part(image, around, what.pad)
    pixels = resized(part, height, width)
    pixels = _turned(pixels, back, what, cv2.INTER_CUBIC, what.pad)
    if alpha is None:
        return pixels, None
    matte = _none_outside(alpha_in(alpha, around, height, width), around, image)
    return pixels, _turned(matte, back, what, cv2.INTER_LINEAR, (0, 0, 0))


def _part(image: Image, box: Box, pad: tuple[int, int, int]) -> Image:
    """Return a part of an image: a view if it lies inside, else a copy with a border."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = box.outward()
    inside = image[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    if x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height:
        return inside
    if inside.size == 0:
        return np.full((y1 - y0, x1 - x0, 3), pad, np.uint8)
    borders = (max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0))
    return np.asarray(
        cv2.copyMakeBorder(inside, *borders, cv2.BORDER_CONSTANT, value=pad), np.uint8
    )


def _extended(image: Image, around: Box, what: Cut) -> Image:
    """Return the surroundings of an upright crop; if it lies inside, the picture's border goes on.

    Cubic interpolation reaches two pixels beyond the crop, and would see the pad colour there.
    """
    height, width = image.shape[:2]
    x0, y0, x1, y1 = around.outward()
    if what.box != what.box.clip(width, height):
        return _part(image, around, what.pad)
    borders = (max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0))
    inside = image[max(y0, 0) : y1, max(x0, 0) : x1]
    return np.asarray(cv2.copyMakeBorder(inside, *borders, cv2.BORDER_REPLICATE), np.uint8)


def resized(image: Image, height: int, width: int) -> Image:
    """Resize a picture: cubic if it grows, else an average over areas.

    OpenCV's averages over areas that cut pixels in parts are slow; those of two by two pixels run
    at the speed of memory. So pictures are halved until less than four times the size is left,
    brought to exactly twice the size by linear interpolation, and halved again. Measured against a
    Lanczos filter on a noisy photograph, that comes within 1 dB of OpenCV's averages (39 dB), 1.5
    for reductions to a sixteenth, in a third of their time. For reductions by up to a quarter,
    linear interpolation alone is as good as they are, in a fifth of it.
    """
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return np.ascontiguousarray(image)
    down_y, down_x = rows / height, columns / width
    if max(down_y, down_x) <= _LINEAR_UP_TO:
        enlarges = down_y * down_x < 1
        how = cv2.INTER_CUBIC if enlarges else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)
    if max(down_y, down_x) > _SKEWED * min(down_y, down_x):
        return np.asarray(
            cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
    while min(down_y, down_x) >= _HALVED_FROM:
        image = _halved(image)
        down_y, down_x = down_y / 2, down_x / 2
    twice = (2 * width, 2 * height)
    halvings = rows / height / down_y
    if rows % halvings == 0 and columns % halvings == 0:
        return _halved(np.asarray(cv2.resize(image, twice, interpolation=cv2.INTER_LINEAR)))
    # Halving odd sides added rows: they are left out again, to a fraction of a pixel.
    place = np.array([[down_x / 2, 0, down_x / 4 - 0.5], [0, down_y / 2, down_y / 4 - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(image, place, twice, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return _halved(np.asarray(warped, np.uint8))


def _halved(image: Image) -> Image:
    """Average two by two pixels; odd sides get a copy of their last row first."""
    rows, columns = image.shape[:2]
    if rows % 2 or columns % 2:
        below, right = rows % 2, columns % 2
        image = np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE))
    size = (image.shape[1] // 2, image.shape[0] // 2)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _none_outside(matte: Matte, box: Box, image: Image) -> Matte:
    """Nobody is outside the picture, whatever the region of the finding."""
    height, width = image.shape[:2]
    rows, columns = matte.shape
    step_y, step_x = box.height / rows, box.width / columns
    inside_y = slice(*_inside(box.y0, step_y, rows, height))
    inside_x = slice(*_inside(box.x0, step_x, columns, width))
    if (inside_y, inside_x) == (slice(0, rows), slice(0, columns)):
        return matte
    kept = np.zeros_like(matte)
    kept[inside_y, inside_x] = matte[inside_y, inside_x]
    return kept


def _spare(what: Cut) -> int:
    """Return how many pixels of the source cubic interpolation needs on each side of a crop."""
    step = max(what.box.height / what.height, what.box.width / what.width, 1)
    return math.ceil(_CUBIC_REACH * step)


def _surroundings(box: Box, rotation: float, spare: int) -> Box:
    """Return the upright box of whole pixels around a turned one, with some to spare."""
    cos, sin = abs(math.cos(math.radians(rotation))), abs(math.sin(math.radians(rotation)))
    half_width = (box.width * cos + box.height * sin) / 2 + spare
    half_height = (box.width * sin + box.height * cos) / 2 + spare
    x, y = box.center
    return Box(*Box(x - half_width, y - half_height, x + half_width, y + half_height).outward())


def _way_back(what: Cut, around: Box, height: int, width: int) -> NDArray[np.float64]:
    """Return the (2, 3) matrix from pixel centres of the result to those of its surroundings."""
    cos, sin = math.cos(math.radians(what.rotation)), math.sin(math.radians(what.rotation))
    step_x, step_y = what.box.width / what.width, what.box.height / what.height
    # A picture turned counter-clockwise as seen (y points down) is read clockwise.
    turn = np.array([[cos * step_x, -sin * step_y], [sin * step_x, cos * step_y]])
    middle = np.array(what.box.center) - (around.x0, around.y0)
    start = middle - turn @ (np.array([what.width, what.height]) / 2 - 0.5)
    scale = np.array([width / around.width, height / around.height])
    return np.column_stack([turn * scale[:, None], start * scale - 0.5])


def _turned(
    pixels: NDArray[np.uint8],
    back: NDArray[np.float64],
    what: Cut,
    how: int,
    pad: tuple[int, int, int],
) -> NDArray[np.uint8]:
    size, flags = (what.width, what.height), how | cv2.WARP_INVERSE_MAP
    turned = cv2.warpAffine(
        pixels, back, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=pad
    )
    return np.asarray(turned, np.uint8)


def _inside(start: float, step: float, count: int, limit: int) -> tuple[int, int]:
    """Return the range of those of `count` pixels whose centres lie in [0, limit)."""
    first = math.ceil(-start / step - 0.5)
    end = math.ceil((limit - start) / step - 0.5)
    return min(max(first, 0), count), min(max(end, 0), count)
