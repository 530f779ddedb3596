"""`facecrop tune`: search the settings that validation likes best, run after run."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facecrop.commands.tune.study import (
    ENDED,
    METRICS,
    RUN,
    Attempt,
    GivenUpError,
    draw,
    falls_behind,
    name_run,
    open_study,
)
from facecrop.engines.choice import check_engine
from facecrop.errors import ConfigError, MissingExtraError
from facecrop.index import INDEX_FILE, read_table
from facecrop.storage import local
from facecrop.training.settings.space import Space, read_space

if TYPE_CHECKING:
    from optuna import Study, Trial

    from facecrop.training.progress import Progress, Report

__all__ = ["Tried", "TuneResult", "tune"]

ENGINES = ("serial", "ray")


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
    engine: str = "serial",
    workers: int | None = None,
    address: str | None = None,
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
        engine: `serial`, one trial after the other, or `ray`: several at a time by Ray Tune. Both
            go on with what the other began.
        workers: Trials at a time on Ray; None for as many as it has GPUs, else CPUs.
        address: Of the Ray cluster, `auto` or `host:6379`, whose machines all see the dataset under
            this path; None for that of RAY_ADDRESS, else for a Ray on this machine.
        report: As in `train`; on Ray it hears of ends of epochs alone.

    Raises:
        FacecropError: Something the user can mend; the search goes on after that.
    """
    if find_spec("optuna") is None:
        raise MissingExtraError('a search needs optuna: pip install "facecrop[train]"')
    if metric not in METRICS:
        raise ConfigError(f"no metric {metric!r} to search by; choose from: {', '.join(METRICS)}")
    _check_engine(engine, workers, address)
    out = local(out)
    read_table(out / INDEX_FILE, ["path"])  # there is a dataset, or this says how to make one
    wanted = read_space(space)
    file = out / "runs" / f"{study}.tune.sqlite"
    file.parent.mkdir(exist_ok=True)
    search = open_study(file, study, metric, seed, parallel=engine == "ray")
    attempt = Attempt(out, metric, preset, tuple(settings), split, device, ignore_requires)
    left = trials - sum(trial.state.name in ENDED for trial in search.trials)
    if left > 0 and engine == "ray":
        from facecrop.commands.tune.ray import OnRay  # noqa: PLC0415 - an extra, slow to import

        OnRay(search, wanted, attempt, report).run(left, workers, address)
    elif left > 0:
        _one_by_one(search, wanted, attempt, left, report)
    return _result(search, study, file, metric)


def _check_engine(engine: str, workers: int | None, address: str | None) -> None:
    check_engine(engine, address, ENGINES)
    if engine == "ray":
        import facecrop.commands.tune.ray  # noqa: F401, PLC0415 - says what is not installed
    elif workers is not None:
        raise ConfigError(f"--workers {workers} needs --engine ray")


def _one_by_one(
    search: "Study", space: Space, attempt: Attempt, left: int, report: "Report | None"
) -> None:
    from optuna import TrialPruned  # noqa: PLC0415 - heavy

    def objective(trial: "Trial") -> float:
        def watch(progress: "Progress") -> None:
            if report is not None:
                report(progress)
            if falls_behind(trial, attempt.metric, progress):
                raise GivenUpError

        drawn = draw(trial, space)
        try:
            return attempt.train(name_run(trial, search.study_name), drawn, watch)
        except GivenUpError:
            raise TrialPruned from None

    search.optimize(objective, n_trials=left)


def _result(search: "Study", study: str, file: Path, metric: str) -> TuneResult:
    tried = [
        Tried(
            trial.number,
            trial.state.name.lower(),
            trial.value,
            dict(trial.params),
            trial.user_attrs.get(RUN),
        )
        for trial in search.trials
    ]
    complete = [one for one in tried if one.state == "complete"]
    best = next((one for one in complete if one.number == search.best_trial.number), None)
    return TuneResult(study, file, metric, tried, best if complete else None)
