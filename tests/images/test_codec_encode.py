"""Pixels to bytes: equal in, equal out, and nothing but pixels."""

from io import BytesIO
from typing import get_args

import numpy as np
import pytest
from bad_images import display_p3, saved, scene
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from facecrop.images.codec import Format, decode, encode


@pytest.mark.parametrize("format_", get_args(Format))
def test_equal_pixels_give_equal_bytes_and_come_back(format_: Format) -> None:
    data = encode(scene(), format_, 95)
    assert data == encode(scene().copy(), format_, 95)
    image = decode(data).image
    assert image is not None
    difference = np.abs(image.astype(int) - scene()).mean()
    assert difference <= (0 if format_ == "png" else 5)


@given(quality=st.integers(1, 100), height=st.integers(1, 40), width=st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_png_loses_nothing_and_jpeg_keeps_the_size(quality: int, height: int, width: int) -> None:
    image = np.random.default_rng(quality).integers(0, 256, (height, width, 3), np.uint8)
    stored = np.asarray(Image.open(BytesIO(encode(image, "png", quality))))
    assert np.array_equal(stored, image)
    assert Image.open(BytesIO(encode(image, "jpg", quality))).size == (width, height)


def test_metadata_do_not_reach_the_output() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x8825] = "camera", {1: "N", 2: (52.0, 31.0, 0.0)}
    data = saved(quality=95, exif=exif, comment=b"secret", icc_profile=display_p3())
    image = decode(data).image
    assert image is not None
    for format_ in get_args(Format):
        stored = Image.open(BytesIO(encode(image, format_, 95)))
        assert not stored.getexif()
        assert not {"exif", "icc_profile", "comment", "xmp"} & set(stored.info)
