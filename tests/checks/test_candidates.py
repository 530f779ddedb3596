"""Which pairs of pictures are worth a proof."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made_datasets import texture

from facecrop.checks.candidates import (
    Sketches,
    candidate_pairs,
    heads,
    sketched,
)
from facecrop.checks.proof import Small, prepare
from facecrop.checks.sketches import alike, sketch
from facecrop.images.codec import decode, encode
from facecrop.labels.groups import MIRRORED, Groups

SIDE = 200
CHANGES: dict[str, Callable[[Any], Any]] = {
    "compressed": lambda image: decode(encode(image, "jpg", 30)).image,
    "half-size": lambda image: cv2.resize(
        image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA
    ),
    "border-of-4%": lambda image: image[8:-8, 8:-8],
    "one-corner": lambda image: image[:-8, 8:],
    "brighter": lambda image: np.clip(image * 0.7 + 70.0, 0, 255).astype(np.uint8),
}


def random_hashes(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 1 << 64, count, dtype=np.uint64)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_a_photograph_that_was_changed_a_little_has_a_like_sketch(
    change: str, *, mirror: bool
) -> None:
    for seed in range(4):
        image = texture(seed, SIDE, SIDE)
        changed = CHANGES[change](image)
        if mirror:
            changed = np.ascontiguousarray(changed[:, ::-1])
        one, other = sketch(prepare(image)), sketch(prepare(changed))
        assert alike(one, other[None], mirror=mirror)[0] > 0.88
        assert alike(one, other[None], mirror=not mirror)[0] < 0.88


def test_different_pictures_have_unlike_sketches() -> None:
    sketches = np.array([sketch(prepare(texture(seed, SIDE, SIDE))) for seed in range(12)])
    found = [alike(one, np.delete(sketches, k, axis=0)) for k, one in enumerate(sketches)]
    assert np.max(found) < 0.88


def test_a_flat_picture_is_like_nothing() -> None:
    flat = sketch(np.full((96, 96), 128, np.uint8))
    other = sketch(prepare(texture(1, SIDE, SIDE)))
    assert alike(flat, np.array([flat, other])).tolist() == [0, 0]


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("radius", [0, 3, 8])
def test_candidates_are_near_hashes_of_different_persons(radius: int, *, mirror: bool) -> None:
    flip = MIRRORED if mirror else np.uint64(0)
    some = random_hashes(40)
    hashes = np.concatenate([some, some[:20] ^ np.uint64(0b1011) ^ flip, some[:10] ^ flip])
    rows, persons = 2 * np.arange(len(hashes)), np.arange(2 * len(hashes)) // 4
    apart = np.bitwise_count(hashes[:, None] ^ hashes ^ flip)
    one, two = np.nonzero(np.triu(apart <= radius, k=1))
    wanted = [(2 * a, 2 * b) for a, b in zip(one, two, strict=True) if a // 2 != b // 2]
    found, within = candidate_pairs(hashes, rows, persons, radius)[mirror]
    assert [tuple(pair) for pair in found.tolist()] == wanted
    assert within == radius


def test_a_heap_of_equal_hashes_makes_no_square_of_pairs_and_still_hangs_together() -> None:
    hashes = np.full(2000, 5, np.uint64)
    rows = np.arange(2000)
    found = candidate_pairs(hashes, rows, rows, 14)[0].pairs
    assert len(found) <= 64 * 2000
    groups = Groups(2000)
    for one, two in found.tolist():
        groups.join(one, two)
    assert groups.names().max() == 0
    assert heads(hashes).sum() == 64


def test_pictures_of_diverse_hashes_get_the_radius_that_is_asked_for() -> None:
    hashes = random_hashes(5000)
    for some in (hashes, hashes[:0]):
        rows = np.arange(len(some))
        assert [one.radius for one in candidate_pairs(some, rows, rows, 14)] == [14, 14]


@pytest.mark.parametrize("few", [0, 1 << 15])
def test_pictures_that_look_alike_get_a_smaller_radius_that_bounds_the_work(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facecrop.checks.neighbours.FEW", few)
    monkeypatch.setattr("facecrop.checks.candidates.MOST_EACH", 8)
    count = 3000
    bits = np.random.default_rng(0).random((count, 64)) < 0.1  # 11 bits apart, on average
    hashes = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
    persons = np.arange(count)
    pairs, radius = candidate_pairs(hashes, persons, persons, 14)[0]
    apart = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]])
    assert 0 < radius < 14
    assert apart.max() <= radius
    assert 0 < (apart > 0).sum() <= 8 * count
    same_person = np.zeros(count, np.int64)
    assert candidate_pairs(hashes, persons, same_person, 14)[0].radius == 14


@pytest.mark.parametrize("together", [2, 1 << 18])
@pytest.mark.parametrize("in_memory", [2, 1 << 21])
def test_a_sketch_is_made_once_and_kept(
    together: int, in_memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facecrop.checks.candidates._MADE_TOGETHER", together)
    monkeypatch.setattr("facecrop.checks.candidates._IN_MEMORY", in_memory)
    pictures: dict[int, Small] = {row: prepare(texture(row // 2, 80, 80)) for row in range(5)}
    asked: list[int] = []

    def draw(rows: Sequence[int]) -> Iterator[tuple[int, str | None]]:
        asked.extend(rows)
        return ((place, sketched(pictures.get(row))) for place, row in enumerate(rows))

    digests = [bytes([row // 2]) * 32 for row in range(4)] + [None, b"x" * 32]
    pairs = np.array([(0, 1), (0, 2), (1, 4), (2, 3), (2, 5)], np.int32)
    for _ in range(2):
        sketches = Sketches(tmp_path, digests, draw)
        assert sketches.promising(pairs, mirror=False).tolist() == [[0, 1], [2, 3]]
        assert sketches.missing() == 1
    # Rows of one content once; what has no digest, or no picture, each time.
    assert sorted(asked) == [0, 2, 4, 4, 5, 5]
