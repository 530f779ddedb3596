"""One function for each of many pictures: in threads here, or in the workers of a cluster."""

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, Self, TypeVar

from facecrop.engines.cores import usable_cores
from facecrop.engines.work import Marker, Task

_AT_ONCE = 256
"""Pictures that threads are given together: an interruption waits for these."""
_TOGETHER = 16
"""Pictures of a task: enough that handing it out costs little, few enough to share them out."""

T = TypeVar("T")
R = TypeVar("R")


class Each(Protocol):
    """Who calls the function."""

    def map(
        self, function: Callable[[T], R], items: Sequence[T], /
    ) -> Iterator[tuple[int, R | None]]:
        """Yield the number of each item with its value, as they are done.

        Args:
            function: Must be picklable, and importable by others.
            items: Likewise picklable.

        Yields:
            None in place of the value of what kills its worker whenever it is opened.
        """


class InThreads:
    """Calls it in threads of this process: for what lets go of the interpreter's lock."""

    def map(
        self, function: Callable[[T], R], items: Sequence[T], /
    ) -> Iterator[tuple[int, R | None]]:
        """Yield the number of each item with its value, in order."""
        with ThreadPoolExecutor(len(usable_cores())) as threads:
            for start in range(0, len(items), _AT_ONCE):
                values = threads.map(function, items[start : start + _AT_ONCE])
                yield from enumerate(values, start)


class Runs(Protocol):
    """Workers that are ready for more tasks."""

    def run(self, tasks: Iterable[Task], /) -> Iterator[Any]:
        """Yield the result of every part of every task, as they are done."""


@dataclass(frozen=True, slots=True)
class _Call:
    """What is called with what, pickled: who only hands it on imports nothing for it."""

    number: int
    function: bytes
    item: bytes


class Calls:
    """The work of a worker: calls what it is given."""

    def run(self, task: Task, marker: Marker) -> Iterator[tuple[int, list[tuple[int, Any]]]]:
        """Yield (number of the part, its items' numbers and values)."""
        for part, calls, blamed in task.each():
            found = []
            for place, call in enumerate(calls):
                if marker.stopping:
                    return
                marker.at(part, place)
                value = None
                if place not in blamed:
                    value = _function(call.function)(pickle.loads(call.item))  # noqa: S301 - ours
                found.append((call.number, value))
            yield part, found

    def close(self) -> None:
        """Write nothing: all that was found is with whoever asked."""


class InWorkers:
    """Calls it in worker processes, which start when the first item comes, and serve all calls.

    Args:
        start: Starts workers whose work is `Calls`, and ends them.
    """

    def __init__(self, start: Callable[[], AbstractContextManager[Runs]]) -> None:
        self._start, self._stack = start, ExitStack()
        self._crew: Runs | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def map(
        self, function: Callable[[T], R], items: Sequence[T], /
    ) -> Iterator[tuple[int, R | None]]:
        """Yield the number of each item with its value, as they are done."""
        if not items:
            return
        if self._crew is None:
            self._crew = self._stack.enter_context(self._start())
        for found in self._crew.run(_tasks(function, items)):
            yield from found


def _tasks(function: Callable[[T], R], items: Sequence[T]) -> Iterator[Task]:
    pickled = pickle.dumps(function)
    for start in range(0, len(items), _TOGETHER):
        part = enumerate(items[start : start + _TOGETHER], start)
        yield Task([[_Call(number, pickled, pickle.dumps(item)) for number, item in part]])


@lru_cache(maxsize=4)
def _function(pickled: bytes) -> Callable[[Any], Any]:
    """Return the same function for the same bytes, with what it has in memory."""
    function: Callable[[Any], Any] = pickle.loads(pickled)  # noqa: S301 - ours
    return function
