"""A model that judges labels: trained on the rest of the people, fold by fold."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facecrop.commands.split import split
from facecrop.commands.train import train
from facecrop.labels.certificate import read_split, split_files
from facecrop.labels.splits import SplitSettings

if TYPE_CHECKING:
    from facecrop.training.progress import Report

PRESET = "small"
SPLIT = "audit"
_USUAL = "default"


def train_for_audit(
    out: Path | str,
    *,
    preset: str | None = None,
    settings: Sequence[str] = (),
    repeats: int = 1,
    device: str = "auto",
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
        report: Called as the trainings go on.

    Returns:
        The name of the run.

    Raises:
        FacecropError: Something the user can mend; what was trained until then is kept.
    """
    out = Path(out)
    name = _USUAL if _has_folds(out) else SPLIT
    if name == SPLIT and not split_files(out, SPLIT)[0].exists():
        split(out, SPLIT, SplitSettings(strategy="kfold"))
    return train(
        out,
        preset=PRESET if preset is None else preset,
        settings=settings,
        split=name,
        folds="all",
        repeats=repeats,
        device=device,
        report=report,
    ).name


def _has_folds(out: Path) -> bool:
    if not split_files(out, _USUAL)[0].exists():
        return True  # training makes it, with folds
    return read_split(out, _USUAL).settings.strategy == "kfold"
