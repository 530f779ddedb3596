"""Boxes and frames: where things are in an image, and the image that travels through a recipe."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(H, W, 3) RGB pixels of an upright picture."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, xyxy and half-open, in pixels with the origin at the top left.

    >>> Box(0, 0, 4, 2).grow(0.5)
    Box(x0=-2.0, y0=-1.0, x1=6.0, y1=3.0)
    >>> Box(0, 0, 2, 2).iou(Box(1, 0, 3, 2))
    0.3333333333333333
    """

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Extent along x; never negative."""
        return max(self.x1 - self.x0, 0)

    @property
    def height(self) -> float:
        """Extent along y; never negative."""
        return max(self.y1 - self.y0, 0)

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        """Its middle, (x, y)."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """Its four numbers: x0, y0, x1, y1."""
        return self.x0, self.y0, self.x1, self.y1

    def grow(self, margin: float) -> Self:
        """Add a border on every side, as a fraction of the side it lies along."""
        dx, dy = margin * self.width, margin * self.height
        return replace(self, x0=self.x0 - dx, y0=self.y0 - dy, x1=self.x1 + dx, y1=self.y1 + dy)

    def shift(self, dx: float, dy: float) -> Self:
        """Move it by so many pixels."""
        return replace(self, x0=self.x0 + dx, y0=self.y0 + dy, x1=self.x1 + dx, y1=self.y1 + dy)

    def scale(self, sx: float, sy: float) -> Self:
        """Multiply its coordinates, as when the picture around it is resized."""
        return replace(self, x0=self.x0 * sx, y0=self.y0 * sy, x1=self.x1 * sx, y1=self.y1 * sy)

    def clip(self, width: float, height: float) -> Self:
        """Cut off what lies outside a picture of this size."""
        return replace(
            self,
            x0=min(max(self.x0, 0), width),
            y0=min(max(self.y0, 0), height),
            x1=min(max(self.x1, 0), width),
            y1=min(max(self.y1, 0), height),
        )

    def overlap(self, other: "Box") -> float:
        """Return the area that both cover, in square pixels."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return max(width, 0) * max(height, 0)

    def iou(self, other: "Box") -> float:
        """Return intersection over union, in [0, 1]; 0 for empty boxes."""
        both = self.overlap(other)
        union = self.area + other.area - both
        return both / union if union > 0 else 0.0

    def quantised(self) -> Self:
        """Round to 1/16 pixel, the precision at which findings are kept."""
        return replace(
            self,
            **{side: round(16 * getattr(self, side)) / 16 for side in ("x0", "y0", "x1", "y1")},
        )

    def outward(self) -> tuple[int, int, int, int]:
        """Return the smallest whole-pixel box around it: x0, y0, x1, y1."""
        x0, y0 = np.floor([self.x0, self.y0])
        x1, y1 = np.ceil([self.x1, self.y1])
        return int(x0), int(y0), int(x1), int(y1)


def union(boxes: Iterable[Box]) -> Box:
    """Return the smallest box around all of them; there must be one at least."""
    x0, y0, x1, y1 = zip(*(box.corners for box in boxes), strict=True)
    return Box(min(x0), min(y0), max(x1), max(y1))


def fit_longer(height: int, width: int, longer: int) -> tuple[int, int]:
    """Return height and width of a picture brought to a longer side, in pixels, its shape kept."""
    ratio = longer / max(height, width)
    return max(round(height * ratio), 1), max(round(width * ratio), 1)


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture with what is known about it; cutting it cuts everything together.

    Args:
        image: (H, W, 3) uint8, RGB, upright.
        alpha: (H, W) uint8, 255 on the person, or None.
        face: In pixels of `image`, or None.
    """

    image: Image
    alpha: NDArray[np.uint8] | None = None
    face: Box | None = None


def points_in_crops(
    points: NDArray[np.floating], crops: NDArray[np.floating], rotations: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return where points of pictures lie in their crops: the way of `render.cut`, forwards.

    Args:
        points: (N, K, 2) x and y in pixels of each upright source; nan stays nan.
        crops: (N, 4) what was cut out, x0, y0, x1, y1, in pixels of the source.
        rotations: (N,) degrees by which each source was turned about its crop's middle first,
            counter-clockwise as seen.

    Returns:
        (N, K, 2) x and y as fractions of the crop's width and height; beyond [0, 1] outside.

    >>> crop = np.array([[10.0, 10.0, 30.0, 20.0]])
    >>> points_in_crops(np.array([[[15.0, 20.0]]]), crop, np.array([0.0])).tolist()
    [[[0.25, 1.0]]]
    """
    angle = np.radians(rotations)[:, None]
    sides = crops[:, None, 2:] - crops[:, None, :2]
    x, y = np.moveaxis(points - (crops[:, None, 2:] + crops[:, None, :2]) / 2, -1, 0)
    # y points down: what is turned counter-clockwise as seen has its right side go up.
    turned = [x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)]
    return np.stack(turned, axis=-1) / sides + 0.5
