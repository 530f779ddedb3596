"""Hash, sharpness and brightness behave as people would say they do."""

import cv2
import numpy as np
import pytest
from bad_images import scene
from hypothesis import given, settings
from hypothesis import strategies as st

from facecrop.images.codec import decode, encode
from facecrop.images.frames import Image
from facecrop.images.look.quality import perceptual_hash, quality


def portrait(seed: int = 0, height: int = 512, width: int = 384) -> Image:
    """Return smooth blobs, another picture for each seed."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (12, 9, 3)).astype(np.uint8)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(float)
    return (large + rng.normal(0, 3, large.shape)).clip(0, 255).astype(np.uint8)


def distance(one: Image, other: Image) -> int:
    first, second = quality(one).phash, quality(other).phash
    assert first is not None
    assert second is not None
    return (first ^ second).bit_count()


@pytest.mark.parametrize("saved_at", [95, 70, 40])
def test_the_hash_survives_saving_again(saved_at: int) -> None:
    again = decode(encode(portrait(), "jpg", saved_at)).image
    assert again is not None
    assert distance(portrait(), again) <= 2


@pytest.mark.parametrize("scale", [0.25, 0.5, 0.7, 1.6, 3.0])
def test_the_hash_survives_resizing(scale: float) -> None:
    resized = cv2.resize(portrait(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert distance(portrait(), resized) <= 4


def test_the_hash_survives_brightening() -> None:
    assert distance(portrait(), (portrait() * 0.8 + 20).astype(np.uint8)) <= 2


def test_other_pictures_and_mirrors_have_other_hashes() -> None:
    others = [distance(portrait(), portrait(seed)) for seed in range(1, 8)]
    assert min(others) >= 16
    assert distance(portrait(), np.ascontiguousarray(portrait()[:, ::-1])) >= 16


def test_a_hash_fits_64_bits_and_about_half_are_set() -> None:
    value = quality(portrait()).phash
    assert value is not None
    assert 0 <= value < 1 << 64
    assert value.bit_count() == 32  # those above the median of 64 different waves


def test_the_hash_is_the_published_one() -> None:
    gray = cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (32, 32), interpolation=cv2.INTER_AREA).astype(float)
    n = np.arange(32)
    cosines = np.cos(np.pi * np.outer(n[:8], 2 * n + 1) / 64)
    cosines[0] /= np.sqrt(2)
    waves = cosines @ small @ cosines.T
    bits = "".join("1" if wave > np.median(waves) else "0" for wave in waves.ravel())
    assert perceptual_hash(np.asarray(gray, np.uint8)) == int(bits, 2)


def test_blurring_lowers_sharpness_step_by_step() -> None:
    noisy = np.random.default_rng(0).normal(portrait(), 12).clip(0, 255).astype(np.uint8)
    values = [quality(noisy).sharpness]
    values += [quality(cv2.GaussianBlur(noisy, (0, 0), sigma)).sharpness for sigma in (2, 4, 8)]
    assert values == sorted(values, key=lambda value: -(value or 0))
    assert (values[-1] or 0) < 0.1 * (values[0] or 0)


@given(value=st.integers(0, 255))
@settings(max_examples=20, deadline=None)
def test_brightness_is_the_mean_luma(value: int) -> None:
    gray = np.full((60, 50, 3), value, np.uint8)
    assert quality(gray).brightness == pytest.approx(value, abs=0.6)
    assert quality(gray).sharpness == 0


def test_green_is_brighter_than_blue() -> None:
    green, blue = np.zeros((2, 40, 40, 3), np.uint8)
    green[..., 1] = blue[..., 2] = 255
    assert (quality(green).brightness or 0) > (quality(blue).brightness or 0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (16, 16), (511, 257), (1300, 900), (3000, 40)])
def test_every_shape_is_measured(shape: tuple[int, int]) -> None:
    source = quality(scene(max(shape), max(shape))[: shape[0], : shape[1]], note="first-frame")
    assert (source.height, source.width, source.note) == (*shape, "first-frame")
    assert None not in (source.phash, source.sharpness, source.brightness)
    assert source.reason is None
