"""Where to cut: promises that hold for any box, picture and wish."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from facecrop.config import validate
from facecrop.images.choose.geometry import Align, Crop, eye_angle, plan_crop
from facecrop.images.frames import Box

sides = st.integers(16, 4000)
margins = st.floats(0, 2)
aspects = st.none() | st.floats(0.2, 5)


@st.composite
def pictures(draw: st.DrawFn) -> tuple[Box, int, int]:
    """Draw a box and the picture it touches; the box may reach outside."""
    height, width = draw(sides), draw(sides)
    x0, y0 = draw(st.floats(-50, width - 1)), draw(st.floats(-50, height - 1))
    box = Box(x0, y0, x0 + draw(st.floats(1, width)), y0 + draw(st.floats(1, height)))
    assume(box.clip(width, height).area > 0)
    return box, height, width


def cut(box: Box | None, crop: Crop, height: int, width: int) -> Box:
    return plan_crop(box, (), crop, None, height, width)[0]


def holds(outer: Box, inner: Box) -> bool:
    return (
        outer.x0 <= inner.x0
        and outer.y0 <= inner.y0
        and outer.x1 >= inner.x1
        and outer.y1 >= inner.y1
    )


@given(picture=pictures(), margin=margins, aspect=aspects, least=st.integers(0, 600))
def test_a_shifted_crop_lies_inside_and_loses_none_of_the_boxs_pixels(
    picture: tuple[Box, int, int], margin: float, aspect: float | None, least: int
) -> None:
    box, height, width = picture
    result = cut(box, Crop(margin=margin, aspect=aspect, min_size=least), height, width)
    assert holds(Box(0, 0, width, height), result)
    assert holds(result, box.clip(width, height))


@given(picture=pictures(), margin=margins, aspect=aspects, least=st.integers(0, 600))
def test_a_padded_crop_holds_box_and_margin_wherever_they_are(
    picture: tuple[Box, int, int], margin: float, aspect: float | None, least: int
) -> None:
    box, height, width = picture
    crop = Crop(margin=margin, aspect=aspect, min_size=least, edge="pad")
    result = cut(box, crop, height, width)
    assert holds(result, box.grow(margin))
    assert min(result.width, result.height) >= least


@given(picture=pictures(), margin=margins, edge=st.sampled_from(["shift", "pad"]))
def test_crops_are_whole_pixels_and_never_empty(
    picture: tuple[Box, int, int], margin: float, edge: str
) -> None:
    box, height, width = picture
    result = cut(box, validate(Crop, {"margin": margin, "edge": edge}, "test"), height, width)
    assert all(isinstance(side, int) for side in result.corners)
    assert result.width >= 1
    assert result.height >= 1


@given(picture=pictures(), margin=margins, aspect=st.floats(0.2, 5))
def test_the_aspect_is_kept_to_a_pixel_when_padding(
    picture: tuple[Box, int, int], margin: float, aspect: float
) -> None:
    box, height, width = picture
    result = cut(box, Crop(margin=margin, aspect=aspect, edge="pad"), height, width)
    assert abs(result.width - result.height * aspect) < max(1, aspect) + 1e-6


@given(picture=pictures(), margin=margins)
def test_a_square_stays_square_unless_that_would_cost_the_boxs_pixels(
    picture: tuple[Box, int, int], margin: float
) -> None:
    box, height, width = picture
    result = cut(box, Crop(margin=margin), height, width)
    seen = box.clip(width, height)
    whole = max(math.ceil(seen.x1) - math.floor(seen.x0), math.ceil(seen.y1) - math.floor(seen.y0))
    if whole <= min(height, width):
        assert result.width == result.height


@given(picture=pictures(), margin=margins, aspect=aspects)
def test_what_fits_inside_is_only_shifted_never_shrunk(
    picture: tuple[Box, int, int], margin: float, aspect: float | None
) -> None:
    box, height, width = picture
    padded = cut(box, Crop(margin=margin, aspect=aspect, edge="pad"), height, width)
    assume(padded.width <= width and padded.height <= height)
    shifted = cut(box, Crop(margin=margin, aspect=aspect), height, width)
    assert (shifted.width, shifted.height) == (padded.width, padded.height)
    if holds(Box(0, 0, width, height), padded):
        assert shifted == padded


@given(picture=pictures(), small=margins, large=margins)
def test_a_larger_margin_never_cuts_less(
    picture: tuple[Box, int, int], small: float, large: float
) -> None:
    box, height, width = picture
    assume(small <= large)
    crops = [cut(box, Crop(margin=m), height, width) for m in (small, large)]
    assert crops[0].area <= crops[1].area


def test_a_box_in_the_middle_gets_its_margin_on_all_sides() -> None:
    assert cut(Box(100, 200, 140, 240), Crop(margin=0.25), 500, 400) == Box(90, 190, 150, 250)


def test_a_tall_face_at_the_edge_is_widened_to_a_square_and_moved_in() -> None:
    assert cut(Box(0, 10, 40, 110), Crop(margin=0), 200, 200) == Box(0, 10, 100, 110)


def test_the_shipped_centre_crops_are_in_the_middle() -> None:
    for size, expected in {
        (320, 256): Box(64, 96, 320, 416),
        (380, 380): Box(2, 66, 382, 446),
        (384, 384): Box(0, 64, 384, 448),
    }.items():
        assert cut(None, Crop(around="center", size=size), 512, 384) == expected


def test_a_centre_crop_larger_than_the_picture_is_cut_or_padded() -> None:
    assert cut(None, Crop(around="center", size=(600, 200)), 512, 384) == Box(92, 0, 292, 512)
    padded = cut(None, Crop(around="center", size=(600, 200), edge="pad"), 512, 384)
    assert padded == Box(92, -44, 292, 556)


def test_around_nothing_is_the_whole_picture() -> None:
    assert cut(None, Crop(around="none"), 512, 384) == Box(0, 0, 384, 512)


def test_a_free_aspect_can_be_written_in_toml() -> None:
    crop = validate(Crop, {"aspect": "free", "margin": 0}, "recipe")
    assert cut(Box(10, 10, 30, 60), crop, 100, 100) == Box(10, 10, 30, 60)


@pytest.mark.parametrize(
    "fields", [{"around": "center"}, {"size": (3, 3)}, {"margin": -1}, {"aspect": 0}]
)
def test_wishes_that_make_no_sense_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Crop.model_validate(fields)


def test_a_face_crop_without_a_face_is_a_bug() -> None:
    with pytest.raises(ValueError, match="a crop around a face needs its box"):
        cut(None, Crop(), 100, 100)


@given(angle=st.floats(-29, 29), distance=st.floats(20, 500))
def test_the_turn_is_the_angle_of_the_eyes(angle: float, distance: float) -> None:
    x, y = distance * math.cos(math.radians(angle)), distance * math.sin(math.radians(angle))
    eyes = [(50.0, 80.0), (50 + x, 80 + y)]
    _, rotation = plan_crop(Box(0, 0, 9, 9), eyes, Crop(), Align(), 100, 100)
    assert rotation == pytest.approx(angle, abs=1 / 32 + 1e-6)


def test_no_turn_without_a_wish_without_eyes_or_beyond_the_limit() -> None:
    eyes = [(0.0, 0.0), (10.0, 10.0)]
    box = Box(0, 0, 9, 9)
    assert plan_crop(box, eyes, Crop(), None, 99, 99)[1] == 0
    assert plan_crop(box, (), Crop(), Align(), 99, 99)[1] == 0
    assert plan_crop(box, eyes, Crop(), Align(max_angle=40), 99, 99)[1] == 0
    assert eye_angle([(5, 5), (5, 5)], 30) == 0
