import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecrop.images.findings import Alpha
from facecrop.images.frames import Box
from facecrop.images.look.alpha import alpha_in, coverage

sides = st.integers(1, 40)
places = st.floats(-30, 30, allow_nan=False)
lengths = st.floats(1, 60, allow_nan=False)
boxes = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), places, places, lengths, lengths)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width), np.uint8)


def test_at_its_own_size_a_matte_is_itself() -> None:
    values = noise(20, 30)
    assert np.array_equal(
        alpha_in(Alpha(values, Box(0, 0, 30, 20)), Box(0, 0, 30, 20), 20, 30), values
    )


def test_a_part_of_a_matte_is_cut_out_to_the_pixel() -> None:
    values = noise(20, 30)
    part = alpha_in(Alpha(values, Box(5, 7, 35, 27)), Box(10, 10, 20, 24), 14, 10)
    assert np.array_equal(part, values[3:17, 5:15])


@given(boxes, boxes, sides, sides)
def test_outside_its_region_nobody_is_there(region: Box, box: Box, height: int, width: int) -> None:
    matte = alpha_in(Alpha(np.full((8, 8), 255, np.uint8), region), box, height, width)
    xs = box.x0 + (np.arange(width) + 0.5) * box.width / width
    ys = box.y0 + (np.arange(height) + 0.5) * box.height / height
    slack = 1e-6
    outside_x = (xs < region.x0 - slack) | (xs > region.x1 + slack)
    outside_y = (ys < region.y0 - slack) | (ys > region.y1 + slack)
    inside_x = (xs > region.x0 + slack) & (xs < region.x1 - slack)
    inside_y = (ys > region.y0 + slack) & (ys < region.y1 - slack)
    assert matte.shape == (height, width)
    assert not matte[outside_y].any()
    assert not matte[:, outside_x].any()
    assert (matte[np.ix_(inside_y, inside_x)] == 255).all()


@given(boxes, boxes, sides, sides)
def test_a_matte_is_never_brighter_or_darker_than_the_models_own(
    region: Box, box: Box, height: int, width: int
) -> None:
    values = noise(9, 11) // 2 + 60
    matte = alpha_in(Alpha(values, region), box, height, width)
    seen = matte[matte > 0]
    assert not len(seen) or (seen.min() >= values.min() and seen.max() <= values.max())


@pytest.mark.parametrize("shift", [0, 0.25, 0.5, 3.75])
def test_the_quick_way_and_the_general_way_agree(shift: float) -> None:
    smooth = cv2.GaussianBlur(noise(64, 64), (0, 0), 4).astype(np.uint8)
    alpha = Alpha(smooth, Box(0, 0, 300, 200))
    whole = alpha_in(alpha, Box(0, 0, 300, 200), 200, 300)
    moved = alpha_in(alpha, Box(shift, 0, 300 + shift, 200), 200, 300)
    place = np.float64([[1, 0, shift], [0, 1, 0]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected = cv2.warpAffine(whole, place, (300, 200), flags=how).astype(int)
    kept = 300 - int(np.ceil(shift)) - 1
    assert np.abs(moved.astype(int) - expected)[:, :kept].max() <= 2


def test_a_small_crop_averages_the_models_pixels() -> None:
    stripes = np.tile(np.uint8([0, 255]), (64, 32))
    small = alpha_in(Alpha(stripes, Box(0, 0, 64, 64)), Box(0, 0, 64, 64), 8, 8)
    assert small.min() >= 127
    assert small.max() <= 128


def test_coverage_is_the_mean_of_the_matte_inside_a_box() -> None:
    values = np.zeros((10, 10), np.uint8)
    values[:, 5:] = 255
    alpha = Alpha(values, Box(0, 0, 100, 100))
    assert coverage(alpha, Box(0, 0, 100, 100)) == pytest.approx(0.5)
    assert coverage(alpha, Box(50, 0, 100, 100)) == pytest.approx(1)
    assert coverage(alpha, Box(45, 0, 55, 1)) == pytest.approx(0.5)
    assert coverage(alpha, Box(50, 0, 150, 100)) == pytest.approx(0.5)
    assert coverage(alpha, Box(200, 0, 300, 100)) == 0
    assert coverage(alpha, Box(60, 60, 60, 80)) == 0


@given(boxes, boxes)
def test_coverage_is_a_fraction_and_splits_over_halves(region: Box, box: Box) -> None:
    alpha = Alpha(noise(7, 5), region)
    middle = box.center[0]
    left = coverage(alpha, Box(box.x0, box.y0, middle, box.y1))
    right = coverage(alpha, Box(middle, box.y0, box.x1, box.y1))
    assert 0 <= coverage(alpha, box) <= 1
    assert coverage(alpha, box) == pytest.approx((left + right) / 2, abs=1e-9)
