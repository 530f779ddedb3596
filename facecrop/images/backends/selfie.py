"""The person's matte by mediapipe's selfie segmentation: small, quick, at hand without any hub."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from facecrop.config import Settings
from facecrop.images.backends.tasks import segmenter
from facecrop.images.findings import Alpha
from facecrop.images.frames import Box, Image, fit_longer
from facecrop.images.look.finder import Weights

_SIDE = 256
"""Side of the picture that the model sees, in pixels."""

_WIDE = (256, 144)
"""Width and height of the picture that the landscape model sees, in pixels."""

_SPECK = 0.02
"""Patches below this fraction of the largest one's area are noise when looking for the person."""

_NOBODY = 0.005
"""Fraction of the picture that the largest patch must have to be somebody."""

_ENOUGH = 512
"""Larger pictures are reduced first, to a longer side of no less than this: twice the model's."""


class Selfie(Settings):
    """mediapipe's selfie segmentation, which by default looks twice.

    The model has seen people who fill the picture, squeezed into 256x256. So its landscape sibling
    (half the work) first tells roughly where somebody is, and the model then looks at the square
    around them. With `zoom = false` it is mediapipe's own `ImageSegmenter` on the whole picture.

    Source:
        mediapipe's selfie segmentation, general and landscape model (a MobileNetV3 with a small
        decoder; model card of 2021), run by mediapipe's own task. The second look is ours.
    """

    name: Literal["selfie"] = "selfie"
    zoom: bool = True
    """Look for the person first, then at the square around them; else at the whole picture once."""
    margin: float = Field(default=0.1, ge=0, le=1)
    """Border around what the first look found, as a fraction of its sides."""
    level: float = Field(default=0.25, gt=0, lt=1)
    """Alpha from which the first look counts as a person: low, for what it leaves out is lost."""

    finds: ClassVar[str] = "alpha"
    version: ClassVar[int] = 1

    @property
    def label(self) -> str:
        """Short name for tables."""
        return "selfie" if self.zoom else "selfie-plain"

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the weights it needs."""
        return ("selfie", "selfie-landscape") if self.zoom else ("selfie",)

    def runs_on(self, device: str) -> str:  # noqa: ARG002 - one runtime, whatever the device
        """Return what runs it: mediapipe's XNNPACK kernels, always on the CPU."""
        return f"mediapipe {version('mediapipe')} fp32 cpu"

    def sees(self, height: int, width: int) -> tuple[int, int]:
        """Return the size from which the second look cuts, or that of the only one."""
        return fit_longer(height, width, _ENOUGH) if self.zoom else (_SIDE, _SIDE)

    def load(self, weights: Weights, device: str) -> "SelfieFinder":  # noqa: ARG002 - likewise
        """Load the models.

        Raises:
            WeightsError: A file is no such model.
        """
        return SelfieFinder(self, weights)


@dataclass(frozen=True, slots=True)
class SelfieRaw:
    """What the model says of one prepared picture.

    Args:
        values: (256, 256) uint8.
        region: The part of the prepared picture that it saw, whole pixels of it.
    """

    values: NDArray[np.uint8]
    region: Box


