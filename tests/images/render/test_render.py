"""Render: pixels, alpha and box are cut together, and nothing else happens."""

import cv2
import numpy as np
import pytest
from bad_images import scene
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from facecrop.images.choose.geometry import eye_angle
from facecrop.images.choose.plan import Plan
from facecrop.images.findings import Alpha
from facecrop.images.frames import Box, Image
from facecrop.images.render import (
    Background,
    Clahe,
    Render,
    Resize,
    render,
    source_alpha,
)

H, W = 96, 72
WHOLE = Box(0, 0, W, H)
colours = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))


def plan(box: Box, rotation: float = 0.0) -> Plan:
    return Plan("ok", crop=box, rotation=rotation)


def left_half(value: int = 255) -> Alpha:
    values = np.zeros((24, 18), np.uint8)
    values[:, :9] = value
    return Alpha(values, WHOLE)


def everywhere(value: int) -> Alpha:
    return Alpha(np.full((8, 8), value, np.uint8), WHOLE)


@st.composite
def boxes(draw: st.DrawFn, least: int = 1) -> Box:
    x0, y0 = draw(st.integers(-40, W - 2)), draw(st.integers(-40, H - 2))
    return Box(x0, y0, x0 + draw(st.integers(least, 120)), y0 + draw(st.integers(least, 120)))


@given(x0=st.integers(0, 60), y0=st.integers(0, 80), width=st.integers(1, 12))
def test_a_crop_without_wishes_is_a_slice(x0: int, y0: int, width: int) -> None:
    crop = render(scene(), plan(Box(x0, y0, x0 + width, y0 + 9)), None, Render())
    assert np.array_equal(crop, scene()[y0 : y0 + 9, x0 : x0 + width])


