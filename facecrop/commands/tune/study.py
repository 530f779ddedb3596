"""What a search keeps, and how one trial of it is trained; the same for all engines."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from facecrop.commands.train.command import train
from facecrop.errors import ConfigError
from facecrop.training.settings.space import Range, Space

if TYPE_CHECKING:
    from optuna import Study, Trial

    from facecrop.training.progress import Progress, Report

METRICS: dict[str, Literal["maximize", "minimize"]] = {
    "f1": "maximize",
    "official_f1": "maximize",
    "accuracy": "maximize",
    "loss": "minimize",
}
RUN = "run"
"""Attribute of a trial: the name of its run."""
ENDED = ("COMPLETE", "PRUNED")
_ROWS = {"loss": "val_loss"}
"""Columns of `metrics.csv` that have another name than the metric."""
_CALM = 3
"""Epochs in which no trial is given up: the first ones tell little."""


class GivenUpError(Exception):
    """A trial is worse than the others were at its age, or its loss is no number."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A training of a search; can be sent to another machine that sees the dataset.

    Args:
        out: The dataset.
        metric: One of `METRICS`.
        preset: What is not searched; as in `train`.
        settings: Single settings that are not searched.
        split: Whose fold 0 is validation.
        device: As in `train`.
        ignore_requires: Likewise.
    """

    out: Path
    metric: str
    preset: str | None
    settings: tuple[str, ...]
    split: str
    device: str
    ignore_requires: bool

    def train(self, name: str, drawn: list[str], report: "Report") -> float:
        """Train a run, or go on with it, and return what its metric has become.

        Args:
            name: Of the run.
            drawn: Settings that were searched.
            report: May raise to end the training.

        Raises:
            GivenUpError: The loss is no number any more: a bad place to look.
            FacecropError: Something the user can mend.
        """
        going_on = (self.out / "runs" / name / "run.json").exists()
        try:
            result = train(
                self.out,
                preset=None if going_on else self.preset,
                settings=() if going_on else [*self.settings, *drawn],
                name=None if going_on else name,
                resume=name if going_on else None,
                split=self.split,
                device=self.device,
                ignore_requires=self.ignore_requires,
                report=report,
            )
        except ConfigError:
            if not (self.out / "runs" / name / "metrics.csv").exists():
                raise  # nothing was trained: what is wrong, is wrong with every trial
            raise GivenUpError from None
        return result.scores[_ROWS.get(self.metric, self.metric)]


def open_study(file: Path, study: str, metric: str, seed: int, *, parallel: bool) -> "Study":
    """Return the search that a file holds, or a new one in it, with nothing left half done.

    Trials that a killed or interrupted process left behind are given to the next ones.

    Args:
        file: SQLite.
        study: Its name.
        metric: One of `METRICS`.
        seed: Of what is drawn.
        parallel: Whether trials are drawn while others are in training: keeps them apart.

    Raises:
        ConfigError: It looks at another metric.
    """
    import optuna  # noqa: PLC0415 - heavy

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = optuna.create_study(
        storage=f"sqlite:///{file}",
        study_name=study,
        direction=METRICS[metric],
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_CALM, n_warmup_steps=_CALM),
        load_if_exists=True,
    )
    with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
        # Of a seed of its own, or a later call would draw again what the first one drew.
        own = seed + len(search.trials)
        search.sampler = optuna.samplers.TPESampler(seed=own, constant_liar=parallel)
    before = search.user_attrs.get("metric", metric)
    if before != metric:
        raise ConfigError(
            f"search {study!r} looks at {before!r}, not {metric!r}: give another --study"
        )
    search.set_user_attr("metric", metric)
    _take_up_interrupted(search)
    return search


def draw(trial: "Trial", space: Space) -> list[str]:
    """Return what a trial draws, as `--set` takes it."""
    return [f"{key}={_drawn(trial, key, wanted)}" for key, wanted in space.ranges.items()]


def name_run(trial: "Trial", study: str) -> str:
    """Return the name of a trial's run, and write it down: that of the one it goes on with."""
    name = str(trial.user_attrs.get(RUN) or f"{study}-{trial.number:03d}")
    trial.set_user_attr(RUN, name)
    return name


def falls_behind(trial: "Trial", metric: str, progress: "Progress") -> bool:
    """Write down how an epoch ended; tell whether the trial shall be given up."""
    if progress.ended is None:
        return False
    trial.report(progress.ended[_ROWS.get(metric, metric)], progress.epoch)
    return trial.should_prune()


def _take_up_interrupted(search: "Study") -> None:
    from optuna.trial import TrialState  # noqa: PLC0415 - heavy

    latest = {trial.user_attrs.get(RUN, str(trial.number)): trial for trial in search.trials}
    for trial in latest.values():
        if trial.state == TrialState.RUNNING:
            search.tell(trial.number, state=TrialState.FAIL)
        if trial.state in (TrialState.RUNNING, TrialState.FAIL):
            search.enqueue_trial(trial.params, user_attrs=dict(trial.user_attrs))


def _drawn(trial: "Trial", key: str, wanted: Range) -> str:
    """Return what a trial draws for a setting, as TOML."""
    if wanted.choices is not None:
        return json.dumps(trial.suggest_categorical(key, wanted.choices))
    low, high = wanted.low or 0, wanted.high or 0
    if wanted.whole:
        return str(trial.suggest_int(key, int(low), int(high), log=wanted.log))
    return repr(trial.suggest_float(key, low, high, log=wanted.log))
