"""The local engine: spawned worker processes, fed a task at a time, replaced when they die.

Workers are spawned because forked ones hang with mediapipe and torch. A task whose worker died is
taken apart: each of its parts is tried once more alone, and the picture that was open when that
kills a worker again becomes a suspect, which the work turns into a row instead of opening it. Where
that does not help, all pictures of the part become suspects, and where even that does not, the run
ends: each death leaves fewer pictures to try.
"""

import contextlib
import multiprocessing
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.resource_tracker import ensure_running
from pathlib import Path
from typing import Any

from facecrop.engines.cores import usable_cores
from facecrop.engines.surroundings import surroundings, uninterrupted
from facecrop.engines.work import Task, Work
from facecrop.engines.worker import NOTHING, SharedMarker, live
from facecrop.errors import WorkerError

_GRACE_S = 1.5
"""How long a worker may take to end after an interruption; then it is killed."""
_START_S = 120.0
"""How long a worker may take to its first picture, at least: busy machines start slowly."""
_GONE = (EOFError, OSError)
"""What reading from the pipe of a dead worker raises."""


@dataclass(slots=True)
class _Worker:
    process: Any
    pipe: Connection
    marker: SharedMarker
    core: int | None = None
    task: Task | None = None
    done: set[int] = field(default_factory=set)
    since: float = 0.0
    silent: bool = False
    """Whether its end of the pipe is closed: only its death is still to come."""
    opened: tuple[int, int] = (NOTHING, NOTHING)
    """The picture that was open when the parent last looked."""
    hung: bool = False
    """Whether it was killed for giving no sign of life."""


@dataclass(slots=True)
class LocalEngine:
    """Runs tasks in worker processes on this machine.

    Args:
        workers: How many processes.
        timeout_s: A worker that gives no sign for so long, on one picture, is taken for hung.
        threads: Threads each worker may use inside numeric libraries.
        log: File that takes what native libraries print, or None to let it through.
        pin: Keep each worker on a core of its own, where the system can do that. mediapipe hands
            every call from thread to thread; on one core that takes a tenth to a third less time.
        first_core: Number of the core that is taken first, of those that this process may use.
    """

    workers: int
    timeout_s: float = 600.0
    threads: int = 1
    log: Path | None = None
    pin: bool = True
    first_core: int = 0

    def map(self, make: Callable[[], Work], tasks: Iterable[Task]) -> Iterator[Any]:
        """Yield the result of every part of every task, in the order in which they are done.

        Args:
            make: Makes the work inside each worker; must be picklable.
            tasks: May be a generator: it is asked for a task when a worker is free.

        Raises:
            Exception: Whatever the work raised: a bug, with the worker's traceback.
        """
        with self.crew(make) as pool:
            yield from pool.run(tasks)
            yield from pool.finish()

    @contextlib.contextmanager
    def crew(self, make: Callable[[], Work]) -> Iterator["Pool"]:
        """Yield workers for as many rounds of tasks as there are; then end them.

        Args:
            make: As in `map`.
        """
        pool = Pool(self, make)
        try:
            yield pool
        finally:
            pool.close()


