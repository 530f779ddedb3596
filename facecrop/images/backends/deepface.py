"""Faces by the detectors that deepface wraps, by the names it gives them.

deepface wants care: it does not import without werkzeug, reads paths in ASCII only, keeps its
weights below the home folder, and its mediapipe detector needs an interface that mediapipe 1.x no
longer has. So pictures go in as arrays, the one weights file that is ours to give is shown to it
in a folder of its own, and what cannot work is said before the first picture.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from facecrop.config import Settings
from facecrop.errors import ConfigError, MissingExtraError
from facecrop.images.findings import Boxes, Candidate
from facecrop.images.frames import Box, Image
from facecrop.images.look.finder import Weights

Detector = Literal[
    "opencv",
    "ssd",
    "mtcnn",
    "fastmtcnn",
    "retinaface",
    "dlib",
    "mediapipe",
    "yunet",
    "centerface",
    "yolov8n",
    "yolov8m",
    "yolov8l",
    "yolov11n",
    "yolov11s",
    "yolov11m",
    "yolov11l",
    "yolov12n",
    "yolov12s",
    "yolov12m",
    "yolov12l",
]
"""The names of deepface 0.0.103."""

_YUNET_FILE = "face_detection_yunet_2023mar.onnx"
"""The name under which deepface looks for YuNet."""


class DeepFace(Settings):
    """What `DeepFace.extract_faces` finds with one of its detectors.

    The weights of `yunet` are ours to give, checked. Those of all others are fetched and kept by
    deepface itself, unchecked, in its own folder; so are the cascades of `opencv`, which the
    wheels of OpenCV 5 no longer hold.
    """

    name: Literal["deepface"] = "deepface"
    detector: Detector = "yunet"
    """deepface's own name of the detector (`detector_backend`)."""
    align: bool = True
    """As in `extract_faces`; it also lets the detector see a black border of half the picture."""
    min_score: float = Field(default=0.5, gt=0, le=1, json_schema_extra={"part": "choose"})
    """Score from which a candidate counts as a face; the detectors have thresholds of their own."""

    finds: ClassVar[str] = "faces"
    version: ClassVar[int] = 1

    @property
    def label(self) -> str:
        """Short name for tables."""
        return f"deepface-{self.detector}"

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the weights it needs, as far as they are ours to check."""
        return ("yunet",) if self.detector == "yunet" else ()

    def runs_on(self, device: str) -> str:  # noqa: ARG002 - deepface decides by itself
        """Return what runs it; the device is deepface's own choice.

        Raises:
            MissingExtraError: deepface is not installed.
        """
        _require_deepface()
        return f"deepface {version('deepface')}"

    def sees(self, height: int, width: int) -> None:
        """Its detectors take pictures as they are, or shrink them each in its own way."""

    def load(self, weights: Weights, device: str) -> "DeepFaceFinder":  # noqa: ARG002 - likewise
        """Load the detector.

        Raises:
            MissingExtraError: deepface, or a package that it needs, is not installed.
            ConfigError: The detector cannot work with what is installed.
        """
        _require_deepface()
        if self.detector == "mediapipe" and _mediapipe_is_new():
            raise ConfigError(
                "deepface's 'mediapipe' detector needs an interface that mediapipe "
                f"{version('mediapipe')} no longer has: use the finder 'blazeface-short' instead"
            )
        if self.detector == "yunet":
            with _home_with(weights("yunet")):
                _build(self.detector)
        else:
            _build(self.detector)
        return DeepFaceFinder(self.detector, align=self.align)


class DeepFaceFinder:
    """A detector of deepface, ready to look, one picture at a time."""

    batch_size = 1

    def __init__(self, detector: str, *, align: bool) -> None:
        self._detector = detector
        self._align = align

    def prepare(self, image: Image) -> NDArray[np.uint8]:
        """Return the picture itself: (H, W, 3) uint8, BGR."""
        return np.ascontiguousarray(image[..., ::-1])

    def infer(self, batch: NDArray[np.uint8]) -> Sequence[Any]:
        """Return deepface's own list of faces for each picture."""
        return [self._faces(image) for image in batch]

    def interpret(self, raw: Any, height: int, width: int) -> Boxes:  # noqa: ARG002 - source pixels
        """Return the faces; deepface tells them in pixels of the picture."""
        faces = [_candidate(face["facial_area"], face["confidence"]) for face in raw]
        return Boxes(tuple(sorted(faces, key=lambda face: -face.score)))

    def _faces(self, image: NDArray[np.uint8]) -> list[Any]:
        from deepface.modules import detection, exceptions  # noqa: PLC0415 - heavy

        try:
            return list(
                detection.extract_faces(
                    image,
                    detector_backend=self._detector,
                    align=self._align,
                    normalize_face=False,
                )
            )
        except (exceptions.FaceNotDetected, exceptions.ImgNotFound):
            return []


def _candidate(area: dict[str, Any], confidence: float) -> Candidate:
    left, right = area["right_eye"], area["left_eye"]  # the viewer's left is the person's right
    nose, one, other = (area.get(part) for part in ("nose", "mouth_left", "mouth_right"))
    points: tuple[tuple[float, float], ...] = ()
    if left and right and nose and one and other:
        mouth = ((one[0] + other[0]) / 2, (one[1] + other[1]) / 2)
        points = tuple((float(x), float(y)) for x, y in (*sorted((left, right)), nose, mouth))
    return Candidate(
        box=Box(area["x"], area["y"], area["x"] + area["w"], area["y"] + area["h"]),
        score=min(max(float(confidence), 0.0), 1.0),
        landmarks=points,
    )


def _require_deepface() -> None:
    for package in ("deepface", "werkzeug"):
        if find_spec(package) is None:
            raise MissingExtraError(
                f"deepface's detectors need {package}: pip install 'facecrop[deepface]'"
            )


def _mediapipe_is_new() -> bool:
    return int(version("mediapipe").split(".")[0]) >= 1


def _build(detector: str) -> None:
    """Let deepface load a detector; it keeps it for itself."""
    from deepface.modules import modeling  # noqa: PLC0415 - heavy

    try:
        modeling.build_model(task="face_detector", model_name=detector)
    except ImportError as error:
        raise MissingExtraError(
            f"deepface's {detector!r} detector needs a package that is not installed: {error}"
        ) from None
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"deepface cannot load its {detector!r} detector: {reason}; choose another one"
        ) from None


@contextmanager
def _home_with(weights: Path) -> Iterator[None]:
    """Show deepface a home folder that holds checked weights, while it loads them."""
    before = os.environ.get("DEEPFACE_HOME")
    with TemporaryDirectory(prefix="facecrop-") as home:
        folder = Path(home, ".deepface", "weights")
        folder.mkdir(parents=True)
        shutil.copyfile(weights, folder / _YUNET_FILE)
        os.environ["DEEPFACE_HOME"] = home
        try:
            yield
        finally:
            del os.environ["DEEPFACE_HOME"]
            if before is not None:
                os.environ["DEEPFACE_HOME"] = before
