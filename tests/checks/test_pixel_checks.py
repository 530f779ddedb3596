from pathlib import Path

import cv2
import numpy as np
import pytest
from checked import SIDE, face, found
from hypothesis import given, settings
from hypothesis import strategies as st
from made_datasets import names, seven_of, write_dataset
from skimage.measure import blur_effect as reference

from facecrop.checks.looks import blur_effect, face_in_crop, look_at
from facecrop.checks.material import Limits, Material
from facecrop.images.choose.plan import Plan
from facecrop.images.codec import encode
from facecrop.images.frames import Box, Image
from facecrop.images.render import render
from facecrop.images.render.settings import Render, Resize

PIXEL_CHECKS = ("blur", "dark", "over-exposed", "low-information", "gray", "borders")


def blurred(image: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 4), np.uint8)


def darkened(image: Image) -> Image:
    return (image * 0.15).astype(np.uint8)


def burnt(image: Image) -> Image:
    return np.minimum(image.astype(int) * 3 + 60, 255).astype(np.uint8)


def posterised(image: Image) -> Image:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    steps = np.where(gray > np.median(gray), 170, 90).astype(np.uint8)
    return np.stack([steps, steps - 40, steps - 60], axis=-1).astype(np.uint8)


def without_colour(image: Image) -> Image:
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2).astype(np.uint8)


def framed(image: Image) -> Image:
    return np.asarray(
        cv2.copyMakeBorder(image[16:-16], 16, 16, 0, 0, cv2.BORDER_CONSTANT, value=(20, 220, 60)),
        np.uint8,
    )


FAULTS = dict(
    zip(PIXEL_CHECKS, (blurred, darkened, burnt, posterised, without_colour, framed), strict=True)
)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces of which one person's each have one of the faults."""
    people = names(6)
    rows = seven_of(*people)
    crops = {str(row["path"]): face(number % 8) for number, row in enumerate(rows)}
    for number, make in enumerate(FAULTS.values()):
        path = str(rows[7 * 2 + number]["path"])
        crops[path] = make(crops[path])
    return write_dataset(tmp_path_factory.mktemp("planted"), rows, crops)


@pytest.mark.parametrize("name", PIXEL_CHECKS)
def test_a_planted_fault_is_found_by_its_check_and_no_sound_crop_is(
    name: str, planted: Path
) -> None:
    material = Material(planted)
    expected = material.index["path"][14 + PIXEL_CHECKS.index(name)].as_py()
    issues = found(planted, name)
    faulty = set(material.index["path"].to_pylist()[14:20])
    told = {issue.paths[0] for issue in issues}
    assert expected in told
    assert told <= faulty  # a faulty crop may have more than one fault: a burnt one has no colour
    assert all(0.5 <= issue.score <= 1 for issue in issues)
    assert all(issue.facts for issue in issues)


@pytest.mark.parametrize("name", ["blur", "gray"])
def test_what_most_crops_are_like_is_their_nature_and_told_once(name: str, tmp_path: Path) -> None:
    rows = seven_of(*names(3))
    crops = {str(row["path"]): FAULTS[name](face(i % 8)) for i, row in enumerate(rows)}
    (issue,) = found(write_dataset(tmp_path, rows, crops), name)
    assert issue.paths == ()
    assert issue.reason == "100% of all crops: it is in their nature, none is named"


def test_limits_are_settings(planted: Path) -> None:
    nobody = Limits(dark=0, blur=1)
    assert found(planted, "dark", limits=nobody) == []
    assert found(planted, "blur", limits=nobody) == []
    everybody = found(planted, "dark", limits=Limits(dark=1))
    assert len(everybody) == 1  # in their nature


def test_a_crop_that_is_gone_or_damaged_is_not_judged(tmp_path: Path) -> None:
    rows = seven_of(*names(1))
    crops = {str(row["path"]): darkened(face(0)) for row in rows}
    out = write_dataset(tmp_path, rows, crops)
    files = sorted((out / "images").glob("*/*.png"))
    files[0].unlink()
    files[1].write_bytes(b"damaged")
    assert np.isnan(Material(out).looks["brightness"]).sum() == 2
    assert len(found(out, "dark")) == 5


