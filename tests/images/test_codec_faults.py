"""The decode contract, faults: each row of `docs/decode.md` has a test, bound to it by name."""

import re
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from bad_images import (
    IDS,
    bad_image,
    bit_flipped,
    huge_png,
    jpeg,
    large_jpeg,
    row,
    saved,
    scene,
    with_orientation,
    zeroed,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from facecrop.images.codec import Decoded, Limits, decode
from facecrop.index import REASONS

DOCS = Path(__file__).parents[2] / "docs" / "decode.md"


def test_every_row_of_the_tables_has_a_test_and_every_bound_test_a_row() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    tests = [file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("test_codec*")]
    bound = re.findall(r'^@row\("([a-z0-9-]+)"\)', "".join(tests), re.MULTILINE)
    assert sorted(rows) == sorted(set(bound))


@pytest.mark.parametrize("name", IDS)
def test_every_odd_or_broken_picture_gets_what_is_expected(name: str) -> None:
    data, reason = bad_image(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoded = decode(data)
    assert decoded.reason == reason
    assert (decoded.image is None) == (reason is not None)
    if decoded.image is not None:
        assert decoded.image.dtype == np.uint8
        assert decoded.image.flags["C_CONTIGUOUS"]
        assert decoded.image.shape == (decoded.height, decoded.width, 3)


@pytest.mark.parametrize("name", IDS)
def test_no_decoder_talks_to_the_terminal(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    decode(bad_image(name)[0])
    assert capfd.readouterr() == ("", "")


def test_all_expected_reasons_are_documented_ones() -> None:
    assert {bad_image(name)[1] for name in IDS} - {None} <= set(REASONS)


@row("empty")
@row("not-image")
@row("format-not-allowed")
@row("missing-decoder")
@row("too-many-scans")
def test_the_corpus_has_these_faults() -> None:
    made = {name: bad_image(name)[1] for name in IDS}
    assert made["B01-empty"] == "empty"
    assert [made[name] for name in ("B02-html", "B02-json", "B15-zip", "B22-video")] == [
        "not-image"
    ] * 4
    assert sum(reason == "format-not-allowed" for reason in made.values()) >= 7
    assert sum(reason == "missing-decoder" for reason in made.values()) >= 3
    assert made["B20-endless-scans"] == "corrupt"


@row("truncated")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_file_that_ends_early_is_rejected(kind: str, share: float) -> None:
    data = saved(kind=kind)
    decoded = decode(data[: int(len(data) * share)])
    assert decoded.image is None
    assert decoded.reason in ({"truncated", "corrupt"} if kind == "AVIF" else {"truncated"})


@row("truncated")
@pytest.mark.parametrize("missing", [1, 2, 3])
def test_one_missing_byte_is_noticed(missing: int) -> None:
    assert decode(jpeg()[:-missing]).reason == "truncated"
    assert decode(saved(kind="PNG")[:-missing]).reason == "truncated"


@row("damaged")
@pytest.mark.parametrize("optimize", [False, True])
def test_a_hole_in_a_jpeg_is_found_wherever_it_is(optimize: bool) -> None:  # noqa: FBT001 - a case
    whole = (
        large_jpeg()
        if not optimize
        else saved(Image.open(BytesIO(large_jpeg())), quality=92, optimize=True)
    )
    assert decode(whole).reason is None
    for start in np.linspace(0.1, 0.95, 18):
        assert decode(zeroed(whole, start)).image is None


@row("damaged")
def test_flat_pictures_are_not_taken_for_holes() -> None:
    flat = np.full((512, 512, 3), 200, np.uint8)
    flat[:40, :40] = 20
    for quality in (30, 75, 95):
        for optimize in (False, True):
            assert (
                decode(saved(Image.fromarray(flat), quality=quality, optimize=optimize)).reason
                is None
            )


@row("damaged")
def test_padding_with_zeros_after_the_end_is_no_hole() -> None:
    assert decode(large_jpeg() + bytes(4096)).reason is None


@row("damaged")
def test_flipped_bits_are_found_in_nearly_all_jpegs() -> None:
    found = sum(decode(bit_flipped(large_jpeg(), seed)).reason == "corrupt" for seed in range(20))
    assert found >= 18


@row("damaged")
def test_a_refused_jpeg_is_not_tried_again_by_a_lenient_decoder() -> None:
    damaged = zeroed(large_jpeg())
    assert Image.open(BytesIO(damaged)).convert("RGB").size == (384, 512)
    assert decode(damaged).reason == "corrupt"


@row("damaged")
def test_others_may_have_told_pillow_to_be_lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert decode(saved(kind="BMP")[:9000]).reason == "truncated"
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


@row("too-many-pixels")
@pytest.mark.parametrize("name", ["B13-png-20000", "B13-webp-16384", "B14-jpeg-60000"])
def test_a_huge_picture_is_rejected_by_its_header(name: str) -> None:
    decoded = decode(bad_image(name)[0])
    assert decoded.reason == "too-many-pixels"
    assert (decoded.width or 0) * (decoded.height or 0) > 100_000_000


@row("too-many-pixels")
def test_the_pixel_limit_is_a_setting() -> None:
    height, width = scene().shape[:2]
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
        data = saved(kind=kind)
        assert decode(data, Limits(max_pixels=height * width)).reason is None
        assert decode(data, Limits(max_pixels=height * width - 1)).reason == "too-many-pixels"
    assert decode(huge_png(2000), Limits(max_pixels=10**9)).reason == "corrupt"  # it has no pixels


@row("too-small")
def test_the_least_side_is_a_setting() -> None:
    data = saved(Image.fromarray(scene(20, 30)))
    assert decode(data, Limits(min_side=20)).reason is None
    assert decode(data, Limits(min_side=21)).reason == "too-small"
    turned = decode(with_orientation(6), Limits(min_side=999))
    assert (turned.reason, turned.height, turned.width) == ("too-small", *scene().shape[:2])


@row("blank")
@pytest.mark.parametrize("name", ["M06-hidden", "C04-black", "C04-white", "C04-red"])
def test_one_colour_alone_is_blank(name: str) -> None:
    assert decode(bad_image(name)[0]).reason == "blank"


@row("blank")
def test_one_pixel_of_another_colour_is_a_picture() -> None:
    picture = np.full((90, 70, 3), 9, np.uint8)
    picture[37, 41, 2] = 10
    assert decode(saved(Image.fromarray(picture), "PNG")).reason is None


@given(
    junk=st.binary(max_size=200),
    start=st.sampled_from(
        [
            b"",
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"BM",
            b"GIF89a",
            b"II*\0",
            b"RIFF\x40\0\0\0WEBPVP8 ",
        ]
    ),
)
@settings(max_examples=150, deadline=None)
def test_no_bytes_whatsoever_raise(junk: bytes, start: bytes) -> None:
    decoded = decode(start + junk)
    assert isinstance(decoded, Decoded)
    assert decoded.image is not None or decoded.reason in REASONS
