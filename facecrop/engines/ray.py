"""The Ray engine: the local engine's workers, one on each CPU of a cluster.

An actor holds one CPU and a pool of one worker process, which does the work exactly as under the
local engine: a picture that kills its worker kills no actor, is tried again there, and becomes a
row. Actors are spread over the machines, as many as the cluster has CPUs at that moment: machines
may come and go while a run lasts. What an actor had in hand when its machine was lost is given to
another; a part that takes its actor along again and again has all its pictures suspected, like one
that kills its workers. What is done the dataset knows by itself, so nothing is kept in Ray.

Why actors and not Ray Data: the unit of work is a whole profile, its results are a few rows, and
the crops are files. Ray Data moves blocks through operators, tries a block again as a whole, ends
the job at the first exception, and keeps the place of a dead actor in its pool (ray-project/ray
62746, 41258). All that it would give here is a queue; this one knows which picture was open.
"""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from facecrop.engines.attempts import Attempt, apart
from facecrop.engines.cell import Cell
from facecrop.engines.cluster import connected, lines  # before Ray: it says what to do without
from facecrop.engines.local import LocalEngine
from facecrop.engines.work import Task, Work
from facecrop.errors import WorkerError

# isort: split
import ray
from ray.exceptions import RayError, RayTaskError

_TICK_S = 2.0
"""How often to look whether the cluster has grown."""
_GRACE_S = 5.0
"""How long actors may take to end after an interruption; then they are killed."""
_STARTS = 8
"""Actors that may fail to start one after the other."""


@dataclass(slots=True)
class RayEngine:
    """Runs tasks in worker processes on all machines of a Ray cluster.

    Args:
        workers: How many processes; None for as many as the cluster has CPUs, now and later.
        address: Of the cluster (`auto`, `host:6379`); None for the one that this process is
            connected to or that RAY_ADDRESS names, else for a Ray of our own on this machine.
        timeout_s: As of the local engine.
        threads: As of the local engine.
        log: As of the local engine.
    """

    workers: int | None = None
    address: str | None = None
    timeout_s: float = 600.0
    threads: int = 1
    log: Path | None = None

    def map(self, make: Callable[[], Work], tasks: Iterable[Task]) -> Iterator[Any]:
        """Yield the result of every part of every task, in the order in which they are done.

        Args:
            make: Makes the work inside each worker; must be picklable, and importable there.
            tasks: May be a generator: it is asked for a task when a worker is free.

        Raises:
            Exception: Whatever the work raised: a bug, with the worker's traceback.
            ConfigError: The cluster cannot be reached.
            WorkerError: Workers cannot start there, or die whatever they are given.
        """
        tasks = iter(tasks)
        first = next(tasks, None)
        if first is None:
            return
        with self.crew(make) as crew:
            yield from crew.run(chain([first], tasks))
            crew.finish()

    @contextlib.contextmanager
    def crew(self, make: Callable[[], Work]) -> Iterator["Crew"]:
        """Connect, and yield workers for as many rounds of tasks as there are; then end them.

        Args:
            make: As in `map`.

        Raises:
            ConfigError: The cluster cannot be reached.
        """
        with connected(self.address, self.workers) as own:
            crew = Crew(self, make, pin=own)
            try:
                yield crew
            finally:
                crew.close()


@dataclass(slots=True, eq=False)
class _Seat:
    """An actor, as the driver sees it."""

    actor: Any
    place: int
    attempt: Attempt | None = None


