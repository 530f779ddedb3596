"""A finished training, read back: for prediction, explanation and export."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facecrop.config import validate
from facecrop.errors import ConfigError, TableError
from facecrop.labels.ages import AgePolicy
from facecrop.training.answer import Answer
from facecrop.training.evaluate import forward
from facecrop.training.models.build import build_model
from facecrop.training.models.network import Model
from facecrop.training.runs import Run
from facecrop.training.settings import TrainSettings
from facecrop.training.state import Checkpoints, read_checkpoint
from facecrop.training.task import Task
from facecrop.training.views import mean, views


@dataclass(frozen=True)
class Trained:
    """A model with all that its answers depend on; the dataset is not needed any more.

    Args:
        run: Where it comes from.
        model: With its best weights, in evaluation mode.
        task: What it was taught, and how its outputs are read.
        settings: Of the training.
        mean: (3,) float32 of RGB in [0, 1].
        std: (3,) float32 likewise.
        size: Height and width of its input.
        center_crop: Height and width that are cut from the middle of a crop first, or None.
        priors: `Task.counts` of its training records.
        policy: The age policy whose groups it was taught.
        card: `dataset.toml` of the dataset as it was then: the recipe, whole, and its fingerprint.
        epoch: The best, whose weights these are.
    """

    run: Run
    model: Model
    task: Task
    settings: TrainSettings
    mean: Tensor
    std: Tensor
    size: tuple[int, int]
    center_crop: tuple[int, int] | None
    priors: dict[str, Tensor]
    policy: AgePolicy
    card: dict[str, Any]
    epoch: int

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def answer(self, logits: Mapping[str, Tensor], cuts: tuple[int, int] | None = None) -> Answer:
        """Read logits, with the prior correction that the training was selected with."""
        return self.task.answer(logits, self.priors, cuts)


def load_run(run: Path, device: str = "cpu") -> Trained:
    """Read a finished training.

    Args:
        run: `OUT/runs/<name>`, a single training.
        device: Where the model shall be: `cpu` or `cuda`.

    Raises:
        TableError: There is no such run, it holds several trainings, it has no best weights yet, or
            they are of a network that this version builds otherwise.
        ConfigError: Its settings make no sense to this version, or it saw pictures without faces.
    """
    place = Run(run)
    facts = place.facts()
    if members := facts.get("members"):
        raise TableError(
            f"{run} holds {len(members)} trainings; name one, such as {run / members[0]}"
        )
    settings = place.settings()
    if settings.input.hide is not None:
        raise ConfigError(
            f"{run} was trained on pictures without the {settings.input.hide}: it tells what the "
            "rest of them gives away (facecrop audit), and cannot judge pictures"
        )
    policy = validate(AgePolicy, facts["policy"], str(place.facts_file))
    task = Task(settings, policy, facts["axes"])
    height, width = facts["size"]
    best = read_checkpoint(Checkpoints(place.checkpoints).best)
    model = build_model(settings.model, task.outputs, (height, width), start=False)
    try:
        model.load_state_dict(best["weights"])
    except RuntimeError as error:
        said = str(error).splitlines()[-1].strip()
        raise TableError(
            f"{run} was trained with another network than {settings.model.backbone!r} is in this "
            f"version ({said}); train anew"
        ) from None
    model.set_frozen(False)
    model.requires_grad_(requires_grad=False)
    return Trained(
        run=place,
        model=model.to(device).eval(),
        task=task,
        settings=settings,
        mean=torch.tensor(facts["mean"]),
        std=torch.tensor(facts["std"]),
        size=(height, width),
        center_crop=settings.input.center_crop,
        priors={name: torch.tensor(counts) for name, counts in facts["counts"].items()},
        policy=policy,
        card=facts["card"],
        epoch=best["epoch"],
    )


def predict_rows(
    trained: Trained, batches: Iterable[NDArray[np.uint8]], tta: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """Return what a model says of pictures: by output, (M, width) float32 logits on the CPU.

    Args:
        trained: The model.
        batches: (N, H, W, 3) uint8 RGB each, of the model's input size: decoded, cut and resized
            as `open_pixels` does.
        tta: Names from `views.TTA`; the logits are the mean over all views. None: those by which
            the training itself answered in the end.
    """
    ways = views(trained.settings.select.tta if tta is None else tta)
    said: dict[str, list[Tensor]] = {output: [] for output in trained.task.outputs}
    for pictures in batches:
        looks: Iterator[NDArray[np.uint8]] = (way(pictures) for way in ways)
        logits = list(
            forward(
                trained.model,
                looks,
                trained.mean,
                trained.std,
                device=trained.device,
                precision=trained.settings.optim.precision,
            )
        )
        answered = mean(logits)
        for output, parts in said.items():
            parts.append(answered[output].cpu())
    return {
        output: torch.cat(parts) if parts else torch.zeros(0, trained.task.outputs[output])
        for output, parts in said.items()
    }
