"""`facecrop train`: a dataset in, a trained model with its predictions and curves out."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facecrop.commands.train.begin import begin, default_split, read_preset
from facecrop.commands.train.page import write_run_page
from facecrop.engines.choice import check_engine
from facecrop.errors import ConfigError, MissingExtraError
from facecrop.storage import local
from facecrop.training.presets import Preset, shipped_presets
from facecrop.training.runs import list_runs, open_run
from facecrop.training.settings import TrainSettings

if TYPE_CHECKING:
    from facecrop.training.progress import Progress, Report

__all__ = [
    "Preset",
    "Progress",
    "TrainResult",
    "is_first_process",
    "preview_augment",
    "shipped_presets",
    "train",
]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What became of a training.

    Args:
        run: Its folder.
        name: Of the run.
        preset: It began with.
        scores: Of the validation rows by the best weights: f1, official_f1, accuracy, val_loss …;
            with several trainings, of all their rows together.
        intervals: By score, the 95 % interval over resampled persons.
        people: In validation.
        records: Likewise.
        members: Scores of each of several trainings, by name; empty for a single one.
        epoch: The best, counted from 0; None for several.
        epochs: That were trained; None for several.
        seconds: That this took, now.
        warnings: What a user should know.
    """

    run: Path
    name: str
    preset: str
    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    people: int
    records: int
    members: dict[str, Any] = field(default_factory=dict)
    epoch: int | None = None
    epochs: int | None = None
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)


def train(
    out: Path | str,
    *,
    preset: str | TrainSettings | None = None,
    settings: Sequence[str] = (),
    name: str | None = None,
    split: str = "default",
    folds: str = "0",
    repeats: int = 1,
    resume: str | None = None,
    device: str = "auto",
    save_every: float = 10.0,
    wandb: str | None = None,
    ignore_requires: bool = False,
    engine: str = "local",
    address: str | None = None,
    report: "Report | None" = None,
) -> TrainResult:
    """Train a model on a dataset, judged by people it has never seen.

    Makes the default split where there is none. Started by `torchrun` or `accelerate launch`, all
    processes train one model together; `optim.batch_size` is that of all of them.

    Args:
        out: The dataset.
        preset: A shipped preset, the path of a TOML file, or settings; None: `strong` on a GPU,
            else `small`.
        settings: Single settings, `optim.lr=3e-4`.
        name: Of the run, `OUT/runs/<name>`; None: the preset's, with a number if that is taken.
        split: Whose folds are used.
        folds: The fold that is validation, or `all`: each in turn, a training each.
        repeats: Trainings with seeds from the settings' on.
        resume: Name of a run to go on with; everything else is as it was begun.
        device: `auto`, `cpu` or `cuda`.
        save_every: Minutes between checkpoints within an epoch; one more after each epoch.
        wandb: Project of Weights & Biases to report to as well.
        ignore_requires: Train although the dataset is not what the preset was made for.
        engine: `local`: folds and repeats one after the other; `ray`: as many at a time as a
            cluster has room for, with the same predictions.
        address: Of the Ray cluster, `auto` or `host:6379`, whose machines all see the dataset under
            this path; None for that of RAY_ADDRESS, else for a Ray on this machine.
        report: Called as the training goes on.

    Raises:
        FacecropError: Something the user can mend; what was trained until then is kept.
    """
    started = time.perf_counter()
    out = local(out)
    check_engine(engine, address)
    check_installed()
    from facecrop.training import hardware  # noqa: PLC0415 - needs torch
    from facecrop.training.conduct import Manner, conduct  # noqa: PLC0415 - likewise

    if engine == "ray":
        _check_several(out, folds, repeats, resume)

    kind = hardware.resolve_device(device)

    def begun() -> str:
        if resume is not None:
            return _resumed(out, resume, preset, settings, name)
        chosen = read_preset(preset, settings, gpu=kind == "cuda")
        precision = hardware.resolve_precision(chosen.settings.optim.precision, kind)
        chosen = chosen.with_precision(precision)
        default_split(out, split, chosen.settings.requires, kfold=folds == "all")
        return begin(
            out,
            chosen,
            name=name,
            split=split,
            folds=folds,
            repeats=repeats,
            ignore_requires=ignore_requires,
        )

    run = open_run(out, hardware.by_first(kind, begun))
    manner, elsewhere = Manner(kind, save_every, wandb, report), None
    if engine == "ray":
        from facecrop.commands.train.ray import OnRay  # noqa: PLC0415 - an extra, slow to import

        elsewhere = OnRay(out, run, manner, address)
    result, warnings = conduct(out, run, manner, elsewhere)
    if hardware.is_first():
        for one in dict.fromkeys([*run.members(), run]):
            write_run_page(one)
    facts = run.facts()
    return TrainResult(
        run=run.folder,
        name=run.name,
        preset=facts["preset"],
        scores=result["scores"],
        intervals={key: (low, high) for key, (low, high) in result["intervals"].items()},
        people=result["people"],
        records=result["records"],
        members=result.get("members", {}),
        epoch=result.get("epoch"),
        epochs=result.get("epochs"),
        seconds=time.perf_counter() - started,
        warnings=warnings,
    )


