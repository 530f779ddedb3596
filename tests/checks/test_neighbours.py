"""Which hashes are near each other."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecrop.checks.neighbours import near_hashes
from facecrop.checks.orders import FOLLOWING, ORDERS, order_of
from facecrop.labels.groups import MIRRORED

MANY = 1 << 20


def near(hashes: Any, radius: int, *, mirror: bool = False, persons: Any = None) -> Any:
    everybody = np.arange(len(hashes)) if persons is None else persons
    found = near_hashes(hashes, everybody, radius, most=MANY)
    assert all(one.radius == radius for one in found)
    return found[mirror].pairs


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
    hashes = clustered(FOLLOWING + 1, 3)
    assert near(hashes, 15).tolist() == all_pairs(hashes, 15)


@pytest.mark.parametrize("together", [1, 50])
@pytest.mark.parametrize("few", [0, 1000])
def test_what_is_done_in_parts_gives_what_the_whole_gives(
    few: int, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facecrop.checks.neighbours.FEW", few)
    hashes = clustered(200, 4)
    whole = near(hashes, 13)
    monkeypatch.setattr("facecrop.checks.neighbours.TOGETHER", together)
    monkeypatch.setattr("facecrop.checks.nearest.TOGETHER", together)
    for module in ("neighbours", "orders"):
        monkeypatch.setattr(f"facecrop.checks.{module}.AT_ONCE", 7)
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
    monkeypatch.setattr("facecrop.checks.nearest.TOGETHER", 100)
    hashes = np.repeat(clustered(300, 6, mirrored=True), 2)
    every = np.arange(600)
    whole = near(hashes, 14, mirror=mirror)
    equal = 0 if mirror else 300
    most = (len(whole) - equal) // 2
    pairs, radius = near_hashes(hashes, every, 14, most=most)[mirror]
    apart = np.bitwise_count(
        hashes[whole[:, 0]] ^ hashes[whole[:, 1]] ^ (MIRRORED if mirror else np.uint64(0))
    )
    assert 0 < radius < 14
    assert np.array_equal(pairs, whole[apart <= radius])
    assert (apart <= radius + 1).sum() - equal > most


@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_all_equal_hashes_are_all_near(count: int) -> None:
    found = near(np.full(count, 5, np.uint64), 4)
    assert found.tolist() == [[a, b] for a in range(count) for b in range(a + 1, count)]


def test_an_order_holds_every_hash_once_shuffled_and_perhaps_turned_over() -> None:
    hashes = clustered(300, 7)
    order = order_of(hashes, np.random.default_rng(1))
    assert sorted((order.places >> 1).tolist()) == list(range(300))
    leading = order.keys >> np.uint64(32)
    assert (leading[1:] >= leading[:-1]).all()
    one, two = order.places[:-1], order.places[1:]
    turned = np.where(((one ^ two) & 1).astype(bool), MIRRORED, np.uint64(0))
    apart = np.bitwise_count(order.keys[:-1] ^ order.keys[1:])
    assert np.array_equal(apart, np.bitwise_count(hashes[one >> 1] ^ hashes[two >> 1] ^ turned))
    assert 50 < (order.places & 1).sum() < 250


def test_a_long_search_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facecrop.checks.neighbours.FEW", 0)
    told: list[tuple[int, int]] = []
    near_hashes(
        clustered(500, 8), np.arange(500), 14, most=MANY, report=lambda *done: told.append(done)
    )
    total = told[-1][0]
    assert 8 < total <= ORDERS
    assert told == [(number + 1, total) for number in range(total)]


@pytest.mark.parametrize("mirror", [False, True])
def test_fewer_orders_find_what_is_next_to_equal(
    monkeypatch: pytest.MonkeyPatch, *, mirror: bool
) -> None:
    monkeypatch.setattr("facecrop.checks.neighbours.FEW", 0)
    some = np.random.default_rng(9).integers(0, 1 << 64, 2000, dtype=np.uint64)
    flip = MIRRORED if mirror else np.uint64(0)
    hashes = np.concatenate([some, some[:500] ^ flip, some[500:900] ^ flip ^ np.uint64(1 << 40)])
    told: list[int] = []
    everybody = np.arange(len(hashes))
    for radius, wanted in ((0, 500), (1, 900)):
        found = near_hashes(
            hashes, everybody, radius, most=MANY, report=lambda done, _: told.append(done)
        )
        assert len(found[mirror].pairs) == wanted
    assert told == [*range(1, 9)] * 2
