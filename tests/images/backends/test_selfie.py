import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facecrop.errors import WeightsError
from facecrop.images.backends.selfie import Selfie, somebody, square_around
from facecrop.images.findings import Alpha
from facecrop.images.frames import Box, Image
from facecrop.images.look.alpha import alpha_in
from facecrop.images.look.finder import Finder, Weights


def astronaut() -> Image:
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    return np.asarray(data.astronaut(), np.uint8)


def far_away(image: Image, side: int) -> Image:
    """Return a picture of 480x960 with the image small in its middle, at the lower border."""
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    tall = cv2.copyMakeBorder(small, 480 - side, 0, 0, 0, cv2.BORDER_REPLICATE)
    wall = (60, 70, 80)
    wide = cv2.copyMakeBorder(tall, 0, 0, 400, 560 - side, cv2.BORDER_CONSTANT, value=wall)
    return np.asarray(wide, np.uint8)


def look(finder: Finder, image: Image) -> Alpha:
    raw = finder.infer(finder.prepare(image)[None])[0]
    found = finder.interpret(raw, image.shape[0], image.shape[1])
    assert isinstance(found, Alpha)
    return found


def matte(alpha: Alpha, image: Image) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    return alpha_in(alpha, Box(0, 0, width, height), height, width)


def own_call(image: Image, weights: Weights) -> NDArray[np.float32]:
    """Ask mediapipe's task as its documentation shows: a matte of the picture's size, in [0, 1]."""
    import mediapipe  # noqa: PLC0415 - heavy
    from mediapipe.tasks.python import BaseOptions, vision  # noqa: PLC0415 - heavy

    options = vision.ImageSegmenterOptions(
        base_options=BaseOptions(model_asset_path=str(weights("selfie")))
    )
    picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
    with vision.ImageSegmenter.create_from_options(options) as segmenter:
        found = segmenter.segment(picture).confidence_masks[0].numpy_view()
        return np.array(found, np.float32).reshape(image.shape[:2])


def assert_agrees(image: Image, weights: Weights) -> None:
    finder = Selfie(zoom=False).load(weights, "cpu")
    seen = matte(look(finder, image), image)
    difference = np.abs(seen - 255 * own_call(image, weights))
    assert difference.mean() <= 1
    assert (difference > 32).mean() <= 0.001


@pytest.mark.parametrize("size", [(256, 256), (512, 384), (200, 333)])
def test_one_look_agrees_with_mediapipes_own_task(size: tuple[int, int], weights: Weights) -> None:
    assert_agrees(cv2.resize(astronaut(), size[::-1], interpolation=cv2.INTER_AREA), weights)


def test_one_look_agrees_with_mediapipes_own_task_on_photographs(
    weights: Weights, photographs: list[Image]
) -> None:
    for image in photographs[:15]:
        assert_agrees(image, weights)


def test_two_looks_see_somebody_far_away_as_if_near(weights: Weights) -> None:
    near = astronaut()
    far = far_away(near, 300)
    finder = Selfie().load(weights, "cpu")
    alpha = look(finder, far)
    expected = matte(look(finder, near), near) > 127
    seen = cv2.resize(matte(alpha, far)[180:, 400:700], (512, 512)) > 127
    assert alpha.region.width < 480
    assert (seen & expected).sum() / (seen | expected).sum() > 0.9


def test_a_finding_is_the_same_each_time_and_leaves_the_picture_alone(weights: Weights) -> None:
    image = astronaut()
    before = image.copy()
    finder = Selfie().load(weights, "cpu")
    first = look(finder, image)
    look(finder, image[:, ::-1].copy())
    again = look(finder, image)
    assert np.array_equal(first.values, again.values)
    assert first.region == again.region
    assert np.array_equal(image, before)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (700, 2), (64, 64), (1500, 1100)])
def test_pictures_of_any_shape_and_without_anybody_have_a_matte(
    size: tuple[int, int], weights: Weights
) -> None:
    image = np.full((*size, 3), 90, np.uint8)
    for settings in (Selfie(), Selfie(zoom=False)):
        alpha = look(settings.load(weights, "cpu"), image)
        assert alpha.values.shape == (256, 256)
        assert alpha.region == alpha.region.clip(size[1], size[0])
        assert matte(alpha, image).mean() < 128


def test_large_pictures_keep_their_pixels_in_place(weights: Weights) -> None:
    image = astronaut()
    large = cv2.resize(image, (1539, 1537), interpolation=cv2.INTER_LINEAR)
    finder = Selfie().load(weights, "cpu")
    small, big = look(finder, image), look(finder, large)
    seen = cv2.resize(matte(big, large), (512, 512), interpolation=cv2.INTER_AREA) > 127
    expected = matte(small, image) > 127
    assert (seen & expected).sum() / (seen | expected).sum() > 0.97


def test_the_second_look_is_at_a_square_inside_the_picture() -> None:
    assert square_around(Box(10, 20, 50, 40), 200, 100) == (10, 10, 50, 50)
    assert square_around(Box(-5, 60, 35, 100), 200, 100) == (0, 60, 40, 100)
    assert square_around(Box(0, 0, 150, 100), 200, 100) == (0, 0, 150, 100)


def test_specks_do_not_widen_the_first_look_and_faint_patches_are_nobody() -> None:
    rough = np.zeros((144, 256), np.float32)
    rough[40:100, 30:90] = 1
    rough[0:3, 250:253] = 1
    assert somebody(rough, 0.25) == Box(30, 40, 90, 100)
    assert somebody(rough * 0.2, 0.25) is None
    assert somebody(np.zeros((144, 256), np.float32), 0.25) is None


def test_a_file_that_is_no_segmenter_is_named(tmp_path: Path) -> None:
    file = tmp_path / "selfie_segmentation.tflite"
    file.write_bytes(b"no model at all")
    with pytest.raises(WeightsError, match=r"selfie_segmentation\.tflite: mediapipe cannot load"):
        Selfie().load(lambda _: file, "cpu")


def test_settings_say_what_they_need_and_travel_to_workers() -> None:
    assert Selfie().models == ("selfie", "selfie-landscape")
    assert Selfie(zoom=False).models == ("selfie",)
    assert Selfie().label != Selfie(zoom=False).label
    assert pickle.loads(pickle.dumps(Selfie(margin=0.2))) == Selfie(margin=0.2)  # noqa: S301 - our own
    assert "cpu" in Selfie().runs_on("cuda:0")
