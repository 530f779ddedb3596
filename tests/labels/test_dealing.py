"""Dealing profiles to shards: each to one, evenly, and in the same way for ever."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from facecrop.labels.shards import Shard


@given(st.text(max_size=30), st.integers(1, 1000))
def test_every_profile_is_in_one_shard_however_its_name_is_written(name: str, count: int) -> None:
    mine = Shard.of(name, count)
    assert 1 <= mine.number <= mine.count == count
    assert mine.holds(unicodedata.normalize("NFD", name))
    assert mine.holds(unicodedata.normalize("NFC", name))


def test_profiles_are_dealt_evenly_and_as_in_all_versions_before() -> None:
    names = [f"{person:06d}_female_Asian_{person % 60}" for person in range(8000)]
    sizes = [sum(Shard(number, 8).holds(name) for name in names) for number in range(1, 9)]
    assert sum(sizes) == 8000
    assert max(sizes) - min(sizes) < 200, "the spread that chance allows"
    assert [Shard.of(name, 8).number for name in names[:8]] == [8, 5, 5, 2, 8, 4, 6, 1]


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_shard_is_read_as_it_is_written(number: int, count: int) -> None:
    shard = Shard(min(number, count), max(number, count))
    assert Shard.parse(str(shard)) == Shard.parse(shard.folder) == shard
