"""`facecrop tune`: search the settings that validation likes best, run after run."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from facecrop.commands.train import train
from facecrop.errors import ConfigError, MissingExtraError
from facecrop.index import INDEX_FILE, read_table
from facecrop.training.settings.space import Range, Space, read_space

if TYPE_CHECKING:
    from optuna import Study, Trial

    from facecrop.training.progress import Progress, Report

__all__ = ["Tried", "TuneResult", "tune"]

_RUN = "run"
_METRICS: dict[str, Literal["maximize", "minimize"]] = {
    "f1": "maximize",
    "official_f1": "maximize",
    "accuracy": "maximize",
    "loss": "minimize",
}
_ROWS = {"loss": "val_loss"}
"""Columns of `metrics.csv` that have another name than the metric."""
_ENDED = ("COMPLETE", "PRUNED")
_CALM = 3
"""Epochs in which no trial is given up: the first ones tell little."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial of a search.

    Args:
        number: Counted from 0.
        state: `complete`, `pruned` (given up early), or `fail`.
        value: Of the metric; of a pruned trial, the last that was seen. None if there is none.
        values: By setting, what was tried.
        run: Name of its run.
    """

    number: int
    state: str
    value: float | None
    values: dict[str, Any]
    run: str | None


@dataclass(frozen=True, slots=True)
class TuneResult:
    """What a search knows so far, earlier calls included.

    Args:
        study: Its name.
        file: The SQLite file that holds it.
        metric: What was looked at.
        trials: All of them, in order.
        best: The best complete one, None if none is complete.
    """

    study: str
    file: Path
    metric: str
    trials: list[Tried]
    best: Tried | None


class _GivenUpError(Exception):
    """A trial is worse than the others were at its age; ends its training."""


def tune(
    out: Path | str,
    *,
    preset: str | None = None,
    space: str = "default",
    settings: Sequence[str] = (),
    study: str = "tune",
    trials: int = 20,
    metric: str = "f1",
    seed: int = 0,
    split: str = "default",
    device: str = "auto",
    ignore_requires: bool = False,
    report: "Report | None" = None,
) -> TuneResult:
    """Search the settings that validation likes best, run after run.

    Each trial is a run of its own, `OUT/runs/<study>-<number>`; one that falls behind the median
    of the others is given up. The same call goes on where an earlier one was stopped, with the
    interrupted training first, until there are `trials` in all. Source of the sampler: Bergstra et
    al. 2011, "Algorithms for Hyper-Parameter Optimization" (tree-structured Parzen estimator).

    Args:
        out: The dataset.
        preset: What is not searched; as in `train`.
        space: A shipped search space, or the path of a TOML file.
        settings: Single settings that are not searched.
        study: Name of the search.
        trials: How many there shall be in all.
        metric: f1, official_f1, accuracy or loss, of the validation people.
        seed: Of the search.
        split: Whose fold 0 is validation.
        device: As in `train`.
        ignore_requires: Likewise.
        report: Likewise.

    Raises:
        FacecropError: Something the user can mend; the search goes on after that.
    """
    if find_spec("optuna") is None:
        raise MissingExtraError('a search needs optuna: pip install "facecrop[train]"')
    if metric not in _METRICS:
        raise ConfigError(f"no metric {metric!r} to search by; choose from: {', '.join(_METRICS)}")
    out = Path(out)
    read_table(out / INDEX_FILE, ["path"])  # there is a dataset, or this says how to make one
    wanted = read_space(space)
    file = out / "runs" / f"{study}.tune.sqlite"
    file.parent.mkdir(exist_ok=True)
    search = _open(file, study, metric, seed)
    _take_up_interrupted(search)

    from optuna import TrialPruned  # noqa: PLC0415 - heavy

    def attempt(trial: "Trial") -> float:
        chosen = [*settings, *(f"{key}={_drawn(trial, key, r)}" for key, r in _items(wanted))]
        old = trial.user_attrs.get(_RUN)
        name = old or f"{study}-{trial.number:03d}"
        trial.set_user_attr(_RUN, name)
        going_on = (out / "runs" / name / "run.json").exists()
        try:
            result = train(
                out,
                preset=None if going_on else preset,
                settings=() if going_on else chosen,
                name=None if going_on else name,
                resume=name if going_on else None,
                split=split,
                device=device,
                ignore_requires=ignore_requires,
                report=lambda progress: _watch(trial, metric, progress, report),
            )
        except _GivenUpError:
            raise TrialPruned from None
        except ConfigError:
            if not (out / "runs" / name / "metrics.csv").exists():
                raise  # nothing was trained: what is wrong, is wrong with every trial
            raise TrialPruned from None  # the loss is no number: a bad place to look
        return result.scores[_ROWS.get(metric, metric)]

    left = trials - sum(trial.state.name in _ENDED for trial in search.trials)
    if left > 0:
        search.optimize(attempt, n_trials=left)
    return _result(search, study, file, metric)


def _items(space: Space) -> list[tuple[str, Range]]:
    return list(space.ranges.items())


def _open(file: Path, study: str, metric: str, seed: int) -> "Study":
    import optuna  # noqa: PLC0415 - heavy

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = optuna.create_study(
        storage=f"sqlite:///{file}",
        study_name=study,
        direction=_METRICS[metric],
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_CALM, n_warmup_steps=_CALM),
        load_if_exists=True,
    )
    before = search.user_attrs.get("metric", metric)
    if before != metric:
        raise ConfigError(
            f"search {study!r} looks at {before!r}, not {metric!r}: give another --study"
        )
    search.set_user_attr("metric", metric)
    return search


def _take_up_interrupted(search: "Study") -> None:
    """Give trials that a killed or interrupted process left behind to the next ones."""
    from optuna.trial import TrialState  # noqa: PLC0415 - heavy

    latest = {trial.user_attrs.get(_RUN, str(trial.number)): trial for trial in search.trials}
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


def _watch(trial: "Trial", metric: str, progress: "Progress", report: "Report | None") -> None:
    """Pass progress on; give a trial up that falls behind the others."""
    if report is not None:
        report(progress)
    if progress.ended is None:
        return
    trial.report(progress.ended[_ROWS.get(metric, metric)], progress.epoch)
    if trial.should_prune():
        raise _GivenUpError


def _result(search: "Study", study: str, file: Path, metric: str) -> TuneResult:
    tried = [
        Tried(
            trial.number,
            trial.state.name.lower(),
            trial.value,
            dict(trial.params),
            trial.user_attrs.get(_RUN),
        )
        for trial in search.trials
    ]
    complete = [one for one in tried if one.state == "complete"]
    best = next((one for one in complete if one.number == search.best_trial.number), None)
    return TuneResult(study, file, metric, tried, best if complete else None)
