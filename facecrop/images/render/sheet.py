"""The contact sheet as one picture: sources with what was found in them, beside their crops."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as Pil
from PIL import ImageDraw, ImageFont

from facecrop.images.frames import Box, Image
from facecrop.images.render.thumbs import Marks, shrink

COLUMNS, ROWS = 10, 5
PICTURE_HEIGHT, PICTURE_WIDTH = 144, 108
"""Frame of each picture, in pixels; two of them make a tile."""

_GAP, _INNER, _CAPTION, _HEADER, _MARGIN = 20, 4, 38, 54, 24
_LEAST_COLUMNS = 5
_SHARP = 3

Colour = tuple[int, int, int]
_PAPER, _FRAME, _INK, _FAINT = (246, 247, 249), (228, 231, 236), (28, 34, 43), (92, 101, 114)
STATUS_COLOURS: dict[str, Colour] = {
    "ok": (31, 122, 92),
    "fallback": (143, 86, 6),
    "reject": (178, 52, 58),
}
# The colours of `draw`.
_PERSON, _MATTE, _FACE, _GUESS, _CROP = (
    (80, 150, 255),
    (255, 110, 190),
    (64, 200, 110),
    (255, 176, 32),
    (255, 255, 255),
)
_SHADE = (70, 70, 70)


@dataclass(frozen=True, slots=True)
class Tile:
    """One record on the sheet.

    Args:
        source: (H, W, 3) RGB, at most the size of a frame of the sheet, or None: not readable.
        crop: Likewise.
        scale: Pixels of `source` for one pixel of the upright source picture.
        marks: What was found, in pixels of the upright source picture.
        status: `ok`, `fallback` or `reject`.
        title: Which record it is.
        text: What became of it, in a few words.
    """

    source: Image | None
    crop: Image | None
    scale: float
    marks: Marks
    status: str
    title: str
    text: str


def draw_sheet(tiles: Sequence[Tile], title: str, text: str) -> Image:
    """Lay out up to 50 records, ten in a row.

    Args:
        tiles: In the order in which they are laid out; those after the fiftieth are left out.
        title: First line of the head.
        text: Second line of the head.

    Returns:
        (H, W, 3) uint8, RGB. Letters that the font of Pillow lacks are shown as `?`.
    """
    tiles = tiles[: COLUMNS * ROWS]
    columns = max(min(len(tiles), COLUMNS), _LEAST_COLUMNS)
    rows = -(-len(tiles) // COLUMNS)
    tile_width, tile_height = 2 * PICTURE_WIDTH + _INNER, PICTURE_HEIGHT + _CAPTION
    width = 2 * _MARGIN + columns * (tile_width + _GAP) - _GAP
    height = 2 * _MARGIN + _HEADER + rows * (tile_height + _GAP) - (_GAP if rows else 0)
    sheet = Pil.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    _write(pen, (_MARGIN, _MARGIN - 4), title, 21, ink=_INK, room=width - 2 * _MARGIN)
    _write(pen, (_MARGIN, _MARGIN + 24), text, 14, ink=_FAINT, room=width - 2 * _MARGIN)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, COLUMNS)
        left = _MARGIN + column * (tile_width + _GAP)
        top = _MARGIN + _HEADER + row * (tile_height + _GAP)
        _lay(sheet, pen, tile, left, top)
    return np.array(sheet, np.uint8)


def draw_marks(image: Image, marks: Marks, scale: float) -> Image:
    """Return a copy of a picture with the findings drawn on it, each line with a dark edge.

    Args:
        image: (H, W, 3) RGB.
        marks: In pixels of the upright source picture.
        scale: Pixels of `image` for one of these.
    """
    drawn = np.ascontiguousarray(image).copy()
    for line in marks.outline:
        _draw_line(drawn, line, scale, _MATTE)
    if marks.person is not None:
        _draw_line(drawn, _corners(marks.person), scale, _PERSON)
    if marks.crop is not None:
        _draw_line(drawn, marks.crop_corners, scale, _CROP)
    if marks.face is not None:
        _draw_line(drawn, _corners(marks.face), scale, _FACE if marks.sure else _GUESS)
    for x, y in marks.landmarks:
        at = round(x * scale), round(y * scale)
        cv2.circle(drawn, at, 1, _SHADE, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(drawn, at, 0, _CROP, cv2.FILLED, cv2.LINE_AA)
    return drawn


def _lay(sheet: Pil.Image, pen: ImageDraw.ImageDraw, tile: Tile, left: int, top: int) -> None:
    source = None if tile.source is None else draw_marks(tile.source, tile.marks, tile.scale)
    for picture, x in ((source, left), (tile.crop, left + PICTURE_WIDTH + _INNER)):
        frame = (x, top, x + PICTURE_WIDTH - 1, top + PICTURE_HEIGHT - 1)
        pen.rectangle(frame, fill=_FRAME)
        if picture is None:
            _draw_nothing(pen, frame)
            continue
        picture = shrink(picture, PICTURE_HEIGHT, PICTURE_WIDTH)  # noqa: PLW2901 - the same, smaller
        down, across = PICTURE_HEIGHT - picture.shape[0], PICTURE_WIDTH - picture.shape[1]
        sheet.paste(Pil.fromarray(picture), (x + across // 2, top + down // 2))
    under = top + PICTURE_HEIGHT
    room = 2 * PICTURE_WIDTH + _INNER
    _write(pen, (left, under + 5), tile.title, 12, ink=_INK, room=room)
    pen.ellipse((left, under + 25, left + 8, under + 33), fill=STATUS_COLOURS[tile.status])
    _write(pen, (left + 14, under + 21), tile.text, 12, ink=_FAINT, room=room - 14)


def _draw_nothing(pen: ImageDraw.ImageDraw, frame: tuple[int, int, int, int]) -> None:
    """Draw an empty picture frame, crossed out."""
    cx, cy = (frame[0] + frame[2]) // 2, (frame[1] + frame[3]) // 2
    pen.rounded_rectangle((cx - 18, cy - 22, cx + 18, cy + 22), 4, outline=_FAINT, width=2)
    pen.line((cx - 18, cy + 22, cx + 18, cy - 22), fill=_FAINT, width=2)


def _draw_line(
    image: Image, points: Sequence[tuple[float, float]], scale: float, colour: Colour
) -> None:
    """Draw a closed line in one colour on a wider dark one; subpixel places in 1/8 pixel."""
    places = np.rint(np.array(points) * scale * (1 << _SHARP)).astype(np.int32)
    for thickness, ink in ((2, _SHADE), (1, colour)):
        cv2.polylines(image, [places], True, ink, thickness, cv2.LINE_AA, _SHARP)


def _corners(box: Box) -> tuple[tuple[float, float], ...]:
    x0, y0, x1, y1 = box.corners
    return (x0, y0), (x1, y0), (x1, y1), (x0, y1)


def _write(
    pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, *, ink: Colour, room: int
) -> None:
    """Write one line, its end left out where it would be too long."""
    font = ImageFont.load_default(size)
    text = text.encode("latin-1", "replace").decode("latin-1")
    if pen.textlength(text, font) > room:
        while text and pen.textlength(text + "...", font) > room:
            text = text[:-1]
        text += "..."
    pen.text(at, text, fill=ink, font=font)
