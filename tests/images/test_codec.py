"""The decode contract, pictures: each row of `docs/decode.md` has a test, bound to it by name."""

from io import BytesIO

import numpy as np
import pytest
from bad_images import (
    bad_image,
    deep_png,
    display_p3,
    jpeg,
    row,
    saved,
    scene,
    with_orientation,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from facecrop.images.codec import decode
from facecrop.images.frames import Image as Pixels


def pixels(data: bytes) -> Pixels:
    decoded = decode(data)
    assert decoded.image is not None, decoded.reason
    return decoded.image


def error(image: Pixels, truth: Pixels) -> float:
    """Return the mean difference, in grey levels."""
    assert image.shape == truth.shape
    return float(np.abs(image.astype(int) - truth).mean())


@row("format-by-bytes")
@pytest.mark.parametrize(
    ("kind", "most"), [("JPEG", 6), ("PNG", 0), ("WEBP", 8), ("BMP", 0), ("TIFF", 0), ("AVIF", 6)]
)
def test_each_allowed_format_is_read_by_its_bytes(kind: str, most: float) -> None:
    assert error(pixels(saved(kind=kind)), scene()) <= most


def test_a_gif_is_read_to_within_its_palette() -> None:
    assert error(pixels(saved(kind="GIF")), scene()) < 8


@row("orientation")
@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_orientation_is_applied(kind: str, value: int) -> None:
    assert error(pixels(with_orientation(value, kind)), scene()) < 4


@row("orientation-unknown")
@pytest.mark.parametrize("value", [0, 9, 99])
def test_an_unknown_orientation_is_upright(value: int) -> None:
    assert error(pixels(with_orientation(value)), scene()) < 4


@row("orientation-unknown")
@pytest.mark.parametrize("name", ["E12-exif-cut", "E12-exif-loop"])
def test_a_damaged_exif_block_is_upright(name: str) -> None:
    assert error(pixels(bad_image(name)[0]), scene()) < 4


@given(exif=st.binary(max_size=80))
@settings(max_examples=50, deadline=None)
def test_no_exif_block_breaks_a_decode(exif: bytes) -> None:
    body = b"Exif\0\0" + exif
    data = jpeg()
    data = data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:]
    assert decode(data).reason is None


@row("gray")
@pytest.mark.parametrize("name", ["M01-gray", "M02-one-bit"])
def test_gray_has_the_same_value_three_times(name: str) -> None:
    data = bad_image(name)[0]
    truth = np.asarray(Image.open(BytesIO(data)).convert("RGB"))
    image = pixels(data)
    assert (image == image[..., :1]).all()
    assert error(image, truth) <= 0.1
    assert np.ptp(image) > 100


@row("depth-16")
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_are_scaled_and_nothing_is_cut_off(channels: int) -> None:
    truth = scene() if channels > 1 else np.repeat(scene()[..., :1], 3, axis=2)
    assert np.array_equal(pixels(deep_png(channels)), truth)


@row("depth-16")
@pytest.mark.parametrize("mode", ["<u2", ">u2"])
def test_a_16_bit_tiff_is_scaled_in_either_byte_order(mode: str) -> None:
    deep = (scene()[..., 0].astype(np.uint16) * 257).astype(mode)
    data = saved(
        Image.frombytes("I;16" if mode == "<u2" else "I;16B", deep.shape[::-1], deep.tobytes()),
        "TIFF",
    )
    assert np.array_equal(pixels(data)[..., 0], scene()[..., 0])


@row("float")
def test_floats_within_0_and_1_are_fractions_of_white() -> None:
    image = pixels(bad_image("M09-float")[0])[..., 0].ravel()
    assert np.array_equal(image, np.rint(np.linspace(0, 255, image.size)))


@row("float")
def test_other_floats_are_stretched() -> None:
    image = pixels(bad_image("M09-float-wide")[0])
    assert (image.min(), image.max()) == (0, 255)
    assert 126 < image.mean() < 129


@row("float")
def test_what_is_not_finite_is_black() -> None:
    ramp = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)
    ramp[3, 3], ramp[4, 4] = np.nan, np.inf
    image = pixels(saved(Image.fromarray(ramp), "TIFF"))
    assert not image[3, 3].any()
    assert not image[4, 4].any()
    assert image[19, 19, 0] == 255


@row("cmyk")
def test_cmyk_looks_like_the_colours_it_was_made_of() -> None:
    ink = Image.fromarray(scene()).convert("CMYK")
    assert error(pixels(saved(ink, quality=95)), scene()) < 3
    assert error(pixels(saved(ink, "TIFF")), scene()) < 1


