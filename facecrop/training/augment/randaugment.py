"""RandAugment: a few random transforms, all of one strength."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from facecrop.training.augment.geometry import about_middle, move_boxes, warp
from facecrop.training.augment.layout import pick, put
from facecrop.training.augment.transform import Params, Reads
from facecrop.training.settings import augment as settings_of

_MOST = 30
"""Largest magnitude."""

Place = tuple[tuple[float, float, float, float], float, float]
"""Linear map (xx, xy, yx, yy) about the middle, and shifts as shares of width and height."""


def _turned(level: float) -> Place:
    angle = math.radians(30 * level)
    return (math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle)), 0, 0


GEOMETRY: dict[str, Callable[[float], Place]] = {
    "shear-x": lambda level: ((1, 0.3 * level, 0, 1), 0, 0),
    "shear-y": lambda level: ((1, 0, 0.3 * level, 1), 0, 0),
    "translate-x": lambda level: ((1, 0, 0, 1), 150 / 331 * level, 0),
    "translate-y": lambda level: ((1, 0, 0, 1), 0, 150 / 331 * level),
    "rotate": _turned,
}
"""Operations that move pixels, by their level from -1 to 1."""


def _solarised(images: Tensor, level: float) -> Tensor:
    return torch.where(images > 255 * (1 - abs(level)), 255 - images, images)


COLOURS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "identity": lambda images, _: images,
    "brightness": lambda images, level: functional.adjust_brightness(images, 1 + 0.9 * level),
    "color": lambda images, level: functional.adjust_saturation(images, 1 + 0.9 * level),
    "contrast": lambda images, level: functional.adjust_contrast(images, 1 + 0.9 * level),
    "sharpness": lambda images, level: functional.adjust_sharpness(images, 1 + 0.9 * level),
    "posterize": lambda images, level: functional.posterize(images, 8 - round(4 * abs(level))),
    "solarize": _solarised,
    "auto-contrast": lambda images, _: functional.autocontrast(images),
    "equalize": lambda images, _: functional.equalize(images),
}
"""Operations on (N, 3, H, W) uint8 colours, likewise."""

OPERATIONS = (*GEOMETRY, *COLOURS)


class RandomOperations:
    """Send each picture through `number` operations, drawn with replacement.

    Source: Cubuk 2020, "RandAugment", with torchvision's fourteen operations and ranges for 31
    magnitudes. Differences: pixels that move are interpolated linearly, shears are about the
    middle of the picture, and solarising starts above its threshold, so that magnitude 0 leaves
    white white. What comes from outside is black, as there.
    """

    reads: Reads = "bytes"

    def __init__(self, settings: settings_of.RandAugment) -> None:
        self._number, self._level = settings.number, settings.magnitude / _MOST

    def draw(self, n: int, generator: torch.Generator) -> Params:
        """Draw operations and their directions, (n, number) each."""
        shape = n, self._number
        return {
            "operation": torch.randint(len(OPERATIONS), shape, generator=generator),
            "sign": torch.randint(2, shape, generator=generator) * 2 - 1,
        }

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Return changed pictures."""
        images = images.clone(memory_format=torch.channels_last)
        for name, level, rows in self._groups(params):
            chosen = pick(images, rows)
            if name in GEOMETRY:
                matrices = _matrices(name, level, len(rows), *chosen.shape[2:])
                changed = warp(chosen, matrices, mirrored=False)
            else:
                changed = COLOURS[name](chosen, level)
            images = put(images, rows, changed)
        return images

    def move(self, boxes: Tensor, params: Params, height: int, width: int) -> Tensor:
        """Return the boxes around the moved boxes."""
        boxes = boxes.clone()
        for name, level, rows in self._groups(params):
            if name in GEOMETRY:
                here = rows.to(boxes.device)
                matrices = _matrices(name, level, len(rows), height, width)
                boxes[here] = move_boxes(boxes[here], matrices, height, width)
        return boxes

    def _groups(self, params: Params) -> Iterator[tuple[str, float, Tensor]]:
        """Yield operation, signed level and (K,) rows, in the order of application."""
        for operation, sign in zip(
            params["operation"].unbind(dim=1), params["sign"].unbind(dim=1), strict=True
        ):
            for number, name in enumerate(OPERATIONS):
                for direction in (-1, 1):
                    rows = ((operation == number) & (sign == direction)).nonzero()[:, 0]
                    if len(rows):
                        yield name, direction * self._level, rows


def _matrices(name: str, level: float, n: int, height: int, width: int) -> Tensor:
    """Return `n` equal (2, 3) matrices of an operation, in pixels."""
    linear, right, down = GEOMETRY[name](level)
    shift = torch.tensor([right * width, down * height]).expand(n, 2)
    turn = torch.tensor(linear, dtype=torch.float32).view(1, 2, 2).expand(n, 2, 2)
    return about_middle(turn, shift[:, 0], shift[:, 1], height, width)
