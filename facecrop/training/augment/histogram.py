"""Transforms that even out how often each lightness occurs; they read bytes."""

from typing import cast

import cv2
import kornia
import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from facecrop.training.augment.layout import Picture, each, to_bytes
from facecrop.training.augment.transform import Params, Reads
from facecrop.training.settings import augment as settings_of


class LocalEqualisation:
    """Equalise lightness (L of CIELAB) tile by tile, with limited contrast.

    Source: Zuiderveld 1994, "Contrast limited adaptive histogram equalization", as OpenCV has it;
    the same as the recipes' setting of this name. On a GPU it is kornia's, which sees lightness
    unrounded and clips differently: results differ by about 2 of 255, where the change itself is
    about 15.
    """

    reads: Reads = "bytes"

    def __init__(self, settings: settings_of.Clahe) -> None:
        self._clip, self._grid = settings.clip, (settings.grid, settings.grid)

    def draw(self, n: int, generator: torch.Generator) -> Params:
        """Draw nothing: those that are drawn get the same."""
        del n, generator
        return {}

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Return changed pictures."""
        del params
        return self.apply_batch(images) if images.is_cuda else self.apply_each(images)

    def apply_each(self, images: Tensor) -> Tensor:
        """Do so on the CPU."""
        local = cv2.createCLAHE(self._clip, self._grid)

        def change(_: int, picture: Picture) -> Picture:
            lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
            lab[:, :, 0] = local.apply(np.ascontiguousarray(lab[:, :, 0]))
            return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)

        return each(images, change)

    def apply_batch(self, images: Tensor) -> Tensor:
        """Do so for all pictures at once, as a GPU likes it."""
        lab = kornia.color.rgb_to_lab(images.float() / 255)
        lightness = kornia.enhance.equalize_clahe(lab[:, :1] / 100, self._clip, self._grid)
        even = kornia.color.lab_to_rgb(torch.cat([lightness * 100, lab[:, 1:]], dim=1))
        return to_bytes(even.clamp(0, 1))


class Equalisation:
    """Spread the histogram of each channel evenly.

    Source: Pillow's ImageOps.equalize, as torchvision has it.
    """

    reads: Reads = "bytes"

    def __init__(self, settings: settings_of.Equalize) -> None:
        del settings  # nothing but p and labels

    def draw(self, n: int, generator: torch.Generator) -> Params:
        """Draw nothing."""
        del n, generator
        return {}

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Return changed pictures."""
        del params
        return cast("Tensor", functional.equalize(images))
