"""A worker process that is fed from afar: what an actor of the Ray engine holds."""

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from facecrop.engines.local import LocalEngine, Pool
from facecrop.engines.work import Task, Work
from facecrop.engines.worker import portable


class Cell:
    """One CPU of a cluster, with the worker process on it; lives in an actor.

    Args:
        engine: How the worker lives.
        make: Makes the work.
    """

    def __init__(self, engine: LocalEngine, make: Callable[[], Work]) -> None:
        # What a spawned process takes for its main program would import all of Ray there.
        sys.modules["__main__"].__file__ = None
        self._pool = Pool(engine, make)
        self._busy = threading.Lock()

    def ready(self) -> None:
        """Answer: there is a CPU for it."""

    def run(self, task: Task) -> tuple[list[Any], Exception | None]:
        """Return the result of every part of a task, or what the work raised."""
        with self._busy:
            return _caught(self._pool.run([task]))

    def finish(self) -> tuple[list[Any], Exception | None]:
        """Let the worker write what it still has in memory, and end."""
        with self._busy:
            return _caught(self._pool.finish())

    def stop(self) -> None:
        """End the worker as soon as what it has in hand is whole; may be called meanwhile."""
        self._pool.stop()
        with self._busy:
            self._pool.close()


def _caught(results: Iterator[Any]) -> tuple[list[Any], Exception | None]:
    done: list[Any] = []
    try:
        done.extend(results)
    except Exception as error:  # noqa: BLE001 - carried to the driver, which raises it
        return done, portable(error)
    return done, None
