"""Pictures in a terminal: as kitty, iTerm2 or sixel show them, else as coloured half blocks."""

import os
import sys
from base64 import b64encode
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facecrop.images.frames import Image

_CHUNK = 4096
"""Bytes of base64 in one of kitty's escape codes, by its protocol."""
_MOST = 256
"""Pixels of the longer side that is sent."""
_COLOURS = 64
_SIXEL_ROWS = 6
_CELL = (10, 20)
"""Pixels of a character, width and height, where the terminal does not say."""


class Pictures(StrEnum):
    """How a terminal shows pictures."""

    AUTO = "auto"
    KITTY = "kitty"
    ITERM2 = "iterm2"
    SIXEL = "sixel"
    BLOCKS = "blocks"
    NONE = "none"


_BY_PROGRAM = {
    "ghostty": Pictures.KITTY,
    "iTerm.app": Pictures.ITERM2,
    "WezTerm": Pictures.ITERM2,
    "mintty": Pictures.ITERM2,
}
"""`TERM_PROGRAM`."""
_SIXEL_TERMS = ("foot", "mlterm", "contour", "yaft", "sixel")
"""Beginnings of `TERM`, or parts of it."""


def detect(
    environment: Mapping[str, str] = os.environ, *, terminal: bool | None = None
) -> Pictures:
    """Return how this terminal shows pictures, going by what it says of itself.

    It is not asked: an answer that never comes would hang, and one that comes late would be typed.

    Args:
        environment: Its variables.
        terminal: Whether output goes to one; None: look.
    """
    term = environment.get("TERM", "")
    if not (sys.stdout.isatty() if terminal is None else terminal) or term in {"", "dumb"}:
        return Pictures.NONE
    # Between a multiplexer and us nobody knows which terminal is attached, now or later.
    if "TMUX" not in environment and not term.startswith("screen"):
        if "KITTY_WINDOW_ID" in environment or "kitty" in term:
            return Pictures.KITTY
        if environment.get("LC_TERMINAL") == "iTerm2":
            return Pictures.ITERM2
        if (found := _BY_PROGRAM.get(environment.get("TERM_PROGRAM", ""))) is not None:
            return found
        if any(part in term for part in _SIXEL_TERMS):
            return Pictures.SIXEL
    return Pictures.NONE if "NO_COLOR" in environment else Pictures.BLOCKS


def draw(image: "Image", how: Pictures, columns: int = 16) -> str:
    """Return what has to be written for a terminal to show a picture, with the line's end.

    Args:
        image: (H, W, 3) uint8 RGB.
        how: Not `auto`.
        columns: Characters that it is wide.
    """
    height, width = image.shape[:2]
    # Characters are about twice as high as wide.
    rows = max(round(columns * height / width * _CELL[0] / _CELL[1]), 1)
    if how is Pictures.KITTY:
        return _kitty(image, columns, rows)
    if how is Pictures.ITERM2:
        return _iterm2(image, columns, rows)
    if how is Pictures.SIXEL:
        return _sixel(_resized(image, columns * _CELL[0], rows * _CELL[1]))
    if how is Pictures.BLOCKS:
        return _blocks(_resized(image, columns, 2 * rows))
    return ""


def _kitty(image: "Image", columns: int, rows: int) -> str:
    """Kitty graphics protocol: transmit a PNG and show it at the cursor."""
    data = b64encode(_png(image)).decode()
    parts = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    first = f"a=T,f=100,q=2,c={columns},r={rows},"
    codes = [
        f"\x1b_G{first if number == 0 else ''}m={int(number < len(parts) - 1)};{part}\x1b\\"
        for number, part in enumerate(parts)
    ]
    return "".join(codes) + "\n"


def _iterm2(image: "Image", columns: int, rows: int) -> str:
    """Inline images of iTerm2: OSC 1337, File."""
    data = _png(image)
    said = f"inline=1;size={len(data)};width={columns};height={rows};preserveAspectRatio=1"
    return f"\x1b]1337;File={said}:{b64encode(data).decode()}\a\n"


def _sixel(image: "Image") -> str:
    """DEC sixel graphics: six rows of a colour in one character, colour by colour."""
    import numpy as np  # noqa: PLC0415 - only when a picture is shown
    from PIL import Image as Pil  # noqa: PLC0415 - only when a picture is shown

    reduced = Pil.fromarray(image).quantize(_COLOURS)
    palette = np.array(reduced.getpalette() or [], int).reshape(-1, 3)
    numbers = np.asarray(reduced)
    height, width = numbers.shape
    lines = [f'\x1bPq"1;1;{width};{height}']
    for number, colour in enumerate(palette):
        red, green, blue = (round(100 * int(value) / 255) for value in colour)
        lines.append(f"#{number};2;{red};{green};{blue}")
    for top in range(0, height, _SIXEL_ROWS):
        band = numbers[top : top + _SIXEL_ROWS]
        weights = 1 << np.arange(len(band))
        shown = [
            f"#{number}" + "".join(chr(63 + code) for code in (weights @ (band == number)).tolist())
            for number in np.unique(band).tolist()
        ]
        lines.append("$".join(shown) + "-")
    return "".join(lines) + "\x1b\\\n"


def _blocks(image: "Image") -> str:
    """Upper half blocks: two pixels a character, one its colour, one that of its ground."""
    lines = []
    for upper, lower in zip(image[::2].tolist(), image[1::2].tolist(), strict=True):
        cells = (
            f"\x1b[38;2;{a[0]};{a[1]};{a[2]}m\x1b[48;2;{b[0]};{b[1]};{b[2]}m\u2580"
            for a, b in zip(upper, lower, strict=True)
        )
        lines.append("".join(cells) + "\x1b[0m\n")
    return "".join(lines)


def _resized(image: "Image", width: int, height: int) -> "Image":
    import cv2  # noqa: PLC0415 - only when a picture is shown
    import numpy as np  # noqa: PLC0415 - only when a picture is shown

    size = (width, height)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _png(image: "Image") -> bytes:
    """Return a picture, of no more pixels than a thumbnail needs, as a PNG."""
    from facecrop.images.codec import encode  # noqa: PLC0415 - only when a picture is shown
    from facecrop.images.render.thumbs import shrink  # noqa: PLC0415 - likewise

    return encode(shrink(image, _MOST, _MOST), "png", 100)
