"""Pictures in memory: channels last, as OpenCV wants them, while torch speaks of (N, 3, H, W)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Picture = NDArray[Any]
"""(H, W, 3) uint8 or float32 RGB of one picture."""


def pixels_of(images: Tensor) -> Tensor:
    """Return (N, 3, H, W) pictures as contiguous (N, H, W, 3): a view if they are channels-last."""
    return images.permute(0, 2, 3, 1).contiguous()


def images_of(pixels: Tensor) -> Tensor:
    """Return contiguous (N, H, W, 3) pixels as channels-last (N, 3, H, W), a view."""
    return pixels.permute(0, 3, 1, 2)


def pick(images: Tensor, rows: Tensor) -> Tensor:
    """Return a copy of some pictures, channels-last; `rows` (K,) int64 are on the CPU."""
    pixels = pixels_of(images)
    if images.is_cuda:
        return images_of(pixels.index_select(0, rows.to(images.device)))
    # NumPy copies a picture at a time; torch's index functions are several times slower at it.
    return images_of(torch.from_numpy(pixels.numpy()[rows.numpy()]))


def put(images: Tensor, rows: Tensor, changed: Tensor) -> Tensor:
    """Return pictures with some replaced, written over them where they are channels-last."""
    pixels = pixels_of(images)
    if images.is_cuda:
        pixels.index_copy_(0, rows.to(images.device), pixels_of(changed))
    else:
        pixels.numpy()[rows.numpy()] = pixels_of(changed).numpy()
    return images_of(pixels)


def each(images: Tensor, change: Callable[[int, Picture], Picture]) -> Tensor:
    """Let OpenCV change pictures on the CPU one by one: it is faster there than batched torch.

    Args:
        images: (N, 3, H, W) on the CPU; not written to.
        change: Number and pixels of a picture to new pixels of the same shape and dtype.
    """
    source = pixels_of(images).numpy()
    result = np.empty_like(source)
    for number, picture in enumerate(source):
        result[number] = change(number, picture)
    return images_of(torch.from_numpy(result))


def to_bytes(images: Tensor) -> Tensor:
    """Return float pictures in [0, 1] as the nearest uint8."""
    return images.mul(255).round_().to(torch.uint8)


def uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Draw (n,) float32 numbers in [low, high)."""
    return torch.rand(n, generator=generator) * (high - low) + low
