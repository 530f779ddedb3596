"""One sheet of what augmentation does: every transform, every mix, and the chosen settings."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pil
from PIL import ImageDraw, ImageFont
from torch import Tensor

from facecrop.training.augment.batch import Batch
from facecrop.training.augment.colours import mean_colours
from facecrop.training.augment.layout import pixels_of, to_bytes
from facecrop.training.augment.mix import draw_plan
from facecrop.training.augment.pipeline import Augment
from facecrop.training.settings import augment as settings_of
from facecrop.training.settings.augment import AugmentSettings

TRANSFORM_ROWS: tuple[settings_of.Transform, ...] = (
    settings_of.Flip(p=1),
    settings_of.Affine(),
    settings_of.ColorJitter(hue=0.1),
    settings_of.Noise(p=1, std=0.1),
    settings_of.Gray(p=1),
    settings_of.Clahe(p=1),
    settings_of.Equalize(p=1),
    settings_of.Emboss(p=1),
    settings_of.Sharpen(p=1, strength=2),
    settings_of.Blur(p=1, kernel=7, sigma=(0.5, 3)),
    settings_of.Erase(p=1),
    settings_of.RandAugment(),
)
"""One row for each transform, strong enough to be seen in a small picture."""

MIX_ROWS: tuple[settings_of.Mix, ...] = (
    settings_of.Mixup(p=1, lam=0.5),
    settings_of.Mixup(p=1, lam=0.5, region="box"),
    settings_of.Mixup(p=1, lam=0.5, region="eyes"),
    settings_of.CutMix(p=1),
    settings_of.CutMix(p=1, region="half"),
    settings_of.CutMix(p=1, region="upper"),
    settings_of.CutMix(p=1, region="lower"),
    settings_of.CutMix(p=1, region="eyes"),
    settings_of.CutMix(p=1, region="face"),
)

_DRAWS, _CHOSEN_DRAWS, _MOST_CHOSEN = 3, 8, 4
_HEIGHT, _GAP, _CAPTION, _MARGIN = 112, 4, 20, 16
_PAPER, _INK = (246, 247, 249), (28, 34, 43)

Tile = NDArray[np.uint8]
Row = tuple[str, Sequence[Tile]]


def preview(batch: Batch, settings: AugmentSettings, seed: int = 0) -> Tile:
    """Draw the sheet.

    At the left each transform: a picture, then three draws. At the right each mix: a picture, its
    partner of the first draw, then three draws; a picture without a known box of eyes or face
    stays as it is. Below, the chosen settings: a picture, then eight draws.

    Args:
        batch: A few training records with uint8 pictures; two at least for mixes to be seen.
        settings: The chosen ones.
        seed: Equal seeds give equal sheets.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ConfigError: As `Augment` does.
        ValueError: The batch is empty.
    """
    if not len(batch):
        raise ValueError("a preview needs at least one picture")
    plain = _tiles(batch.images)
    left: list[Row] = []
    for number, transform in enumerate(TRANSFORM_ROWS):
        row = number % len(batch)
        only = AugmentSettings(transforms=(transform,))
        drawn = _draws(batch, only, slice(row, row + 1), seed, _DRAWS)
        left.append((transform.name, [plain[row], *drawn[0]]))
    right: list[Row] = []
    for mix in MIX_ROWS:
        drawn = _draws(batch, AugmentSettings(mix=(mix,)), slice(1), seed, _DRAWS)
        partner = plain[_first_partner(batch, mix, seed)]
        right.append((f"{mix.name}, {mix.region}", [plain[0], partner, *drawn[0]]))
    chosen = _draws(batch, settings, slice(_MOST_CHOSEN), seed, _CHOSEN_DRAWS)
    below: list[Row] = [
        ("" if row else "chosen settings", [plain[row], *tiles]) for row, tiles in enumerate(chosen)
    ]
    return _sheet(left, right, below)


def _draws(
    batch: Batch, settings: AugmentSettings, part: slice, seed: int, number: int
) -> list[list[Tile]]:
    """Return the pictures of a part of the batch, each with a tile for every draw."""
    mean = mean_colours(batch.images).mean(dim=0)
    augment = Augment(settings, mean, torch.ones(3))
    draws = []
    for draw in range(number):
        images = augment(batch, seed + draw, part).images + mean.view(3, 1, 1)
        draws.append(_tiles(to_bytes(images.clamp(0, 1))))
    return [list(tiles) for tiles in zip(*draws, strict=True)]


def _first_partner(batch: Batch, mix: settings_of.Mix, seed: int) -> int:
    generator = torch.Generator().manual_seed(seed)
    return int(draw_plan((mix,), batch.labels, len(batch), generator).partner[0])


def _tiles(images: Tensor) -> list[Tile]:
    pixels = pixels_of(images.cpu()).numpy()
    width = max(round(pixels.shape[2] * _HEIGHT / pixels.shape[1]), 1)
    return [
        np.asarray(cv2.resize(picture, (width, _HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
        for picture in pixels
    ]


def _sheet(left: Sequence[Row], right: Sequence[Row], below: Sequence[Row]) -> Tile:
    step = left[0][1][0].shape[1] + _GAP
    middle = _MARGIN + len(left[0][1]) * step + _MARGIN
    width = max(middle + len(right[0][1]) * step, _MARGIN + len(below[0][1]) * step) + _MARGIN
    line = _HEIGHT + _CAPTION
    height = 2 * _MARGIN + (max(len(left), len(right)) + len(below)) * line
    sheet = Pil.new("RGB", (width, height), _PAPER)
    _lay_out(sheet, left, _MARGIN, _MARGIN)
    _lay_out(sheet, right, middle, _MARGIN)
    _lay_out(sheet, below, _MARGIN, _MARGIN + max(len(left), len(right)) * line)
    return np.asarray(sheet)


def _lay_out(sheet: Pil.Image, rows: Sequence[Row], x: int, y: int) -> None:
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, (caption, tiles) in enumerate(rows):
        top = y + number * (_HEIGHT + _CAPTION)
        draw.text((x, top + 3), caption, _INK, font)
        for place, tile in enumerate(tiles):
            left = x + place * (tile.shape[1] + _GAP)
            sheet.paste(Pil.fromarray(tile), (left, top + _CAPTION))
