"""Searches on Ray: Ray Tune runs the trials, several at a time, and our study keeps what they tell.

What is drawn, and which trial falls behind, the study in `OUT/runs/<study>.tune.sqlite` decides, as
in a search of one trial after the other: each can go on with what the other began, and a trial is
judged by those of earlier calls too. Ray Tune asks for the next trial through its interface for
searchers, and hands over what a trial reports through that for stoppers.

Why not Ray Tune's `OptunaSearch` and `MedianStoppingRule`: that searcher can write to a study in
SQLite, but keeps no name of a run in it, leaves trials of a killed driver as running for ever, and
writes those that the rule stopped as complete; the rule knows the trials of this call alone.
"""

import logging
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facecrop.commands.train.begin import default_split, read_preset
from facecrop.commands.tune.study import Attempt, GivenUpError, draw, falls_behind, name_run
from facecrop.engines.cluster import TRIES, connected, lines, lost
from facecrop.engines.cores import usable_cores
from facecrop.errors import FacecropError, MissingExtraError
from facecrop.training.settings.space import Space

try:
    import ray
    from ray import tune
    from ray.exceptions import RayTaskError
    from ray.tune.search import Searcher
except ImportError as error:
    raise MissingExtraError(
        f'Ray Tune cannot be used ({error}); run: pip install "facecrop[ray]"'
    ) from None

if TYPE_CHECKING:
    from optuna import Study, Trial

    from facecrop.training.progress import Progress, Report

_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",  # the other one is never silent
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # settings may name files
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # runs have logs of their own
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # an interruption ends the search at once, as elsewhere
}
_ENDED, _SCORE, _GIVEN_UP, _MEND = "ended", "score", "given_up", "mend"
"""What a trial reports: an epoch, its end, that it leads nowhere, or what the user can mend."""