class SelfieFinder:
    """Selfie segmentation, ready to look."""

    batch_size = 1

    def __init__(self, settings: Selfie, weights: Weights) -> None:
        self._settings = settings
        self._task = segmenter(weights("selfie"))
        self._wide = segmenter(weights("selfie-landscape")) if settings.zoom else None

    def prepare(self, image: Image) -> NDArray[np.uint8]:
        """Return what the looks cut from: (h, w, 3) uint8, RGB.

        For one look, 256x256 as the task itself would sample it; for two, the picture, larger ones
        reduced by the whole number that leaves at least 512 pixels on the longer side.
        """
        height, width = image.shape[:2]
        if self._wide is None:
            return _sampled_as_by_the_task(image)
        step = _step(height, width)
        return np.ascontiguousarray(_reduced(image, step, step))

    def infer(self, batch: NDArray[np.uint8]) -> Sequence[SelfieRaw]:
        """Return the matte of each picture and the part of it that was seen."""
        return [self._look(picture) for picture in batch]

    def interpret(self, raw: Any, height: int, width: int) -> Alpha:
        """Return the matte, its region in pixels of the picture that was `height` by `width`."""
        if self._wide is None:
            return Alpha(raw.values, Box(0, 0, width, height))
        step = _step(height, width)
        return Alpha(raw.values, raw.region.scale(step, step))

    def _look(self, picture: NDArray[np.uint8]) -> SelfieRaw:
        height, width = picture.shape[:2]
        x0, y0, x1, y1 = 0, 0, width, height
        if self._wide is not None:
            rough = _segment(self._wide, _fit(picture, *_WIDE))
            found = somebody(rough, self._settings.level)
            if found is not None:
                shape = found.scale(width / _WIDE[0], height / _WIDE[1]).grow(self._settings.margin)
                x0, y0, x1, y1 = square_around(shape, width, height)
        seen = _fit(picture[y0:y1, x0:x1], _SIDE, _SIDE)
        values = np.round(255 * _segment(self._task, seen)).astype(np.uint8)
        return SelfieRaw(values, Box(x0, y0, x1, y1))


def _segment(task: Any, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the matte of a picture at its own size, float in [0, 1]."""
    from mediapipe import Image as TaskImage  # noqa: PLC0415 - heavy
    from mediapipe import ImageFormat  # noqa: PLC0415 - heavy

    result = task.segment(TaskImage(image_format=ImageFormat.SRGB, data=picture))
    matte = result.confidence_masks[0].numpy_view()
    return np.array(matte, np.float32).reshape(picture.shape[:2])  # the view dies with the result


def _sampled_as_by_the_task(image: Image) -> NDArray[np.uint8]:
    """Return the picture at 256x256, bilinear, with the corners of both pictures at the origin.

    (`cv2.resize` lays the centres of pixels over each other, and mattes differ ten times more.)
    """
    height, width = image.shape[:2]
    place = np.array([[width / _SIDE, 0, 0], [0, height / _SIDE, 0]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    sampled = cv2.warpAffine(
        image, place, (_SIDE, _SIDE), flags=how, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(sampled, np.uint8)


def _step(height: int, width: int) -> int:
    """Return how many pixels of a picture's side become one of the prepared picture's."""
    return max(max(height, width) // _ENOUGH, 1)


def _fit(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return a picture at a size: whole blocks of pixels averaged, the rest interpolated.

    That is nearly what area interpolation gives, at a fifth of its time.
    """
    down, across = max(picture.shape[0] // height, 1), max(picture.shape[1] // width, 1)
    reduced = _reduced(picture, down, across)
    return np.asarray(
        cv2.resize(reduced, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8
    )


def _reduced(picture: NDArray[np.uint8], down: int, across: int) -> NDArray[np.uint8]:
    """Return the means of blocks of `down` by `across` pixels; an unfinished block is left out."""
    height, width = max(picture.shape[0] // down, 1), max(picture.shape[1] // across, 1)
    whole = picture[: height * down, : width * across]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def somebody(matte: NDArray[np.float32], level: float) -> Box | None:
    """Return the box around all patches of a matte that are no specks, or None without any."""
    inside = (matte > level).astype(np.uint8)
    _, _, patches, _ = cv2.connectedComponentsWithStats(inside)
    patches = patches[1:]  # the first one is the background
    areas = patches[:, cv2.CC_STAT_AREA]
    if not len(areas) or areas.max() < _NOBODY * matte.size:
        return None
    x, y, width, height = patches[areas >= _SPECK * areas.max(), :4].T
    return Box(float(x.min()), float(y.min()), float((x + width).max()), float((y + height).max()))


def square_around(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the square around a box, shifted into the picture, cut off where it is too large."""
    side = max(box.width, box.height)
    x0, x1 = _shifted(box.center[0], side, width)
    y0, y1 = _shifted(box.center[1], side, height)
    return x0, y0, x1, y1


def _shifted(center: float, side: float, limit: int) -> tuple[int, int]:
    if side >= limit:
        return 0, limit
    start = round(min(max(center - side / 2, 0), limit - side))
    return start, min(start + max(round(side), 1), limit)
