"""How far pictures are reduced for whom, and findings moved back from there: exactly."""

from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pytest
from bad_images import saved
from fakes import FACE, FakeDetector, FakeMatte, draw, write_png
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from facecrop.config import validate
from facecrop.errors import ConfigError
from facecrop.images.backends.rembg import Rembg, RembgFinder
from facecrop.images.choose import Plan
from facecrop.images.codec import Limits, decode, encode
from facecrop.images.findings import Alpha, Boxes
from facecrop.images.frames import Box
from facecrop.images.look.cascade import Faces
from facecrop.images.look.looker import View, _in_source
from facecrop.images.look.scaled import key, reduction, suffices
from facecrop.images.look.settings import FINDERS, FinderSettings
from facecrop.images.picture import Item, Picture
from facecrop.images.recipe import Look, Recipe, load_recipe
from facecrop.images.render import Render, Resize, render
from facecrop.images.render import scaled as cutting

sides = st.integers(16, 9000)


def finder(name: str) -> FinderSettings:
    settings: Any = FINDERS.load(name)
    return cast("FinderSettings", validate(settings, {"name": name}, name))


def a_picture(folder: Path, data: bytes, name: str = "a.jpg") -> Picture:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    facts = (folder / name).stat()
    item = Item(name, name, "a", facts.st_size, facts.st_mtime_ns, None, None)
    return Picture(item, folder, Limits())


@pytest.mark.parametrize("name", tuple(FINDERS))
@given(height=sides, width=sides)
@settings(max_examples=60, deadline=None)
def test_no_model_is_shown_less_than_its_own_input_and_none_more_than_needed(
    name: str, height: int, width: int
) -> None:
    one = finder(name)
    reduced = reduction([one], height, width)
    assert reduced in (1, 2, 4, 8)
    seen = one.sees(height, width)
    if reduced > 1:
        assert seen is not None
        assert seen[0] <= height // reduced
        assert seen[1] <= width // reduced
    twice = 2 * reduced
    if reduced < 8 and max(height, width) // twice >= 512:
        assert not suffices(one, height, width, twice)


@given(height=sides, width=sides)
@settings(max_examples=60, deadline=None)
def test_the_most_demanding_model_decides(height: int, width: int) -> None:
    all_ = [finder("selfie"), finder("yunet"), finder("rembg")]
    assert reduction(all_, height, width) == min(reduction([one], height, width) for one in all_)
    assert reduction([*all_, finder("deepface")], height, width) == 1


def test_what_recipes_make_of_twelve_megapixels() -> None:
    made = {
        name: reduction(load_recipe(name).look.shown_whole, 4000, 3000)
        for name in ("embedded", "mediapipe-face", "rembg", "rembg-deepface", "yolo-unet")
    }
    assert made == {
        "embedded": 4, "mediapipe-face": 4, "rembg": 4, "rembg-deepface": 1, "yolo-unet": 4,
    }  # fmt: skip
    assert reduction(load_recipe("embedded").look.shown_whole, 512, 384) == 1


def test_rembg_sees_just_what_it_prepares() -> None:
    for model in ("u2netp", "isnet-general-use"):
        one = Rembg(model=model)
        prepared = RembgFinder(one.shape, None).prepare(np.zeros((90, 70, 3), np.uint8))
        assert prepared.shape[:2] == one.sees(90, 70)


def test_the_key_of_the_reduction_follows_who_looks() -> None:
    few, more = Look(faces=Faces(detectors=(FakeDetector(side=64),))), FakeDetector(side=640)
    assert key(few.shown_whole) == key((FakeDetector(side=64, min_score=0.7),))
    assert key(few.shown_whole) != key((more,))
    assert key((few.shown_whole[0], more)) == key((more, few.shown_whole[0]))


