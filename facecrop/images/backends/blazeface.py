"""Faces by BlazeFace, mediapipe's face detector, for pictures taken from near or further off."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from facecrop.config import Settings
from facecrop.images.backends.runtimes import openvino_version
from facecrop.images.backends.tasks import face_detector
from facecrop.images.findings import Boxes, Candidate
from facecrop.images.frames import Box, Image, fit_longer
from facecrop.images.look.finder import Finder, Weights

_NMS_IOU = 0.3
"""Overlap from which the task blends candidates into one: its own default."""


class _BlazeFace(Settings):
    floor: float = Field(default=0.2, ge=0.05, le=0.9)
    """Score below which a candidate is not even remembered."""
    min_score: float = Field(default=0.5, gt=0, le=1, json_schema_extra={"part": "choose"})
    """Score from which a candidate counts as a face; 0.5 is the task's own default."""
    runtime: Literal["auto", "mediapipe", "openvino"] = Field(
        default="auto", json_schema_extra={"neutral": "auto", "part": "runtime"}
    )
    """What runs the model. `auto` keeps what the dataset was made with, and takes mediapipe for a
    new one."""

    finds: ClassVar[str] = "faces"
    version: ClassVar[int] = 1
    _model: ClassVar[str]
    _side: ClassVar[int]

    @property
    def label(self) -> str:
        """Short name for tables."""
        return self._model

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the weights it needs."""
        return (self._model,)

    def runs_on(self, device: str) -> str:  # noqa: ARG002 - the same, whatever the device
        """Return what runs it, mediapipe's XNNPACK kernels or OpenVINO: always on the CPU.

        Raises:
            MissingExtraError: OpenVINO was asked for, and is not installed.
        """
        if self.runtime == "openvino":
            return f"openvino {openvino_version(self.label)} fp32 cpu"
        return f"mediapipe {version('mediapipe')} fp32 cpu"

    def sees(self, height: int, width: int) -> tuple[int, int]:
        """Return the size at which the task shows a picture to the model."""
        return fit_longer(height, width, self._side)

    def load(self, weights: Weights, device: str) -> Finder:  # noqa: ARG002 - likewise
        """Load the model.

        Raises:
            MissingExtraError: OpenVINO was asked for, and is not installed.
            WeightsError: The file is no such model.
        """
        path = weights(self._model)
        if self.runtime != "openvino":
            return BlazeFaceFinder(path, self.floor)
        openvino_version(self.label)
        from facecrop.images.backends.blazeface_openvino import (  # noqa: PLC0415 - heavy
            OpenvinoBlazeFace,
        )

        return OpenvinoBlazeFace(path, self.floor, _NMS_IOU)


class BlazeFaceShort(_BlazeFace):
    """BlazeFace, short range: the quickest look, for faces within about two metres.

    It sees the whole picture at 128 pixels, knows faces from brows to chin, and is at its best
    where the face is uncovered and fills a fifth of the picture or more.

    Source:
        Bazarevsky et al. 2019, "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs",
        arXiv:1907.05047; run by mediapipe's own `FaceDetector` task.
    """

    name: Literal["blazeface-short"] = "blazeface-short"
    _model: ClassVar[str] = "blazeface-short"
    _side: ClassVar[int] = 128


class BlazeFaceFull(_BlazeFace):
    """BlazeFace, full range: sees the whole picture at 192 pixels, for faces within five metres.

    Source:
        As for the short range; the sparse variant of the model.
    """

    name: Literal["blazeface-full"] = "blazeface-full"
    _model: ClassVar[str] = "blazeface-full"
    _side: ClassVar[int] = 192


class BlazeFaceFinder:
    """A BlazeFace model, ready to look.

    The task takes one picture at a time and brings it to the model's size itself, so there is
    nothing to prepare, batches have one picture, and the boxes are the task's own, to the pixel.
    """

    batch_size = 1

    def __init__(self, path: Path, floor: float) -> None:
        self._task = face_detector(path, floor, _NMS_IOU)

    def prepare(self, image: Image) -> NDArray[np.uint8]:
        """Return the picture itself: (H, W, 3) uint8, RGB."""
        return np.ascontiguousarray(image)

    def infer(self, batch: NDArray[np.uint8]) -> Sequence[Any]:
        """Return a (K, 13) float array for each picture: box xywh, points in [0, 1], score."""
        from mediapipe import Image as TaskImage  # noqa: PLC0415 - heavy
        from mediapipe import ImageFormat  # noqa: PLC0415 - heavy

        pictures = (TaskImage(image_format=ImageFormat.SRGB, data=image) for image in batch)
        return [_rows(self._task.detect(picture).detections) for picture in pictures]

    def interpret(self, raw: Any, height: int, width: int) -> Boxes:
        """Return the faces in pixels of the picture that was `height` by `width`."""
        faces = [_candidate(row, height, width) for row in raw]
        return Boxes(tuple(sorted(faces, key=lambda face: -face.score)))


def _rows(detections: Sequence[Any]) -> NDArray[np.float64]:
    rows = [
        [
            detection.bounding_box.origin_x,
            detection.bounding_box.origin_y,
            detection.bounding_box.width,
            detection.bounding_box.height,
            # Two eyes, nose, mouth; the tragions of the ears follow and are not used.
            *(value for point in detection.keypoints[:4] for value in (point.x, point.y)),
            detection.categories[0].score,
        ]
        for detection in detections
    ]
    return np.array(rows, np.float64).reshape(-1, 13)


def _candidate(row: NDArray[np.float64], height: int, width: int) -> Candidate:
    x, y, box_width, box_height = (float(value) for value in row[:4])
    box = Box(x, y, x + box_width, y + box_height)
    return candidate(box, row[4:12].reshape(4, 2) * (width, height), float(row[12]))


def candidate(box: Box, points: NDArray[np.float64], score: float) -> Candidate:
    """Return a face as findings keep it.

    Args:
        box: In pixels of the picture.
        points: (4, 2) xy likewise: the eyes in any order, nose, mouth.
        score: In [0, 1].
    """
    first, second, nose, mouth = ((float(x), float(y)) for x, y in np.round(16 * points) / 16)
    eyes = sorted((first, second))  # by x: as the viewer sees them
    return Candidate(box=box, score=round(score, 4), landmarks=(*eyes, nose, mouth))
