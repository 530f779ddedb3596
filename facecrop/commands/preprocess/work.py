"""Which engine does the work of a preprocess run, on which devices."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from facecrop.commands.preprocess.node import OnNode, surroundings
from facecrop.engines.choice import check_engine
from facecrop.engines.cores import usable_cores
from facecrop.engines.local import LocalEngine
from facecrop.engines.serial import SerialEngine
from facecrop.engines.work import Task
from facecrop.errors import ConfigError
from facecrop.images.backends.server import serve
from facecrop.images.job import Job
from facecrop.images.pipeline import Pipeline, Result

ENGINES = ("local", "serial", "ray")
"""`local` spawns worker processes; `serial` works in this one; `ray` works on a cluster."""
_CLUSTER_WORKERS = 64
"""For how many workers the work is cut into pieces where nobody knows how many there will be."""


@dataclass(frozen=True, slots=True)
class Means:
    """What the work is done with.

    Args:
        engine: One of `ENGINES`.
        workers: Worker processes, or None for one a core, on Ray one a CPU of the cluster.
        address: Of the Ray cluster, if any.
        offline: Fetch nothing.
    """

    engine: str = ENGINES[0]
    workers: int | None = None
    address: str | None = None
    offline: bool = False

    def __post_init__(self) -> None:
        check_engine(self.engine, self.address, ENGINES)

    @property
    def here(self) -> int:
        """How many workers this machine has."""
        return self.workers or len(usable_cores())

    @property
    def everywhere(self) -> int:
        """For how many workers the work is to be cut into pieces."""
        if self.engine == "ray" and self.workers is None:
            return _CLUSTER_WORKERS
        return self.here

    def check_device(self, device: str) -> str:
        """Return which device to ask for.

        Raises:
            ConfigError: The engine cannot use it.
        """
        if self.engine != "ray":
            return device
        if device not in ("auto", "cpu"):
            raise ConfigError(
                f"--device {device}: the engine 'ray' runs models on CPUs; use --device cpu, or "
                "--engine local with --shard on each machine that has a GPU"
            )
        return "cpu"

    def alone(self) -> "Means":
        """Return the means for a few pictures: one worker of this machine."""
        engine = "serial" if self.engine == "serial" else "local"
        return replace(self, engine=engine, workers=1, address=None)


def results(
    means: Means, job: Job, devices: tuple[str, ...], tasks: Iterable[Task], log: Path
) -> Iterator[Result]:
    """Yield what becomes of each profile; GPUs, if any, get a process of their own.

    Args:
        means: What the work is done with.
        job: The run; on Ray with absolute paths.
        devices: What the models run on.
        tasks: The work.
        log: File that takes what native libraries print; none is left if they print nothing.
    """
    log.unlink(missing_ok=True)
    try:
        yield from _worked(means, job, devices, tasks, log)
    finally:
        if log.exists() and not log.stat().st_size:
            log.unlink()


def _worked(
    means: Means, job: Job, devices: tuple[str, ...], tasks: Iterable[Task], log: Path
) -> Iterator[Result]:
    if means.engine == "ray":
        from facecrop.engines.ray import RayEngine  # noqa: PLC0415 - an extra, and slow to import

        make = OnNode(job, surroundings(job.recipe, job.device), offline=means.offline)
        yield from RayEngine(means.workers, means.address, log=log).map(make, tasks)
        return
    engine = SerialEngine() if means.engine == "serial" else LocalEngine(means.here, log=log)
    if job.device == "cpu":
        yield from engine.map(partial(Pipeline, job), tasks)
        return
    files = {name: weight.path for name, weight in job.weights.items()}
    with serve(devices, files) as servers:
        yield from engine.map(partial(Pipeline, replace(job, servers=servers)), tasks)
