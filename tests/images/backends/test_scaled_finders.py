"""What finders say of large drawn portraits, reduced on their way from the file or not."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from facecrop.demo.people import draw_person
from facecrop.demo.portrait import portraits
from facecrop.images.backends.blazeface import BlazeFaceFull, BlazeFaceShort
from facecrop.images.backends.rembg import Rembg
from facecrop.images.backends.selfie import Selfie
from facecrop.images.backends.yolo import Yolo
from facecrop.images.backends.yunet import YuNet
from facecrop.images.codec import Limits, encode
from facecrop.images.findings import Alpha, Boxes, Finding
from facecrop.images.frames import Box
from facecrop.images.look.alpha import alpha_in
from facecrop.images.look.finder import Weights
from facecrop.images.look.looker import View, _infer
from facecrop.images.look.scaled import reduction
from facecrop.images.look.settings import FinderSettings
from facecrop.images.picture import Item, Picture

LARGER = 4.01
"""Portraits of 2,053 x 1,540 pixels: no multiple of what their sides are divided by."""


@cache
def large_portraits() -> tuple[bytes, ...]:
    made = []
    for number in (1, 5):
        ((_, one),) = portraits(0, draw_person(0, number), ("normal",))
        image = cv2.resize(one.image, None, fx=LARGER, fy=LARGER, interpolation=cv2.INTER_CUBIC)
        made.append(encode(np.asarray(image, np.uint8), "jpg", 92))
    return tuple(made)


def seen(
    settings: FinderSettings, weights: Weights, folder: Path, *, whole: bool
) -> list[tuple[Finding, int]]:
    """Return what a finder says of each portrait, and by what it was divided."""
    model = settings.load(weights, "cpu")
    found = []
    for number, data in enumerate(large_portraits()):
        name = f"{number}.jpg"
        (folder / name).write_bytes(data)
        facts = (folder / name).stat()
        item = Item(name, name, name, facts.st_size, facts.st_mtime_ns, None, None)
        picture = Picture(item, folder, Limits())
        reduce = None if whole else lambda height, width: reduction([settings], height, width)
        reduced = picture.source(reduce).reduced or 1
        found += [(one, reduced) for one in _infer(model, [View(picture, reduced=reduced)])]
    return found


def both(
    settings: FinderSettings, weights: Weights, folder: Path
) -> Iterator[tuple[tuple[Finding, int], tuple[Finding, int]]]:
    """Yield what it says of each whole portrait, and of the same one reduced."""
    whole, reduced = (seen(settings, weights, folder, whole=one) for one in (True, False))
    return zip(whole, reduced, strict=True)


@pytest.mark.parametrize(
    ("settings", "reduced"),
    [(BlazeFaceShort(), 4), (BlazeFaceFull(), 4), (YuNet(scale=320), 4), (YuNet(scale=640), 2)],
    ids=lambda value: getattr(value, "label", str(value)),
)
def test_faces_are_where_they_are_in_the_whole_picture(
    settings: FinderSettings, reduced: int, weights: Weights, tmp_path: Path
) -> None:
    some = 0
    for (full, one), (less, by) in both(settings, weights, tmp_path):
        assert isinstance(full, Boxes)
        assert isinstance(less, Boxes)
        assert (one, by) == (1, reduced)
        assert bool(full.candidates) == bool(less.candidates)
        if full.candidates:
            some += 1
            assert full.candidates[0].box.iou(less.candidates[0].box) > 0.9
            assert abs(full.candidates[0].score - less.candidates[0].score) < 0.1
    assert some


@pytest.mark.parametrize(
    "settings", [Selfie(), Selfie(zoom=False), Rembg(model="u2netp")], ids=lambda one: one.label
)
def test_mattes_are_those_of_the_whole_picture(
    settings: FinderSettings, weights: Weights, tmp_path: Path
) -> None:
    for (full, _), (less, reduced) in both(settings, weights, tmp_path):
        assert isinstance(full, Alpha)
        assert isinstance(less, Alpha)
        assert reduced == 4
        place = Box(0, 0, 1540, 2053)
        one, other = (alpha_in(each, place, 512, 384) > 127 for each in (full, less))
        assert (one & other).sum() / (one | other).sum() > 0.98


@pytest.mark.parametrize(("height", "width"), [(2053, 1540), (700, 1001), (90, 70)])
def test_a_finder_sees_what_it_prepares(height: int, width: int, weights: Weights) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    yunet = YuNet(scale=320)
    assert yunet.load(weights, "cpu").prepare(image).shape[:2] == yunet.sees(height, width)
    plain, zooming = Selfie(zoom=False), Selfie()
    assert plain.load(weights, "cpu").prepare(image).shape[:2] == plain.sees(height, width)
    prepared = zooming.load(weights, "cpu").prepare(image).shape[:2]
    assert prepared >= zooming.sees(height, width) or prepared == (height, width)


def test_yolo_sees_what_it_puts_into_its_frame(weights: Weights) -> None:
    settings = Yolo()
    weights(settings.model)
    pytest.importorskip("ultralytics", reason="ultralytics is not installed")
    image = np.full((2053, 1540, 3), 255, np.uint8)
    framed = settings.load(weights, "cpu").prepare(image)
    bright = np.argwhere((framed > 200).all(axis=2))
    inner = np.ptp(bright, axis=0) + 1
    assert tuple(inner) == settings.sees(2053, 1540)
