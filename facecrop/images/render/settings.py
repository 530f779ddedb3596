"""How a cut-out becomes a file: the settings of render."""

from typing import Annotated, Literal

from pydantic import Field

from facecrop.config import Settings

Byte = Annotated[int, Field(ge=0, le=255)]
Side = Annotated[int, Field(ge=1, le=16384)]


class Background(Settings):
    """What becomes of everything that is not the person. Needs a matte."""

    mode: Literal["color", "blur", "keep"] = "color"
    """Paint it over, blur it, or leave it."""
    color: tuple[Byte, Byte, Byte] = (0, 0, 0)
    """Red, green and blue that it is painted with."""
    blur: float = Field(default=0.05, gt=0, le=1)
    """Standard deviation of the blur, as a fraction of the crop's shorter side."""


class Clahe(Settings):
    """Even out the contrast, tile by tile, in the lightness (L of CIE Lab) alone."""

    clip: float = Field(default=2.0, gt=0, le=100)
    """How much contrast may be raised: limit of the histogram's slope in a tile."""
    tiles: int = Field(default=8, ge=1, le=64)
    """Tiles along each side of the crop."""


class Resize(Settings):
    """Bring all crops to one size."""

    size: tuple[Side, Side] = (224, 224)
    """Height and width, pixels."""
    mode: Literal["stretch", "fit-pad"] = "stretch"
    """Fill it, or fit into it with the aspect kept and pad the rest evenly on both sides."""


class Encode(Settings):
    """Write the crop."""

    format: Literal["jpg", "png", "webp"] = "jpg"
    """File format; also the extension."""
    quality: int = Field(default=95, ge=1, le=100)
    """Of JPEG and WebP."""


class Render(Settings):
    """How a cut-out becomes a file.

    The parts follow each other: cut and resize, CLAHE, background, encode. CLAHE comes before the
    background, so that a painted one is exactly the colour asked for.
    """

    background: Background | None = None
    """What becomes of everything that is not the person; none leaves it."""
    clahe: Clahe | None = None
    """Even out the contrast, or not."""
    resize: Resize | None = None
    """Size of all crops; none keeps each as it was cut."""
    pad: tuple[Byte, Byte, Byte] = (0, 0, 0)
    """Red, green and blue of what lies outside the picture; a painted background covers it."""
    encode: Encode = Encode()
    """File format and quality."""
    decode: Literal["full", "scaled"] = Field(default="full", json_schema_extra={"neutral": "full"})
    """From which pixels: all, or those that models looked at, where the part that is cut out has at
    least as many of them as `resize` asks for. Needs `look.decode = "scaled"`."""
