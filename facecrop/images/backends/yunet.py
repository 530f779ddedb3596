"""Faces by YuNet, a small network that sees turned, covered and distant faces, scale by scale."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from facecrop.config import Settings
from facecrop.errors import WeightsError
from facecrop.images.backends.runtimes import openvino_version
from facecrop.images.findings import Boxes, Candidate
from facecrop.images.frames import Box, Image, fit_longer
from facecrop.images.look.finder import Weights
from facecrop.images.models import cure_for

_NMS_IOU = 0.3
"""Boxes of one face overlap more than this: the model zoo's own value."""


class YuNet(Settings):
    """YuNet at one scale.

    Source:
        Wu, Peng, Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence
        Research 20; run by OpenCV's own `FaceDetectorYN`. It is trained for faces of about 10 to
        300 pixels, so the scale decides which faces it can see. Each picture is looked at alone,
        its longer side at `scale`, its shape kept: a square ground would cost a third more for a
        portrait, and find the same.
    """

    name: Literal["yunet"] = "yunet"
    scale: int = Field(default=640, ge=64, le=2048, multiple_of=32)
    """Longer side of the picture for the model, in pixels."""
    floor: float = Field(default=0.2, ge=0.05, le=0.9)
    """Score below which a candidate is not even remembered."""
    min_score: float = Field(default=0.6, gt=0, le=1, json_schema_extra={"part": "choose"})
    """Score from which a candidate counts as a face."""
    runtime: Literal["auto", "opencv", "openvino"] = Field(
        default="auto", json_schema_extra={"neutral": "auto", "part": "runtime"}
    )
    """What runs the model. `auto` keeps what the dataset was made with, and takes OpenCV for a new
    one."""

    finds: ClassVar[str] = "faces"
    version: ClassVar[int] = 1

    @property
    def label(self) -> str:
        """Short name for tables."""
        return f"yunet-{self.scale}"

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the weights it needs."""
        return ("yunet",)

    def runs_on(self, device: str) -> str:  # noqa: ARG002 - the same, whatever the device
        """Return what runs it, always on the CPU; a GPU would wait for the copies.

        Raises:
            MissingExtraError: OpenVINO was asked for, and is not installed.
        """
        if self.runtime == "openvino":
            return f"openvino {openvino_version(self.label)} fp32 cpu"
        return f"opencv {cv2.__version__} fp32 cpu"

    def sees(self, height: int, width: int) -> tuple[int, int]:
        """Return the size at which the model sees a picture."""
        return fit_longer(height, width, self.scale)

    def load(self, weights: Weights, device: str) -> "YuNetFinder":  # noqa: ARG002 - likewise
        """Load the model.

        Raises:
            MissingExtraError: OpenVINO was asked for, and is not installed.
            WeightsError: The file is no such model.
        """
        path = weights("yunet")
        if self.runtime != "openvino":
            return YuNetFinder(self.scale, OpencvYuNet(path, self.scale, self.floor, _NMS_IOU))
        openvino_version(self.label)
        from facecrop.images.backends.yunet_openvino import OpenvinoYuNet  # noqa: PLC0415 - heavy

        return YuNetFinder(self.scale, OpenvinoYuNet(path, self.floor, _NMS_IOU))


class OpencvYuNet:
    """YuNet by OpenCV's `FaceDetectorYN`.

    Args:
        path: The ONNX file.
        scale: Longer side of most pictures, pixels; they may differ.
        floor: Score below which a candidate is dropped.
        same: Intersection over union from which the weaker of two boxes is dropped.

    Raises:
        WeightsError: The file is no such model.
    """

    def __init__(self, path: Path, scale: int, floor: float, same: float) -> None:
        try:
            with _quiet():
                self._net = cv2.FaceDetectorYN.create(str(path), "", (scale, scale), floor, same)
        except cv2.error as error:
            raise WeightsError(
                f"{path}: OpenCV cannot load it as YuNet ({str(error).splitlines()[0]}); "
                f"{cure_for(path)}"
            ) from None

    def __call__(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the faces of a picture (h, w, 3) BGR: (K, 15), best first."""
        self._net.setInputSize((picture.shape[1], picture.shape[0]))
        rows = self._net.detect(picture)[1]
        return np.zeros((0, 15), np.float32) if rows is None else np.asarray(rows, np.float32)


class YuNetFinder:
    """YuNet, ready to look.

    Args:
        scale: Longer side of the picture for the model, pixels.
        detect: Returns the faces of a prepared picture: (K, 15) box xywh, five points, score.
    """

    batch_size = 1

    def __init__(
        self, scale: int, detect: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    ) -> None:
        self._scale = scale
        self._detect = detect

    def prepare(self, image: Image) -> NDArray[np.uint8]:
        """Return the picture at the model's scale: (h, w, 3) uint8, BGR, longer side `scale`."""
        height, width = fit_longer(image.shape[0], image.shape[1], self._scale)
        shrinks = height * width < image.shape[0] * image.shape[1]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        fitted = cv2.resize(image, (width, height), interpolation=how)
        return np.asarray(cv2.cvtColor(fitted, cv2.COLOR_RGB2BGR), np.uint8)

    def infer(self, batch: NDArray[np.uint8]) -> Sequence[Any]:
        """Return a (K, 15) float32 array for each picture: box xywh, five points, score."""
        return [self._detect(picture) for picture in batch]

    def interpret(self, raw: Any, height: int, width: int) -> Boxes:
        """Return the faces in pixels of the picture that was `height` by `width`."""
        fitted_height, fitted_width = fit_longer(height, width, self._scale)
        back = width / fitted_width, height / fitted_height
        faces = [_candidate(row, *back) for row in raw]
        return Boxes(tuple(sorted(faces, key=lambda face: -face.score)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV 5 from telling, for each model, that its new engine has no targets to choose."""
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)


def _candidate(row: NDArray[np.float32], sx: float, sy: float) -> Candidate:
    x, y, width, height = (float(value) for value in row[:4])
    points = (row[4:14].reshape(5, 2) * (sx, sy)).tolist()
    eyes = sorted(points[:2])  # by x: as the viewer sees them
    mouth = ((points[3][0] + points[4][0]) / 2, (points[3][1] + points[4][1]) / 2)
    return Candidate(
        box=Box(x, y, x + width, y + height).scale(sx, sy).quantised(),
        score=round(float(row[14]), 4),
        landmarks=tuple(_sixteenth(point) for point in (*eyes, points[2], mouth)),
    )


def _sixteenth(point: Sequence[float]) -> tuple[float, float]:
    return round(16 * point[0]) / 16, round(16 * point[1]) / 16
