"""How heat is spread over face, person and background, and the sheet that shows it."""

from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from facecrop.config import toml_text
from facecrop.images.choose.plan import Plan
from facecrop.images.frames import Box
from facecrop.images.render import Render, Resize, render
from facecrop.index import INDEX_SCHEMA
from facecrop.training.crops import as_input
from facecrop.training.explain.heat import Geometry, Places, cover
from facecrop.training.explain.sheet import Look, Shown, draw_sheet, overlay

# How heat is spread

maps = hnp.arrays(np.float32, (6, 5), elements=st.floats(0, 1, width=32))


@given(maps, maps, maps)
def test_shares_sum_to_one(
    heat: NDArray[np.float32], face: NDArray[np.float32], person: NDArray[np.float32]
) -> None:
    shares = Places(face, person).shares(heat)
    if heat.sum() == 0:
        assert shares == {}
        return
    assert list(shares) == ["face", "person", "background"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
    assert min(shares.values()) >= -1e-5
    outside = Places(face, None).shares(heat)["outside"]
    assert outside == pytest.approx(shares["person"] + shares["background"], abs=1e-5)


def test_heat_counts_where_it_lies() -> None:
    face, person = np.zeros((4, 4), np.float32), np.zeros((4, 4), np.float32)
    face[:2], person[:3] = 1, 1  # the face is a part of the person
    places = Places(face, person)
    assert places.areas() == pytest.approx({"face": 0.5, "person": 0.25, "background": 0.25})
    for row, part in ((0, "face"), (2, "person"), (3, "background")):
        heat = np.zeros((4, 4), np.float32)
        heat[row, 1] = 0.3
        assert places.shares(heat)[part] == pytest.approx(1)


def test_where_the_face_is_unknown_nothing_is_said() -> None:
    places = Places(None, np.ones((2, 2), np.float32))
    assert (places.shares(np.ones((2, 2), np.float32)), places.areas()) == ({}, {})


@given(hnp.arrays(np.float64, 4, elements=st.floats(0, 1)))
def test_a_cover_has_the_area_of_its_box(box: NDArray[np.float64]) -> None:
    x0, x1, y0, y1 = sorted(box[:2]) + sorted(box[2:])
    covered = cover(np.array([x0, y0, x1, y1]), (7, 5))
    assert covered.mean() == pytest.approx((x1 - x0) * (y1 - y0), abs=1e-6)
    assert covered.max() <= 1 + 1e-6


CUTS = {
    "whole": (Box(0, 0, 90, 120), 0.0),
    "inside": (Box(20, 10, 70, 85), 0.0),
    "beyond": (Box(-20, -10, 100, 95), 0.0),
    "turned": (Box(15, 20, 75, 100), 17.0),
    "turned back": (Box(15, 20, 75, 100), -25.0),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("mode", ["none", "stretch", "fit-pad"])
@pytest.mark.parametrize("center", [None, (50, 40)], ids=["all", "centre"])
def test_an_alpha_is_laid_where_the_crop_shows_its_person(
    tmp_path: Path, cut: str, mode: str, center: tuple[int, int] | None
) -> None:
    """What is painted white in the source must be where the alpha, which is the same, comes to."""
    box, rotation = CUTS[cut]
    alpha = np.zeros((120, 90), np.uint8)
    cv2.ellipse(alpha, (48, 55), (22, 34), 20, 0, 360, 255, -1, cv2.LINE_AA)
    size = None if mode == "none" else Resize(size=(72, 64), mode=mode)
    settings = Render(resize=size)
    plan = Plan("ok", crop=box, rotation=rotation)
    crop = render(np.repeat(alpha[..., None], 3, axis=2), plan, None, settings)
    painted = as_input(crop, (48, 40), center)[..., 0] / 255
    row = {"width": 90, "height": 120, "rotation": rotation}
    row |= dict(
        zip(("crop_x0", "crop_y0", "crop_x1", "crop_y1"), map(int, box.corners), strict=True)
    )
    geometry = placed(tmp_path, row, settings, crop.shape[:2], (48, 40), center)
    laid = geometry.places(0, alpha).person
    assert laid is not None
    assert np.abs(laid - painted).mean() < 0.02
    assert np.abs(laid.sum() - painted.sum()) < 0.03 * painted.sum()
    smaller = cv2.resize(alpha, (45, 60), interpolation=cv2.INTER_AREA)
    at_half = geometry.places(0, np.asarray(smaller, np.uint8)).person
    assert at_half is not None
    assert np.abs(at_half - painted).mean() < 0.03


@pytest.mark.parametrize("mode", ["none", "stretch", "fit-pad"])
@pytest.mark.parametrize("center", [None, (50, 40)], ids=["all", "centre"])
def test_a_face_lies_where_the_crop_shows_it(
    tmp_path: Path, mode: str, center: tuple[int, int] | None
) -> None:
    face = Box(30, 25, 62, 70)
    image = np.zeros((120, 90, 3), np.uint8)
    image[25:70, 30:62] = 255
    settings = Render(resize=None if mode == "none" else Resize(size=(72, 64), mode=mode))
    crop = render(image, Plan("ok", crop=Box(10, 5, 80, 100)), None, settings)
    painted = as_input(crop, (48, 40), center)[..., 0] / 255
    row = {"width": 90, "height": 120, "rotation": 0.0}
    row |= {"crop_x0": 10, "crop_y0": 5, "crop_x1": 80, "crop_y1": 100}
    row |= {
        f"face_{side}": value
        for side, value in zip(("x0", "y0", "x1", "y1"), face.corners, strict=True)
    }
    covered = placed(tmp_path, row, settings, crop.shape[:2], (48, 40), center).places(0, None).face
    assert covered is not None
    assert np.abs(covered - painted).mean() < 0.02


def placed(  # noqa: PLR0917 - from the source to the input, in order
    out: Path,
    row: dict[str, float],
    settings: Render,
    crop: tuple[int, ...],
    size: tuple[int, int],
    center: tuple[int, int] | None,
) -> Geometry:
    resize = settings.resize
    card = (
        {} if resize is None else {"recipe": {"render": {"resize": resize.model_dump(mode="json")}}}
    )
    (out / "dataset.toml").write_text(toml_text(card))
    columns = {name: [row.get(name)] for name in INDEX_SCHEMA.names}
    index = pa.table(columns, schema=INDEX_SCHEMA)
    return Geometry(index, out, np.array([crop[:2]]), size, center)


# The sheet


def test_a_sheet_shows_each_record_with_each_of_its_maps() -> None:
    picture = np.full((40, 30, 3), 90, np.uint8)
    heat = np.zeros((40, 30), np.float32)
    heat[10:20, 10:20] = 1
    record = Shown(
        picture,
        np.array([0.2, 0.2, 0.8, 0.8], np.float32),
        ("a.jpg",),
        (Look(heat, ("x", "y")),) * 2,
    )
    one, two = draw_sheet([record], "title"), draw_sheet([record] * 2, "title")
    assert one.shape[1] == two.shape[1]
    assert two.shape[0] > one.shape[0]
    wider = draw_sheet([Shown(picture, None, (), (Look(heat, ()),) * 3)], "title")
    assert wider.shape[1] > one.shape[1]


def test_heat_is_warm_and_its_absence_cold_or_gray() -> None:
    picture = np.full((4, 4, 3), 128, np.uint8)
    heat = np.zeros((4, 4), np.float32)
    heat[0, 0] = 2
    laid = overlay(picture, heat).astype(int)
    assert laid[0, 0, 0] > laid[0, 0, 2] + 30  # red above blue
    assert laid[3, 3, 2] > laid[3, 3, 0]
    assert (overlay(picture, np.zeros((4, 4), np.float32)) == 128).all()
