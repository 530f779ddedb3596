"""Models for the audit, trained on the rest of the people, fold by fold.

One judges labels; another, which does not see faces, tells what the rest of pictures gives away.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facecrop.commands.split import split
from facecrop.labels.certificate import read_split, split_files
from facecrop.labels.splits import SplitSettings
from facecrop.storage import local
from facecrop.training.settings.train import Hide

if TYPE_CHECKING:
    from facecrop.training.progress import Report

PRESET = "small"
SPLIT = "audit"
_USUAL = "default"

_COARSE = ("optim.epochs=16", "optim.batch_size=32", "input.size=[64,64]")
"""Walls, hair and clothes are large: a third of the pixels and two fifths of the epochs will do;
smaller batches, so that few people still give enough steps."""


def train_for_audit(
    out: Path | str,
    *,
    preset: str | None = None,
    settings: Sequence[str] = (),
    repeats: int = 1,
    device: str = "auto",
    engine: str = "local",
    address: str | None = None,
    report: "Report | None" = None,
) -> str:
    """Train so that each record is judged by a model that never saw its person.

    It uses the split `default` where that is there and has folds, or is not there yet; else it
    makes one of its own, `audit`.

    Args:
        out: The dataset.
        preset: A shipped preset, or the path of a TOML file; None: `small`.
        settings: Single settings, `optim.lr=3e-4`.
        repeats: Trainings of each fold, with other seeds: what is often wrong, is.
        device: `auto`, `cpu` or `cuda`.
        engine: As in `train`.
        address: Likewise.
        report: Called as the trainings go on.

    Returns:
        The name of the run.

    Raises:
        FacecropError: Something the user can mend; what was trained until then is kept.
    """
    out = local(out)  # before what takes seconds to import
    from facecrop.commands.train.command import train  # noqa: PLC0415 - torch, only when asked

    return train(
        out,
        preset=PRESET if preset is None else preset,
        settings=settings,
        split=_split_with_folds(out),
        folds="all",
        repeats=repeats,
        device=device,
        engine=engine,
        address=address,
        report=report,
    ).name


def train_without(
    out: Path | str,
    hidden: Hide = "face",
    *,
    settings: Sequence[str] = _COARSE,
    device: str = "auto",
    engine: str = "local",
    address: str | None = None,
    report: "Report | None" = None,
) -> str:
    """Train the preset `small`, coarse and short, on pictures of which a part is painted over.

    As in `train_for_audit`, each record is judged by a model that never saw its person.

    Args:
        out: The dataset.
        hidden: `face`, or `person`: the head with its hair, and everything below the chin.
        settings: Single settings.
        device: `auto`, `cpu` or `cuda`.
        engine: As in `train`.
        address: Likewise.
        report: Called as the trainings go on.

    Returns:
        The name of the run, `audit-without-face`, or with a number if that is taken.

    Raises:
        FacecropError: Something the user can mend; the recipe may have looked for no faces.
    """
    out = local(out)  # before what takes seconds to import
    from facecrop.commands.train.command import train  # noqa: PLC0415 - torch, only when asked
    from facecrop.training.runs import free_name  # noqa: PLC0415 - likewise

    return train(
        out,
        preset=PRESET,
        settings=[*settings, f'input.hide="{hidden}"'],
        name=free_name(out, f"audit-without-{hidden}"),
        split=_split_with_folds(out),
        folds="all",
        device=device,
        engine=engine,
        address=address,
        report=report,
    ).name


def _split_with_folds(out: Path) -> str:
    """Return the name of a split with folds, made if it must be; `default` is made by training."""
    if _has_folds(out):
        return _USUAL
    if not split_files(out, SPLIT)[0].exists():
        split(out, SPLIT, SplitSettings(strategy="kfold"))
    return SPLIT


def _has_folds(out: Path) -> bool:
    if not split_files(out, _USUAL)[0].exists():
        return True  # training makes it, with folds
    return read_split(out, _USUAL).settings.strategy == "kfold"
