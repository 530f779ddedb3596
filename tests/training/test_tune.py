"""Searches: what may be drawn, that they go on where they were, and give up what falls behind."""

import sys
from pathlib import Path

import pytest
from small_run import TINY, small_dataset

from facecrop.commands.tune.command import TuneResult, tune
from facecrop.errors import ConfigError, MissingExtraError
from facecrop.training.progress import Progress
from facecrop.training.settings.space import read_space

SPACE = """
"optim.lr" = { low = 1e-4, high = 1e-2, log = true }
"model.dropout" = { choices = [0.0, 0.5] }
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("tune"))[1]


@pytest.fixture
def space(tmp_path: Path) -> str:
    file = tmp_path / "space.toml"
    file.write_text(SPACE)
    return str(file)


def search(out: Path, space: str, study: str, trials: int, **more: object) -> TuneResult:
    return tune(
        out,
        preset="small",
        space=space,
        settings=[*TINY, "optim.epochs=2"],
        study=study,
        trials=trials,
        device="cpu",
        **more,  # type: ignore[arg-type]  # tests pass what they are about
    )


def test_each_trial_is_a_run_with_what_was_drawn_and_more_trials_go_on(
    dataset: Path, space: str
) -> None:
    first = search(dataset, space, "a", 1)
    both = search(dataset, space, "a", 2)
    assert both.trials[0] == first.trials[0]
    assert [one.state for one in both.trials] == ["complete", "complete"]
    assert both.trials[0].values != both.trials[1].values
    assert both.best is not None
    for one in both.trials:
        assert 1e-4 <= one.values["optim.lr"] <= 1e-2
        resolved = (dataset / "runs" / str(one.run) / "settings.toml").read_text()
        assert f"{one.values['optim.lr']}" in resolved
    assert search(dataset, space, "a", 2).trials == both.trials


def test_an_interrupted_search_goes_on_with_the_same_training(dataset: Path, space: str) -> None:
    def stop(progress: Progress) -> None:
        if progress.ended is not None and progress.epoch == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(dataset, space, "b", 1, report=stop)
    epochs = list[int]()
    result = search(
        dataset,
        space,
        "b",
        1,
        report=lambda progress: epochs.append(progress.epoch) if progress.ended else None,
    )
    assert epochs == [1]  # the first epoch was there already
    done = [one for one in result.trials if one.state == "complete"]
    assert [one.run for one in done] == ["b-000"]


def test_a_study_has_one_metric(dataset: Path, space: str) -> None:
    search(dataset, space, "c", 1)
    with pytest.raises(ConfigError, match="looks at 'f1', not 'accuracy'"):
        search(dataset, space, "c", 1, metric="accuracy")
    with pytest.raises(ConfigError, match="choose from: f1, official_f1"):
        search(dataset, space, "c", 1, metric="f2")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"engine": "local"}, "no engine named 'local'; choose from: serial, ray"),
        ({"address": "head:6379"}, "--address head:6379 needs --engine ray"),
        ({"workers": 2}, "--workers 2 needs --engine ray"),
    ],
)
def test_options_of_an_engine_that_make_no_sense_are_refused(
    tmp_path: Path, options: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        search(tmp_path, "default", "d", 1, **options)


def test_without_ray_the_engine_ray_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for module in ("facecrop.engines.cluster", "facecrop.commands.tune.ray"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(MissingExtraError, match=r'pip install "facecrop\[ray\]"'):
        search(tmp_path, "default", "d", 1, engine="ray")


def test_the_shipped_space_searches_what_report_002_searched() -> None:
    ranges = read_space("default").ranges
    assert {"optim.lr", "optim.epochs", "optim.batch_size"} <= ranges.keys()
    assert ranges["optim.lr"].log
    assert ranges["optim.epochs"].whole


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no setting"),
        ("optim.lr = { low = 1, high = 2 }", "stand in quotes"),
        ('"optim.lr" = { low = 2, high = 1 }', "low must be below high"),
        ('"optim.lr" = { low = 0, high = 1, log = true }', "log needs a low above 0"),
        ('"optim.lr" = { low = 1 }', "give low and high, or choices"),
        ('"optim.lr" = { choices = [1], log = true }', "choices stand alone"),
        ('"optim.lr" = 3', "must be { low, high } or { choices }"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "space.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_space(str(file))
    assert said in str(error.value)
