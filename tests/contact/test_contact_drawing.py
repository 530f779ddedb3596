"""Small pictures, outlines of mattes, and the sheet of 50."""

import cv2
import numpy as np
import pytest
from drawn_dataset import HEIGHT, WIDTH, a_matte, a_portrait
from hypothesis import given
from hypothesis import strategies as st

from facecrop.images.choose.geometry import eye_angle
from facecrop.images.findings import Alpha
from facecrop.images.frames import Box
from facecrop.images.render.sheet import (
    COLUMNS,
    PICTURE_HEIGHT,
    PICTURE_WIDTH,
    ROWS,
    Tile,
    draw_marks,
    draw_sheet,
)
from facecrop.images.render.thumbs import Marks, outline, shrink


def a_tile(**given: object) -> Tile:
    values = {
        "source": a_portrait(1), "crop": a_portrait(1)[20:76, 24:72], "scale": 1.0,
        "marks": Marks(), "status": "ok", "title": "p/normal.jpg", "text": "yunet-640 0.93",
    } | given  # fmt: skip
    return Tile(**values)  # type: ignore[arg-type]  # a test's shorthand


def inside(alpha: Alpha) -> np.ndarray:
    """What the outline encloses, in pixels of the source."""
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(canvas, [np.array(line, np.int32) for line in outline(alpha)], 1)
    return canvas.astype(bool)


def test_the_outline_encloses_the_matte() -> None:
    matte = a_matte()
    truth = cv2.resize(matte.values, (WIDTH, HEIGHT)) >= 128
    drawn = inside(matte)
    assert (drawn & truth).sum() / (drawn | truth).sum() > 0.95


def test_the_outline_lies_in_the_region_that_the_matte_covers() -> None:
    values = np.full((20, 20), 255, np.uint8)
    drawn = inside(Alpha(values, Box(40, 60, 80, 100)))
    ys, xs = np.nonzero(drawn)
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == pytest.approx((40, 80, 60, 100), abs=1.5)


def test_specks_and_empty_mattes_have_no_outline() -> None:
    values = np.zeros((64, 48), np.uint8)
    assert outline(Alpha(values, Box(0, 0, 96, 128))) == ()
    values[5, 5] = 255
    assert outline(Alpha(values, Box(0, 0, 96, 128))) == ()


@given(st.floats(-30, 30), st.tuples(st.floats(-50, 50), st.floats(-50, 50)))
def test_the_crop_is_drawn_along_the_eyes_that_turned_it(
    slope: float, at: tuple[float, float]
) -> None:
    step = np.radians(slope)
    eyes = [at, (at[0] + 100 * np.cos(step), at[1] + 100 * np.sin(step))]
    rotation = eye_angle(eyes, 45)
    (x0, y0), (x1, y1), *_ = Marks(crop=Box(10, 20, 90, 60), rotation=rotation).crop_corners
    assert np.degrees(np.arctan2(y1 - y0, x1 - x0)) == pytest.approx(slope, abs=1 / 16)
    assert np.hypot(x1 - x0, y1 - y0) == pytest.approx(80)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 80), st.integers(1, 80))
def test_a_shrunk_picture_fits_its_frame_and_never_grows(
    height: int, width: int, frame_height: int, frame_width: int
) -> None:
    small = shrink(np.zeros((height, width, 3), np.uint8), frame_height, frame_width)
    assert small.shape[0] <= min(height, frame_height)
    assert small.shape[1] <= min(width, frame_width)
    touches = small.shape[0] == min(height, frame_height), small.shape[1] == min(width, frame_width)
    assert any(touches)


def test_marks_are_drawn_at_the_scale_of_the_picture_and_leave_it_as_it_was() -> None:
    image = np.full((64, 48, 3), 120, np.uint8)
    before = image.copy()
    drawn = draw_marks(image, Marks(face=Box(20, 40, 60, 80)), 0.5)
    assert (image == before).all()
    ys, xs = np.nonzero((drawn != before).any(axis=2))
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == pytest.approx((10, 30, 20, 40), abs=2)


def test_a_guessed_face_has_another_colour_than_a_seen_one() -> None:
    image = a_portrait(1)
    seen = draw_marks(image, Marks(face=Box(20, 40, 60, 80)), 1)
    guessed = draw_marks(image, Marks(face=Box(20, 40, 60, 80), sure=False), 1)
    assert (seen != guessed).any()


def test_the_sheet_holds_fifty_and_leaves_out_the_rest() -> None:
    full = draw_sheet([a_tile()] * COLUMNS * ROWS, "Contact sheet", "recipe embedded")
    over = draw_sheet([a_tile()] * (COLUMNS * ROWS + 9), "Contact sheet", "recipe embedded")
    assert (full == over).all()
    assert full.shape[0] > ROWS * PICTURE_HEIGHT
    assert full.shape[1] > COLUMNS * 2 * PICTURE_WIDTH


def test_a_sheet_of_nothing_still_has_its_head() -> None:
    sheet = draw_sheet([], "Contact sheet", "recipe raw")
    assert sheet.min() < 100


def test_pictures_that_are_missing_or_of_any_shape_and_name_fit_on_the_sheet() -> None:
    tiles = [
        a_tile(source=None, crop=None, status="reject", text="truncated"),
        a_tile(source=np.zeros((2, 300, 3), np.uint8), crop=np.zeros((400, 1, 3), np.uint8)),
        a_tile(title="人物/" + "long name " * 40, status="fallback"),
    ]
    assert draw_sheet(tiles, "人物", "recipe 人物").shape[2] == 3
