"""Transforms that look at a pixel's neighbours: one small kernel for each picture."""

import cv2
import torch
from torch import Tensor
from torch.nn import functional

from facecrop.training.augment.layout import Picture, each, uniform
from facecrop.training.augment.transform import Params, Reads
from facecrop.training.settings import augment as settings_of

_ITSELF = ((0, 0, 0), (0, 1, 0), (0, 0, 0))
_LIT = ((-1, -1, 0), (-1, 0, 1), (0, 1, 1))
_SMOOTH = ((1 / 13, 1 / 13, 1 / 13), (1 / 13, 5 / 13, 1 / 13), (1 / 13, 1 / 13, 1 / 13))


class Relief:
    """Let edges stand out as if lit from the side.

    The kernel is itself + strength * [[-1 -1 0] [-1 0 1] [0 1 1]]: 0 changes nothing.

    Source: imgaug's Emboss, whose blending with the picture (alpha) and whose strength are one
    number here.
    """

    reads: Reads = "floats"

    def __init__(self, settings: settings_of.Emboss) -> None:
        self._kernel = torch.tensor(_ITSELF) + settings.strength * torch.tensor(_LIT)

    def draw(self, n: int, generator: torch.Generator) -> Params:
        """Draw nothing: those that are drawn get the same."""
        del n, generator
        return {}

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Return changed pictures."""
        del params
        return convolve(images, self._kernel.expand(len(images), 3, 3)).clamp_(0, 1)


class Sharpening:
    """Sharpen edges: x + strength * (x - smooth), 0 changes nothing.

    Source: torchvision's adjust_sharpness with factor 1 + strength, which leaves the outermost
    pixels as they are.
    """

    reads: Reads = "floats"

    def __init__(self, settings: settings_of.Sharpen) -> None:
        itself = torch.tensor(_ITSELF)
        self._kernel = itself + settings.strength * (itself - torch.tensor(_SMOOTH))

    def draw(self, n: int, generator: torch.Generator) -> Params:
        """Draw nothing: those that are drawn get the same."""
        del n, generator
        return {}

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Return changed pictures."""
        del params
        return convolve(images, self._kernel.expand(len(images), 3, 3)).clamp_(0, 1)


class Softening:
    """Blur with a normal kernel of a random deviation, in pixels.

    Source: torchvision's GaussianBlur.
    """

    reads: Reads = "floats"

    def __init__(self, settings: settings_of.Blur) -> None:
        self._side, self._sigma = settings.kernel, settings.sigma

    def draw(self, n: int, generator: torch.Generator) -> Params:
        """Draw the deviation of each picture."""
        return {"sigma": uniform(n, *self._sigma, generator)}

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Return changed pictures."""
        half = (self._side - 1) / 2
        places = torch.linspace(-half, half, self._side)
        line = torch.exp(-0.5 * (places / params["sigma"][:, None]) ** 2)
        line /= line.sum(dim=1, keepdim=True)
        return convolve(images, line[:, :, None] * line[:, None, :]).clamp_(0, 1)


def convolve(images: Tensor, kernels: Tensor) -> Tensor:
    """Send each picture through its kernel; the picture goes on mirrored beyond its edges.

    Args:
        images: (N, 3, H, W) float32, H and W more than half of S.
        kernels: (N, S, S) float32, S odd: weights of the neighbours, as they lie around a pixel.
    """
    way = convolve_batch if images.is_cuda else convolve_each
    return way(images, kernels.to(images.device))


def convolve_each(images: Tensor, kernels: Tensor) -> Tensor:
    """Do so on the CPU."""
    weights = kernels.numpy()

    def change(number: int, picture: Picture) -> Picture:
        return cv2.filter2D(picture, -1, weights[number], borderType=cv2.BORDER_REFLECT_101)

    return each(images, change)


def convolve_batch(images: Tensor, kernels: Tensor) -> Tensor:
    """Do so for all pictures at once, as a GPU likes it."""
    n, channels, height, width = images.shape
    half = kernels.shape[-1] // 2
    planes = images.reshape(1, n * channels, height, width)
    wide = functional.pad(planes, [half] * 4, mode="reflect")
    weights = kernels.repeat_interleave(channels, dim=0)[:, None]
    result = functional.conv2d(wide, weights, groups=n * channels)
    return result.view(images.shape).contiguous(memory_format=torch.channels_last)
