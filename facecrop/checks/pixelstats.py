"""Mean and standard deviation of a dataset's pixels, pooled, with and without the background."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facecrop.checks.measured import Measured
from facecrop.checks.moments import Moments, moments
from facecrop.config import plain, read_toml, validate
from facecrop.crops import crop_data
from facecrop.engines.each import InThreads
from facecrop.images.choose.plan import Plan
from facecrop.images.codec import decode
from facecrop.images.frames import Box, Image
from facecrop.images.render import render
from facecrop.images.render.settings import Render, Resize

Colour = tuple[int, int, int]

_NEAR = 12
"""Grey levels by which JPEG at quality 95 moves a painted colour, at most, near an edge."""
_PERSON = 128
"""From this alpha on, a pixel shows the person."""


@dataclass(frozen=True, slots=True)
class CropFile:
    """A crop to measure.

    Args:
        image: The file.
        alpha: The person's alpha, of the size of the source, or None.
        crop: What was cut out of the source, x0, y0, x1, y1.
        rotation: As in `Plan`.
    """

    image: Path
    alpha: Path | None = None
    crop: tuple[int, int, int, int] | None = None
    rotation: float = 0.0


CROP_COLUMNS = ("crop_x0", "crop_y0", "crop_x1", "crop_y1", "rotation")
"""Columns of the index that `crop_file` reads beside `image`."""

PIXEL_COLUMNS = ("image", "image_sha256", "digest", "recipe", *CROP_COLUMNS)
"""Columns of the index that `measure_crops` reads."""


def crop_file(out: Path, row: Mapping[str, Any]) -> CropFile:
    """Return the crop of a row of the index, with its alpha if one is kept.

    Args:
        out: The dataset.
        row: With `image`, which is not null, and `CROP_COLUMNS`.
    """
    image = out / row["image"]
    alpha = (out / "alpha" / Path(row["image"]).relative_to("images")).with_suffix(".png")
    box = tuple(row[column] for column in CROP_COLUMNS[:4])
    if None in box or not alpha.exists():
        return CropFile(image)
    return CropFile(image, alpha, (box[0], box[1], box[2], box[3]), row["rotation"] or 0.0)


def crop_key(
    kept: Measured,
    file: CropFile,
    row: Mapping[str, Any],
    painting: tuple[Colour | None, Resize | None],
    others: Sequence[object] = (),
) -> bytes | None:
    """Return what is known of a crop is found by, None if the index does not say which crop it is.

    Args:
        kept: What is known.
        file: The crop.
        row: Of the index, with `image_sha256`, `digest` and `recipe`: by the last two its alpha is
            the same, and what was cut out of it.
        painting: What `painted_by` says.
        others: What else the values depend on.
    """
    if row["image_sha256"] is None:
        return None
    alpha = None
    if file.alpha is not None:
        if row["digest"] is None or row["recipe"] is None:
            return None
        alpha = [row["digest"], row["recipe"], file.crop, file.rotation]
    painted, resize = painting
    how = None if resize is None else plain(resize)
    return kept.key(row["image_sha256"], alpha, painted, how, *others)


def painted_by(card: Path) -> tuple[Colour | None, Resize | None]:
    """Return the colour of the background, and how crops were brought to size, by `dataset.toml`.

    Args:
        card: The file; of a dataset without one, black is taken for background.
    """
    render = read_toml(card).get("recipe", {}).get("render") if card.exists() else None
    if render is None:
        return (0, 0, 0), None
    background = render.get("background", {})
    resize = render.get("resize")
    how = validate(Resize, resize, f"{card}: recipe.render.resize") if resize else None
    if background.get("mode") != "color":
        return None, how
    red, green, blue = background["color"]
    return (red, green, blue), how


def measure_crops(
    out: Path,
    rows: Sequence[Mapping[str, Any]],
    painted: Colour | None,
    resize: Resize | None = None,
) -> list[tuple[Moments, Moments] | None]:
    """Measure crops of a dataset, in order: each once, until it changes.

    Args:
        out: The dataset.
        rows: (N,) of the index with a crop, with `PIXEL_COLUMNS`.
        painted: As in `measure`.
        resize: Likewise.

    Returns:
        (N,) what `measure` says.
    """
    files = [crop_file(out, row) for row in rows]

    def missing(numbers: Sequence[int]) -> Iterator[tuple[int, str | None]]:
        found = measure([files[number] for number in numbers], painted, resize)
        for number, both in zip(numbers, found, strict=True):
            yield number, None if both is None else json.dumps([asdict(one) for one in both])

    kept = Measured(out, "moments")
    keys = [
        crop_key(kept, file, row, (painted, resize)) for file, row in zip(files, rows, strict=True)
    ]
    values = kept.of(keys, [row["image_sha256"] for row in rows], missing)
    return [None if text is None else _both(json.loads(text)) for text in values]


def _both(parts: Sequence[Mapping[str, Any]]) -> tuple[Moments, Moments]:
    every, person = (
        Moments(part["pixels"], tuple(part["totals"]), tuple(part["squares"])) for part in parts
    )
    return every, person


def measure(
    files: Sequence[CropFile], painted: Colour | None, resize: Resize | None = None
) -> Iterator[tuple[Moments, Moments] | None]:
    """Measure crops, in order.

    A pixel shows the person where the alpha, cut like the picture, is at least half; where none is
    kept, all but what is connected with the border and has the colour that backgrounds were
    painted with.

    Args:
        files: What to measure.
        painted: Colour of the background, or None if it was not painted over.
        resize: How crops were brought to size, for alphas to follow.

    Yields:
        Moments of all pixels and of the person's (none where that is unknown); None for a file
        that cannot be read.
    """
    look = partial(_measured, painted=painted, resize=resize)
    for _, both in InThreads().map(look, files):
        yield both


def _measured(
    file: CropFile, painted: Colour | None, resize: Resize | None
) -> tuple[Moments, Moments] | None:
    image = read_image(file.image)
    if image is None:
        return None
    person = person_of(image, file, painted, resize)
    return moments(image), Moments() if person is None else moments(image[person])


def person_of(
    image: Image, file: CropFile, painted: Colour | None, resize: Resize | None
) -> NDArray[np.bool_] | None:
    """Return where a crop shows the person, (H, W); None where nothing tells it.

    Args:
        image: The pixels of the crop.
        file: It, and its alpha if one is kept.
        painted: As in `measure`.
        resize: Likewise.
    """
    alpha = None if file.alpha is None else read_image(file.alpha)
    if alpha is not None and file.crop is not None:
        return _cut_alike(alpha, file, resize, image.shape[:2]) >= _PERSON
    return None if painted is None else ~background_of(image, painted)


def read_image(file: Path) -> Image | None:
    """Return the pixels of a picture, None if it cannot be read or shows one single colour."""
    try:
        found = decode(crop_data(file))
    except OSError:
        return None
    return found.image


def _cut_alike(
    alpha: Image, file: CropFile, resize: Resize | None, shape: tuple[int, ...]
) -> NDArray[np.uint8]:
    box = Box(*map(float, file.crop or (0, 0, 0, 0)))
    how = resize or Resize(size=(shape[0], shape[1]))
    part = render(alpha, Plan("ok", crop=box, rotation=file.rotation), None, Render(resize=how))
    if part.shape[:2] != shape:
        part = np.asarray(cv2.resize(part, (shape[1], shape[0])), np.uint8)
    return part[..., 0]


def background_of(image: Image, painted: Colour) -> NDArray[np.bool_]:
    """Return where a painted background shows, (H, W): its colour, connected with the border.

    Args:
        image: (H, W, 3) uint8.
        painted: The colour.
    """
    low, high = (np.clip(np.array(painted) + step, 0, 255) for step in (-_NEAR, _NEAR))
    near = np.pad(cv2.inRange(image, low, high), 1, constant_values=1)
    _, labels = cv2.connectedComponents(near, connectivity=4)
    return np.asarray(labels[1:-1, 1:-1] == labels[0, 0])
