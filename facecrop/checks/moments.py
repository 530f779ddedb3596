"""Sums over pixels, whole numbers: those of two sets are added to get those of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over pixels; those of two sets of pixels are added to get those of both.

    Args:
        pixels: How many.
        totals: (3,) sum of red, green and blue, whole numbers.
        squares: (3,) sum of their squares.
    """

    pixels: int = 0
    totals: tuple[int, int, int] = (0, 0, 0)
    squares: tuple[int, int, int] = (0, 0, 0)

    def __add__(self, other: Self) -> "Moments":
        return Moments(
            self.pixels + other.pixels,
            _added(self.totals, other.totals),
            _added(self.squares, other.squares),
        )

    @property
    def mean(self) -> tuple[float, ...] | None:
        """Of red, green and blue, in [0, 1]; None without pixels."""
        return tuple(total / self.pixels / 255 for total in self.totals) if self.pixels else None

    @property
    def std(self) -> tuple[float, ...] | None:
        """Likewise; over all pixels, not the average over pictures of each picture's own."""
        if not self.pixels:
            return None
        return tuple(
            (square * self.pixels - total**2) ** 0.5 / self.pixels / 255
            for square, total in zip(self.squares, self.totals, strict=True)
        )


def _added(one: tuple[int, int, int], two: tuple[int, int, int]) -> tuple[int, int, int]:
    return one[0] + two[0], one[1] + two[1], one[2] + two[2]


def moments(pixels: NDArray[np.uint8]) -> Moments:
    """Return the sums over pixels.

    Args:
        pixels: (..., 3) uint8.
    """
    flat = pixels.reshape(-1, 3)
    counts = [np.bincount(flat[:, channel], minlength=256) for channel in range(3)]
    level = np.arange(256)
    red, green, blue = (int(count @ level) for count in counts)
    squares = tuple(int(count @ level**2) for count in counts)
    return Moments(len(flat), (red, green, blue), (squares[0], squares[1], squares[2]))


def pool(
    measured: Sequence[tuple[Moments, Moments] | None], parts: Sequence[str | None]
) -> Mapping[str, tuple[Moments, Moments]]:
    """Add up crops: `all`, and each part of a split that is there."""
    result: dict[str, tuple[Moments, Moments]] = {"all": (Moments(), Moments())}
    for found, part in zip(measured, parts, strict=True):
        if found is None:
            continue
        for name in ("all", part):
            if name is not None:
                every, person = result.get(name, (Moments(), Moments()))
                result[name] = every + found[0], person + found[1]
    return result
