from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from made_datasets import texture

from facecrop.checks.moments import Moments, moments, pool
from facecrop.checks.pixelstats import CropFile, background_of, measure
from facecrop.images.codec import encode
from facecrop.images.render.settings import Resize

PIXELS = arrays(np.uint8, st.tuples(st.integers(1, 40), st.just(3)))


@given(PIXELS)
def test_mean_and_deviation_are_those_of_all_pixels(pixels: np.ndarray) -> None:
    found = moments(pixels)
    assert found.mean == pytest.approx(pixels.mean(axis=0) / 255)
    assert found.std == pytest.approx(pixels.std(axis=0) / 255, abs=1e-12)


@given(st.lists(PIXELS, min_size=1, max_size=5))
def test_pooling_parts_is_measuring_the_whole(parts: list[np.ndarray]) -> None:
    assert sum(map(moments, parts), Moments()) == moments(np.concatenate(parts))


def test_no_pixels_have_neither_mean_nor_deviation() -> None:
    assert Moments().mean is None
    assert Moments().std is None


def test_the_formula_that_was_handed_out_is_not_repeated() -> None:
    # It divided the mean by 255 but not the squares, and so took sqrt(E[x^2]) / 255 for the
    # deviation. Pixels with the published pooled values, 0.5602 and 0.258, give 0.6166 by it.
    values = 255 * (0.5602 + 0.258 * np.array([-1, 1]))
    pixels = np.repeat(np.rint(values).astype(np.uint8), 3).reshape(-1, 3)
    found = moments(pixels)
    squares = (pixels.astype(float) ** 2).mean(axis=0)
    handed_out = (squares - (pixels.mean(axis=0) / 255) ** 2) ** 0.5 / 255
    assert handed_out == pytest.approx(0.6166, abs=0.002)
    assert found.std == pytest.approx((0.258,) * 3, abs=0.002)


def test_pictures_of_different_brightness_deviate_more_than_each_alone() -> None:
    dark, light = np.full((4, 4, 3), 50, np.uint8), np.full((4, 4, 3), 150, np.uint8)
    assert moments(dark).std == (0, 0, 0)
    assert (moments(dark) + moments(light)).std == pytest.approx((50 / 255,) * 3)


def person_on(colour: int) -> tuple[np.ndarray, np.ndarray]:
    image = np.full((60, 60, 3), colour, np.uint8)
    person = np.hypot(*np.mgrid[-30:30, -30:30]) < 20
    image[person] = np.maximum(texture(3, 60, 60), 60)[person] // 2 + 60
    return image, person


def test_a_painted_background_is_told_by_its_colour_from_the_border_inwards() -> None:
    image, person = person_on(0)
    image[28:32, 28:32] = 0  # pupils, open mouths: black, but inside
    assert (background_of(image, (0, 0, 0)) == ~person).all()


def test_jpeg_does_not_blur_the_background_away() -> None:
    image, person = person_on(0)
    compressed = cv2.imdecode(np.frombuffer(encode(image, "jpg", 95), np.uint8), cv2.IMREAD_COLOR)
    wrong = background_of(np.asarray(compressed, np.uint8), (0, 0, 0)) == person
    assert wrong.mean() < 0.06  # the border of the person, no more


def test_a_person_who_fills_the_crop_has_no_background() -> None:
    assert not background_of(texture(1, 40, 40) // 2 + 60, (0, 0, 0)).any()


def written(folder: Path, name: str, pixels: np.ndarray) -> Path:
    (folder / name).write_bytes(encode(pixels, "png", 95))
    return folder / name


def test_without_background_means_the_person_alone(tmp_path: Path) -> None:
    image, person = person_on(0)
    file = CropFile(written(tmp_path, "a.png", image))
    [found] = measure([file], (0, 0, 0))
    assert found == (moments(image), moments(image[person]))
    [unpainted] = measure([file], None)
    assert unpainted is not None
    assert unpainted[1] == Moments()


@pytest.mark.parametrize("size", [None, (30, 40)])
def test_a_kept_alpha_is_cut_like_the_crop(tmp_path: Path, size: tuple[int, int] | None) -> None:
    source, alpha = texture(5, 100, 100), np.zeros((100, 100), np.uint8)
    alpha[:, 50:] = 255
    crop = source[20:80, 30:90]
    resize = None
    if size is not None:
        crop = np.asarray(cv2.resize(crop, size[::-1]), np.uint8)
        resize = Resize(size=size)
    file = CropFile(
        written(tmp_path, "a.png", crop), written(tmp_path, "alpha.png", alpha), (30, 20, 90, 80)
    )
    [found] = measure([file], (0, 0, 0), resize)
    assert found is not None
    share = found[1].pixels / found[0].pixels
    assert share == pytest.approx(40 / 60, abs=0.02)


def test_an_unreadable_crop_is_none_and_the_rest_is_measured(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    good = written(tmp_path, "good.png", texture(1))
    files = [CropFile(tmp_path / "bad.png"), CropFile(tmp_path / "gone.png"), CropFile(good)]
    found = list(measure(files, None))
    assert found[:2] == [None, None]
    pooled = pool(found, ["val", "val", "train"])
    assert set(pooled) == {"all", "train"}
    assert pooled["all"] == pooled["train"]
