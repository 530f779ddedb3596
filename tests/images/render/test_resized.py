"""Resizing: an average over areas, whichever of its ways it takes."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facecrop.images.render.cut import resized

sides = st.integers(1, 260)


def photo(height: int, width: int) -> np.ndarray:
    """Return smooth shapes with a little noise."""
    rng = np.random.default_rng(height * 1000 + width)
    blobs = rng.integers(0, 256, (9, 7, 3)).astype(np.uint8)
    image = cv2.resize(blobs, (width, height), interpolation=cv2.INTER_CUBIC).astype(float)
    return (image + rng.normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)


@given(height=sides, width=sides, to_height=sides, to_width=sides)
@settings(max_examples=80, deadline=None)
def test_size_and_mean_are_right(height: int, width: int, to_height: int, to_width: int) -> None:
    image = photo(height, width)
    result = resized(image, to_height, to_width)
    assert result.shape == (to_height, to_width, 3)
    assert result.flags["C_CONTIGUOUS"]
    if min(height, width, to_height, to_width) > 30:
        assert abs(result.mean() - image.mean()) < 2


@pytest.mark.parametrize("side", [224, 240, 299, 340, 449, 500, 701, 900, 1337, 2201])
def test_it_agrees_with_exact_averages(side: int) -> None:
    image = photo(side, side)
    exact = cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA)
    difference = resized(image, 224, 224).astype(float) - exact
    assert np.sqrt((difference**2).mean()) < 3
    assert abs(difference.mean()) < 0.6


@pytest.mark.parametrize("side", [301, 449, 701, 997, 1501, 3001])
def test_nothing_is_displaced(side: int) -> None:
    # Averages are rounded, halves up, which brightens both ramps; a shift would part them.
    up = np.tile(np.rint(np.linspace(0, 255, side)).astype(np.uint8), (side, 1))
    image = np.stack([up, up[:, ::-1], up.T], axis=2)
    got = resized(np.ascontiguousarray(image), 100, 100).astype(float)[4:-4, 4:-4]
    slope = 255 / 100
    truth = 255 * ((np.arange(4, 96) + 0.5) * side / 100 - 0.5) / (side - 1)
    shift_x = (got[..., 0] - truth).mean() - (got[..., 1] - (255 - truth)).mean()
    shift_y = (got[..., 2] - truth[:, None]).mean() - (got[..., 0] - truth).mean()
    assert abs(shift_x) / (2 * slope) < 0.03
    assert abs(shift_y) / slope < 0.03


def test_the_same_size_is_the_same_picture() -> None:
    assert np.array_equal(resized(photo(50, 40), 50, 40), photo(50, 40))


def test_a_part_of_a_picture_may_be_a_view() -> None:
    image = photo(400, 400)
    part = image[13:380, 21:399]
    assert np.array_equal(resized(part, 100, 90), resized(part.copy(), 100, 90))
