"""What an engine needs to know of the work it runs, and what it hands back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of work: profiles that a worker handles together.

    Args:
        parts: One for each profile, a sequence of its pictures.
        suspects: For each part, numbers of pictures that killed a worker before; they are not
            opened again.
        hung: Whether what made the last suspect was silence, not death.
    """

    parts: Sequence[Sequence[Any]]
    suspects: tuple[frozenset[int], ...] = ()
    hung: bool = False

    def each(self) -> Iterator[tuple[int, Sequence[Any], frozenset[int]]]:
        """Yield the number of each part, its pictures, and which of them are suspects."""
        suspects = self.suspects or (frozenset[int](),) * len(self.parts)
        for number, (part, blamed) in enumerate(zip(self.parts, suspects, strict=True)):
            yield number, part, blamed


class Marker(Protocol):
    """Where a worker notes what it is about to do, so that its death can be explained."""

    def at(self, part: int, picture: int) -> None:
        """Note the picture that is opened now."""

    @property
    def stopping(self) -> bool:
        """Whether to end as soon as what is in hand is whole."""


class Work(Protocol):
    """The work itself, living in one worker."""

    def run(self, task: Task, marker: Marker) -> Iterator[tuple[int, Any]]:
        """Yield (number of the part, its result) as each is done."""

    def close(self) -> None:
        """Write what is still in memory."""
