"""Trainings that are not done twice: gone on with where interrupted, used again where finished."""

from collections.abc import Sequence
from pathlib import Path

from facecrop.commands.train.command import train
from facecrop.config import plain
from facecrop.training.presets import load_preset
from facecrop.training.runs import Run, open_run


def trained_run(
    out: Path,
    name: str,
    *,
    preset: str,
    settings: Sequence[str],
    split: str = "default",
    folds: str = "0",
    repeats: int | None = 1,
) -> Run:
    """Return a run of a dataset, finished; started, gone on with, or as it is.

    Args:
        out: The dataset.
        name: Of the run.
        preset: That it begins with.
        settings: `optim.epochs=10`.
        split: Whose folds are used.
        folds: A number, or `all`.
        repeats: Trainings of each fold; None: as many as a run has that is there, else one.
    """
    run = open_run(out, name)
    if run.begun:
        refuse_another(run, preset, settings, repeats)
        if not run.finished:
            train(out, resume=name)
    else:
        train(
            out, preset=preset, settings=settings, name=name, split=split, folds=folds,
            repeats=repeats or 1, ignore_requires=True,
        )  # fmt: skip
    return run


def refuse_another(run: Run, preset: str, settings: Sequence[str], repeats: int | None = 1) -> None:
    """End if a run was trained otherwise than is asked now: what it says would be mixed up."""
    wanted, has = load_preset(preset, settings), run.settings()
    if wanted.optim.precision == "auto":  # the run's settings say what it came to
        optim = wanted.optim.model_copy(update={"precision": has.optim.precision})
        wanted = wanted.model_copy(update={"optim": optim})
    trainings = {one["repeat"] for one in run.facts()["trainings"]}
    if plain(wanted) != plain(has) or repeats not in (None, len(trainings)):
        raise SystemExit(f"{run.folder} was trained otherwise; remove it, or choose another --work")
