"""JPEGs decoded at a fraction of their size: the same picture, the same reasons, exactly placed."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from bad_images import (
    IDS,
    bad_image,
    bit_flipped,
    display_p3,
    large_jpeg,
    row,
    saved,
    scene,
    zeroed,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from facecrop.images.codec import Decoded, decode
from facecrop.images.frames import Image as Pixels

REDUCED = (2, 4, 8)


def decoded_at(data: bytes, reduced: int) -> Decoded:
    return decode(data, reduce=lambda _height, _width: reduced)


def turned_jpeg(height: int, width: int, orientation: int) -> bytes:
    """Return a JPEG without loss of colour that is a picture with hard edges once it stands."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = scene(height, width)
    return saved(Image.fromarray(pixels), exif=exif, quality=95, subsampling=0)


def averaged(whole: Pixels, decoded: Decoded) -> Pixels:
    """Return the means of the pixels under each pixel of a reduced picture."""
    assert decoded.image is not None
    assert decoded.place is not None
    height, width = whole.shape[:2]
    x0, y0, x1, y1 = (int(side) for side in decoded.place.corners)
    assert -8 < x0 <= 0
    assert -8 < y0 <= 0
    borders = (-y0, y1 - height, -x0, x1 - width)
    padded = cv2.copyMakeBorder(whole, *borders, cv2.BORDER_REPLICATE)
    size = (decoded.image.shape[1], decoded.image.shape[0])
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), np.uint8)


def difference(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@row("scaled")
@given(
    height=st.integers(64, 150),
    width=st.integers(64, 150),
    orientation=st.integers(1, 8),
    reduced=st.sampled_from(REDUCED),
)
@settings(max_examples=40, deadline=None)
def test_a_reduced_picture_lies_exactly_on_the_whole_one(
    height: int, width: int, orientation: int, reduced: int
) -> None:
    data = turned_jpeg(height, width, orientation)
    whole, small = decode(data), decoded_at(data, reduced)
    assert whole.image is not None
    assert small.image is not None
    assert small.place is not None
    assert (small.height, small.width, small.reduced) == (whole.height, whole.width, reduced)
    assert small.image.shape[:2] == tuple(
        -(-side // reduced) for side in (whole.height or 0, whole.width or 0)
    )
    right = difference(small.image, averaged(whole.image, small))
    assert right < 4
    # By half a pixel of the reduced picture elsewhere, the edges would be seen to be.
    for shift in ((0, reduced // 2), (reduced // 2, 0)):
        moved = averaged(np.roll(whole.image, shift, axis=(0, 1)), small)
        assert difference(small.image, moved) > right


@row("scaled")
@pytest.mark.parametrize("name", IDS)
def test_a_picture_gets_the_same_reason_whether_it_is_reduced_or_not(name: str) -> None:
    data, _ = bad_image(name)
    whole = decode(data)
    for small in (decoded_at(data, reduced) for reduced in REDUCED):
        assert (small.reason, small.note) == (whole.reason, whole.note)
        assert (small.width, small.height) == (whole.width, whole.height)
        assert (small.image is None) == (whole.image is None)


@row("scaled")
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_damage_is_noticed_in_a_reduced_picture_as_in_the_whole_one(
    seed: int,
    progressive: bool,  # noqa: FBT001 - a case
) -> None:
    sound = large_jpeg()
    if progressive:
        sound = saved(Image.open(BytesIO(sound)), quality=92, progressive=True)
    cuts = (sound[: int(len(sound) * share)] for share in (0.3, 0.7, 0.99))
    damaged = [
        bit_flipped(sound, seed, count=1 + seed % 3),
        bit_flipped(sound, 100 + seed),
        zeroed(sound, 0.1 + 0.1 * seed, 100 + 40 * seed),
        *(cuts if seed == 0 else ()),
        sound,
    ]
    for data in damaged:
        reasons = {decode(data).reason, *(decoded_at(data, each).reason for each in REDUCED)}
        assert len(reasons) == 1


@row("scaled")
@pytest.mark.parametrize(
    "data",
    [
        saved(Image.fromarray(scene()).convert("L"), quality=95),
        saved(Image.fromarray(scene()).convert("CMYK"), quality=95),
        saved(quality=95, progressive=True),
        saved(quality=95, icc_profile=display_p3()),
    ],
    ids=["gray", "cmyk", "progressive", "profile"],
)
def test_every_kind_of_jpeg_can_be_reduced(data: bytes) -> None:
    whole, small = decode(data).image, decoded_at(data, 4)
    assert whole is not None
    assert small.image is not None
    assert small.reduced == 4
    assert difference(small.image, averaged(whole, small)) < 4


@row("scaled")
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"])
def test_other_formats_keep_all_their_pixels(kind: str) -> None:
    data = saved(kind=kind)
    small = decoded_at(data, 4)
    assert small.reduced == 1
    np.testing.assert_array_equal(small.image, decode(data).image)


@row("scaled")
def test_a_picture_whose_pattern_is_finer_than_its_reduced_pixels_is_not_blank() -> None:
    checks = np.indices((128, 96)).sum(axis=0) % 2
    data = saved(Image.fromarray((100 + 50 * checks).astype(np.uint8)), quality=95)
    small = decoded_at(data, 8)
    assert small.reason is None
    assert small.reduced == 1
    np.testing.assert_array_equal(small.image, decode(data).image)