@given(
    height=st.integers(520, 700),
    width=st.integers(520, 700),
    x=st.integers(0, 400),
    y=st.integers(0, 400),
    reduced=st.sampled_from([1, 2, 4, 8]),
    part=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_what_is_seen_in_a_view_is_where_it_is_in_the_picture(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    height: int,
    width: int,
    x: int,
    y: int,
    reduced: int,
    part: bool,
) -> None:
    square = Box(x, y, x + 96, y + 96)
    data = encode(draw(height, width, square, body=False), "jpg", 95)
    picture = a_picture(tmp_path_factory.mktemp("view"), data)
    picture.source(lambda _height, _width: reduced)
    region = Box(*square.grow(0.2).clip(width, height).outward()) if part else None
    image, place = View(picture, region, reduced=reduced).pixels()
    assert place.width == reduced * image.shape[1]
    assert place.height == reduced * image.shape[0]
    model = FakeDetector(side=64).load(lambda _: Path(), "cpu")
    raw = model.infer(model.prepare(image)[None])[0]
    found = _in_source(model.interpret(raw, *image.shape[:2]), place, reduced)
    assert isinstance(found, Boxes)
    (one,) = found.candidates
    off = np.abs(np.subtract(one.box.corners, square.corners)).max()
    assert off <= (0 if reduced == 1 else reduced)  # a pixel that is half of it may go either way
    assert place.clip(width, height).overlap(one.box) > 0
    for point in one.landmarks:
        assert one.box.x0 <= point[0] <= one.box.x1
        assert one.box.y0 <= point[1] <= one.box.y1


def test_an_alpha_is_moved_with_what_it_covers() -> None:
    alpha = Alpha(np.zeros((4, 4), np.uint8), Box(1, 2, 5, 6))
    moved = _in_source(alpha, Box(-3, 40, 397, 440), 4)
    assert isinstance(moved, Alpha)
    assert moved.region == Box(1, 48, 17, 64)


def test_the_same_view_has_the_same_pixels_whatever_was_asked_before(tmp_path: Path) -> None:
    data = encode(draw(800, 1200, Box(100, 100, 300, 300)), "jpg", 90)
    first = a_picture(tmp_path, data)
    assert first.source(lambda _height, _width: 2).reduced == 2
    second = a_picture(tmp_path, data)
    assert second.image.shape == (800, 1200, 3)
    np.testing.assert_array_equal(first.pixels(2)[0], second.pixels(2)[0])
    np.testing.assert_array_equal(first.pixels(1)[0], second.pixels(1)[0])
    assert (first.reads, first.decodes) == (1, 2)


def test_a_view_of_another_fraction_is_another_finding(tmp_path: Path) -> None:
    picture = a_picture(tmp_path, b"")
    region = Box(0, 0, 400, 400)
    keys = {View(picture, region, reduced=reduced).key for reduced in (1, 2, 4)}
    assert len(keys) == 3


def test_a_part_too_small_for_a_model_is_shown_from_all_pixels(tmp_path: Path) -> None:
    picture = a_picture(tmp_path, b"")
    near = View(picture, Box(0, 0, 300, 200), reduced=4)
    assert near.shown_to(FakeDetector(side=75)).reduced == 4
    assert near.shown_to(FakeDetector(side=76)).reduced == 1
    assert near.shown_to(FakeDetector()).reduced == 1
    assert View(picture, reduced=4).shown_to(FakeMatte()).reduced == 4


@pytest.mark.parametrize(
    ("height", "width", "mode", "wanted"),
    [
        (896, 896, "stretch", 4),
        (895, 896, "stretch", 1),
        (1600, 2000, "stretch", 4),
        (448, 896, "fit-pad", 4),
        (448, 895, "fit-pad", 1),
    ],
)
def test_a_crop_is_made_from_reduced_pixels_only_where_there_are_enough(
    height: int, width: int, mode: Literal["stretch", "fit-pad"], wanted: int
) -> None:
    made = Render(decode="scaled", resize=Resize(size=(224, 224), mode=mode))
    box = Box(10, 20, 10 + width, 20 + height)
    assert cutting.reduction(box, made, 4) == wanted
    assert cutting.reduction(box, Render(resize=made.resize), 4) == 1
    assert cutting.reduction(box, Render(decode="scaled"), 4) == 1


@given(start=st.integers(0, 100), down=st.booleans(), reduced=st.sampled_from([2, 4, 8]))
@settings(max_examples=30, deadline=None)
def test_a_crop_from_reduced_pixels_lies_where_that_from_all_of_them_does(
    *, start: int, down: bool, reduced: int
) -> None:
    ramp = np.tile(np.linspace(0, 250, 500), (500, 1))
    ramp = ramp.T if down else ramp
    picture = np.dstack([ramp, np.full_like(ramp, 125), 250 - ramp]).astype(np.uint8)
    data = saved(Image.fromarray(picture), quality=98, subsampling=0)
    whole, small = decode(data).image, decode(data, reduce=lambda _height, _width: reduced)
    assert whole is not None
    assert small.image is not None
    assert small.place is not None
    box = Box(start, start, start + 352, start + 352)
    alpha = Alpha(np.full((8, 8), 200, np.uint8), Box(0, 0, 500, 500))
    plan, made = Plan("ok", crop=box), Render(resize=Resize(size=(40, 40)))
    moved, moved_alpha = cutting.on_reduced(plan, alpha, small.place, reduced)
    wrong = render(small.image, moved, moved_alpha, made).astype(float)
    wrong -= render(whole, plan, alpha, made)
    # Red grows where blue fades: what is elsewhere is wrong in both, in opposite ways.
    off = (wrong[..., 0] - wrong[..., 2]).mean() / 2 * 2  # a grey level is two pixels
    assert abs(off) < 0.7  # pixels of the whole picture
    assert np.abs(wrong[..., 1]).max() <= 3  # as green is the same everywhere, also at the border
    assert moved_alpha is not None
    assert moved_alpha.region.scale(reduced, reduced) == alpha.region


def test_crops_from_reduced_pixels_need_models_that_look_at_them() -> None:
    crop = {"around": "none"}
    with pytest.raises(
        ConfigError, match=r"render\.decode = 'scaled' needs look\.decode = 'scaled'"
    ):
        validate(Recipe, {"crop": crop, "render": {"decode": "scaled"}}, "recipe")
    both = {"crop": crop, "render": {"decode": "scaled"}, "look": {"decode": "scaled"}}
    assert validate(Recipe, both, "recipe").render.decode == "scaled"


def test_a_png_is_shown_whole(tmp_path: Path) -> None:
    write_png(tmp_path / "b.png", draw(1100, 900, Box(200, 200, 500, 500)))
    picture = a_picture(tmp_path, (tmp_path / "b.png").read_bytes(), "b.png")
    source = picture.source(lambda _height, _width: 2)
    assert (source.reduced, source.height, picture.decodes) == (None, 1100, 1)
    assert picture.pixels(1)[0].max() >= FACE
    assert picture.decodes == 1