def test_the_pixels_are_read_once_for_all_checks(
    planted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    before = Path.read_bytes

    def counted(self: Path) -> bytes:
        read.append(self)
        return before(self)

    monkeypatch.setattr(Path, "read_bytes", counted)
    material = Material(planted)
    from facecrop.checks.table import CHECKS  # noqa: PLC0415 - after the patch

    for name in (*PIXEL_CHECKS, "matte"):
        list(CHECKS.load(name).find(material))
    assert len([file for file in read if file.suffix == ".png"]) == 42


@pytest.mark.parametrize("sigma", [0.0, 0.7, 1.5, 3.0, 6.0])
def test_blur_agrees_with_the_metric_of_scikit_image(sigma: float) -> None:
    gray = cv2.cvtColor(face(1), cv2.COLOR_RGB2GRAY)
    if sigma:
        gray = cv2.GaussianBlur(gray, (0, 0), sigma)
    # Theirs takes Sobel's derivative where the paper takes differences.
    assert blur_effect(np.asarray(gray, np.uint8)) == pytest.approx(reference(gray), abs=0.12)


def test_blur_grows_with_the_blur_and_is_one_where_nothing_is() -> None:
    gray = cv2.cvtColor(face(2), cv2.COLOR_RGB2GRAY)
    values = [blur_effect(gray)]
    values += [blur_effect(cv2.GaussianBlur(gray, (0, 0), sigma)) for sigma in (1, 2, 4)]
    assert values == sorted(values)
    assert blur_effect(np.full((40, 40), 7, np.uint8)) == 1
    assert np.isnan(blur_effect(np.zeros((5, 40), np.uint8)))


@pytest.mark.parametrize("side", range(4))
def test_a_bar_is_found_at_each_side_unless_it_was_made_here(side: int) -> None:
    one = np.rot90(face(3), side - 1).copy()
    one[:12] = (250, 20, 20)
    turned = np.ascontiguousarray(np.rot90(one, 1 - side))
    assert look_at(turned)["border"] == pytest.approx(12 / SIDE)
    beyond = tuple(number == side for number in range(4))
    assert look_at(turned, outside=beyond)["border"] == 0  # type: ignore[arg-type]  # of four
    assert look_at(turned, painted=(250, 20, 20))["border"] == 0


def test_an_even_wall_behind_somebody_is_no_bar() -> None:
    image = np.full((SIDE, SIDE, 3), 235, np.uint8)
    body = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(body, (64, 100), (44, 70), 0, 0, 360, 1, -1)
    image[body > 0] = face(1)[body > 0]
    assert look_at(image)["border"] == 0
    assert look_at(np.full((64, 64, 3), 235, np.uint8))["border"] == 0


@settings(max_examples=40)
@given(
    height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 9), even=st.booleans()
)
def test_any_crop_can_be_measured(height: int, width: int, seed: int, *, even: bool) -> None:
    pixels = np.random.default_rng(seed).integers(0, 1 if even else 256, (height, width, 3))
    image = pixels.astype(np.uint8)
    values = look_at(image, Box(-3, 2, 30, 50), image[..., 0] > 99, (0, 0, 0))
    known = [value for value in values.values() if not np.isnan(value)]
    assert all(0 <= value <= 255 for value in known)
    assert values["brightness"] <= 1
    assert values["bits"] <= 8