class Crew:
    """The actors of an engine, and what each has in hand.

    Args:
        engine: How many there are, and how they live.
        make: Makes the work inside each worker.
        pin: Whether each worker keeps to a core.
    """

    def __init__(self, engine: RayEngine, make: Callable[[], Work], *, pin: bool) -> None:
        self.engine, self.pin = engine, pin
        self.make = ray.put(make)
        self.tasks: Iterator[Task] = iter(())
        self.waiting: deque[Attempt] = deque()
        self.starting: dict[Any, _Seat] = {}
        self.busy: dict[Any, _Seat] = {}
        self.idle: list[_Seat] = []
        self.failed_starts = 0
        self.most, self.looked = engine.workers or 0, -_TICK_S
        # Two calls at a time: the second can only be the one that stops the first.
        self.remote: Any = ray.remote(
            num_cpus=1,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=2,
            scheduling_strategy="SPREAD",
        )(Cell)

    def run(self, tasks: Iterable[Task]) -> Iterator[Any]:
        """Yield the result of every part of every task, as they are done."""
        self.tasks = iter(tasks)
        while True:
            self._hand_out()
            self._grow()
            if not self.busy and not self._more():
                return
            done, _ = ray.wait([*self.busy, *self.starting], timeout=_TICK_S)
            for ref in done:
                yield from self._hear(ref)

    def finish(self) -> None:
        """Wait until all workers have written what they still have in memory."""
        asked = {seat.actor.finish.remote(): seat for seat in self.idle}
        for ref in asked:
            try:
                _, error = ray.get(ref)
            except RayError:
                continue  # with its machine went findings that will be learnt again, no row
            if error is not None:
                raise error

    def close(self) -> None:
        """End all actors: politely, then not."""
        refs = [seat.actor.stop.remote() for seat in [*self.busy.values(), *self.idle]]
        with contextlib.suppress(RayError):
            ray.wait(refs, num_returns=len(refs), timeout=_GRACE_S) if refs else None
        for seat in self._seats():
            with contextlib.suppress(RayError):
                ray.kill(seat.actor)

    def _more(self) -> bool:
        """Tell whether a task waits; asks for the next one if need be."""
        if not self.waiting and (task := next(self.tasks, None)) is not None:
            self.waiting.append(Attempt(task))
        return bool(self.waiting)

    def _hand_out(self) -> None:
        while self.idle and self._more():
            seat = self.idle.pop()
            seat.attempt = self.waiting.popleft()
            self.busy[seat.actor.run.remote(seat.attempt.task)] = seat

    def _grow(self) -> None:
        """Ask for as many actors as there may be, while there is something to do for one more."""
        if not self.engine.workers and time.monotonic() - self.looked > _TICK_S:
            self.most = max(1, int(ray.cluster_resources().get("CPU", 0)))
            self.looked = time.monotonic()
        while len(seats := self._seats()) < self.most and self._more():
            taken = {seat.place for seat in seats}
            place = next(n for n in count() if n not in taken)
            engine = LocalEngine(
                workers=1,
                timeout_s=self.engine.timeout_s,
                threads=self.engine.threads,
                log=self.engine.log,
                pin=self.pin,
                first_core=place,
            )
            seat = _Seat(self.remote.remote(engine, self.make), place)
            self.starting[seat.actor.ready.remote()] = seat

    def _seats(self) -> list[_Seat]:
        return [*self.starting.values(), *self.busy.values(), *self.idle]

    def _hear(self, ref: Any) -> Iterator[Any]:
        seat = self.starting.pop(ref, None)
        if seat is not None:
            self._welcome(ref, seat)
            return
        seat = self.busy.pop(ref)
        try:
            results, error = ray.get(ref)
        except RayTaskError:
            raise  # not even caught in the actor: a bug of this engine
        except RayError:
            self._bury(seat)
            return
        seat.attempt = None
        self.idle.append(seat)
        yield from results
        if error is not None:
            raise error

    def _welcome(self, ref: Any, seat: _Seat) -> None:
        try:
            ray.get(ref)
        except RayError as error:
            self.failed_starts += 1
            if self.failed_starts >= _STARTS:
                raise WorkerError(_why_not_started(error)) from None
            return
        self.failed_starts = 0
        self.idle.append(seat)

    def _bury(self, seat: _Seat) -> None:
        """Give what a lost actor had in hand to others."""
        with contextlib.suppress(RayError):
            ray.kill(seat.actor)  # it may only be out of reach, and must not come back
        if seat.attempt is not None:
            self.waiting.extend(apart(seat.attempt))


def _why_not_started(error: Exception) -> str:
    said = (lines(error) or [type(error).__name__])[-1]
    return (
        f"workers cannot start on the Ray cluster: {said}; every machine needs the same Python, "
        "and facecrop in the same version"
    )
