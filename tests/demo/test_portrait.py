from collections.abc import Callable
from io import BytesIO

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image

from facecrop.demo.encode import cmyk, jpeg, near_copy, png_16_bit, truncated, turned, zeroed
from facecrop.demo.people import FILES, Person, draw_person
from facecrop.demo.portrait import Portrait, empty_scene, pair, portraits
from facecrop.demo.strokes import U8
from facecrop.images.frames import Box


@pytest.fixture(scope="module")
def person() -> Person:
    return draw_person(0, 3)


@pytest.fixture(scope="module")
def pictures(person: Person) -> dict[str, Portrait]:
    return dict(portraits(0, person))


def test_seven_portraits_of_the_size_of_the_task(pictures: dict[str, Portrait]) -> None:
    assert list(pictures) == list(FILES)
    for portrait in pictures.values():
        assert portrait.image.shape == (512, 384, 3)
        assert portrait.alpha.shape == (512, 384)
        assert portrait.image.dtype == portrait.alpha.dtype == np.uint8


def test_a_picture_alone_is_the_picture_among_seven(
    person: Person, pictures: dict[str, Portrait]
) -> None:
    alone = dict(portraits(0, person, ("mask4",)))
    assert list(alone) == ["mask4"]
    np.testing.assert_array_equal(alone["mask4"].image, pictures["mask4"].image)


def test_the_pictures_of_a_person_differ(pictures: dict[str, Portrait]) -> None:
    images = [portrait.image for portrait in pictures.values()]
    for k, image in enumerate(images):
        for other in images[k + 1 :]:
            assert cv2.absdiff(image, other).mean() > 2


def test_boxes_lie_on_the_person_with_plausible_sizes() -> None:
    for number in range(6):
        for _, portrait in portraits(8, draw_person(8, number), ("normal", "mask1")):
            box = portrait.face
            x0, y0, x1, y1 = box.outward()
            assert 0 < x0 < x1 < 384
            assert 0 < y0 < y1 < 512
            assert 110 < box.width < 230
            assert 140 < box.height < 290
            # Corners of the box lie beside the oval; its middle is nothing but person.
            assert portrait.alpha[y0:y1, x0:x1].mean() > 0.8 * 255
            middle = portrait.alpha[(y0 + y1) // 2, x0 + 10 : x1 - 10]
            assert middle.min() > 200


def test_the_mask_changes_the_face_and_little_else(pictures: dict[str, Portrait]) -> None:
    for portrait in pictures.values():
        assert 0.25 < (portrait.alpha > 127).mean() < 0.75
        assert portrait.alpha[:20].max() < 128
        assert portrait.alpha[-1, 192] == 255


def test_somebody_behind_adds_a_second_face_and_leaves_the_box(person: Person) -> None:
    both = pair(0, person, draw_person(0, 5), "normal")
    assert both.image.shape == (512, 384, 3)
    assert both.face.width > 110


def test_an_empty_room_holds_nobody() -> None:
    np.testing.assert_array_equal(empty_scene(0, 1), empty_scene(0, 1))
    assert empty_scene(0, 1).shape == (512, 384, 3)


def _decoded(data: bytes, flags: int = cv2.IMREAD_COLOR_RGB) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), flags))


def _far_apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - other).mean())


def test_odd_files_hold_the_same_picture(pictures: dict[str, Portrait]) -> None:
    image = pictures["mask1"].image
    plain = _decoded(jpeg(image))
    assert _far_apart(plain, image) < 8  # grain is what a JPEG loses
    upright = _decoded(turned(image))
    assert upright.shape == image.shape
    assert _far_apart(upright, plain) < 5
    on_its_side = _decoded(turned(image), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    assert on_its_side.shape == (384, 512, 3)
    deep = _decoded(png_16_bit(image), cv2.IMREAD_UNCHANGED)
    assert deep.dtype == np.uint16
    np.testing.assert_array_equal(deep[..., ::-1] // 257, image)


def test_four_inks_are_four_channels(pictures: dict[str, Portrait]) -> None:
    with Image.open(BytesIO(cmyk(pictures["mask1"].image))) as picture:
        assert picture.mode == "CMYK"


@pytest.mark.parametrize("damage", [truncated, zeroed])
def test_damaged_files_are_refused_by_a_strict_decoder(
    damage: Callable[[U8], bytes], pictures: dict[str, Portrait]
) -> None:
    for portrait in pictures.values():
        with pytest.raises(ValueError, match=r"(?i)premature|corrupt"):
            simplejpeg.decode_jpeg(damage(portrait.image), strict=True)


def test_a_zeroed_block_keeps_the_length(pictures: dict[str, Portrait]) -> None:
    image = pictures["mask1"].image
    assert len(zeroed(image)) == len(jpeg(image)) > len(truncated(image))


def test_a_near_copy_moves_the_box_with_the_face(pictures: dict[str, Portrait]) -> None:
    portrait = pictures["normal"]
    _, alpha, box = near_copy(portrait.image, portrait.alpha, portrait.face)
    assert 0.85 < box.iou(portrait.face) < 1
    assert box.area > portrait.face.area
    solid = np.zeros((512, 384), np.uint8)
    x0, y0, x1, y1 = (int(side) for side in portrait.face.corners)
    solid[y0:y1, x0:x1] = 255
    _, moved, _ = near_copy(portrait.image, solid, portrait.face)
    x, y, width, height = cv2.boundingRect((moved > 127).astype(np.uint8))
    assert Box(x, y, x + width, y + height).iou(box) > 0.97
    assert alpha.shape == (512, 384)