@row("palette")
def test_a_palette_gives_its_colours() -> None:
    palette = Image.fromarray(scene()).quantize(32)
    for kind in ("PNG", "GIF", "BMP"):
        assert np.array_equal(pixels(saved(palette, kind)), np.asarray(palette.convert("RGB")))


@row("transparency")
@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP")])
def test_what_is_transparent_is_white_and_hides_its_colour(mode: str, kind: str) -> None:
    picture = np.dstack([scene(), np.full(scene().shape[:2], 255, np.uint8)])
    picture[:, :30] = (255, 0, 0, 0)
    image = pixels(saved(Image.fromarray(picture).convert(mode), kind, lossless=True))
    assert (image[:, :30] == 255).all()
    truth = np.asarray(
        Image.fromarray(scene()).convert("L" if mode == "LA" else "RGB").convert("RGB")
    )
    assert np.array_equal(image[:, 30:], truth[:, 30:])


@row("transparency")
def test_half_transparent_pixels_are_mixed_with_white() -> None:
    picture = np.zeros((20, 20, 4), np.uint8)
    picture[..., 3] = np.arange(20) * 13
    assert np.array_equal(
        pixels(saved(Image.fromarray(picture), "PNG"))[0, :, 0], 255 - np.arange(20) * 13
    )


@row("transparency")
@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_colour_is_white(mode: str) -> None:
    picture = Image.fromarray(scene())
    picture = picture.quantize(16) if mode == "P" else picture.convert(mode)
    colour = picture.getpixel((40, 50))
    assert colour is not None
    image = pixels(saved(picture, "PNG", transparency=colour))
    values = np.asarray(picture)
    there = (values == colour) if values.ndim == 2 else (values == colour).all(axis=2)
    assert (image[there] == 255).all()
    assert np.array_equal(image[~there], np.asarray(picture.convert("RGB"))[~there])


@row("animation")
@pytest.mark.parametrize("name", ["M14-gif", "M14-webp", "M14-apng", "M14-avif", "M15-pages"])
def test_an_animation_gives_its_first_frame_and_says_so(name: str) -> None:
    decoded = decode(bad_image(name)[0])
    assert decoded.note == "first-frame"
    assert decoded.image is not None
    assert error(decoded.image, scene()) < 5


@row("profile")
def test_a_wide_profile_makes_colours_stronger_in_srgb() -> None:
    plain, wide = pixels(jpeg()), pixels(bad_image("M12-display-p3")[0])
    assert error(plain, wide) > 3
    assert np.ptp(wide[60, 10].astype(int)) > np.ptp(plain[60, 10].astype(int))


@row("profile")
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "TIFF"])
def test_profiles_count_in_every_format(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    with_profile = pixels(saved(kind=kind, icc_profile=display_p3(), **options))
    assert error(with_profile, pixels(jpeg(quality=98, icc_profile=display_p3()))) < 5
    assert error(with_profile, scene()) > 3


@row("profile-ignored")
@pytest.mark.parametrize("name", ["M12-srgb", "M12-broken-profile"])
def test_profiles_without_effect_are_left_alone(name: str) -> None:
    assert np.array_equal(pixels(bad_image(name)[0]), pixels(jpeg()))


@row("progressive")
def test_a_progressive_jpeg_has_the_pixels_of_a_plain_one() -> None:
    assert np.array_equal(pixels(jpeg(progressive=True)), pixels(jpeg()))


@row("trailing-bytes")
@pytest.mark.parametrize("after", [b"garbage", jpeg(), bytes(100), b"\xff\xd9", saved(kind="PNG")])
def test_bytes_after_a_jpeg_are_noted_and_change_nothing(after: bytes) -> None:
    decoded = decode(jpeg() + after)
    assert np.array_equal(pixels(jpeg() + after), pixels(jpeg()))
    assert decoded.note == ("trailing-bytes" if after != b"\xff\xd9" else None)


@row("trailing-bytes")
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_bytes_after_other_pictures_are_noted_too(kind: str) -> None:
    decoded = decode(saved(kind=kind) + b"garbage!")
    assert (decoded.reason, decoded.note) == (None, "trailing-bytes")


@row("comments")
@pytest.mark.parametrize("name", ["B12-png-comment-checksum", "B12-png-text-bomb"])
def test_comments_are_passed_over(name: str) -> None:
    assert np.array_equal(pixels(bad_image(name)[0]), scene())


def test_heic_is_read_where_its_decoder_is_installed() -> None:
    heif = pytest.importorskip("pillow_heif")
    out = BytesIO()
    heif.from_pillow(Image.fromarray(scene())).save(out, quality=95)
    assert error(pixels(out.getvalue()), scene()) < 6
