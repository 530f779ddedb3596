from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from fakes import draw, usual_face, write_png
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import recipe, run

from facecrop.images.choose import Plan
from facecrop.images.codec import decode_crop
from facecrop.images.frames import Box, points_in_crops
from facecrop.images.render import Render, Resize, render
from facecrop.index import INDEX_SCHEMA, read_table
from facecrop.training.regions import EYES, FACE, clipped, moved, regions_of

MIDDLE = Box(10, 20, 74, 100)


def an_index(**columns: object) -> pa.Table:
    """An index of one row, null but for these columns."""
    row = {name: columns.get(name) for name in INDEX_SCHEMA.names}
    return pa.Table.from_pylist([row], schema=INDEX_SCHEMA)


def boxed(name: str, box: Box) -> dict[str, float]:
    sides = ("x0", "y0", "x1", "y1")
    return {f"{name}_{side}": one for side, one in zip(sides, box.corners, strict=True)}


def brightest(image: np.ndarray) -> np.ndarray:
    """Where the middle of the light is, as fractions of width and height."""
    light = image[..., 0].astype(np.float64)
    rows, columns = np.indices(light.shape) + 0.5
    place = np.array([(columns * light).sum(), (rows * light).sum()]) / light.sum()
    return np.asarray(place / light.shape[::-1])


@settings(max_examples=40)
@given(
    x=st.integers(24, 60),
    y=st.integers(36, 84),
    rotation=st.integers(-180, 180),
    size=st.tuples(st.integers(40, 200), st.integers(40, 200)),
)
def test_points_are_where_render_puts_them(
    x: int, y: int, rotation: int, size: tuple[int, int]
) -> None:
    image = np.zeros((120, 90, 3), np.uint8)
    cv2.circle(image, (x, y), 4, (255, 255, 255), -1)
    plan = Plan("ok", crop=MIDDLE, rotation=float(rotation))
    crop = render(image, plan, None, Render(resize=Resize(size=size)))
    point = np.array([[[x + 0.5, y + 0.5]]])
    found = points_in_crops(point, np.array([MIDDLE.corners]), np.array([float(rotation)]))[0, 0]
    inside = (found > 0.15).all() and (found < 0.85).all()
    if inside:  # the whole spot is, too
        assert np.abs(found - brightest(crop)).max() < 0.02


@pytest.mark.parametrize("mode", ["stretch", "fit-pad"])
@pytest.mark.parametrize("size", [[60, 60], [90, 41], [31, 77]])
def test_the_face_box_follows_the_crop_into_its_canvas(
    tmp_path: Path, mode: str, size: list[int]
) -> None:
    image = np.zeros((120, 90, 3), np.uint8)
    face = Box(30, 40, 50, 66)
    image[40:66, 30:50] = 255
    resize = Resize(size=(size[0], size[1]), mode=mode)
    crop = render(image, Plan("ok", crop=MIDDLE), None, Render(resize=resize))
    card = f'[recipe.render.resize]\nsize = {size}\nmode = "{mode}"\n'
    (tmp_path / "dataset.toml").write_text(card)
    index = an_index(**boxed("face", face), **boxed("crop", MIDDLE), rotation=0.0)
    found = regions_of(index, tmp_path)[0, FACE]
    rows, columns = np.nonzero(crop[..., 0] > 127)
    edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    width, height = crop.shape[1], crop.shape[0]
    assert found * [width, height, width, height] == pytest.approx(edges, abs=0.75)


def test_regions_of_a_preprocessed_dataset_lie_on_the_drawn_face(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for person in range(2):
        image = draw(face=usual_face().shift(2 * person, person), shade=person)
        write_png(raw / f"{person:06d}_male_Asian_30" / "normal.png", image)
    out = tmp_path / "out"
    run(raw, out, recipe=recipe(margin=0.5, background=False))
    index = read_table(out / "index.parquet")
    regions = regions_of(index, out)
    assert regions.shape == (2, 2, 4)
    for row, image in enumerate(index["image"].to_pylist()):
        crop = decode_crop((out / image).read_bytes()).image
        assert crop is not None
        bright = crop[..., 0] > 184
        x0, y0, x1, y1 = np.rint(regions[row, FACE] * 32).astype(int)
        assert bright[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1].all()
        assert bright.sum() <= (x1 - x0 + 2) * (y1 - y0 + 2)
        eyes, face = regions[row, EYES], regions[row, FACE]
        assert (eyes[:2] >= face[:2] - 0.01).all()
        assert (eyes[2:] <= face[2:] + 0.01).all()


def test_the_eye_region_reaches_from_temple_to_temple(tmp_path: Path) -> None:
    eyes = {"left_eye_x": 40, "left_eye_y": 50, "right_eye_x": 60, "right_eye_y": 50}
    index = an_index(**boxed("crop", Box(0, 0, 100, 200)), **eyes, rotation=0.0)
    found = regions_of(index, tmp_path)[0, EYES]
    assert found == pytest.approx([0.3, 43 / 200, 0.7, 57 / 200])


def test_level_eyes_stay_in_the_middle_of_a_turned_picture(tmp_path: Path) -> None:
    eyes = {"left_eye_x": 40, "left_eye_y": 40, "right_eye_x": 60, "right_eye_y": 60}
    crop = boxed("crop", Box(0, 0, 100, 100))
    found = regions_of(an_index(**crop, **eyes, rotation=45.0), tmp_path)[0, EYES]
    apart = np.hypot(20, 20) / 100
    expected = [0.5 - apart, 0.5 - 0.35 * apart, 0.5 + apart, 0.5 + 0.35 * apart]
    assert found == pytest.approx(expected, abs=1e-6)


def test_what_is_unknown_or_outside_is_nan(tmp_path: Path) -> None:
    crop = boxed("crop", Box(0, 0, 100, 100))
    assert np.isnan(regions_of(an_index(**crop, rotation=0.0), tmp_path)).all()
    outside = an_index(**crop, **boxed("face", Box(120, 0, 140, 50)), rotation=0.0)
    assert np.isnan(regions_of(outside, tmp_path)).all()
    assert np.isnan(regions_of(an_index(), tmp_path)).all()


@given(st.lists(st.floats(0.05, 0.95), min_size=4, max_size=4))
def test_moving_into_a_window_and_back_changes_nothing(sides: list[float]) -> None:
    x0, x1, y0, y1 = *sorted(sides[:2]), *sorted(sides[2:])
    boxes = np.array([[[x0, y0, x1, y1]]], np.float32)
    window, back = np.array([[0.25, 0.1, 0.75, 0.6]]), np.array([[-0.5, -0.2, 1.5, 1.8]])
    assert moved(moved(boxes, window), back) == pytest.approx(boxes, abs=1e-5)


def test_a_box_is_cut_off_at_the_border_and_given_up_beyond_it() -> None:
    boxes = np.array([[-0.5, 0.2, 0.5, 1.7], [1.0, 0.2, 1.5, 0.4]], np.float32)
    found = clipped(boxes)
    assert found[0] == pytest.approx([0, 0.2, 0.5, 1])
    assert np.isnan(found[1]).all()
