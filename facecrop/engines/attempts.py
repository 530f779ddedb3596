"""Tasks on their way over machines that may be lost with all they have in hand."""

from dataclasses import dataclass, replace

from facecrop.engines.work import Task
from facecrop.errors import WorkerError

_LIVES = 2
"""Actors that a part may lose alone before its pictures are suspected, and again before the end."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A task, and how many actors were lost over it since it is alone."""

    task: Task
    lost: int = 0


def apart(attempt: Attempt) -> list[Attempt]:
    """Return what is left of a task whose actor was lost, each part alone.

    Raises:
        WorkerError: All pictures of its only part were suspects already.
    """
    task = attempt.task
    if len(task.parts) > 1:
        return [
            Attempt(Task([part], (blamed,) if blamed else (), task.hung))
            for _, part, blamed in task.each()
        ]
    if attempt.lost + 1 < _LIVES:
        return [replace(attempt, lost=attempt.lost + 1)]
    [(_, part, blamed)] = task.each()
    every = frozenset(range(len(part)))
    if blamed >= every:
        raise WorkerError(
            "actors on the Ray cluster die whatever they are given; if their machines run out of "
            "memory, use fewer workers (`ray logs` says why)"
        )
    return [Attempt(Task(task.parts, (every,)))]
