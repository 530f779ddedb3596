"""The trainings of a dataset beside each other."""

from dataclasses import dataclass
from pathlib import Path

from facecrop.errors import ConfigError, TableError
from facecrop.index import INDEX_FILE
from facecrop.storage import local
from facecrop.training.presets import loss_words
from facecrop.training.runs import Run, list_runs


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as a table shows it.

    Args:
        name: Of the run.
        preset: It began with.
        split: It was judged by.
        backbone: Of its network.
        loss: Its terms, in words.
        trainings: How many it consists of.
        epochs: Done so far, of all trainings together.
        epoch: The best of a single training, counted from 0; None for several, or before the first.
        finished: Whether it came to its end.
        scores: Of the best epoch, as far as they are known: f1, official_f1, accuracy, val_loss …
    """

    name: str
    preset: str
    split: str
    backbone: str
    loss: str
    trainings: int
    epochs: int
    epoch: int | None
    finished: bool
    scores: dict[str, float]


def runs(out: Path | str, sort: str = "name") -> list[RunRow]:
    """Compare the trainings of a dataset.

    Args:
        out: The dataset.
        sort: `name`, or a score: f1, official_f1, accuracy (best first), val_loss (least first).

    Raises:
        ConfigError: There is no such score.
        TableError: There is no dataset, or a run is damaged.
    """
    out = local(out)
    if not (out / INDEX_FILE).exists():
        raise TableError(f"{out} is no dataset; make one: facecrop preprocess RAW {out}")
    known = ("name", "f1", "official_f1", "accuracy", "val_loss")
    if sort not in known:
        raise ConfigError(f"--sort must be one of {', '.join(known)}, got {sort!r}")
    rows = [_row(run) for run in list_runs(out)]
    if sort == "name":
        return sorted(rows, key=lambda row: row.name)
    sign = 1 if sort == "val_loss" else -1
    worst = float("inf")
    return sorted(rows, key=lambda row: (sign * row.scores.get(sort, sign * worst), row.name))


def _row(run: Run) -> RunRow:
    facts, settings = run.facts(), run.settings()
    members = run.members()
    epochs = [len(member.metrics()) for member in members]
    result = run.result() if run.finished else {}
    scores = result.get("scores", {})
    if not run.finished and len(members) == 1 and (rows := run.metrics()):
        scores = max(rows, key=lambda row: row.get("f1", 0.0))
    return RunRow(
        name=run.name,
        preset=facts["preset"],
        split=facts["split"],
        backbone=settings.model.backbone,
        loss=loss_words(settings),
        trainings=len(members),
        epochs=sum(epochs),
        epoch=result.get("epoch"),
        finished=run.finished,
        scores={key: value for key, value in scores.items() if value is not None},
    )
