"""Settings of augmentation: transforms of single pictures, and ways to mix two."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from facecrop.config import Settings

P = Annotated[float, Field(ge=0, le=1)]
Labels = tuple[str, ...]
Region = Literal["whole", "box", "half", "upper", "lower", "eyes", "face"]


class Flip(Settings):
    """Mirror left and right."""

    name: Literal["flip"] = "flip"
    p: P = 0.5
    labels: Labels = ()
    """Only records with one of these labels (`old`, `incorrect` …); none named: all. The same holds
    for every transform."""


class Affine(Settings):
    """Shift, scale and turn a little."""

    name: Literal["affine"] = "affine"
    p: P = 1.0
    labels: Labels = ()
    shift: float = Field(default=0.05, ge=0, le=0.5)
    """Largest shift, as a share of the side."""
    scale: float = Field(default=0.1, ge=0, lt=1)
    """Largest change of size, as a share."""
    degrees: float = Field(default=5.0, ge=0, le=180)


class ColorJitter(Settings):
    """Change brightness, contrast, saturation and hue."""

    name: Literal["color-jitter"] = "color-jitter"
    p: P = 1.0
    labels: Labels = ()
    brightness: float = Field(default=0.2, ge=0, le=1)
    contrast: float = Field(default=0.2, ge=0, le=1)
    saturation: float = Field(default=0.2, ge=0, le=1)
    hue: float = Field(default=0.0, ge=0, le=0.5)
    """Largest turn of the hue, as a share of the circle."""


class Noise(Settings):
    """Add normal noise."""

    name: Literal["noise"] = "noise"
    p: P = 0.5
    labels: Labels = ()
    std: float = Field(default=0.03, ge=0, le=1)
    """Largest standard deviation, for pictures in [0, 1]."""


class Gray(Settings):
    """Take the colour away."""

    name: Literal["gray"] = "gray"
    p: P = 0.1
    labels: Labels = ()


class Clahe(Settings):
    """Contrast-limited adaptive histogram equalisation."""

    name: Literal["clahe"] = "clahe"
    p: P = 0.5
    labels: Labels = ()
    clip: float = Field(default=2.0, gt=0)
    grid: int = Field(default=8, ge=1)
    """Tiles in each direction."""


class Equalize(Settings):
    """Spread the histogram evenly."""

    name: Literal["equalize"] = "equalize"
    p: P = 0.1
    labels: Labels = ()


class Emboss(Settings):
    """Let edges stand out as if lit from the side."""

    name: Literal["emboss"] = "emboss"
    p: P = 0.1
    labels: Labels = ()
    strength: float = Field(default=0.5, ge=0, le=1)


class Sharpen(Settings):
    """Sharpen edges."""

    name: Literal["sharpen"] = "sharpen"
    p: P = 0.1
    labels: Labels = ()
    strength: float = Field(default=0.5, ge=0, le=2)


class Blur(Settings):
    """Blur with a normal kernel."""

    name: Literal["blur"] = "blur"
    p: P = 0.1
    labels: Labels = ()
    kernel: int = Field(default=3, ge=3)
    """Side, odd, in pixels."""
    sigma: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (0.1, 2.0)

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {self.kernel}")
        return self


class Erase(Settings):
    """Erase a random rectangle (Zhong 2017)."""

    name: Literal["erase"] = "erase"
    p: P = 0.5
    labels: Labels = ()
    area: tuple[P, P] = (0.02, 0.33)
    aspect: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (0.3, 3.3)


class RandAugment(Settings):
    """A few random transforms of one strength (Cubuk 2020)."""

    name: Literal["rand-augment"] = "rand-augment"
    p: P = 1.0
    labels: Labels = ()
    number: int = Field(default=2, ge=1)
    magnitude: int = Field(default=9, ge=0, le=30)


Transform = Annotated[
    Flip
    | Affine
    | ColorJitter
    | Noise
    | Gray
    | Clahe
    | Equalize
    | Emboss
    | Sharpen
    | Blur
    | Erase
    | RandAugment,
    Field(discriminator="name"),
]


class Mixup(Settings):
    """Blend two pictures and their targets (Zhang 2018), wholly or in a region."""

    name: Literal["mixup"] = "mixup"
    p: P = 0.5
    """Share of batches (of pictures, with `per = "picture"`)."""
    per: Literal["batch", "picture"] = "batch"
    alpha: float = Field(default=1.0, gt=0)
    """lam ~ Beta(alpha, alpha)."""
    lam: P | None = None
    """A fixed share of the first picture, in place of a drawn one."""
    region: Literal["whole", "box", "eyes"] = "whole"
    """`box`: a random rectangle; `eyes`: around the eyes that the index knows."""
    labels: Labels = ()
    """Only records that have all of these labels are mixed, and only with one another (`old`: the
    sixties)."""
    same: tuple[Literal["mask", "gender", "age_group"], ...] = ()
    """Labels that the two must share."""


class CutMix(Settings):
    """Put a region of one picture into another, with targets by its area (Yun 2019)."""

    name: Literal["cutmix"] = "cutmix"
    p: P = 0.5
    per: Literal["batch", "picture"] = "batch"
    alpha: float = Field(default=1.0, gt=0)
    """Area of a random box: 1 - lam, lam ~ Beta(alpha, alpha)."""
    lam: P | None = None
    """A fixed share of the first picture for random boxes, in place of a drawn one."""
    region: Literal["box", "half", "upper", "lower", "eyes", "face"] = "box"
    """`half`: the right half of the width; `eyes` and `face`: from the boxes in the index."""
    labels: Labels = ()
    same: tuple[Literal["mask", "gender", "age_group"], ...] = ()


Mix = Annotated[Mixup | CutMix, Field(discriminator="name")]


class AugmentSettings(Settings):
    """What happens to training pictures; validation sees none of it."""

    transforms: tuple[Transform, ...] = ()
    """In this order, each picture for itself."""
    mix: tuple[Mix, ...] = ()
    """After the transforms; no picture goes through two."""

    @model_validator(mode="after")
    def _shares_add_up(self) -> Self:
        if sum(mix.p for mix in self.mix) > 1 + 1e-9:
            raise ValueError("the p of all mixes must not exceed 1 together: one batch, one mix")
        return self
