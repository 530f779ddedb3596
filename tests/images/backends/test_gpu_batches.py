import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from fakes import BrightFinder
from numpy.typing import NDArray

from facecrop.errors import DeviceError
from facecrop.images.backends import batches as module
from facecrop.images.backends.batches import Batches

torch = pytest.importorskip("torch", reason="torch is not installed")


class Small(BrightFinder):
    """A model on a device that holds so many pictures; says the first pixel of each."""

    def __init__(self, batch_size: int, room: int | None = None) -> None:
        super().__init__(level=1, landmarks=False)
        self.batch_size = batch_size  # type: ignore[misc]  # of this one alone
        self.room = batch_size if room is None else room
        self.tried: list[int] = []

    def infer(self, batch: NDArray[np.uint8]) -> Sequence[Any]:
        self.tried.append(len(batch))
        if len(batch) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB")
        return [int(picture.flat[0]) for picture in batch]


class Gate(Small):
    """The same, but the first call waits until it is let through."""

    def __init__(self, batch_size: int) -> None:
        super().__init__(batch_size)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def infer(self, batch: NDArray[np.uint8]) -> Sequence[Any]:
        if not self.begun.is_set():
            self.begun.set()
            assert self.go_on.wait(20)
        return super().infer(batch)


class Poisoned(Gate):
    """The same, but some pictures are too much for it."""

    def infer(self, batch: NDArray[np.uint8]) -> Sequence[Any]:
        if (batch == 66).any():
            raise ZeroDivisionError
        return super().infer(batch)


def pictures(first: int, count: int, side: int = 4) -> NDArray[np.uint8]:
    found = np.zeros((count, side, side, 3), np.uint8)
    found[:, 0, 0, 0] = range(first, first + count)
    return found


def run(model: Small) -> Batches:
    return Batches(model, "small", "cuda:0")


def side_by_side(*calls: Callable[[], Any]) -> list[Any]:
    """Return what calls that are made at the same time return or raise."""
    found: list[Any] = [None] * len(calls)

    def call(number: int) -> None:
        try:
            found[number] = calls[number]()
        except Exception as error:  # noqa: BLE001 - looked at by the test
            found[number] = error

    threads = [threading.Thread(target=call, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.fixture
def one_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one thread do the work, so that what waits behind a slow call is certain."""
    monkeypatch.setattr(module, "_LANES", 1)


def behind(model: Gate, batches: Batches, *waiting: NDArray[np.uint8]) -> list[Any]:
    """Return the answers to requests that queued up behind a slow one, whose answer is first."""

    def let_go() -> None:
        while len(batches._waiting) < len(waiting):  # noqa: SLF001 - nothing else tells
            assert not model.go_on.wait(0.005)
        model.go_on.set()

    def later(one: NDArray[np.uint8]) -> Callable[[], Any]:
        def call() -> Any:
            assert model.begun.wait(20)
            return batches.infer(one)

        return call

    first = pictures(0, 1)
    answers = side_by_side(lambda: batches.infer(first), *map(later, waiting), let_go)
    return answers[:-1]


def test_more_than_a_batch_is_cut_into_batches() -> None:
    model = Small(batch_size=4)
    assert run(model).infer(pictures(10, 10)) == list(range(10, 20))
    assert model.tried == [4, 4, 2]


@pytest.mark.usefixtures("one_lane")
def test_what_waits_while_the_device_works_makes_one_batch() -> None:
    model = Gate(batch_size=8)
    batches = run(model)
    waiting = [pictures(10 * number, 2) for number in range(1, 6)]
    answers = behind(model, batches, *waiting)
    assert answers == [[0], *([10 * number, 10 * number + 1] for number in range(1, 6))]
    assert model.tried == [1, 8, 2]


@pytest.mark.usefixtures("one_lane")
def test_pictures_of_other_sizes_go_alone() -> None:
    model = Gate(batch_size=8)
    batches = run(model)
    waiting = [pictures(10 * number, 1, side=3 + number % 2) for number in range(1, 6)]
    answers = behind(model, batches, *waiting)
    assert answers == [[0], *([10 * number] for number in range(1, 6))]
    assert sorted(model.tried) == [1, 2, 3]


def test_too_little_memory_halves_the_batch_and_is_remembered() -> None:
    model = Small(batch_size=32, room=7)
    batches = run(model)
    assert batches.infer(pictures(0, 40)) == list(range(40))
    assert model.tried == [32, 16, 8, *[4] * 10]
    assert batches.limit == 4
    model.tried.clear()
    assert batches.infer(pictures(0, 9)) == list(range(9))
    assert model.tried == [4, 4, 1]


def test_a_smaller_request_that_fails_lowers_the_limit_below_itself() -> None:
    model = Small(batch_size=32, room=2)
    batches = run(model)
    assert batches.infer(pictures(0, 7)) == list(range(7))
    assert batches.limit == 1
    assert model.tried[:3] == [7, 3, 1]


def test_no_room_for_a_single_picture_is_an_error_with_a_cure() -> None:
    batches = run(Small(batch_size=4, room=0))
    for _ in range(2):
        with pytest.raises(DeviceError, match="the memory of cuda:0 does not suffice for one pict"):
            batches.infer(pictures(0, 4))


@pytest.mark.usefixtures("one_lane")
def test_an_error_reaches_only_whoever_asked_for_it() -> None:
    model = Poisoned(batch_size=16)
    waiting = [pictures(10, 2), pictures(20, 2), pictures(66, 1), pictures(30, 2)]
    answers = behind(model, run(model), *waiting)
    assert isinstance(answers[3], ZeroDivisionError)
    assert [answers[number] for number in (0, 1, 2, 4)] == [[0], [10, 11], [20, 21], [30, 31]]


def test_many_callers_get_each_their_own() -> None:
    batches = run(Small(batch_size=8, room=5))

    def ask(number: int) -> Callable[[], Any]:
        return lambda: [batches.infer(pictures(number, 1 + number % 7)) for _ in range(20)]

    answers = side_by_side(*(ask(number) for number in range(12)))
    for number, answer in enumerate(answers):
        assert answer == [list(range(number, number + 1 + number % 7))] * 20


def test_what_is_no_lack_of_memory_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module._out_of_memory(torch.OutOfMemoryError())  # noqa: SLF001 - what the rest relies on
    assert not module._out_of_memory(RuntimeError("out of memory"))  # noqa: SLF001 - likewise
    monkeypatch.setitem(module.sys.modules, "torch", None)
    assert not module._out_of_memory(MemoryError())  # noqa: SLF001 - likewise
