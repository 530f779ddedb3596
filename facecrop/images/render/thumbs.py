"""Small pictures for the contact sheet, and what was found in them as lines to draw."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facecrop.images.codec import encode
from facecrop.images.findings import Alpha, Point
from facecrop.images.frames import Box, Image

_QUALITY = 70
"""JPEG is a third larger than WebP at this size, and made fifteen times as fast."""
_INSIDE = 128
_SIMPLE = 0.75
"""Pixels of the matte by which its outline may be simplified: less than can be seen."""
_SPECK = 0.002
"""Share of the matte below which a patch gets no outline."""

Polygon = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Marks:
    """What is drawn on a source picture; everything in pixels of the upright source.

    Args:
        face: The chosen face.
        sure: A detector saw it; otherwise it is a sibling's, or a guess.
        landmarks: Of that face.
        person: The chosen person.
        crop: What was cut out, of the picture turned about the centre of this box.
        rotation: Degrees, counter-clockwise, by which it was turned.
        outline: Around the person matte, one closed line for each of its parts.
    """

    face: Box | None = None
    sure: bool = True
    landmarks: tuple[Point, ...] = ()
    person: Box | None = None
    crop: Box | None = None
    rotation: float = 0.0
    outline: tuple[Polygon, ...] = ()

    @property
    def crop_corners(self) -> tuple[Point, ...]:
        """The corners of the crop as it lies on the source that was not turned."""
        if self.crop is None:
            return ()
        (cx, cy), angle = self.crop.center, math.radians(self.rotation)
        cos, sin = math.cos(angle), math.sin(angle)
        x0, y0, x1, y1 = self.crop.corners
        return tuple(
            (cx + cos * (x - cx) - sin * (y - cy), cy + sin * (x - cx) + cos * (y - cy))
            for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
        )


def shrink(image: Image, height: int, width: int) -> Image:
    """Return a picture that fits into a frame, in its own shape; one that fits is left as it is.

    Args:
        image: (H, W, 3) uint8.
        height: Of the frame, pixels.
        width: Likewise.
    """
    scale = min(height / image.shape[0], width / image.shape[1])
    if scale >= 1:
        return image
    size = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def thumbnail(image: Image, side: int) -> bytes:
    """Return a picture as a JPEG whose longer side has at most `side` pixels."""
    return encode(shrink(image, side, side), "jpg", _QUALITY)


def outline(alpha: Alpha) -> tuple[Polygon, ...]:
    """Return lines around all that is more person than background, in pixels of the source.

    Patches and holes that nobody could see are left out.
    """
    inside: NDArray[np.uint8] = (alpha.values >= _INSIDE).astype(np.uint8)
    lines, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    least = _SPECK * inside.size
    height, width = inside.shape
    region = alpha.region
    steps = np.array([region.width / width, region.height / height])
    found = []
    for line in lines:
        if cv2.contourArea(line) < least:
            continue
        simple = cv2.approxPolyDP(line, _SIMPLE, closed=True).reshape(-1, 2)
        points = np.rint((simple + 0.5) * steps + (region.x0, region.y0)).astype(int)
        found.append(tuple((int(x), int(y)) for x, y in points))
    return tuple(found)
