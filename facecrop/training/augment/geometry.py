"""Transforms that move pixels, and with them the boxes of eyes and face."""

import math

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from facecrop.training.augment.layout import Picture, each, images_of, pixels_of, uniform
from facecrop.training.augment.transform import Params, Reads
from facecrop.training.settings import augment as settings_of


class Mirror:
    """Mirror left and right."""

    reads: Reads = "any"

    def __init__(self, settings: settings_of.Flip) -> None:
        del settings  # nothing but p and labels

    def draw(self, n: int, generator: torch.Generator) -> Params:
        """Draw nothing."""
        del n, generator
        return {}

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Return changed pictures."""
        del params
        if images.is_cuda:
            return images_of(pixels_of(images).flip(2))
        return each(images, lambda _, picture: cv2.flip(picture, 1))

    def move(self, boxes: Tensor, params: Params, height: int, width: int) -> Tensor:
        """Return the boxes mirrored."""
        del params, height, width
        x0, y0, x1, y1 = boxes.unbind(dim=-1)
        return torch.stack([1 - x1, y0, 1 - x0, y1], dim=-1)


class Shake:
    """Turn and scale about the middle, then shift; what comes from outside is mirrored in.

    Source: torchvision's RandomAffine, whose outside is black, and which draws nearest pixels.
    """

    reads: Reads = "any"

    def __init__(self, settings: settings_of.Affine) -> None:
        self._settings = settings

    def draw(self, n: int, generator: torch.Generator) -> Params:
        """Draw shifts (shares of width and height), scale and angle of each picture."""
        most = self._settings
        return {
            "right": uniform(n, -most.shift, most.shift, generator),
            "down": uniform(n, -most.shift, most.shift, generator),
            "scale": uniform(n, 1 - most.scale, 1 + most.scale, generator),
            "degrees": uniform(n, -most.degrees, most.degrees, generator),
        }

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Return changed pictures."""
        return warp(images, self._matrices(params, images.shape[2], images.shape[3]), mirrored=True)

    def move(self, boxes: Tensor, params: Params, height: int, width: int) -> Tensor:
        """Return the boxes around the moved boxes."""
        return move_boxes(boxes, self._matrices(params, height, width), height, width)

    @staticmethod
    def _matrices(params: Params, height: int, width: int) -> Tensor:
        angle, scale = params["degrees"] * (math.pi / 180), params["scale"]
        cos, sin = scale * angle.cos(), scale * angle.sin()
        linear = torch.stack([cos, -sin, sin, cos], dim=-1).view(-1, 2, 2)
        return about_middle(linear, params["right"] * width, params["down"] * height, height, width)


def about_middle(linear: Tensor, right: Tensor, down: Tensor, height: int, width: int) -> Tensor:
    """Return (N, 2, 3) matrices: a linear (N, 2, 2) about the middle, then (N,) shifts in pixels.

    They take a point (x, y) of the old picture, in pixels from its top left corner, to the new.
    """
    middle = torch.tensor([width / 2, height / 2])
    offset = middle - linear @ middle + torch.stack([right, down], dim=-1)
    return torch.cat([linear, offset[:, :, None]], dim=-1)


def warp(images: Tensor, matrices: Tensor, *, mirrored: bool) -> Tensor:
    """Move the pixels of pictures, interpolated linearly.

    Args:
        images: (N, 3, H, W) uint8 or float32.
        matrices: (N, 2, 3) as `about_middle` makes them.
        mirrored: What comes from outside is the picture, mirrored at its edges; else black.
    """
    way = warp_batch if images.is_cuda else warp_each
    return way(images, matrices.to(images.device), mirrored=mirrored)


def warp_each(images: Tensor, matrices: Tensor, *, mirrored: bool) -> Tensor:
    """Do so on the CPU; OpenCV rounds places to 1/32 pixel for bytes."""
    # To OpenCV the middle of the first pixel is (0, 0), to us (0.5, 0.5).
    offset = matrices[:, :, 2:] + 0.5 * (matrices[:, :, :2].sum(dim=2, keepdim=True) - 1)
    moves = torch.cat([matrices[:, :, :2], offset], dim=2).double().numpy()
    border = cv2.BORDER_REFLECT if mirrored else cv2.BORDER_CONSTANT
    size = images.shape[3], images.shape[2]

    def move(number: int, picture: Picture) -> Picture:
        return cv2.warpAffine(picture, moves[number], size, borderMode=border)

    return each(images, move)


def warp_batch(images: Tensor, matrices: Tensor, *, mirrored: bool) -> Tensor:
    """Do so for all pictures at once, as a GPU likes it."""
    n, _, height, width = images.shape
    full = torch.zeros(n, 3, 3, device=images.device)
    full[:, :2], full[:, 2, 2] = matrices, 1
    # grid_sample asks for each new place where it was before, both from -1 to 1.
    to_unit = torch.tensor(
        [[2 / width, 0, -1], [0, 2 / height, -1], [0, 0, 1]], device=images.device
    )
    back = to_unit @ torch.linalg.inv(full) @ torch.linalg.inv(to_unit)
    grid = functional.affine_grid(back[:, :2], [n, 3, height, width], align_corners=False)
    moved = functional.grid_sample(
        images.float(),
        grid,
        padding_mode="reflection" if mirrored else "zeros",
        align_corners=False,
    )
    if images.dtype == torch.uint8:
        moved = moved.round_().clamp_(0, 255).to(torch.uint8)
    return moved.contiguous(memory_format=torch.channels_last)


def move_boxes(boxes: Tensor, matrices: Tensor, height: int, width: int) -> Tensor:
    """Return the smallest upright boxes around moved ones, within the picture.

    Args:
        boxes: (N, R, 4) shares of width and height.
        matrices: (N, 2, 3) as `about_middle` makes them.
        height: Of the picture, in pixels.
        width: Likewise.

    Returns:
        (N, R, 4); NaN where a box was NaN or has left the picture.
    """
    size, matrices = boxes.new_tensor([width, height]), matrices.to(boxes.device)
    corners = boxes[:, :, [0, 1, 2, 1, 0, 3, 2, 3]].view(*boxes.shape[:2], 4, 2) * size
    moved = corners @ matrices[:, None, :, :2].transpose(2, 3) + matrices[:, None, None, :, 2]
    moved = (moved / size).clamp(0, 1)
    low, high = moved.amin(dim=2), moved.amax(dim=2)
    gone = (high <= low).any(dim=-1, keepdim=True)
    return torch.cat([low, high], dim=-1).masked_fill(gone, np.nan)
