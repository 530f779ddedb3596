"""Folds and repeats on Ray: each is a task, alone in its process, wherever there is room.

A training answers for itself on disk: what kills its process, or takes its machine along, costs
what was learnt since its last checkpoint, and Ray starts the task again. Each uses as many threads
as it would here, because sums depend on how they are split; so the predictions are the same bytes.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facecrop.commands.node import check_alike, check_seen
from facecrop.engines.cluster import (
    TRIES,
    connected,
    lines,
    lost,
)  # before Ray: it says what to do without
from facecrop.errors import DeviceError, FacecropError
from facecrop.training.conduct import Manner, train_member
from facecrop.training.hardware import get_threads, use_threads
from facecrop.training.members import Member
from facecrop.training.runs import Run, locked, versions

# isort: split
import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

if TYPE_CHECKING:
    from facecrop.training.progress import Progress

_TICK_S = 0.5
"""How often it is asked how far the trainings are."""


@dataclass(frozen=True, slots=True)
class OnRay:
    """Trains members of a run on the machines of a cluster, as many at a time as there is room for.

    Args:
        out: The dataset.
        run: That they belong to.
        manner: How they are trained: on a CPU each gets so many CPUs as it has threads, else a GPU.
        address: Of the cluster; None for a Ray of our own, unless RAY_ADDRESS names one.
    """

    out: Path
    run: Run
    manner: Manner
    address: str | None

    def __call__(self, members: Sequence[Member]) -> None:
        """Train them.

        Raises:
            FacecropError: Something the user can mend; the others are left as interrupted.
            WorkerError: A training's process was lost again and again.
        """
        if not members:
            return
        gpus = 0 if self.manner.device == "cpu" else None
        with connected(self.address, None, gpus):
            trained = ray.remote(max_retries=TRIES, **self._share())(_train)
            post = _postbox()
            out = self.out.resolve()
            order = _Order(
                out,
                Run(out / self.run.folder.relative_to(self.out)),
                replace(self.manner, report=None),
                get_threads(),
                versions(),
            )
            open_tasks = [trained.remote(order, member, post) for member in members]
            try:
                self._wait(open_tasks, post)
            finally:
                for task in open_tasks:
                    with suppress(RayError):
                        ray.cancel(task, force=True)

    def _share(self) -> dict[str, float]:
        """Return what of a machine one training gets."""
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if self.manner.device == "cuda":
            if not any(machine.get("GPU") for machine in machines):
                raise DeviceError("no machine of the Ray cluster has a GPU; use --device cpu")
            return {"num_cpus": 1, "num_gpus": 1}
        most = max(int(machine.get("CPU", 0)) for machine in machines)
        return {"num_cpus": max(1, min(get_threads(), most))}

    def _wait(self, open_tasks: list[Any], post: Any) -> None:
        while open_tasks:
            done, _ = ray.wait(open_tasks, timeout=_TICK_S)
            self._tell(post)
            for task in done:
                open_tasks.remove(task)
                try:
                    ray.get(task)
                except RayTaskError as error:
                    mend = error.cause if isinstance(error.cause, FacecropError) else error
                    raise mend from None
                except RayError as error:
                    said = (lines(error) or ["no word of why"])[0]
                    raise lost("a training", said, "enough memory") from None
        self._tell(post)

    def _tell(self, post: Any) -> None:
        for progress in ray.get(post.take.remote()):
            if self.manner.report is not None:
                self.manner.report(progress)


@dataclass(frozen=True, slots=True)
class _Order:
    """What all trainings of a run have in common; `report` of the manner is each one's own."""

    out: Path
    run: Run
    manner: Manner
    threads: int
    expected: Mapping[str, str]


def _train(order: _Order, member: Member, post: Any) -> None:
    """Train one member of a run, in a process of its own."""
    check_seen(order.out, order.run.facts_file, what="OUT")
    check_alike(order.expected, versions())
    use_threads(order.threads)

    def report(progress: "Progress") -> None:
        post.put.remote(progress)

    with locked(member.run(order.run)):
        train_member(order.out, order.run, member, replace(order.manner, report=report))


class _Postbox:
    """Where trainings say how far they are; lives beside the driver."""

    def __init__(self) -> None:
        self._letters: list[Progress] = []

    def put(self, progress: "Progress") -> None:
        """Keep it until it is asked for."""
        self._letters.append(progress)

    def take(self) -> "list[Progress]":
        """Return what was said since the last time."""
        letters, self._letters = self._letters, []
        return letters


def _postbox() -> Any:
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(_Postbox).remote()
