"""Where two pictures are mixed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from facecrop.training.settings.augment import Region

EYES, FACE = 0, 1
"""Places of the boxes in a batch's regions."""


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels, half-open."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def area(self) -> int:
        """In pixels."""
        return (self.bottom - self.top) * (self.right - self.left)

    def of(self, images: Tensor, row: int) -> Tensor:
        """Return what one picture of (N, 3, H, W) shows in it: a view (1, 3, h, w)."""
        return images[row : row + 1, :, self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True, slots=True)
class Pair:
    """A region of a picture, what comes into it from the partner, and its share of the area."""

    own: Window
    other: Window
    share: float


def place_region(
    region: Region,
    boxes: tuple[Tensor, Tensor],
    drawn: tuple[float, Sequence[float]],
    size: tuple[int, int],
) -> Pair | None:
    """Return where a picture is mixed, or None: nowhere.

    `half` is the right half of the width, from column W // 2 on; `upper` and `lower` meet at row
    H // 2. A half counts as one half, also where a side is odd. `eyes` and `face` are the
    picture's own box, filled from the partner's: nowhere if either is unknown.

    Args:
        region: Which.
        boxes: (2, 4) boxes of the picture and of its partner, shares of width and height.
        drawn: Of a random box, share of the area outside and its middle, shares of width and
            height; what would lie outside the picture is cut off.
        size: Height and width of the pictures.
    """
    height, width = size
    half_rows, half_columns = height // 2, width // 2
    match region:
        case "half":
            return _halves(Window(0, half_columns, height, width))
        case "upper":
            return _halves(Window(0, 0, half_rows, width))
        case "lower":
            return _halves(Window(half_rows, 0, height, width))
        case "eyes" | "face":
            number = EYES if region == "eyes" else FACE
            own, other = (_window(box[number], size) for box in boxes)
        case "whole":
            own = other = Window(0, 0, height, width)
        case "box":
            own = other = _random_box(*drawn, size)
    if own is None or other is None or not own.area:
        return None
    return Pair(own, other, own.area / (height * width))


def _halves(window: Window) -> Pair | None:
    return Pair(window, window, 0.5) if window.area else None


def _window(box: Tensor, size: tuple[int, int]) -> Window | None:
    """Return a (4,) box in whole pixels, inside the picture; None if it is unknown or empty."""
    if not bool(torch.isfinite(box).all()):
        return None
    height, width = size
    x0, y0, x1, y1 = box.clamp(0, 1).tolist()
    window = Window(
        round(y0 * height),
        round(x0 * width),
        round(y1 * height),
        round(x1 * width),
    )
    return window if window.bottom > window.top and window.right > window.left else None


def _random_box(uncut: float, center: Sequence[float], size: tuple[int, int]) -> Window:
    """Return a box of the picture's shape, cut at its edges (Yun 2019, equation 2)."""
    height, width = size
    side = math.sqrt(1 - uncut)
    middle_x, middle_y = int(center[0] * width), int(center[1] * height)
    half_w, half_h = int(width * side) // 2, int(height * side) // 2
    return Window(
        max(middle_y - half_h, 0),
        max(middle_x - half_w, 0),
        min(middle_y + half_h, height),
        min(middle_x + half_w, width),
    )