@given(box=boxes(), rotation=st.floats(-180, 180), colour=colours, side=st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_a_picture_of_one_colour_stays_of_one_colour(
    box: Box, rotation: float, colour: tuple[int, int, int], side: int
) -> None:
    image: Image = np.empty((H, W, 3), np.uint8)
    image[:] = colour
    how = Render(pad=colour, resize=Resize(size=(side, side)))
    assert (render(image, plan(box, rotation), None, how) == colour).all()


@given(
    box=boxes(), rotation=st.sampled_from([0.0, 20.0]), mode=st.sampled_from(["stretch", "fit-pad"])
)
@settings(max_examples=40, deadline=None)
def test_the_result_has_the_size_asked_for(box: Box, rotation: float, mode: str) -> None:
    how = Render.model_validate({"resize": {"size": (50, 31), "mode": mode}})
    assert render(scene(), plan(box, rotation), None, how).shape == (50, 31, 3)
    assert render(scene(), plan(box, rotation), None, Render()).shape == (box.height, box.width, 3)


def test_what_lies_outside_has_the_pad_colour() -> None:
    crop = render(scene(), plan(Box(-5, -7, W + 3, H + 2)), None, Render(pad=(1, 2, 3)))
    assert np.array_equal(crop[7:-2, 5:-3], scene())
    crop[7:-2, 5:-3] = (1, 2, 3)
    assert (crop == (1, 2, 3)).all()
    assert (
        render(scene(), plan(Box(500, 500, 510, 510)), None, Render(pad=(1, 2, 3))) == (1, 2, 3)
    ).all()


@pytest.mark.parametrize("by", [0.0, 0.25])
def test_the_corners_of_a_turned_crop_lie_outside_wherever_its_box_begins(by: float) -> None:
    image = np.full((H, W, 3), 255, np.uint8)
    box = Box(by, by, 60 + by, 60 + by)  # inside the picture, until it is turned
    crop = render(image, plan(box, 30), None, Render(resize=Resize(size=(60, 60))))
    assert not crop[0, 0].any()
    assert crop[30, 30].all()


@pytest.mark.parametrize("quarters", [-1, 1, 2])
def test_turning_is_counter_clockwise_as_seen(quarters: int) -> None:
    crop = render(scene(), plan(Box(6, 10, 66, 70), 90.0 * quarters), None, Render())
    truth = np.rot90(scene()[10:70, 6:66], quarters)
    assert np.abs(crop[1:-1, 1:-1].astype(int) - truth[1:-1, 1:-1]).max() <= 1


@pytest.mark.parametrize("side", [40, 120, 240])
@pytest.mark.parametrize("angle", [-25, 10])
def test_aligned_eyes_are_level(side: int, angle: float) -> None:
    image = np.full((200, 200, 3), 90, np.uint8)
    dx, dy = 30 * np.cos(np.radians(angle)), 30 * np.sin(np.radians(angle))
    eyes = [(100.5 - dx, 90.5 - dy), (100.5 + dx, 90.5 + dy)]
    for x, y in eyes:
        cv2.circle(image, (int(x), int(y)), 4, (255, 255, 255), -1)
    rotation = eye_angle(eyes, 45)
    how = Render(resize=Resize(size=(side, side)))
    crop = (
        render(image, plan(Box(40, 30, 160, 150), rotation), None, how).astype(float)[..., 0] - 90
    )
    rows = crop * np.arange(side)[:, None]
    left, right = np.s_[:, : side // 2], np.s_[:, side // 2 :]
    level = [rows[half].sum() / crop[half].sum() for half in (left, right)]
    assert abs(level[0] - level[1]) < 1 * side / 120


@given(
    box=boxes(least=20),
    rotation=st.sampled_from([0.0, -15.0, 33.0]),
    size=st.tuples(st.integers(60, 200), st.integers(60, 200)),
    place=st.tuples(st.integers(0, 40), st.integers(0, 60)),
)
@settings(max_examples=40, deadline=None)
def test_image_and_alpha_are_cut_alike(
    box: Box, rotation: float, size: tuple[int, int], place: tuple[int, int]
) -> None:
    # The picture shows its own alpha, so the two must meet wherever they are cut. Sizes are at
    # least half a box's: the mean of squares is not the square of the mean where more become one.
    smooth = np.zeros((H, W), np.uint8)
    cv2.circle(smooth, (place[0] + 15, place[1] + 15), 14, 255, -1)
    smooth = np.asarray(cv2.GaussianBlur(smooth, (0, 0), 4), np.uint8)
    image = np.repeat(smooth[..., None], 3, axis=2)
    how = Render(resize=Resize(size=size), background=Background(color=(0, 0, 0)))
    got = render(image, plan(box, rotation), Alpha(smooth, WHOLE), how).astype(float)
    shown = render(image, plan(box, rotation), None, Render(resize=Resize(size=size))).astype(float)
    assert np.abs(got - shown * shown / 255).mean() < 3


@given(colour=colours)
@settings(max_examples=20, deadline=None)
def test_person_and_background_are_exact_where_alpha_is(colour: tuple[int, int, int]) -> None:
    how = Render(background=Background(color=colour))
    crop = render(scene(), plan(WHOLE), left_half(), how)
    assert np.array_equal(crop[:, :30], scene()[:, :30])
    assert (crop[:, -30:] == colour).all()


@given(value=st.integers(0, 255))
@settings(max_examples=20, deadline=None)
def test_a_half_transparent_person_is_mixed_in(value: int) -> None:
    crop = render(scene(), plan(WHOLE), everywhere(value), Render(background=Background()))
    assert np.abs(crop - scene() * (value / 255)).max() <= 0.51


def test_a_painted_background_covers_what_lies_outside_the_picture() -> None:
    how = Render(background=Background(color=(9, 8, 7)), pad=(200, 200, 200))
    crop = render(scene(), plan(Box(-10, -10, W + 10, H + 10)), everywhere(255), how)
    assert np.array_equal(crop[10:-10, 10:-10], scene())
    assert (crop[:10] == (9, 8, 7)).all()


def test_a_blurred_background_is_smooth_and_keeps_the_person_out_of_it() -> None:
    image = np.random.default_rng(0).normal(120, 30, (H, W, 3)).clip(0, 255).astype(np.uint8)
    image[:, : W // 2] = (255, 0, 0)
    crop = render(
        image, plan(WHOLE), left_half(), Render(background=Background(mode="blur", blur=0.2))
    )
    behind = crop[:, W // 2 + 4 :].astype(float)
    assert np.array_equal(crop[:, :30], image[:, :30])
    assert behind.std() < 8
    assert np.ptp(behind.mean(axis=(0, 1))) < 15  # no red came over


def test_a_kept_background_needs_no_alpha_and_a_new_one_does() -> None:
    how = Render(background=Background(mode="keep"))
    assert np.array_equal(render(scene(), plan(WHOLE), None, how), scene())
    with pytest.raises(ValueError, match="needs an alpha"):
        render(scene(), plan(WHOLE), None, Render(background=Background()))


def test_a_reject_cannot_be_rendered() -> None:
    with pytest.raises(ValueError, match="without a crop"):
        render(scene(), Plan("reject", "no-face"), None, Render())


def test_fitting_keeps_the_aspect_and_pads_both_sides() -> None:
    how = Render(resize=Resize(size=(50, 80), mode="fit-pad"), pad=(0, 255, 0))
    crop = render(scene(), plan(Box(10, 10, 50, 60)), None, how)
    assert np.array_equal(crop[:, 20:60], scene()[10:60, 10:50])
    assert (crop[:, :20] == (0, 255, 0)).all()
    assert (crop[:, 60:] == (0, 255, 0)).all()


def test_clahe_raises_contrast_and_leaves_hues() -> None:
    dull = (scene() // 4 + 90).astype(np.uint8)
    crop = render(dull, plan(WHOLE), None, Render(clahe=Clahe(clip=4, tiles=2)))
    assert crop.astype(float).std() > 1.3 * dull.astype(float).std()
    lab, before = (cv2.cvtColor(x, cv2.COLOR_RGB2LAB).astype(int) for x in (crop, dull))
    assert np.abs(lab[..., 1:] - before[..., 1:]).mean() < 3


def test_clahe_does_not_touch_a_painted_background() -> None:
    how = Render(background=Background(color=(40, 90, 140)), clahe=Clahe())
    assert (render(scene(), plan(WHOLE), left_half(), how)[:, -30:] == (40, 90, 140)).all()


def test_the_alpha_is_refined_where_a_refinement_is_given() -> None:
    def nobody(image: Image, alpha: np.ndarray) -> np.ndarray:
        assert image.shape[:2] == alpha.shape
        return np.zeros_like(alpha)

    how = Render(background=Background(color=(1, 1, 1)))
    assert (render(scene(), plan(WHOLE), everywhere(255), how, nobody) == 1).all()
    assert not source_alpha(scene(), everywhere(255), nobody).any()


def test_the_alpha_of_the_source_has_its_size() -> None:
    alpha = source_alpha(scene(), left_half())
    assert alpha.shape == (H, W)
    assert (alpha[:, :30] == 255).all()
    assert not alpha[:, -30:].any()


@pytest.mark.parametrize("rotation", [0.0, 12.5])
def test_the_same_input_gives_the_same_pixels_and_stays_as_it_was(rotation: float) -> None:
    image, alpha = scene().copy(), left_half()
    how = Render(background=Background(mode="blur"), clahe=Clahe(), resize=Resize(size=(64, 64)))
    first = render(image, plan(Box(-4, 3, 60, 90), rotation), alpha, how)
    assert np.array_equal(first, render(image, plan(Box(-4, 3, 60, 90), rotation), alpha, how))
    assert np.array_equal(image, scene())
    assert np.array_equal(alpha.values, left_half().values)


@pytest.mark.parametrize(
    "fields",
    [{"pad": (0, 0, 256)}, {"resize": {"size": (0, 5)}}, {"encode": {"quality": 0}}, {"blur": 1}],
)
def test_settings_that_make_no_sense_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Render.model_validate(fields)