class OnRay:
    """A search whose trials Ray Tune runs.

    Args:
        study: What is known so far.
        space: What is searched.
        attempt: A training of it.
        report: Hears of the end of each epoch.
    """

    def __init__(
        self, study: "Study", space: Space, attempt: Attempt, report: "Report | None"
    ) -> None:
        self._study, self._space, self._attempt, self._report = study, space, attempt, report
        self._open: dict[str, Trial] = {}
        self._mend: FacecropError | None = None
        self._failed = False

    def run(self, left: int, workers: int | None, address: str | None) -> None:
        """Run trials.

        Args:
            left: How many.
            workers: How many at a time; None for as many as Ray has GPUs, else CPUs.
            address: Of a cluster; None for a Ray of our own, unless RAY_ADDRESS names one.

        Raises:
            FacecropError: Something the user can mend. Trials in training are left as interrupted.
        """
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a lost worker is no page of text
        cpus = max(workers or 1, len(usable_cores()))
        gpus = 0 if self._attempt.device == "cpu" else None
        runs = self._attempt.out.resolve() / "runs"
        with (
            tempfile.TemporaryDirectory(prefix=".ray-", dir=runs) as folder,
            connected(address, cpus, gpus) as own,
        ):
            share = self._share(workers, own=own)
            attempt = _prepared(self._attempt, gpu=share["gpu"] > 0)
            tuner = tune.Tuner(
                tune.with_resources(_trainable(attempt), share),
                tune_config=tune.TuneConfig(
                    search_alg=_Drawing(self),
                    num_samples=left,
                    reuse_actors=True,  # to start one takes seconds
                    max_concurrent_trials=workers,
                    trial_dirname_creator=lambda trial: trial.trial_id,
                ),
                run_config=tune.RunConfig(
                    name="trials",
                    storage_path=folder,
                    stop=_Listening(self),
                    failure_config=tune.FailureConfig(max_failures=TRIES),
                    verbose=0,
                ),
            )
            results = tuner.fit()
        if self._mend is not None:
            raise self._mend
        if self._failed:
            raise _why(results.errors)

    def _share(self, workers: int | None, *, own: bool) -> dict[str, float]:
        """Return what of the cluster one trial gets."""
        there = ray.cluster_resources()
        gpus = 0 if self._attempt.device == "cpu" else int(there.get("GPU", 0))
        at_once = workers or gpus or int(there.get("CPU", 1))
        # A machine of a cluster may be small: only on our own it is known what a trial can get.
        cpus = max(1, int(there.get("CPU", 1)) // at_once) if own else 1
        return {"cpu": cpus, "gpu": 1 if gpus else 0}

    def draw(self, trial_id: str) -> dict[str, Any]:
        """Return the next trial: the name of its run, and what it has drawn."""
        trial = self._study.ask()
        self._open[trial_id] = trial
        return {"drawn": draw(trial, self._space), "name": name_run(trial, self._study.study_name)}

    def hear(self, trial_id: str, told: Mapping[str, Any]) -> bool:
        """Write down what a trial tells; return whether it shall end."""
        from optuna.trial import TrialState  # noqa: PLC0415 - heavy

        trial = self._open.get(trial_id)
        if trial is None:
            return True
        if _ENDED in told:
            progress: Progress = told[_ENDED]
            if self._report is not None:
                self._report(progress)
            if not falls_behind(trial, self._attempt.metric, progress):
                return False
            self._study.tell(trial, state=TrialState.PRUNED)
        elif _SCORE in told:
            self._study.tell(trial, told[_SCORE])
        elif _GIVEN_UP in told:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._mend = self._mend or told[_MEND]
            self._study.tell(trial, state=TrialState.FAIL)
        del self._open[trial_id]
        return True

    def lose(self, trial_id: str) -> None:
        """Write down that a trial has failed for good."""
        from optuna.trial import TrialState  # noqa: PLC0415 - heavy

        trial = self._open.pop(trial_id, None)
        if trial is not None:
            self._study.tell(trial, state=TrialState.FAIL)
            self._failed = True

    def over(self) -> bool:
        """Tell whether the search shall end."""
        return self._failed or self._mend is not None

    def __getstate__(self) -> dict[str, Any]:
        """Leave everything out of the copy that Ray Tune keeps: the study is what goes on."""
        return {}


class _Drawing(Searcher):  # type: ignore[misc]  # Ray's types are not followed
    """What Ray Tune asks for trials."""

    def __init__(self, search: OnRay) -> None:
        super().__init__()
        self._search = search

    def set_search_properties(self, *_: object, **__: object) -> bool:
        return True

    def suggest(self, trial_id: str) -> dict[str, Any]:
        return self._search.draw(trial_id)

    def on_trial_complete(self, trial_id: str, *_: object, **told: object) -> None:
        if told.get("error"):
            self._search.lose(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Keep nothing: the study does."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing was kept."""


class _Listening(tune.Stopper):  # type: ignore[misc]  # Ray's types are not followed
    """What Ray Tune tells of trials."""

    def __init__(self, search: OnRay) -> None:
        self._search = search

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        return self._search.hear(trial_id, result)

    def stop_all(self) -> bool:
        return self._search.over()


def _prepared(attempt: Attempt, *, gpu: bool) -> Attempt:
    """Decide here what trials that begin at the same moment would decide each for itself."""
    chosen = read_preset(attempt.preset, attempt.settings, gpu=gpu)
    default_split(attempt.out, attempt.split, chosen.settings.requires, kfold=False)
    preset = attempt.preset or chosen.preset
    if Path(preset).is_file():
        preset = str(Path(preset).resolve())
    return replace(attempt, out=attempt.out.resolve(), preset=preset)


def _trainable(attempt: Attempt) -> Callable[[dict[str, Any]], None]:
    def trial(config: dict[str, Any]) -> None:
        _train(attempt, config["name"], config["drawn"])

    return trial


def _train(attempt: Attempt, name: str, drawn: list[str]) -> None:
    """Train inside a worker; waits after each report until the driver has decided."""

    def tell(progress: "Progress") -> None:
        if progress.ended is not None:
            tune.report({_ENDED: progress})

    try:
        tune.report({_SCORE: attempt.train(name, drawn, tell)})
    except GivenUpError:
        tune.report({_GIVEN_UP: True})
    except FacecropError as error:
        tune.report({_MEND: error})


def _why(errors: Sequence[Exception]) -> Exception:
    """Return what a failed search ends with: a bug with the worker's traceback, or one line."""
    bug: Exception | None = next(
        (error for error in errors if isinstance(error, RayTaskError)), None
    )
    if bug is not None:
        return bug
    said = [line for error in errors for line in lines(error)] or ["no word of why"]
    return lost("a trial", said[-1], "the dataset under the same path")
