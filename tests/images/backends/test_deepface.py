import os
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import pytest

from facecrop.errors import ConfigError
from facecrop.images.backends.deepface import DeepFace
from facecrop.images.findings import Boxes
from facecrop.images.frames import Box, Image
from facecrop.images.look.finder import Weights

pytest.importorskip("deepface", reason="deepface is not installed")
pytest.importorskip("werkzeug", reason="deepface needs werkzeug")


def no_weights(name: str) -> Path:
    raise AssertionError(f"nobody should ask for {name}")


def astronaut() -> Image:
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    return np.asarray(data.astronaut(), np.uint8)


def look(settings: DeepFace, image: Image, weights: Weights = no_weights) -> Boxes:
    finder = settings.load(weights, "cpu")
    return finder.interpret(
        finder.infer(finder.prepare(image)[None])[0], image.shape[0], image.shape[1]
    )


def own_call(detector: str, image: Image) -> list[Box]:
    from deepface.modules import detection  # noqa: PLC0415 - heavy

    faces = detection.extract_faces(
        image[..., ::-1].copy(), detector_backend=detector, enforce_detection=False
    )
    areas = [face["facial_area"] for face in faces if face["confidence"] > 0]
    return [Box(a["x"], a["y"], a["x"] + a["w"], a["y"] + a["h"]) for a in areas]


def assert_agrees(seen: Boxes, own: list[Box]) -> None:
    assert len(seen.candidates) == len(own)
    for box in own:
        assert max(one.box.iou(box) for one in seen.candidates) >= 0.99


def cascades_are_here() -> bool:
    folders = (Path(cv2.__file__).parent / "data", Path.home() / ".deepface" / "weights")
    return any((folder / "haarcascade_frontalface_default.xml").is_file() for folder in folders)


def test_yunet_by_deepface_agrees_with_its_own_call(weights: Weights) -> None:
    image = astronaut()
    seen = look(DeepFace(detector="yunet"), image, weights)
    assert seen.candidates
    assert_agrees(seen, own_call("yunet", image))


@pytest.mark.skipif(not cascades_are_here(), reason="deepface would fetch OpenCV's cascades")
def test_opencv_by_deepface_agrees_with_its_own_call() -> None:
    image = astronaut()
    seen = look(DeepFace(detector="opencv"), image)
    assert seen.candidates
    assert_agrees(seen, own_call("opencv", image))


def test_yunet_by_deepface_agrees_with_its_own_call_on_photographs(
    photographs: list[Image], weights: Weights
) -> None:
    settings = DeepFace(detector="yunet")
    found = 0
    for image in photographs[:20]:
        seen = look(settings, image, weights)
        assert_agrees(seen, own_call("yunet", image))
        found += len(seen.candidates)
    assert found > 10


def test_a_picture_without_a_face_has_no_candidates(weights: Weights) -> None:
    blank = np.full((64, 64, 3), 200, np.uint8)
    assert look(DeepFace(), blank, weights) == Boxes(())


def test_loading_leaves_the_environment_as_it_was(
    monkeypatch: pytest.MonkeyPatch, weights: Weights
) -> None:
    monkeypatch.delenv("DEEPFACE_HOME", raising=False)
    DeepFace(detector="yunet").load(weights, "cpu")
    assert "DEEPFACE_HOME" not in os.environ
    monkeypatch.setenv("DEEPFACE_HOME", "kept")
    DeepFace(detector="yunet").load(weights, "cpu")
    assert os.environ["DEEPFACE_HOME"] == "kept"


@pytest.mark.skipif(
    int(version("mediapipe").split(".")[0]) < 1, reason="this mediapipe has the old interface"
)
def test_the_detector_that_cannot_work_is_refused_with_a_cure() -> None:
    with pytest.raises(ConfigError, match="use the finder 'blazeface-short' instead"):
        DeepFace(detector="mediapipe").load(no_weights, "cpu")


@pytest.mark.skipif(
    int(cv2.__version__.split(".")[0]) < 5, reason="this OpenCV still reads Caffe models"
)
def test_a_detector_that_deepface_cannot_load_is_an_error_with_its_reason() -> None:
    with pytest.raises(ConfigError, match=r"'ssd' detector: .*opencv 5 does not support caffe"):
        DeepFace(detector="ssd").load(no_weights, "cpu")


def test_the_score_floor_of_choose_is_marked_as_such() -> None:
    extra = DeepFace.model_fields["min_score"].json_schema_extra
    assert extra == {"part": "choose"}
