"""Which hashes are near each other."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecrop.checks.neighbours import near_hashes
from facecrop.labels.groups import MIRRORED

MANY = 1 << 20


def near(hashes: Any, radius: int, *, mirror: bool = False, persons: Any = None) -> Any:
    everybody = np.arange(len(hashes)) if persons is None else persons
    pairs, within = near_hashes(hashes, everybody, radius, mirror=mirror, most=MANY)
    assert within == radius
    return pairs


def all_pairs(hashes: Any, radius: int, *, mirror: bool = False) -> list[list[int]]:
    apart = np.bitwise_count(hashes[:, None] ^ hashes ^ (MIRRORED if mirror else np.uint64(0)))
    found: list[list[int]] = np.argwhere(np.triu(apart <= radius, 1)).tolist()
    return found


def clustered(count: int, seed: int, *, mirrored: bool = False) -> Any:
    """Return hashes of which many lie near another, some of them mirrored, and some are equal."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 1 << 64, max(count // 4, 1), dtype=np.uint64)[
        rng.integers(0, max(count // 4, 1), count)
    ]
    for _ in range(8):
        hashes ^= np.where(rng.random(count) < 0.5, 1, 0).astype(np.uint64) << rng.integers(
            0, 64, count, dtype=np.uint64
        )
    if mirrored:
        hashes ^= np.where(rng.random(count) < 0.5, MIRRORED, np.uint64(0))
    return hashes


SEEDS = st.integers(0, 2**32 - 1)


@given(
    seed=SEEDS,
    count=st.integers(0, 40),
    radius=st.integers(0, 15),
    random=st.booleans(),
    mirror=st.booleans(),
)
def test_of_few_hashes_all_near_ones_are_found(
    seed: int, count: int, radius: int, *, random: bool, mirror: bool
) -> None:
    hashes = clustered(count, seed, mirrored=mirror)
    if random:
        hashes = np.random.default_rng(seed).integers(0, 1 << 64, count, dtype=np.uint64)
    assert near(hashes, radius, mirror=mirror).tolist() == all_pairs(hashes, radius, mirror=mirror)


@pytest.mark.parametrize("piece", [1, 100])
def test_all_are_compared_whatever_number_of_comparisons_is_made_at_once(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facecrop.checks.neighbours._PIECE", piece)
    hashes = clustered(60, 1)
    assert near(hashes, 10).tolist() == all_pairs(hashes, 10)


@pytest.mark.parametrize("mirror", [False, True])
def test_of_many_hashes_what_is_found_is_near_and_nearly_all_that_is(
    monkeypatch: pytest.MonkeyPatch, *, mirror: bool
) -> None:
    monkeypatch.setattr("facecrop.checks.neighbours.FEW", 0)
    hashes = clustered(1500, 2, mirrored=True)
    found = set(map(tuple, near(hashes, 12, mirror=mirror).tolist()))
    wanted = set(map(tuple, all_pairs(hashes, 12, mirror=mirror)))
    assert len(wanted) > 1000
    assert found <= wanted
    assert len(found) > 0.99 * len(wanted)


def test_hashes_that_fit_one_window_are_all_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facecrop.checks.neighbours.FEW", 0)
    hashes = clustered(30, 3)
    assert near(hashes, 15).tolist() == all_pairs(hashes, 15)


@pytest.mark.parametrize("together", [1, 50])
@pytest.mark.parametrize("few", [0, 1000])
def test_what_is_done_in_parts_gives_what_the_whole_gives(
    few: int, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facecrop.checks.neighbours.FEW", few)
    hashes = clustered(200, 4)
    whole = near(hashes, 13)
    monkeypatch.setattr("facecrop.checks.neighbours._TOGETHER", together)
    monkeypatch.setattr("facecrop.checks.neighbours._COLUMNS", 7)
    assert len(whole) > 100
    assert np.array_equal(near(hashes, 13), whole)


@pytest.mark.parametrize("few", [0, 1000])
def test_the_order_of_the_rows_does_not_matter(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facecrop.checks.neighbours.FEW", few)
    hashes = clustered(500, 5)
    order = np.random.default_rng(0).permutation(500)
    pairs = np.sort(order[near(hashes[order], 12)], axis=1)
    assert sorted(pairs.tolist()) == near(hashes, 12).tolist()


def test_pairs_of_one_person_are_not_sought() -> None:
    hashes = np.array([5, 5, 7, 7, 4], np.uint64)
    persons = np.array([0, 0, 0, 1, 1])
    assert near(hashes, 2, persons=persons).tolist() == [
        [0, 3],
        [0, 4],
        [1, 3],
        [1, 4],
        [2, 3],
        [2, 4],
    ]


@pytest.mark.parametrize("few", [0, 1000])
@pytest.mark.parametrize("mirror", [False, True])
def test_where_there_are_more_than_wanted_the_nearest_are_kept(
    few: int, monkeypatch: pytest.MonkeyPatch, *, mirror: bool
) -> None:
    monkeypatch.setattr("facecrop.checks.neighbours.FEW", few)
    monkeypatch.setattr("facecrop.checks.neighbours._TOGETHER", 100)
    hashes = np.repeat(clustered(300, 6, mirrored=True), 2)
    every = np.arange(600)
    whole = near(hashes, 14, mirror=mirror)
    equal = 0 if mirror else 300
    pairs, radius = near_hashes(hashes, every, 14, mirror=mirror, most=(len(whole) - equal) // 2)
    apart = np.bitwise_count(
        hashes[whole[:, 0]] ^ hashes[whole[:, 1]] ^ (MIRRORED if mirror else np.uint64(0))
    )
    assert 0 < radius < 14
    assert np.array_equal(pairs, whole[apart <= radius])
    assert (apart <= radius + 1).sum() - equal > (len(whole) - equal) // 2


@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_all_equal_hashes_are_all_near(count: int) -> None:
    found = near(np.full(count, 5, np.uint64), 4)
    assert found.tolist() == [[a, b] for a in range(count) for b in range(a + 1, count)]
