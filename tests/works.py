"""Work for engines that does what its pictures say; importable by spawned workers."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from facecrop.engines.work import Marker, Task
from facecrop.errors import DeviceError, StoreError


class UnpicklableError(Exception):
    """An error that cannot be made again from its arguments."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


def an_error(kind: str) -> Exception:
    """Return a bug, a mistake of the user's, or an error that cannot travel to another process."""
    if kind == "user":
        return DeviceError("the fake device is not there; plug it in")
    if kind == "unpicklable":
        return UnpicklableError("cannot", "travel")
    return ZeroDivisionError("a bug in a fake")


class Obedient:
    """Yields what became of each part: a tuple with an answer for each picture.

    Pictures are texts, `kind` or `kind:argument`; what is no kind is its own answer.

    Args:
        folder: Where it leaves a file for each worker that was closed.
        broken: Name of a kind that happens when the work is made or closed: `make`, `close`.
    """

    def __init__(self, folder: Path, broken: str = "") -> None:
        if broken == "make":
            os.kill(os.getpid(), signal.SIGKILL)
        self.folder, self.broken = folder, broken

    def run(self, task: Task, marker: Marker) -> Iterator[tuple[int, tuple[Any, ...]]]:
        for part, pictures, blamed in task.each():
            answers = []
            for number, picture in enumerate(pictures):
                if marker.stopping:
                    return
                marker.at(part, number)
                answers.append("suspect" if number in blamed else self.answer(picture))
            if any(p == "die-later" and n not in blamed for n, p in enumerate(pictures)):
                os.kill(os.getpid(), signal.SIGKILL)
            yield part, tuple(answers)

    def answer(self, picture: str) -> Any:
        kind, _, argument = picture.partition(":")
        if kind == "die" or (kind == "die-once" and not _marked(Path(argument))):
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "orphan" or (kind == "orphan-once" and not _marked(Path(argument))):
            os.kill(os.getppid(), signal.SIGKILL)  # as when its machine is lost
            time.sleep(600)
        if kind == "die-soon":
            threading.Timer(float(argument), os._exit, (3,)).start()
        if kind in ("sleep", "die-soon"):
            time.sleep(float(argument) if kind == "sleep" else 0)
        if kind in ("bug", "user", "unpicklable"):
            raise an_error(kind)
        if kind == "pid":
            return os.getpid()
        if kind == "surroundings":
            blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
            return os.environ.get("OMP_NUM_THREADS"), signal.getsignal(signal.SIGINT), blocked
        return picture

    def close(self) -> None:
        if self.broken == "close":
            raise StoreError("the disk is full; make room")
        (self.folder / f"closed-{os.getpid()}").touch()


def _marked(file: Path) -> bool:
    """Tell whether this was asked before."""
    if file.exists():
        return True
    file.touch()
    return False


def assert_tasks_are_asked_for_one_by_one(
    start: Callable[[Iterable[Task]], Iterator[Any]],
) -> None:
    """Whatever the engine: a task is asked for when its one worker is free, and not before.

    Args:
        start: Gives tasks to an engine with one worker, whose work is `Obedient`.
    """
    asked: list[int] = []

    def tasks() -> Iterator[Task]:
        for number in range(10):
            asked.append(number)
            yield Task([[f"{number}"]])

    run = start(tasks())
    assert next(run) == ("0",)
    assert asked == [0]
    assert [next(run), next(run)] == [("1",), ("2",)]
    assert asked == [0, 1, 2]
    run.close()


def answered(picture: str) -> Any:
    """Do what a picture says, as `Obedient` does."""
    return Obedient(Path()).answer(picture)
