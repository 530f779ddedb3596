"""Finders that need no weights, and the drawn pictures they understand.

A drawn person is a grey body on a dark ground with a bright square for a face. The classes are at
module level so that spawned workers can import them; `Recipe(look=Look(matte=FakeMatte(), ...))`
takes them as they are.
"""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from works import an_error

from facecrop.config import Settings
from facecrop.images.findings import Alpha, Boxes, Candidate
from facecrop.images.frames import Box, Image, fit_longer
from facecrop.images.look.finder import Weights

GROUND, BODY, FACE = 24, 128, 240
"""Grey values of a drawn picture; thresholds lie half-way, so that JPEG does not matter."""

_PERSON_LEVEL, _FACE_LEVEL = (GROUND + BODY) // 2, (BODY + FACE) // 2
_MATTE_SIDE = 64
_MARK = (255, 0, 0)
_MARK_SIDE = 8


def draw(
    height: int = 96, width: int = 64, face: Box | None = None, *, body: bool = True, shade: int = 0
) -> Image:
    """Return a picture of one drawn person, (height, width, 3) uint8, RGB.

    Args:
        height: Pixels.
        width: Pixels.
        face: Where the bright square is; None for no face.
        body: Whether there is a person at all.
        shade: Added to the ground, in [0, 40]: pictures of different shade have different bytes.
    """
    image = np.full((height, width, 3), GROUND + shade, np.uint8)
    if body:
        image[height // 6 :, width // 6 : width - width // 6] = BODY
    if face is not None:
        x0, y0, x1, y1 = face.outward()
        image[y0:y1, x0:x1] = FACE
    return image


def usual_face(height: int = 96, width: int = 64) -> Box:
    """Return where the face of a drawn person is: a third of the width, above the middle."""
    side = width // 3
    x0, y0 = (width - side) // 2, height // 4
    return Box(x0, y0, x0 + side, y0 + side)


def mark(image: Image) -> Image:
    """Return the picture with a red corner, which `CrashingFinder` and `SlowFinder` know."""
    marked = image.copy()
    marked[:_MARK_SIDE, :_MARK_SIDE] = _MARK
    return marked


def is_marked(image: Image) -> bool:
    """Tell whether a picture has the red corner, also after JPEG."""
    red, green, blue = image[: _MARK_SIDE // 2, : _MARK_SIDE // 2].reshape(-1, 3).mean(axis=0)
    return bool(red > FACE - BODY > max(green, blue))


def write_png(path: Path, image: Image) -> Path:
    """Write a picture, RGB, without loss, or as the extension says; make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image[..., ::-1]):
        raise OSError(f"cannot write {path}")
    return path


def write_profiles(
    raw: Path, profiles: int = 3, stems: Sequence[str] = ("mask1", "incorrect_mask", "normal")
) -> Path:
    """Write profiles of drawn people whose faces differ in place, so that all bytes differ."""
    for person in range(profiles):
        gender = ("male", "female")[person % 2]
        for number, stem in enumerate(stems):
            image = draw(face=usual_face().shift(person % 5, number), shade=(3 * person) % 40)
            image[-1, -1] = (person % 256, person // 256, number)
            name = f"{person + 1:06d}_{gender}_Asian_{20 + person % 41}"
            write_png(raw / name / f"{stem}.png", image)
    return raw


class FakeDetector(Settings):
    """A face detector that finds bright squares; their brightness is the score."""

    name: Literal["fake-face"] = "fake-face"
    tag: str = "fake-face"
    """Its label: two of different tags can stand in one cascade."""
    level: int = Field(default=_FACE_LEVEL, ge=1, le=255)
    min_score: float = Field(default=0.5, ge=0, le=1, json_schema_extra={"part": "choose"})
    side: int = Field(default=0, ge=0)
    """Longer side that a picture must keep for it; 0 if it wants every pixel."""

    finds: ClassVar[str] = "faces"
    version: ClassVar[int] = 1

    @property
    def label(self) -> str:
        return self.tag

    @property
    def models(self) -> tuple[str, ...]:
        return ()

    def runs_on(self, device: str) -> str:
        return f"numpy {device}"

    def sees(self, height: int, width: int) -> tuple[int, int] | None:
        return fit_longer(height, width, self.side) if self.side else None

    def load(self, weights: Weights, device: str) -> "BrightFinder":  # noqa: ARG002 - needs none
        return BrightFinder(self.level, landmarks=True)


class FakePersons(Settings):
    """A person detector that finds what is brighter than the ground."""

    name: Literal["fake-persons"] = "fake-persons"
    level: int = Field(default=_PERSON_LEVEL, ge=1, le=255)
    min_score: float = Field(default=0.1, ge=0, le=1, json_schema_extra={"part": "choose"})

    finds: ClassVar[str] = "persons"
    version: ClassVar[int] = 1

    @property
    def label(self) -> str:
        return self.name

    @property
    def models(self) -> tuple[str, ...]:
        return ()

    def runs_on(self, device: str) -> str:
        return f"numpy {device}"

    def sees(self, height: int, width: int) -> None:  # noqa: ARG002 - wants every pixel
        return None

    def load(self, weights: Weights, device: str) -> "BrightFinder":  # noqa: ARG002 - needs none
        return BrightFinder(self.level, landmarks=False)


class FakeMatte(Settings):
    """A matte model: the person is what is brighter than the ground."""

    name: Literal["fake-matte"] = "fake-matte"
    level: int = Field(default=_PERSON_LEVEL, ge=1, le=255)

    finds: ClassVar[str] = "alpha"
    version: ClassVar[int] = 1

    @property
    def label(self) -> str:
        return self.name

    @property
    def models(self) -> tuple[str, ...]:
        return ()

    def runs_on(self, device: str) -> str:
        return f"numpy {device}"

    def sees(self, height: int, width: int) -> tuple[int, int]:  # noqa: ARG002 - always one size
        return _MATTE_SIDE, _MATTE_SIDE

    def load(self, weights: Weights, device: str) -> "MatteFinder":  # noqa: ARG002 - needs none
        return MatteFinder(self.level)


class FailingFinder(FakeDetector):
    """A detector whose model raises: a bug, a mistake of the user's, or what cannot be pickled."""

    kind: Literal["bug", "user", "unpicklable"] = "bug"
    when: Literal["load", "infer"] = "infer"

    def load(self, weights: Weights, device: str) -> "BrightFinder":
        if self.when == "load":
            raise an_error(self.kind)
        return _Failing(super().load(weights, device), self.kind)


class CrashingFinder(FakeDetector):
    """A detector whose process dies on a marked picture, as when a decoder or a driver crashes."""

    once: str = ""
    """A file: made at the first crash, and while it is there nothing crashes any more."""

    def load(self, weights: Weights, device: str) -> "BrightFinder":
        return _Crashing(super().load(weights, device), self.once)


class SlowFinder(FakeDetector):
    """A detector that takes its time."""

    seconds: float = Field(default=0.2, ge=0)
    marked_only: bool = False
    """Whether only marked pictures take so long."""

    def load(self, weights: Weights, device: str) -> "BrightFinder":
        return _Slow(super().load(weights, device), self)


class BrightFinder:
    """Finds connected bright patches, best score first."""

    batch_size = 1

    def __init__(self, level: int, *, landmarks: bool) -> None:
        self._level, self._landmarks = level, landmarks

    def prepare(self, image: Image) -> NDArray[np.uint8]:
        return np.ascontiguousarray(image)

    def infer(self, batch: NDArray[np.uint8]) -> Sequence[Any]:
        return [self._patches(image) for image in batch]

    def interpret(self, raw: Any, height: int, width: int) -> Boxes:  # noqa: ARG002 - own pixels
        faces = [self._candidate(row) for row in raw]
        return Boxes(tuple(sorted(faces, key=lambda face: -face.score)))

    def _patches(self, image: Image) -> NDArray[np.float64]:
        darkest = image.min(axis=2)
        inside = (darkest >= self._level).astype(np.uint8)
        count, places, patches, _ = cv2.connectedComponentsWithStats(inside)
        rows = [
            [x, y, x + width, y + height, darkest[places == number].mean() / 255]
            for number in range(1, count)
            for x, y, width, height, area in [patches[number]]
            if area >= 16  # what JPEG leaves at an edge is smaller
        ]
        return np.array(rows, np.float64).reshape(-1, 5)

    def _candidate(self, row: NDArray[np.float64]) -> Candidate:
        box = Box(*(float(side) for side in row[:4])).quantised()
        places = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.5, 0.8)) if self._landmarks else ()
        points = tuple((box.x0 + x * box.width, box.y0 + y * box.height) for x, y in places)
        return Candidate(box, round(float(row[4]), 4), points)


