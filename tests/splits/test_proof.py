import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made_datasets import texture

from facecrop.checks.neighbours import near_hashes
from facecrop.checks.proof import agreement, prepare
from facecrop.images.codec import decode, encode
from facecrop.images.look.quality import perceptual_hash, quality
from facecrop.labels.groups import MIRRORED
from facecrop.labels.splits import SplitSettings

ENOUGH = SplitSettings().agreement

CHANGES: dict[str, Callable[[Any], Any]] = {
    "compressed": lambda image: decode(encode(image, "jpg", 30)).image,
    "half-size": lambda image: cv2.resize(
        image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA
    ),
    "border-cut-off": lambda image: image[8:-8, 8:-8],
    "corner-cut-off": lambda image: image[:-20, 20:],
    "brighter": lambda image: np.clip(image * 0.7 + 70.0, 0, 255).astype(np.uint8),
    "squeezed": lambda image: cv2.resize(image, (150, 200), interpolation=cv2.INTER_AREA),
    "turned": lambda image: cv2.warpAffine(
        image, cv2.getRotationMatrix2D((100, 100), 4, 1.1), (200, 200)
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_photograph_that_was_changed_a_little_agrees_with_itself(change: str) -> None:
    image = texture(1, 200, 200)
    assert agreement(prepare(image), prepare(CHANGES[change](image))) > ENOUGH


@pytest.mark.parametrize("change", CHANGES)
def test_it_does_not_matter_which_picture_comes_first(change: str) -> None:
    image = texture(1, 200, 200)
    one, other = prepare(image), prepare(CHANGES[change](image))
    assert agreement(one, other) == agreement(other, one)


def test_what_agrees_one_way_only_does_not_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (prepare(texture(seed, 200, 200)) for seed in (1, 2))
    monkeypatch.setattr(
        "facecrop.checks.proof._one_way", lambda first, _: 0.95 if first is one else 0.6
    )
    assert agreement(one, other) == agreement(other, one) == 0.6


def test_different_pictures_do_not_agree() -> None:
    pictures = [prepare(texture(seed, 200, 200)) for seed in range(12)]
    scores = [agreement(one, two) for i, one in enumerate(pictures) for two in pictures[:i]]
    assert max(scores) < ENOUGH / 2


def test_the_same_wall_behind_two_faces_is_no_proof() -> None:
    one, other = texture(1, 200, 200), texture(2, 200, 200)
    other = np.where(np.hypot(*np.mgrid[-100:100, -100:100])[..., None] > 70, one, other)
    assert agreement(prepare(one), prepare(other)) < ENOUGH


def test_nothing_can_be_proven_on_flat_pictures() -> None:
    flat = np.full((64, 64, 3), 200, np.uint8) - np.arange(64, dtype=np.uint8)[:, None]
    assert agreement(prepare(flat), prepare(flat)) == 0


def test_a_mirrored_picture_has_the_flipped_hash() -> None:
    for seed in range(8):
        gray = np.asarray(cv2.cvtColor(texture(seed, 256, 256), cv2.COLOR_RGB2GRAY), np.uint8)
        mirrored = perceptual_hash(np.ascontiguousarray(gray[:, ::-1]))
        assert (perceptual_hash(gray) ^ mirrored ^ int(MIRRORED)).bit_count() <= 10
        assert (perceptual_hash(gray) ^ mirrored).bit_count() > 20


@pytest.mark.skipif("FACECROP_EVAL" not in os.environ, reason="needs the evaluation pictures")
def test_aligned_faces_of_strangers_are_not_joined() -> None:
    folder = Path(os.environ["FACECROP_EVAL"]) / "eval" / "utkface"
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    images = [decode((folder / row["file"]).read_bytes()).image for row in rows]
    small = [prepare(image) for image in images if image is not None]
    hashes = np.array([quality(image).phash for image in images if image is not None], np.uint64)
    everybody = np.arange(len(hashes))
    pairs = near_hashes(hashes, everybody, SplitSettings().radius, most=1 << 20)[0].pairs
    scores = np.array([agreement(small[one], small[two]) for one, two in pairs])
    same = np.array([rows[one]["sha256"] == rows[two]["sha256"] for one, two in pairs])
    assert len(pairs) > 500
    assert scores[same] == pytest.approx(1)
    # Eleven pairs of other bytes are one photograph: looked at, one by one.
    assert ((scores > ENOUGH) & ~same).sum() <= 11
