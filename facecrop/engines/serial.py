"""The serial engine: all work in this process, task after task; for tests and debuggers."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from facecrop.engines.work import Task, Work


class SerialEngine:
    """Runs tasks here and now; a picture that crashes its decoder takes this process along."""

    def map(self, make: Callable[[], Work], tasks: Iterable[Task]) -> Iterator[Any]:
        """Yield the result of every part of every task, in order."""
        work = make()
        try:
            for task in tasks:
                for _, result in work.run(task, _Unmarked()):
                    yield result
        finally:
            work.close()


class _Unmarked:
    stopping = False

    def at(self, part: int, picture: int) -> None:
        """Note nothing: whoever dies here cannot be asked."""
