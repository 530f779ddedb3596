"""What a transform of single pictures is: a random choice, apart from what follows from it."""

from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

Params = dict[str, Tensor]
"""What was drawn, by name: tensors with one row for each picture, on the CPU."""

Reads = Literal["any", "bytes", "floats", "normalised"]
"""Pictures that a transform takes, and gives back alike: uint8 or float32 in [0, 1] as they come;
uint8; float32; or float32 as the network reads it, for what must come last."""


class Draws(Protocol):
    """Whatever decides by chance how each picture shall change."""

    def draw(self, n: int, generator: torch.Generator) -> Params:
        """Draw what happens to each of `n` pictures, as if all of them were to change."""


@runtime_checkable
class Recolours(Draws, Protocol):
    """A transform that is a linear map of colours; maps of neighbours become one."""

    def maps(self, params: Params, means: Tensor) -> Tensor:
        """Return (N, 3, 4) colour maps for pictures with (N, 3) mean colours in [0, 1]."""


@runtime_checkable
class Changes(Draws, Protocol):
    """Any other transform."""

    reads: Reads

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Return changed (N, 3, H, W) pictures, channels-last; a pure function."""


@runtime_checkable
class Moves(Changes, Protocol):
    """A transform that moves eyes and faces; commutes with colour maps if it reads `any`."""

    def move(self, boxes: Tensor, params: Params, height: int, width: int) -> Tensor:
        """Return where (N, R, 4) boxes, shares of width and height, come to lie; NaN stays."""
