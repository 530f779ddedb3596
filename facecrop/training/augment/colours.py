"""Colours as linear maps: from bytes to what the network reads, in one pass over the pixels.

A map (N, 3, 4) takes colours x to A x + b, with A its first three columns and b its last. Changes
of brightness, contrast and saturation, taking colours away, scaling bytes and normalising are all
such maps, so any run of them is one map and one pass. Values are clamped to [0, 1] once, after the
whole run; torchvision clamps after each change, so the two differ where a change in the middle of
a run would have left [0, 1].
"""

import cv2
import numpy as np
import torch
from torch import Tensor

from facecrop.training.augment.layout import images_of, pixels_of

GRAY = (0.2989, 0.587, 0.114)
"""Shares of red, green and blue in lightness: torchvision's, after ITU-R BT.601."""


def identity(n: int) -> Tensor:
    """Return (n, 3, 4) maps that change nothing."""
    return torch.eye(3, 4).repeat(n, 1, 1)


def compose(outer: Tensor, inner: Tensor) -> Tensor:
    """Return the (N, 3, 4) maps that do what `inner` and then `outer` (N or 1, 3, 4) do."""
    turned = outer[..., :3] @ inner
    return torch.cat([turned[..., :3], turned[..., 3:] + outer[..., 3:]], dim=-1)


def normalising(mean: Tensor, std: Tensor) -> Tensor:
    """Return the (1, 3, 4) map x -> (x - mean) / std."""
    return torch.cat([torch.diag(1 / std), (-mean / std)[:, None]], dim=1)[None]


def mean_colours(images: Tensor) -> Tensor:
    """Return (N, 3) float32 mean colours of pictures, bytes counted as shares of 255."""
    scale = 255 if images.dtype == torch.uint8 else 1
    if images.is_cuda:
        return images.mean(dim=(2, 3), dtype=torch.float32) / scale
    means = [cv2.mean(picture)[:3] for picture in pixels_of(images).numpy()]
    return torch.tensor(means, dtype=torch.float32).view(-1, 3) / scale


def recolour(images: Tensor, maps: Tensor, bounds: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Send pictures through colour maps.

    Args:
        images: (N, 3, H, W) uint8, counted as shares of 255, or float32.
        maps: (N, 3, 4) float32.
        bounds: Lowest and highest (3,) float32 colour; results are clamped to them.

    Returns:
        New (N, 3, H, W) float32, channels-last.
    """
    if images.dtype == torch.uint8:
        maps = torch.cat([maps[..., :3] / 255, maps[..., 3:]], dim=-1)
    way = recolour_batch if images.is_cuda else recolour_each
    return way(images, maps.to(images.device), bounds)


def recolour_each(images: Tensor, maps: Tensor, bounds: tuple[Tensor, Tensor] | None) -> Tensor:
    """Do so on the CPU, one picture after the other while it is in the cache; bytes as 0 to 255."""
    source = pixels_of(images).numpy()
    result = torch.empty(source.shape, dtype=torch.float32)
    matrices, line = maps.numpy(), np.empty(source.shape[1:], np.float32)
    # Whole pictures of limits: anything that repeats three numbers takes several times as long.
    limits = [np.tile(bound.numpy(), (*source.shape[1:3], 1)) for bound in bounds or ()]
    for number, drawn in enumerate(result.numpy()):
        np.copyto(line, source[number])
        cv2.transform(line, matrices[number], dst=drawn)
        if limits:
            cv2.min(cv2.max(drawn, limits[0], dst=drawn), limits[1], dst=drawn)
    return images_of(result)


def recolour_batch(images: Tensor, maps: Tensor, bounds: tuple[Tensor, Tensor] | None) -> Tensor:
    """Do so for all pictures at once, as a GPU likes it; bytes as 0 to 255."""
    pixels = pixels_of(images)
    flat = pixels.view(len(pixels), -1, 3).float()
    mapped = torch.baddbmm(maps[:, None, :, 3], flat, maps[..., :3].transpose(1, 2))
    if bounds is not None:
        mapped = mapped.clamp_(*bounds)
    return images_of(mapped.view(pixels.shape))


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return pictures as the network reads them; nothing random.

    Args:
        images: (N, 3, H, W) uint8 RGB; fastest in channels-last memory.
        mean: (3,) float32 of RGB in [0, 1].
        std: (3,) float32 likewise.

    Returns:
        (N, 3, H, W) float32, channels-last: (images / 255 - mean) / std.
    """
    maps = normalising(mean.to(images.device), std.to(images.device))
    return recolour(images, maps.expand(len(images), 3, 4))
