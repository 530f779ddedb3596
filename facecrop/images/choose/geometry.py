"""Where to cut: from a box and some wishes to whole pixels; numbers only."""

import math
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from facecrop.config import Settings
from facecrop.images.findings import Point
from facecrop.images.frames import Box

_ANGLE_STEPS = 16
"""Angles are rounded to 1/16 degree, a quarter pixel at the edge of a 512-pixel crop."""


class Crop(Settings):
    """What to cut out."""

    around: Literal["face", "person", "center", "none"] = "face"
    """The chosen face or person, the middle of the picture, or nothing: the whole picture."""
    margin: float = Field(default=0.25, ge=0, le=4)
    """Border on every side of the face or person, as a fraction of the side it lies along."""
    aspect: float | None = Field(default=1.0, gt=0.1, lt=10)
    """Width divided by height of the cut around a face or person; the shorter side grows to it.
    `free` (none) keeps the box's own."""
    min_size: int = Field(default=0, ge=0)
    """Pixels that each side of a cut around a face or person has at least."""
    size: tuple[int, int] | None = None
    """Height and width of the cut from the middle, in pixels."""
    edge: Literal["shift", "pad"] = "shift"
    """Where a cut would reach outside: move it inside, and shrink it only if it does not fit; or
    leave it, and let render fill what is missing."""

    @model_validator(mode="before")
    @classmethod
    def _free(cls, data: object) -> object:
        # TOML has no word for nothing.
        if isinstance(data, dict) and data.get("aspect") == "free":
            return {**data, "aspect": None}
        return data

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if (self.around == "center") != (self.size is not None):
            raise ValueError("crop.size goes with crop.around = 'center', and only with it")
        if self.size is not None and min(self.size) < 1:
            raise ValueError("crop.size must be a height and a width of at least 1")
        return self


class Align(Settings):
    """Turn the picture so that the eyes are level."""

    max_angle: float = Field(default=30.0, gt=0, le=180)
    """Degrees; heads that seem to lie further over are left as they are: such landmarks are more
    often wrong than right."""


def plan_crop(  # noqa: PLR0917 - box, wishes, picture: no other order makes sense
    box: Box | None,
    landmarks: Sequence[Point],
    crop: Crop,
    align: Align | None,
    height: int,
    width: int,
) -> tuple[Box, float]:
    """Say what to cut out of a picture.

    Args:
        box: The chosen face or person, in pixels of the picture; may reach outside. Needed if
            `crop.around` is one of these.
        landmarks: The face's, first the eyes; empty if unknown.
        crop: What to cut.
        align: Whether and how far to turn.
        height: Of the upright picture, pixels.
        width: Likewise.

    Returns:
        A box of whole pixels, at least 1 by 1, and the degrees by which to turn the picture about
        the box's centre first. With `shift` it lies inside the picture and holds all of the
        picture's pixels that `box` covers, even where that costs the aspect; with `pad` it holds
        `box`. Where the picture is turned, its corners may come from outside all the same.

    Raises:
        ValueError: `crop` is around something, and there is no box.
    """
    rotation = 0.0 if align is None else eye_angle(landmarks, align.max_angle)
    if crop.around == "none":
        return Box(0, 0, width, height), rotation
    if crop.size is not None:
        inner = _centred((width / 2, height / 2), crop.size[1], crop.size[0])
        wanted = inner
    elif box is None:
        raise ValueError(f"a crop around a {crop.around} needs its box")
    else:
        inner = box
        wanted = _with_aspect(_at_least_a_pixel(box.grow(crop.margin)), crop)
    if crop.edge == "pad":
        return wanted, rotation
    return _shifted_inside(wanted, inner.clip(width, height), crop, height, width), rotation


def eye_angle(landmarks: Sequence[Point], max_angle: float) -> float:
    """Return how far to turn a picture, counter-clockwise, so that the eyes are level.

    Args:
        landmarks: As in `facecrop.images.findings.LANDMARKS`.
        max_angle: Degrees; larger angles give 0.

    >>> eye_angle([(10, 10), (30, 30)], 60)
    45.0
    """
    if len(landmarks) < 2:  # noqa: PLR2004 - two eyes
        return 0.0
    (x0, y0), (x1, y1) = landmarks[:2]
    angle = math.degrees(math.atan2(y1 - y0, x1 - x0))
    return round(angle * _ANGLE_STEPS) / _ANGLE_STEPS if abs(angle) <= max_angle else 0.0


def _at_least_a_pixel(box: Box) -> Box:
    x0, y0, x1, y1 = box.outward()
    return Box(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))


def _with_aspect(box: Box, crop: Crop) -> Box:
    """Grow a box of whole pixels about its centre until it has the aspect and the least size."""
    width, height = max(box.width, crop.min_size), max(box.height, crop.min_size)
    if crop.aspect is not None:
        width, height = (
            max(width, math.ceil(height * crop.aspect - 1e-9)),  # 1e-9: 3 * (1 / 3) is not above 1
            max(height, math.ceil(width / crop.aspect - 1e-9)),
        )
    x0 = box.x0 - (width - box.width) // 2
    y0 = box.y0 - (height - box.height) // 2
    return Box(x0, y0, x0 + width, y0 + height)


def _centred(center: tuple[float, float], width: int, height: int) -> Box:
    x0, y0 = math.floor(center[0] - width / 2), math.floor(center[1] - height / 2)
    return Box(x0, y0, x0 + width, y0 + height)


def _shifted_inside(wanted: Box, inner: Box, crop: Crop, height: int, width: int) -> Box:
    """Move a box into the picture; shrink it only if it is too large, and never below `inner`."""
    x0, y0, x1, y1 = inner.outward()
    if crop.aspect is None or crop.size is not None:
        new_width, new_height = min(wanted.width, width), min(wanted.height, height)
    else:
        scale = min(width / wanted.width, height / wanted.height, 1)
        new_width = max(math.floor(wanted.width * scale + 1e-9), min(x1, width) - x0, 1)
        new_height = max(math.floor(wanted.height * scale + 1e-9), min(y1, height) - y0, 1)
    left = _placed(wanted.center[0], new_width, (x0, x1), width)
    top = _placed(wanted.center[1], new_height, (y0, y1), height)
    return Box(left, top, left + new_width, top + new_height)


def _placed(center: float, length: float, inner: tuple[int, int], limit: int) -> int:
    """Return where a stretch of `length` begins: near `center`, around `inner`, inside `limit`."""
    start = math.floor(center - length / 2)
    start = min(max(start, math.ceil(inner[1] - length)), inner[0])
    return int(min(max(start, 0), limit - length))
