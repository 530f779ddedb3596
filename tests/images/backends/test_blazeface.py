from pathlib import Path

import numpy as np
import pytest

from facecrop.errors import WeightsError
from facecrop.images.backends.blazeface import BlazeFaceFull, BlazeFaceShort
from facecrop.images.findings import Boxes
from facecrop.images.frames import Box, Image
from facecrop.images.look.finder import Weights

Settings = BlazeFaceShort | BlazeFaceFull
BOTH = [BlazeFaceShort(), BlazeFaceFull()]


def astronaut() -> Image:
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    return np.asarray(data.astronaut(), np.uint8)


def look(settings: Settings, image: Image, weights: Weights) -> Boxes:
    finder = settings.load(weights, "cpu")
    raw = finder.infer(finder.prepare(image)[None])[0]
    return finder.interpret(raw, image.shape[0], image.shape[1])


def own_call(settings: Settings, image: Image, weights: Weights) -> list[Box]:
    """Ask mediapipe's task as its documentation shows."""
    import mediapipe  # noqa: PLC0415 - heavy
    from mediapipe.tasks.python import BaseOptions, vision  # noqa: PLC0415 - heavy

    options = vision.FaceDetectorOptions(
        base_options=BaseOptions(model_asset_path=str(weights(settings.models[0]))),
        min_detection_confidence=settings.floor,
    )
    picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
    with vision.FaceDetector.create_from_options(options) as detector:
        boxes = [found.bounding_box for found in detector.detect(picture).detections]
    return [Box(b.origin_x, b.origin_y, b.origin_x + b.width, b.origin_y + b.height) for b in boxes]


def assert_agrees(seen: Boxes, own: list[Box]) -> None:
    assert len(seen.candidates) == len(own)
    for box in own:
        assert max(one.box.iou(box) for one in seen.candidates) >= 0.99


@pytest.mark.parametrize("settings", BOTH, ids=lambda one: one.label)
def test_blazeface_agrees_with_mediapipes_own_task(settings: Settings, weights: Weights) -> None:
    image = astronaut()
    seen = look(settings, image, weights)
    assert seen.candidates
    assert_agrees(seen, own_call(settings, image, weights))


@pytest.mark.parametrize("settings", BOTH, ids=lambda one: one.label)
def test_blazeface_agrees_with_mediapipes_own_task_on_photographs(
    settings: Settings, weights: Weights, photographs: list[Image]
) -> None:
    for image in photographs[:15]:
        assert_agrees(look(settings, image, weights), own_call(settings, image, weights))


@pytest.mark.parametrize("settings", BOTH, ids=lambda one: one.label)
def test_landmarks_are_in_order_as_the_viewer_sees_them(
    settings: Settings, weights: Weights
) -> None:
    face = look(settings, astronaut(), weights).candidates[0]
    left, right, nose, mouth = face.landmarks
    assert face.box.x0 < left[0] < nose[0] < right[0] < face.box.x1
    assert max(left[1], right[1]) < nose[1] < mouth[1] < face.box.y1


@pytest.mark.parametrize("settings", BOTH, ids=lambda one: one.label)
def test_a_picture_without_a_face_has_no_candidates(settings: Settings, weights: Weights) -> None:
    assert look(settings, np.full((90, 160, 3), 127, np.uint8), weights) == Boxes(())


def test_a_file_that_is_no_model_is_an_error_with_a_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "face.tflite"
    path.write_bytes(b"no model")
    with pytest.raises(WeightsError, match="give another file: --weights NAME=FILE"):
        BlazeFaceShort().load(lambda _: path, "cpu")
    monkeypatch.setenv("FACECROP_MODELS", str(tmp_path))
    with pytest.raises(WeightsError, match="delete the file so that it is fetched again"):
        BlazeFaceShort().load(lambda _: path, "cpu")


def test_the_two_ranges_are_told_apart() -> None:
    assert BlazeFaceShort().label == "blazeface-short"
    assert BlazeFaceFull().label == "blazeface-full"
    assert BlazeFaceShort().models != BlazeFaceFull().models
