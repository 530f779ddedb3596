"""What one training needs, put together from the settings, the records and the pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facecrop.errors import ConfigError
from facecrop.training.batches import Examples
from facecrop.training.hidden import make_cover
from facecrop.training.models.trunks import input_size
from facecrop.training.pixels import open_pixels
from facecrop.training.records import Fold, Records
from facecrop.training.regions import FACE
from facecrop.training.runs import Run
from facecrop.training.settings import TrainSettings
from facecrop.training.task import Task

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of the pictures that most pretrained weights have seen."""
HALF = ((0.5,) * 3, (0.5,) * 3)


@dataclass(frozen=True)
class Job:
    """One training: what is learnt, from whom, and where it is written.

    Args:
        run: Where it goes.
        settings: Of the training; its seed is this training's own.
        records: Of the dataset, N of them.
        fold: Rows to learn from and to be judged by.
        repeat: Which of several trainings that differ in the seed alone.
        task: Outputs and targets.
        examples: The records as batches want them.
        size: Height and width of the network's input.
        mean: (3,) float32 of RGB in [0, 1].
        std: (3,) float32 likewise.
        name: What it is called in reports, empty for the only one.
    """

    run: Run
    settings: TrainSettings
    records: Records
    fold: Fold
    repeat: int
    task: Task
    examples: Examples
    size: tuple[int, int]
    mean: Tensor
    std: Tensor
    name: str = ""

    @property
    def outer(self) -> str:
        """Name of the run that this training is, or is a part of."""
        return self.run.name.split("/")[0]

    @property
    def draws(self) -> NDArray[np.floating] | None:
        """(n,) how often each training row is drawn, or None: once."""
        weight = self.records.draw_weight
        return None if weight is None else weight[self.fold.train]

    @cached_property
    def counts(self) -> dict[str, Tensor]:
        """By output, (C,): training records of each class, as often as they are drawn."""
        draws = self.draws
        weight = None if draws is None else torch.from_numpy(draws / draws.mean())
        return self.task.counts(self.records.labels.take(self.fold.train), weight)

    @cached_property
    def truth(self) -> dict[str, Tensor]:
        """By axis and `joint`, (N,) int64: the classes of the active policy, -1 where unknown."""
        return self.task.truth(self.records.labels)


def make_job(
    out: Path,
    run: Run,
    settings: TrainSettings,
    records: Records,
    fold: Fold,
    *,
    repeat: int = 0,
    name: str = "",
    report: Callable[[int, int], None] | None = None,
) -> Job:
    """Put a training together; crops are decoded if nobody did so before.

    Args:
        out: The dataset.
        run: Where the training goes.
        settings: Of the training.
        records: Of the dataset.
        fold: Rows to learn from and to be judged by.
        repeat: Which of several.
        name: As in `Job`.
        report: Called with crops decoded and all, while that goes on.

    Raises:
        ConfigError: The dataset has none of the labels that the settings ask for, or no faces that
            they want to be hidden.
        TableError: A crop is missing or damaged.
    """
    axes = tuple(axis for axis in settings.axes if axis in records.axes)
    if not axes:
        raise ConfigError(
            f"axes = {list(settings.axes)}, but the records of {out} have "
            f"{', '.join(records.axes) or 'no labels'}"
        )
    task = Task(settings, records.policy, axes)
    size = settings.input.size or input_size(settings.model)
    crop = settings.input.center_crop
    pixels = open_pixels(out, records.images, records.digests, size, crop, report=report)
    mean, std = {
        "imagenet": IMAGENET,
        "half": HALF,
        "dataset": None,
    }[settings.input.normalise] or pixels.moments(fold.train)
    regions = pixels.regions(records.regions)
    hide = settings.input.hide
    examples = Examples(
        images=pixels.array,
        targets=task.targets(records.labels),
        weight=torch.from_numpy(records.loss_weight),
        regions=torch.from_numpy(regions),
        labels={axis: torch.from_numpy(classes) for axis, classes in records.classes.items()},
        cover=hide and make_cover(regions[:, FACE], size, hide, pixels.moments(fold.train)[0]),
    )
    return Job(
        run,
        settings,
        records,
        fold,
        repeat,
        task,
        examples,
        size,
        torch.as_tensor(mean, dtype=torch.float32),
        torch.as_tensor(std, dtype=torch.float32),
        name,
    )
