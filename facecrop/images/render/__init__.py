"""Render: one picture, its plan and its alpha to the pixels of a crop; never another picture's."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from facecrop.images.choose.plan import Plan
from facecrop.images.findings import Alpha
from facecrop.images.frames import Box, Image
from facecrop.images.look.alpha import alpha_in
from facecrop.images.render.background import replace_background
from facecrop.images.render.cut import Cut, Matte, cut
from facecrop.images.render.settings import Background, Clahe, Encode, Render, Resize

__all__ = [
    "RENDER_VERSION",
    "Background",
    "Clahe",
    "Encode",
    "Refine",
    "Render",
    "Resize",
    "render",
    "source_alpha",
]

RENDER_VERSION = 1
"""Raised when equal settings, pixels, plans and alphas would give another crop."""

Refine = Callable[[Image, Matte], Matte]
"""Sharpens the edges of an alpha by the pixels under it: (H, W, 3) and (H, W) to (H, W)."""


def render(
    image: Image,
    plan: Plan,
    alpha: Alpha | None,
    settings: Render,
    refine: Refine | None = None,
) -> Image:
    """Make the crop that a plan asks for.

    Args:
        image: (H, W, 3) uint8 RGB, upright.
        plan: With a crop.
        alpha: The person's matte; not looked at unless the background is changed.
        settings: What to make.
        refine: Applied to the alpha of the crop, if there is one.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: The plan is a reject's, or the background shall change and there is no alpha.
    """
    if plan.crop is None:
        raise ValueError("a plan without a crop cannot be rendered")
    changes = settings.background is not None and settings.background.mode != "keep"
    if changes and alpha is None:
        raise ValueError("a new background needs an alpha")
    height, width = _inner_size(plan.crop, settings.resize)
    what = Cut(plan.crop, plan.rotation, height, width, settings.pad)
    pixels, matte = cut(image, alpha if changes else None, what)
    if matte is not None and refine is not None:
        matte = refine(pixels, matte)
    if settings.resize is not None and (height, width) != settings.resize.size:
        pixels, matte = _padded(pixels, matte, settings.resize.size, settings.pad)
    if settings.clahe is not None:
        pixels = _clahe(pixels, settings.clahe)
    if matte is not None and settings.background is not None:
        pixels = replace_background(pixels, matte, settings.background)
    return pixels


def source_alpha(image: Image, alpha: Alpha, refine: Refine | None = None) -> Matte:
    """Return an alpha at the size of its picture.

    Args:
        image: (H, W, 3) uint8 RGB, upright.
        alpha: The finding.
        refine: As in `render`.

    Returns:
        (H, W) uint8, 255 on the person.
    """
    height, width = image.shape[:2]
    matte = alpha_in(alpha, Box(0, 0, width, height), height, width)
    return matte if refine is None else refine(image, matte)


def _inner_size(box: Box, resize: Resize | None) -> tuple[int, int]:
    """Return height and width of what is cut, before padding to the size of the result."""
    if resize is None:
        return int(box.height), int(box.width)
    height, width = resize.size
    if resize.mode == "fit-pad":
        scale = min(height / box.height, width / box.width)
        height = min(max(round(box.height * scale), 1), height)
        width = min(max(round(box.width * scale), 1), width)
    return height, width


def _padded(
    pixels: Image, matte: Matte | None, size: tuple[int, int], pad: tuple[int, int, int]
) -> tuple[Image, Matte | None]:
    """Lay a crop into the middle of a larger canvas."""
    top, left = ((whole - part) // 2 for whole, part in zip(size, pixels.shape[:2], strict=True))
    place = np.s_[top : top + pixels.shape[0], left : left + pixels.shape[1]]
    canvas = np.empty((*size, 3), np.uint8)
    canvas[:] = pad
    canvas[place] = pixels
    if matte is None:
        return canvas, None
    wide: NDArray[np.uint8] = np.zeros(size, np.uint8)
    wide[place] = matte
    return canvas, wide


def _clahe(image: Image, settings: Clahe) -> Image:
    """Equalise lightness (Zuiderveld 1994, "Contrast limited adaptive histogram equalization")."""
    tiles = (settings.tiles, settings.tiles)
    lightness, green_red, blue_yellow = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2LAB))
    lightness = cv2.createCLAHE(settings.clip, tiles).apply(lightness)
    lab = cv2.merge([lightness, green_red, blue_yellow])
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)
