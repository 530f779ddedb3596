"""Folds and repeats on Ray: each is a task, alone in its process, wherever there is room.

A training answers for itself on disk: what kills its process, or takes its machine along, costs
what was learnt since its last checkpoint, and Ray starts the task again. Each uses as many threads
as it would here, because sums depend on how they are split; so the predictions are the same bytes.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facecrop.commands.node import check_alike, check_seen
from facecrop.engines.cluster import connected  # before Ray: it says what to do without
from facecrop.errors import DeviceError, FacecropError, WorkerError
from facecrop.training.conduct import train_member
from facecrop.training.hardware import get_threads, use_threads
from facecrop.training.members import Member
from facecrop.training.runs import Run, locked, versions

# isort: split
import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

if TYPE_CHECKING:
    from facecrop.training.progress import Progress, Report

_TRIES = 3
"""How often a training whose process was lost is gone on with."""
_TICK_S = 0.5
"""How often it is asked how far the trainings are."""


@dataclass(frozen=True, slots=True)
class OnRay:
    """Trains members of a run on the machines of a cluster, as many at a time as there is room for.

    Args:
        out: The dataset.
        run: That they belong to.
        device: `cpu` or `cuda`: each training gets so many CPUs as it has threads, or a GPU.
        save_every: As in `train`.
        wandb: Likewise.
        report: Likewise.
        address: Of the cluster; None for a Ray of our own, unless RAY_ADDRESS names one.
    """

    out: Path
    run: Run
    device: str
    save_every: float
    wandb: str | None
    report: "Report | None"
    address: str | None

    def __call__(self, members: Sequence[Member]) -> None:
        """Train them.

        Raises:
            FacecropError: Something the user can mend; the others are left as interrupted.
            WorkerError: A training's process was lost again and again.
        """
        if not members:
            return
        gpus = 0 if self.device == "cpu" else None
        with connected(self.address, None, gpus):
            trained = ray.remote(max_retries=_TRIES, **self._share())(_train)
            post = _postbox()
            out = self.out.resolve()
            order = _Order(
                out,
                Run(out / self.run.folder.relative_to(self.out)),
                self.device,
                get_threads(),
                self.save_every,
                self.wandb,
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
        if self.device == "cuda":
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
                    raise WorkerError(_why_lost(error)) from None
        self._tell(post)

    def _tell(self, post: Any) -> None:
        for progress in ray.get(post.take.remote()):
            if self.report is not None:
                self.report(progress)


@dataclass(frozen=True, slots=True)
class _Order:
    """What all trainings of a run have in common."""

    out: Path
    run: Run
    device: str
    threads: int
    save_every: float
    wandb: str | None
    expected: Mapping[str, str]


def _train(order: _Order, member: Member, post: Any) -> None:
    """Train one member of a run, in a process of its own."""
    check_seen(order.out, order.run.facts_file, what="OUT")
    check_alike(order.expected, versions())
    use_threads(order.threads)

    def report(progress: "Progress") -> None:
        post.put.remote(progress)

    with locked(member.run(order.run)):
        train_member(
            order.out,
            order.run,
            member,
            order.device,
            save_every=order.save_every,
            wandb=order.wandb,
            report=report,
        )


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


def _why_lost(error: Exception) -> str:
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (
        f"a training was lost {_TRIES + 1} times on Ray: {said[0] if said else 'no word of why'}; "
        "every machine needs the same Python, facecrop in the same version, and enough memory"
    )
