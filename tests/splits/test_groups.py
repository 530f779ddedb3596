from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecrop.labels.groups import Groups, near_hashes, same_value_links

HASHES = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30)


def all_pairs(hashes: np.ndarray, radius: int, flip: int = 0) -> set[tuple[int, int]]:
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None] ^ np.uint64(flip))
    return set(
        zip(*(part.tolist() for part in np.nonzero(np.triu(distance <= radius, 1))), strict=True)
    )


@given(HASHES, st.integers(0, 15), st.randoms(use_true_random=False), st.sampled_from([0, 0x5555]))
def test_near_hashes_are_those_that_comparing_all_with_all_finds(
    seeds: Any, radius: int, random: Random, flip: int
) -> None:
    hashes = []
    for seed in seeds:  # with some that lie near another, or are the same
        for _ in range(random.randint(1, 3)):
            bits = random.sample(range(64), random.randint(0, 16))
            hashes.append(seed ^ sum(1 << bit for bit in bits))
    numbers = np.array(hashes, np.uint64)
    found = [tuple(pair) for part in near_hashes(numbers, radius, flip) for pair in part.tolist()]
    assert len(found) == len(set(found))
    assert set(found) == all_pairs(numbers, radius, flip)


def test_many_near_hashes_are_found_although_few_pairs_are_held_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("facecrop.labels.groups._PAIRS_AT_ONCE", 5)
    rng = np.random.default_rng(0)
    hashes = (rng.integers(0, 4, 40) | (rng.integers(0, 3, 40) << 50)).astype(np.uint64)
    found = {tuple(pair) for part in near_hashes(hashes, 3) for pair in part.tolist()}
    assert found == all_pairs(hashes, 3)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20), st.randoms())
def test_groups_do_not_depend_on_the_order_of_links(links: Any, random: Random) -> None:
    shuffled = [(b, a) for a, b in links]
    random.shuffle(shuffled)
    answers = []
    for some in (links, shuffled):
        groups = Groups(10)
        for first, second in some:
            groups.join(first, second)
        answers.append(groups.names().tolist())
    assert answers[0] == answers[1]
    assert all(answers[0][first] == answers[0][second] for first, second in links)


def test_same_bytes_link_people_but_not_pictures_of_one_person() -> None:
    values, persons = np.array([7, 7, 7, 3, 3, -1, -1]), np.array([0, 0, 2, 1, 1, 0, 1])
    assert same_value_links(values, persons) == [(0, 2)]


def test_no_hashes_have_no_neighbours() -> None:
    assert sum(map(len, near_hashes(np.zeros(0, np.uint64), 10))) == 0


@pytest.mark.parametrize("count", [1, 2, 300])
def test_all_equal_hashes_are_all_near(count: int) -> None:
    found = np.concatenate([np.zeros((0, 2), int), *near_hashes(np.full(count, 5, np.uint64), 4)])
    assert len(np.unique(found, axis=0)) == len(found) == count * (count - 1) // 2
