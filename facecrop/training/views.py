"""Test-time augmentation: other views of the same pictures, whose mean answers."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facecrop.training.augment.geometry import about_middle, warp

Pictures = NDArray[np.uint8]
"""(N, H, W, 3) RGB."""
View = Callable[[Pictures], Pictures]

_MOVES = ((0.04, -0.03, 1.05), (-0.04, 0.03, 0.95), (0.03, 0.04, 0.95), (-0.03, -0.04, 1.05))
"""To the right and down, in shares of width and height, and scale: as far as crops of one face by
several detectors differ, and evenly about the middle."""


def as_they_are(pictures: Pictures) -> Pictures:
    """Return the pictures."""
    return pictures


def mirrored(pictures: Pictures) -> Pictures:
    """Return the pictures with left and right exchanged."""
    return pictures[:, :, ::-1].copy()


def _moved(right: float, down: float, scale: float) -> View:
    """Return a view that scales about the middle, then shifts; outside, the picture is mirrored."""

    def view(pictures: Pictures) -> Pictures:
        images = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2)
        count, _, height, width = images.shape
        one = torch.ones(count)
        linear = (scale * torch.eye(2)).expand(count, 2, 2)
        matrices = about_middle(linear, one * right * width, one * down * height, height, width)
        seen: Pictures = warp(images, matrices, mirrored=True).permute(0, 2, 3, 1).numpy()
        return seen

    return view


def _of_mirrored(view: View) -> View:
    return lambda pictures: view(mirrored(pictures))


_SHAKEN = tuple(_moved(*move) for move in _MOVES)

TTA: dict[str, tuple[View, ...]] = {
    "flip": (mirrored,),
    "shake": (*_SHAKEN, *map(_of_mirrored, _SHAKEN)),
}
"""The views that a name adds."""


def views(names: Sequence[str]) -> tuple[View, ...]:
    """Return the pictures as they are, then what each name adds.

    Args:
        names: From `TTA`; one that is given twice adds its views once.
    """
    return (as_they_are, *(view for name in dict.fromkeys(names) for view in TTA[name]))


def mean(logits: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean over views of what was said, by output."""
    return {
        output: torch.stack([one[output] for one in logits]).mean(dim=0) for output in logits[0]
    }