class Pool:
    """The worker processes of an engine, ready for more tasks until they are closed.

    Args:
        engine: How many there are, and how they live.
        make: Makes the work inside each worker; must be picklable.
    """

    def __init__(self, engine: LocalEngine, make: Callable[[], Work]) -> None:
        self.engine = engine
        self.make = make
        self.context = multiprocessing.get_context("spawn")
        self.tasks: Iterator[Task] = iter(())
        self.retries: deque[Task] = deque()
        self.pool: list[_Worker] = []
        self.finishing = False

    def run(self, tasks: Iterable[Task]) -> Iterator[Any]:
        """Yield the result of every part of every task, as they are done."""
        self.tasks = iter(tasks)
        idle = list(self.pool)
        for _ in range(self.engine.workers):
            if not self._give(idle.pop() if idle else None):
                break
        while any(worker.task for worker in self.pool):
            for worker in self._ready():
                yield from self._hear(worker)
                if worker.task is None and worker.process.is_alive():
                    self._give(worker)
            yield from self._replace_dead()

    def finish(self) -> Iterator[Any]:
        """Wait until all workers have written what they still have in memory."""
        self.finishing = True
        for worker in self.pool:
            self._send(worker, None)
            worker.since = time.monotonic()
        while self.pool:
            for worker in self._ready():
                yield from self._hear(worker)
            for worker in [worker for worker in self.pool if not worker.process.is_alive()]:
                yield from self._hear(worker)
                self._bury(worker)

    def _start(self) -> _Worker:
        ours, theirs = self.context.Pipe()
        marker = SharedMarker(self.context)
        core = self._free_core() if self.engine.pin else None
        process = self.context.Process(
            target=live, args=(theirs, marker, self.make, self.engine.log, core), daemon=True
        )
        ensure_running()  # the first start would do so, and unblock SIGINT on the way
        with surroundings(self.engine.threads), uninterrupted():
            process.start()
        theirs.close()
        worker = _Worker(process, ours, marker, core, since=time.monotonic())
        self.pool.append(worker)
        return worker

    def _free_core(self) -> int:
        """Return the core with the fewest workers."""
        taken = Counter(worker.core for worker in self.pool)
        cores = usable_cores()
        first = self.engine.first_core % len(cores)
        return min(cores[first:] + cores[:first], key=lambda core: taken[core])

    def _give(self, worker: _Worker | None) -> bool:
        """Give the next task to a worker, or to a new one; return whether there was any."""
        task = self.retries.popleft() if self.retries else next(self.tasks, None)
        if task is None:
            return False
        worker = worker or self._start()
        worker.task, worker.done, worker.since = task, set(), time.monotonic()
        worker.marker.at(NOTHING, NOTHING)
        self._send(worker, task)
        return True

    def _send(self, worker: _Worker, task: Task | None) -> None:
        # Who died in this instant cannot be told anything: its sentinel says so in the next.
        with contextlib.suppress(OSError):
            worker.pipe.send(task)

    def _ready(self) -> list[_Worker]:
        """Wait for messages and deaths; kill whoever has been silent for too long."""
        by_handle: dict[Any, _Worker] = {}
        for worker in self.pool:
            by_handle[worker.process.sentinel] = worker
            if not worker.silent:
                by_handle[worker.pipe] = worker
        ready = {
            id(by_handle[handle]): by_handle[handle]
            for handle in wait(list(by_handle), timeout=1.0)
        }
        now = time.monotonic()
        for worker in self.pool:
            if worker.marker.open != worker.opened:  # a new picture is a sign of life, too
                worker.opened, worker.since = worker.marker.open, now
            patience = self.engine.timeout_s
            if worker.opened[0] == NOTHING:
                patience = max(patience, _START_S)
            silent = id(worker) not in ready and now - worker.since > patience
            if silent and (worker.task or self.finishing):
                worker.hung = True
                worker.process.kill()
        return list(ready.values())

    def _hear(self, worker: _Worker) -> Iterator[Any]:
        while not worker.silent:
            try:
                if not worker.pipe.poll():
                    return
                kind, part, value = worker.pipe.recv()
            except _GONE:
                worker.silent = True
                return
            worker.since = time.monotonic()
            if kind == "bug":
                raise value
            if kind == "end":
                worker.task = None
            else:
                worker.done.add(part)
                yield value

    def _replace_dead(self) -> Iterator[Any]:
        for worker in [worker for worker in self.pool if not worker.process.is_alive()]:
            yield from self._hear(worker)  # what it sent before it died
            self._bury(worker)
            if worker.task is not None:
                self.retries.extend(_apart(worker))
            self._give(None)

    def _bury(self, worker: _Worker) -> None:
        self.pool.remove(worker)
        worker.process.join()
        worker.pipe.close()

    def stop(self) -> None:
        """Ask all workers to end as soon as what they have in hand is whole."""
        for worker in list(self.pool):
            worker.marker.stop()

    def close(self) -> None:
        """End all workers: politely, then not."""
        self.stop()
        for worker in self.pool:
            self._send(worker, None)
        deadline = time.monotonic() + _GRACE_S
        for worker in self.pool:
            while worker.process.is_alive() and time.monotonic() < deadline:
                _drain(worker.pipe)
                worker.process.join(0.02)
            if worker.process.is_alive():
                worker.process.kill()
            worker.process.join()
            worker.pipe.close()
        self.pool.clear()


def _apart(worker: _Worker) -> list[Task]:
    """Return what is left of a task whose worker died, each part alone.

    A part that was already alone has had its second chance: its open picture is a suspect, or all
    of its pictures if it was suspected before, or none was open.

    Raises:
        WorkerError: All its pictures were suspects, and still the worker died.
    """
    task, opened = worker.task, worker.marker.open
    if task is None:
        return []
    alone = len(task.parts) == 1 and bool(task.suspects)
    result = []
    for number, part, before in task.each():
        if number in worker.done:
            continue
        blamed = before
        if alone:
            every = frozenset(range(len(part)))
            if before >= every:
                raise WorkerError(_why_dead(worker.process.exitcode))
            blamed |= {opened[1]} if opened[0] == number and opened[1] not in before else every
        result.append(Task([part], (blamed,), worker.hung))
    return result


def _why_dead(code: int | None) -> str:
    """Return what to say of workers that die whatever they are given."""
    if code is not None and code < 0:
        return (
            f"worker processes are killed by signal {-code} whatever they are given; if that is "
            "the system saving memory, use fewer workers"
        )
    return (
        f"worker processes end with code {code} whatever they are given; what they printed says "
        'why (a script that uses facecrop needs `if __name__ == "__main__":`)'
    )


def _drain(pipe: Connection) -> None:
    """Read what a worker still sends, so that it does not wait for ever to send it."""
    with contextlib.suppress(*_GONE):
        while pipe.poll():
            pipe.recv()
