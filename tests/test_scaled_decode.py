"""Preprocess with models, and crops, from reduced pictures: the same rows, fewer pixels."""

from collections import Counter
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from bad_images import bit_flipped, saved, scene, zeroed
from fakes import FakeDetector, draw, usual_face, write_png
from PIL import Image
from runs import content, recipe, rows, run, trust

from facecrop.images import codec, picture
from facecrop.images.codec import Decoded, Limits, Reduce, encode
from facecrop.images.frames import Box
from facecrop.images.look.cascade import CloserLooks, Faces
from facecrop.images.recipe import Recipe

HEIGHT, WIDTH = 771, 1029
"""Odd, so that reduced pictures reach beyond the border; they can be reduced to a half."""

Scaled = Literal["full", "scaled"]


def scaled(
    look: Scaled = "scaled", crops: Scaled = "full", *, side: int = 256, **changes: Any
) -> Recipe:
    """Return the recipe of fakes with its models looking at reduced pictures."""
    made = recipe(FakeDetector(side=side), **changes)
    return made.model_copy(
        update={
            "look": made.look.model_copy(update={"decode": look}),
            "render": made.render.model_copy(update={"decode": crops}),
        }
    )


def jpeg_of(number: int, orientation: int = 1) -> bytes:
    face = usual_face(HEIGHT, WIDTH).shift(13 * number, 7 * number)
    pixels = draw(HEIGHT, WIDTH, face, shade=number)
    if orientation == 1:
        return encode(pixels, "jpg", 92)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_180), exif=exif)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw" / "000001_male_Asian_30"
    folder.mkdir(parents=True)
    for number, stem in enumerate(("mask1", "mask2", "normal")):
        (folder / f"{stem}.jpg").write_bytes(jpeg_of(number, 3 if stem == "mask2" else 1))
    small = draw(96, 64, usual_face())
    write_png(folder / "mask3.png", small)
    return tmp_path / "raw"


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Count what is decoded, by its reduction."""
    counted: Counter[int] = Counter()

    def decode(data: bytes, limits: Limits | None, reduce: Reduce | None) -> Decoded:
        decoded = codec.decode(data, limits, reduce)
        counted[decoded.reduced] += 1
        return decoded

    monkeypatch.setattr(picture, "decode", decode)
    return counted


def boxes(out: Path, *, what: str = "face") -> np.ndarray[Any, Any]:
    return np.array(
        [[row[f"{what}_{side}"] for side in ("x0", "y0", "x1", "y1")] for row in rows(out)]
    )


def test_models_see_less_and_find_the_same(
    raw: Path, tmp_path: Path, decodes: Counter[int]
) -> None:
    run(raw, tmp_path / "full", recipe=scaled("full"))
    assert decodes == {1: 4}  # nothing is decoded twice
    decodes.clear()
    run(raw, tmp_path / "look", recipe=scaled())
    assert decodes == {2: 3, 1: 4}
    decodes.clear()
    run(raw, tmp_path / "both", recipe=scaled(crops="scaled"))
    assert decodes == {2: 3, 1: 1}  # and here no large picture in full
    for out in (tmp_path / "look", tmp_path / "both"):
        facts = [(row["path"], row["status"], row["reason"], row["width"]) for row in rows(out)]
        assert facts == [
            (row["path"], row["status"], row["reason"], row["width"])
            for row in rows(tmp_path / "full")
        ]
        assert {row["status"] for row in rows(out)} == {"ok"}
        assert np.abs(boxes(out) - boxes(tmp_path / "full")).max() <= 2
        for row, other in zip(rows(out), rows(tmp_path / "full"), strict=True):
            assert abs(row["alpha_coverage"] - other["alpha_coverage"]) < 0.01
            one, two = (
                cv2.imread(str(folder / each["image"])).astype(int)
                for folder, each in ((out, row), (tmp_path / "full", other))
            )
            assert np.abs(one - two).mean() < 6


def test_small_pictures_and_other_formats_share_their_findings_and_crops(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "raw" / "000001_male_Asian_30"
    write_png(folder / "normal.png", draw(HEIGHT, WIDTH, usual_face(HEIGHT, WIDTH)))
    write_png(folder / "mask1.jpg", draw(500, 400, usual_face(500, 400)))
    run(tmp_path / "raw", tmp_path / "out", recipe=scaled("full"))
    result = run(tmp_path / "raw", tmp_path / "out", recipe=scaled())
    assert not result.progress.calls


def test_reduced_and_full_findings_are_never_mixed_and_each_is_remembered(
    raw: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(raw, out, recipe=scaled("full"))
    before = content(out)
    assert run(raw, out, recipe=scaled()).progress.calls["fake-face"] == 3
    run(raw, tmp_path / "fresh", recipe=scaled())
    assert content(out) == content(tmp_path / "fresh")
    trust(out)
    assert run(raw, out, recipe=scaled()).progress.total == 0
    assert not run(raw, out, recipe=scaled("full")).progress.calls
    assert content(out) == before


def test_a_new_margin_is_cut_from_what_is_decoded_once(
    raw: Path, tmp_path: Path, decodes: Counter[int]
) -> None:
    run(raw, tmp_path / "out", recipe=scaled(crops="scaled"))
    decodes.clear()
    result = run(raw, tmp_path / "out", recipe=scaled(crops="scaled", margin=0.5))
    assert not result.progress.calls
    assert decodes == {2: 3, 1: 1}
    run(raw, tmp_path / "fresh", recipe=scaled(crops="scaled", margin=0.5))
    assert content(tmp_path / "out") == content(tmp_path / "fresh")


def test_a_crop_is_made_again_when_models_need_more_of_the_picture(
    tmp_path: Path, decodes: Counter[int]
) -> None:
    folder = tmp_path / "raw" / "000001_male_Asian_30"
    folder.mkdir(parents=True)

    def bare(side: int) -> Recipe:
        """Without a matte, whose key would tell."""
        made = scaled(crops="scaled", side=side, background=False)
        return made.model_copy(update={"look": made.look.model_copy(update={"matte": None})})

    face = Box(344, 192, 688, 536)  # the same box in the reduced picture, to the pixel
    grain = np.random.default_rng(2).normal(0, 4, (HEIGHT, WIDTH, 1))
    pixels = (draw(HEIGHT, WIDTH, face) + grain).clip(0, 255).astype(np.uint8)
    (folder / "normal.jpg").write_bytes(encode(pixels, "jpg", 92))
    run(tmp_path / "raw", tmp_path / "out", recipe=bare(256))
    before = boxes(tmp_path / "out", what="crop")
    crop = rows(tmp_path / "out")[0]["image_sha256"]
    decodes.clear()
    run(tmp_path / "raw", tmp_path / "out", recipe=bare(1000))
    assert decodes == {1: 1}
    np.testing.assert_array_equal(boxes(tmp_path / "out", what="crop"), before)
    assert rows(tmp_path / "out")[0]["image_sha256"] != crop
    run(tmp_path / "raw", tmp_path / "fresh", recipe=bare(1000))
    assert content(tmp_path / "out") == content(tmp_path / "fresh")


def test_more_pictures_than_stay_in_memory_give_the_same(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(raw, tmp_path / "kept", recipe=scaled(crops="scaled"))
    monkeypatch.setattr("facecrop.images.pipeline._PIXELS_KEPT", 1)
    run(raw, tmp_path / "forgotten", recipe=scaled(crops="scaled"))
    assert content(tmp_path / "kept") == content(tmp_path / "forgotten")


def test_closer_looks_see_all_pixels_where_reduced_ones_are_too_few(
    tmp_path: Path, decodes: Counter[int]
) -> None:
    pixels = draw(HEIGHT, WIDTH, Box(200, 150, 340, 290))
    pixels[150:290, 600:740] = 240
    folder = tmp_path / "raw" / "000001_male_Asian_30"
    folder.mkdir(parents=True)
    (folder / "normal.jpg").write_bytes(encode(pixels, "jpg", 92))
    found = {}
    for side in (64, 256):
        near = FakeDetector(tag="fake-near", side=side)
        made = scaled(crops="scaled")
        faces = Faces(
            detectors=(FakeDetector(side=256),),
            closer=CloserLooks(detectors=(near,), borders=(0.5,)),
        )
        made = made.model_copy(update={"look": made.look.model_copy(update={"faces": faces})})
        decodes.clear()
        result = run(tmp_path / "raw", tmp_path / f"{side}", recipe=made)
        assert result.progress.calls["fake-near"] == 2
        found[side] = boxes(tmp_path / f"{side}")
        assert decodes == ({2: 1} if side == 64 else {2: 1, 1: 1})
    assert np.abs(found[64] - found[256]).max() <= 2


def test_a_broken_picture_stays_one_with_its_own_reason(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 9, (1030, 770, 3))
    pixels = (cv2.resize(scene(), (770, 1030)) + noise).clip(0, 255).astype(np.uint8)
    sound = saved(Image.fromarray(pixels), quality=92)
    made = {
        "mask1": sound[: len(sound) // 2],
        "mask2": zeroed(sound),
        "mask3": bit_flipped(sound),
        "mask4": sound[:-1],
        "mask5": saved(Image.new("RGB", (1030, 770), (9, 9, 9))),
        "normal": sound,
    }
    folder = tmp_path / "raw" / "000001_male_Asian_30"
    folder.mkdir(parents=True)
    for stem, data in made.items():
        (folder / f"{stem}.jpg").write_bytes(data)
    reasons = {}
    for look in ("full", "scaled"):
        out = tmp_path / look
        run(tmp_path / "raw", out, recipe=scaled(look))  # type: ignore[arg-type]  # both are
        reasons[look] = {row["name"]: (row["status"], row["reason"]) for row in rows(out)}
    assert reasons["full"] == reasons["scaled"]
    assert [reasons["scaled"][f"mask{number}"][1] for number in range(1, 6)] == [
        "truncated", "corrupt", "corrupt", "truncated", "blank",
    ]  # fmt: skip