def preview_augment(
    out: Path | str,
    file: Path,
    *,
    preset: str | TrainSettings | None = None,
    settings: Sequence[str] = (),
    split: str = "default",
) -> None:
    """Draw a sheet of every transform, and of what the chosen settings do to some records.

    Args:
        out: The dataset; the pictures are training records of the fold 0 of its split.
        file: A PNG.
        preset: As in `train`.
        settings: Likewise.
        split: Likewise.

    Raises:
        FacecropError: Something the user can mend.
    """
    out = local(out)
    if file.suffix.lower() != ".png":
        raise ConfigError(f"--preview-augment needs a .png file, got {str(file)!r}")
    check_installed()
    from facecrop.training.conduct import preview_sheet  # noqa: PLC0415 - needs torch

    chosen = read_preset(preset, settings, gpu=False)
    default_split(out, split, chosen.settings.requires, kfold=False)
    preview_sheet(out, split, chosen.settings, file)


def is_first_process() -> bool:
    """Tell whether this is the first of the processes that a launcher started, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


def check_installed() -> None:
    """Refuse what needs the extra `train` where that is not installed.

    Raises:
        MissingExtraError: It is not; the message has the command that installs it.
    """
    for package in ("torch", "timm", "accelerate", "torchmetrics", "sklearn", "matplotlib"):
        if find_spec(package) is None:
            raise MissingExtraError(f'training needs {package}: pip install "facecrop[train]"')


def _check_several(out: Path, folds: str, repeats: int, resume: str | None) -> None:
    """Refuse Ray where nothing could be trained beside anything else.

    Raises:
        ConfigError: There is one training alone, or a launcher has started several processes.
        MissingExtraError: Ray is not installed.
    """
    import facecrop.engines.cluster  # noqa: F401, PLC0415 - says what is not installed

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("--engine ray starts its own processes: leave torchrun or accelerate out")
    run = None if resume is None else open_run(out, resume)
    if run is not None and run.begun:
        several = bool(run.facts()["members"])
    else:
        several = folds == "all" or repeats > 1
    if not several:
        raise ConfigError(
            "--engine ray trains folds and repeats beside each other, and this is one training: "
            "give --folds all or --repeats, or leave --engine out"
        )


def _resumed(
    out: Path,
    resume: str,
    preset: str | TrainSettings | None,
    settings: Sequence[str],
    name: str | None,
) -> str:
    if preset is not None or settings or name is not None:
        raise ConfigError("--resume goes on as the run was begun; give no preset, --set or --name")
    if not open_run(out, resume).begun:
        known = ", ".join(run.name for run in list_runs(out)) or "none"
        raise ConfigError(f"there is no run {resume!r} to resume in {out}; runs: {known}")
    return resume
