"""Searches on Ray: one history with those of one trial after the other, and how trials end."""

from pathlib import Path

import pytest
from small_run import TINY, small_dataset

pytest.importorskip("ray", reason="the extra 'ray' is not installed")

from facecrop.commands.tune.command import TuneResult, tune
from facecrop.commands.tune.ray import OnRay
from facecrop.commands.tune.study import Attempt, open_study
from facecrop.errors import ConfigError
from facecrop.training.progress import Progress
from facecrop.training.settings.space import Range, Space

SPACE = Space({"model.dropout": Range(choices=[0.0, 0.5])})
EPOCHS = 6


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "s.tune.sqlite"


def opened(file: Path) -> OnRay:
    """Return the search of a file, as a call on Ray opens it."""
    attempt = Attempt(file.parent, "f1", "small", (), "default", "cpu", ignore_requires=False)
    return OnRay(open_study(file, "s", "f1", 0, parallel=True), SPACE, attempt, None)


def states(file: Path) -> list[str]:
    trials = open_study(file, "s", "f1", 0, parallel=True).trials
    return [trial.state.name for trial in trials]


def epoch(number: int, f1: float) -> dict[str, Progress]:
    row = {"f1": f1, "val_loss": 1.0}
    return {"ended": Progress("r", "", "validate", 1, 1, number, EPOCHS, ended=row)}


def trained(search: OnRay, trial: str, f1: float) -> int:
    """Draw a trial, tell its epochs, and return in which of them it was given up, or EPOCHS."""
    search.draw(trial)
    for number in range(EPOCHS):
        if search.hear(trial, epoch(number, f1)):
            return number
    assert search.hear(trial, {"score": f1})
    return EPOCHS


def test_two_trials_on_ray_are_runs_of_the_same_search(tmp_path: Path) -> None:
    out = small_dataset(tmp_path)[1]
    space = tmp_path / "space.toml"
    space.write_text('"optim.lr" = { low = 1e-4, high = 1e-2, log = true }')
    heard = list[tuple[str, int]]()

    def search(trials: int, engine: str, workers: int | None) -> TuneResult:
        return tune(
            out,
            preset="small",
            space=str(space),
            settings=TINY,
            study="r",
            trials=trials,
            device="cpu",
            engine=engine,
            workers=workers,
            report=lambda progress: heard.append((progress.run, progress.epoch)),
        )

    result = search(2, "ray", 1)
    assert heard == [("r-000", 0), ("r-001", 0)]
    assert [one.state for one in result.trials] == ["complete", "complete"]
    for one in result.trials:
        resolved = (out / "runs" / str(one.run) / "settings.toml").read_text()
        assert f"{one.values['optim.lr']}" in resolved
    assert search(2, "serial", None) == result
    assert {path.name for path in (out / "runs").iterdir()} == {"r-000", "r-001", "r.tune.sqlite"}


def test_a_trial_that_falls_behind_those_of_earlier_calls_is_given_up(file: Path) -> None:
    first = opened(file)
    assert [trained(first, trial, 0.8) for trial in "abc"] == [EPOCHS] * 3
    later = opened(file)
    assert trained(later, "d", 0.9) == EPOCHS
    assert 0 < trained(later, "e", 0.1) < EPOCHS
    later.draw("f")
    assert later.hear("f", {"given_up": True})
    assert states(file) == ["COMPLETE"] * 4 + ["PRUNED"] * 2
    assert not later.over()


def test_what_the_user_can_mend_ends_the_search_and_leaves_the_others_as_interrupted(
    file: Path,
) -> None:
    search = opened(file)
    drawn = [search.draw(trial) for trial in "ab"]
    assert search.hear("a", {"mend": ConfigError("no such setting")})
    assert search.over()
    again = opened(file)
    assert [again.draw(trial) for trial in "cd"] == drawn
    assert states(file)[:2] == ["FAIL", "FAIL"]


def test_a_trial_that_is_lost_again_and_again_ends_the_search(file: Path) -> None:
    search = opened(file)
    drawn = search.draw("a")
    search.lose("a")
    assert search.over()
    search.lose("a")  # Ray Tune may say so twice
    assert opened(file).draw("b") == drawn


def test_trials_that_are_drawn_at_the_same_time_have_runs_of_their_own(file: Path) -> None:
    search = opened(file)
    assert [search.draw(trial)["name"] for trial in "abc"] == ["s-000", "s-001", "s-002"]
