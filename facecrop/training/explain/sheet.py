"""The sheet: pictures beside where the network looked, with what it said."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil
from PIL import ImageDraw, ImageFont

from facecrop.images.frames import Image

SIDE = 200
"""Height of each picture, in pixels."""

_GAP, _MARGIN, _LINE, _HEADER = 8, 16, 13, 30
_LINES = 2
_PAPER, _INK, _FAINT = (246, 247, 249), (28, 34, 43), (92, 101, 114)
_FACE = (64, 200, 110)
_OPACITY = 0.55


@dataclass(frozen=True, slots=True)
class Look:
    """Where a network looked to answer one question.

    Args:
        heat: (H, W) float32 not negative.
        lines: Up to two lines below it.
    """

    heat: NDArray[np.float32]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """One record on the sheet.

    Args:
        picture: (H, W, 3) uint8 RGB, the network's input.
        face: (4,) x0, y0, x1, y1 as fractions of it, or None.
        lines: Up to two lines below it.
        looks: One for each question.
    """

    picture: Image
    face: NDArray[np.float32] | None
    lines: tuple[str, ...]
    looks: tuple[Look, ...]


def draw_sheet(records: Sequence[Shown], title: str) -> Image:
    """Lay records out, one in a row: the picture, then a heat map for each question.

    Heat is red, its absence blue; each map is scaled to its own largest value. The green box is the
    face, as the index knows it.

    Args:
        records: At least one.
        title: First line.

    Returns:
        (H, W, 3) uint8 RGB. Letters that the font lacks are shown as `?`.
    """
    width = max(_scaled(one.picture).shape[1] for one in records)
    width = max(width, SIDE)
    columns = 1 + max(len(one.looks) for one in records)
    tile = SIDE + _LINES * _LINE + _GAP
    size = (
        2 * _MARGIN + columns * (width + _GAP) - _GAP,
        2 * _MARGIN + _HEADER + len(records) * tile,
    )
    sheet = Pil.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    pen.text((_MARGIN, _MARGIN), _plain(title), _INK, ImageFont.load_default(15))
    for row, record in enumerate(records):
        top = _MARGIN + _HEADER + row * tile
        pictures = [record.picture, *(overlay(record.picture, look.heat) for look in record.looks)]
        texts = [record.lines, *(look.lines for look in record.looks)]
        for column, (picture, lines) in enumerate(zip(pictures, texts, strict=True)):
            left = _MARGIN + column * (width + _GAP)
            small = _scaled(picture)
            sheet.paste(Pil.fromarray(small), (left, top))
            if record.face is not None:
                _outline(pen, record.face, (left, top), small)
            for number, line in enumerate(lines[:_LINES]):
                place = (left, top + SIDE + 1 + number * _LINE)
                pen.text(place, _fitting(line, font, width), _INK if number == 0 else _FAINT, font)
    return np.asarray(sheet, np.uint8)


def overlay(picture: Image, heat: NDArray[np.float32]) -> Image:
    """Return a picture with heat laid over it, (H, W, 3) uint8; without any heat, in gray."""
    most = float(heat.max())
    gray = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if most <= 0:
        return np.asarray(gray, np.uint8)
    levels = np.asarray(255 * heat / most, np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    return np.asarray(cv2.addWeighted(colours, _OPACITY, gray, 1 - _OPACITY, 0), np.uint8)


def _scaled(picture: Image) -> Image:
    height, width = picture.shape[:2]
    size = (max(round(width * SIDE / height), 1), SIDE)
    how = cv2.INTER_AREA if height > SIDE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def _outline(
    pen: ImageDraw.ImageDraw, box: NDArray[np.float32], place: tuple[int, int], small: Image
) -> None:
    height, width = small.shape[:2]
    corners = [float(side) * scale for side, scale in zip(box, (width, height) * 2, strict=True)]
    x0, y0, x1, y1 = (
        round(min(side, scale - 1))
        for side, scale in zip(corners, (width, height) * 2, strict=True)
    )
    left, top = place
    pen.rectangle((left + x0, top + y0, left + max(x0, x1), top + max(y0, y1)), outline=_FACE)


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Return a line that is cut in front, where paths differ least, until it fits."""
    line = _plain(text)
    if font.getlength(line) <= width:
        return line
    while line and font.getlength("..." + line) > width:
        line = line[1:]
    return "..." + line


def _plain(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii")
