from pathlib import Path

import cv2
import numpy as np
import pytest

from facecrop.errors import WeightsError
from facecrop.images.backends.yunet import YuNet
from facecrop.images.findings import Boxes
from facecrop.images.frames import Box, Image
from facecrop.images.look.finder import Weights


def astronaut() -> Image:
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    return np.asarray(data.astronaut(), np.uint8)


def look(settings: YuNet, image: Image, weights: Weights) -> Boxes:
    finder = settings.load(weights, "cpu")
    raw = finder.infer(finder.prepare(image)[None])[0]
    return finder.interpret(raw, image.shape[0], image.shape[1])


def own_call(scale: int, floor: float, image: Image, path: str) -> list[Box]:
    height, width = image.shape[:2]
    ratio = scale / max(height, width)
    size = max(round(width * ratio), 1), max(round(height * ratio), 1)
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    fitted = cv2.resize(image[..., ::-1], size, interpolation=how)
    rows = cv2.FaceDetectorYN.create(path, "", size, floor, 0.3).detect(fitted)[1]
    back = width / size[0], height / size[1]
    return [
        Box(x, y, x + w, y + h).scale(*back)
        for x, y, w, h in (rows[:, :4].tolist() if rows is not None else [])
    ]


@pytest.mark.parametrize("scale", [160, 320, 640])
def test_yunet_agrees_with_opencvs_own_call(scale: int, weights: Weights) -> None:
    settings = YuNet(scale=scale)
    image = astronaut()
    seen = look(settings, image, weights)
    own = own_call(scale, settings.floor, image, str(weights("yunet")))
    assert len(seen.candidates) == len(own) > 0
    for box in own:
        assert max(one.box.iou(box) for one in seen.candidates) >= 0.99


def test_yunet_agrees_with_opencvs_own_call_on_photographs(
    weights: Weights, photographs: list[Image]
) -> None:
    settings = YuNet(scale=320)
    for image in photographs:
        seen = look(settings, image, weights)
        own = own_call(320, settings.floor, image, str(weights("yunet")))
        assert len(seen.candidates) == len(own)
        for box in own:
            assert max(one.box.iou(box) for one in seen.candidates) >= 0.99


def test_a_finding_does_not_depend_on_the_pictures_before_it(weights: Weights) -> None:
    image = astronaut()
    finder = YuNet(scale=320).load(weights, "cpu")

    def see(one: Image) -> Boxes:
        return finder.interpret(finder.infer(finder.prepare(one)[None])[0], *one.shape[:2])

    alone = see(image)
    see(image[:200, :450])
    assert see(image) == alone


def test_landmarks_are_in_order_as_the_viewer_sees_them(weights: Weights) -> None:
    face = look(YuNet(), astronaut(), weights).candidates[0]
    left, right, nose, mouth = face.landmarks
    assert face.box.x0 < left[0] < nose[0] < right[0] < face.box.x1
    assert max(left[1], right[1]) < nose[1] < mouth[1] < face.box.y1


def test_boxes_and_landmarks_are_kept_to_a_sixteenth_of_a_pixel(weights: Weights) -> None:
    for face in look(YuNet(), astronaut(), weights).candidates:
        numbers = [*face.box.corners, *(value for point in face.landmarks for value in point)]
        assert all(16 * number == round(16 * number) for number in numbers)


def test_a_file_that_is_no_model_is_an_error_with_a_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "yunet.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(WeightsError, match="give another file: --weights NAME=FILE"):
        YuNet().load(lambda _: path, "cpu")
    monkeypatch.setenv("FACECROP_MODELS", str(tmp_path))
    with pytest.raises(WeightsError, match="delete the file so that it is fetched again"):
        YuNet().load(lambda _: path, "cpu")


def test_each_scale_has_a_label_of_its_own() -> None:
    assert YuNet(scale=160).label == "yunet-160"
    assert YuNet(scale=640).label == "yunet-640"
