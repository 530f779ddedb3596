"""One function for each of many pictures: the same values, whoever calls it."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from works import answered

from facecrop.engines.each import Calls, Each, InThreads, InWorkers
from facecrop.engines.local import LocalEngine, Pool
from facecrop.errors import DeviceError


def pool() -> AbstractContextManager[Pool]:
    """Two workers of this machine that call what they are given."""
    return LocalEngine(workers=2).crew(Calls)


@pytest.fixture(params=["threads", "workers"])
def each(request: pytest.FixtureRequest) -> Iterator[Each]:
    if request.param == "threads":
        yield InThreads()
        return
    with InWorkers(pool) as workers:
        yield workers


def test_every_item_gets_its_value_whatever_was_asked_before(each: Each) -> None:
    for count in (0, 1, 40):
        items = [f"{number}" for number in range(count)]
        assert sorted(each.map(answered, items)) == list(enumerate(items))


def test_errors_come_as_they_are(each: Each) -> None:
    with pytest.raises(DeviceError, match=r"^the fake device is not there; plug it in$"):
        list(each.map(answered, ["a", "user"]))


def test_what_kills_its_worker_has_no_value_and_the_others_have_theirs(tmp_path: Path) -> None:
    accident = f"die-once:{tmp_path / 'died'}"
    with InWorkers(pool) as workers:
        found = dict(workers.map(answered, ["a", accident, "b", "die", *"cdefghijklmnopqrstu"]))
        again = dict(workers.map(answered, ["pid"]))
    assert (found[1], found[3]) == (accident, None)
    assert [found[number] for number in (0, 2, *range(4, 23))] == list("abcdefghijklmnopqrstu")
    assert again[0] != os.getpid()


def test_workers_start_with_the_first_item_alone() -> None:
    started: list[bool] = []

    @contextmanager
    def start() -> Iterator[Pool]:
        started.append(True)
        with pool() as workers:
            yield workers

    with InWorkers(start) as workers:
        assert list(workers.map(answered, [])) == []
        assert not started
        assert [list(workers.map(answered, ["a"])) for _ in range(2)] == [[(0, "a")]] * 2
    assert started == [True]