class MatteFinder:
    """Tells bright from dark at a fixed size, four pictures at a time."""

    batch_size = 4

    def __init__(self, level: int) -> None:
        self._level = level

    def prepare(self, image: Image) -> NDArray[np.uint8]:
        size = (_MATTE_SIDE, _MATTE_SIDE)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

    def infer(self, batch: NDArray[np.uint8]) -> Sequence[Any]:
        return list(np.where(batch.max(axis=3) >= self._level, np.uint8(255), np.uint8(0)))

    def interpret(self, raw: Any, height: int, width: int) -> Alpha:
        return Alpha(np.asarray(raw, np.uint8), Box(0, 0, width, height))


class _Wrapped(BrightFinder):
    def __init__(self, inner: BrightFinder) -> None:
        self._inner = inner

    def infer(self, batch: NDArray[np.uint8]) -> Sequence[Any]:
        self.before(batch)
        return self._inner.infer(batch)

    def interpret(self, raw: Any, height: int, width: int) -> Boxes:
        return self._inner.interpret(raw, height, width)

    def before(self, batch: NDArray[np.uint8]) -> None:
        raise NotImplementedError


class _Failing(_Wrapped):
    def __init__(self, inner: BrightFinder, kind: str) -> None:
        super().__init__(inner)
        self._kind = kind

    def before(self, batch: NDArray[np.uint8]) -> None:  # noqa: ARG002 - fails on every picture
        raise an_error(self._kind)


class _Crashing(_Wrapped):
    def __init__(self, inner: BrightFinder, once: str) -> None:
        super().__init__(inner)
        self._once = Path(once) if once else None

    def before(self, batch: NDArray[np.uint8]) -> None:
        if not any(map(is_marked, batch)):
            return
        if self._once is not None:
            if self._once.exists():
                return
            self._once.touch()
        os.kill(os.getpid(), signal.SIGKILL)


class _Slow(_Wrapped):
    def __init__(self, inner: BrightFinder, settings: SlowFinder) -> None:
        super().__init__(inner)
        self._settings = settings

    def before(self, batch: NDArray[np.uint8]) -> None:
        if not self._settings.marked_only or any(map(is_marked, batch)):
            time.sleep(self._settings.seconds)