@pytest.mark.parametrize("rotation", [0.0, 12.0, -25.0])
@pytest.mark.parametrize("mode", ["stretch", "fit-pad"])
def test_the_face_is_measured_where_render_put_it(rotation: float, mode: str) -> None:
    source = np.zeros((300, 240, 3), np.uint8)
    box = Box(130, 90, 150, 110)
    source[90:110, 130:150] = 255
    how = Render(resize=Resize(size=(128, 96), mode=mode))  # type: ignore[arg-type]  # of two
    crop = Box(60, 40, 220, 240)
    image = render(source, Plan("ok", crop=crop, rotation=rotation), None, how)
    row = {
        f"face_{side}": value
        for side, value in zip(("x0", "y0", "x1", "y1"), box.corners, strict=True)
    }
    row |= {
        f"crop_{side}": int(v)
        for side, v in zip(("x0", "y0", "x1", "y1"), crop.corners, strict=True)
    }
    place = face_in_crop(row | {"rotation": rotation}, image, how.resize)
    assert place is not None
    y, x = np.nonzero(image[..., 0] > 128)
    assert place.center == pytest.approx((x.mean() + 0.5, y.mean() + 0.5), abs=1)


def test_without_a_box_or_a_crop_there_is_no_face_to_measure() -> None:
    image = face(0)
    row: dict[str, object] = {"rotation": 0.0}
    row |= {f"{what}_{side}": 5.0 for what in ("face", "crop") for side in ("x0", "y0", "x1", "y1")}
    assert face_in_crop(row, image, None) is None  # of no area
    assert face_in_crop(row | {"face_x0": None}, image, None) is None


def person(shape: str) -> Image:
    """Return a crop painted black but for the person."""
    keep = np.zeros((SIDE, SIDE), np.uint8)
    if shape == "whole":
        cv2.ellipse(keep, (64, 64), (50, 60), 0, 0, 360, 1, -1)
    elif shape == "small":
        cv2.ellipse(keep, (64, 64), (20, 24), 0, 0, 360, 1, -1)
    else:
        cv2.rectangle(keep, (4, 10), (50, 120), 1, -1)
        cv2.rectangle(keep, (75, 10), (124, 120), 1, -1)
    image = np.maximum(face(4), 40) * keep[..., None]
    return image.astype(np.uint8)


def matted(out: Path) -> Path:
    """Write a dataset whose backgrounds are painted black, with mattes that failed."""
    rows = seven_of(*names(2))
    shapes = ["small", "torn", *["whole"] * 12]
    crops = {str(row["path"]): person(shape) for row, shape in zip(rows, shapes, strict=True)}
    return write_dataset(out, rows, crops)


def test_small_and_torn_persons_are_told_by_a_painted_background(tmp_path: Path) -> None:
    small, torn = found(matted(tmp_path), "matte")
    assert "the person is " in small.reason
    assert "of the person lies in loose pieces" in torn.reason
    assert {small.paths[0].rpartition("/")[2], torn.paths[0].rpartition("/")[2]} == {
        "mask1.jpg",
        "mask2.jpg",
    }


def test_a_hole_in_the_face_is_told_by_a_kept_alpha(tmp_path: Path) -> None:
    rows = seven_of(*names(1))
    for row in rows:
        row |= {"width": SIDE, "height": SIDE, "rotation": 0.0}
        row |= {
            f"crop_{side}": value
            for side, value in zip(("x0", "y0", "x1", "y1"), (0, 0, SIDE, SIDE), strict=True)
        }
        row |= {
            f"face_{side}": value
            for side, value in zip(("x0", "y0", "x1", "y1"), (34, 34, 94, 94), strict=True)
        }
    crops = {str(row["path"]): face(5) for row in rows}
    out = write_dataset(tmp_path, rows, crops)
    (out / "dataset.toml").write_text('[recipe.render.background]\nmode = "keep"\n')
    for number, row in enumerate(rows):
        alpha = np.full((SIDE, SIDE), 255, np.uint8)
        if number == 2:
            alpha[40:90, 34:94] = 0
        file = out / "alpha" / str(row["profile"]) / f"{row['name']}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        alpha[0, 0] = 0  # a matte of one value is no picture
        file.write_bytes(encode(np.repeat(alpha[..., None], 3, axis=2), "png", 95))
    (issue,) = found(out, "matte")
    assert issue.paths == (rows[2]["path"],)
    assert "of the face is missing" in issue.reason
