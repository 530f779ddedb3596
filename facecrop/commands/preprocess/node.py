"""What a worker on another machine makes sure of before it begins."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace

from facecrop.commands.card import package_versions
from facecrop.commands.node import check_alike, check_seen
from facecrop.errors import WeightsError
from facecrop.images.job import Job, Weight, runs_on
from facecrop.images.models import ModelStore
from facecrop.images.pipeline import Pipeline
from facecrop.images.recipe import Recipe


def surroundings(recipe: Recipe, device: str) -> dict[str, str]:
    """Return what must be equal on all machines that work on one dataset, by name."""
    runtimes = {finder.label: runs_on(finder, device) for finder in recipe.look.finders}
    return package_versions() | runtimes


@dataclass(frozen=True, slots=True)
class OnNode:
    """Makes the work of a run on any machine that sees the same files.

    Args:
        job: The run, with absolute paths.
        expected: The `surroundings` where the run began.
        offline: Fetch nothing.
    """

    job: Job
    expected: Mapping[str, str]
    offline: bool

    def __call__(self) -> Pipeline:
        """Return the work.

        Raises:
            ConfigError: This machine does not see RAW or OUT, or has other versions.
            WeightsError: It has no such model file, or another one.
        """
        job = self.job
        for folder, proof in ((job.root, job.root), (job.out, job.lookup.path)):
            check_seen(folder, proof)
        check_alike(self.expected, surroundings(job.recipe, job.device))
        weights = {name: self._weight(name, weight) for name, weight in job.weights.items()}
        return Pipeline(replace(job, weights=weights))

    def _weight(self, name: str, expected: Weight) -> Weight:
        """Return a model file of this machine: at the same place, or fetched."""
        if expected.path.exists():
            return expected
        models = ModelStore(offline=self.offline)
        path = models.path(name)
        if models.digest(name) != expected.digest:
            raise WeightsError(
                f"machine {socket.gethostname()!r} has other bytes of the model {name!r}; "
                f"put {str(expected.path)!r} where all machines see it"
            )
        return Weight(path, expected.digest)
