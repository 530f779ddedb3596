"""Folds on a cluster: the predictions of one machine, whatever becomes of a process."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from made_trainings import tiny, trained, write_learnable

pytest.importorskip("ray", reason="the extra 'ray' is not installed")

import torch

from facecrop.commands.split import read_settings, split
from facecrop.engines.cluster import connected
from facecrop.errors import ConfigError
from facecrop.training.progress import Progress

pytestmark = pytest.mark.timeout(600)

SAME = ("predictions.parquet", "confusion.png", "result.json")
EACH = (*SAME, "metrics.csv", "curves.png", "settings.toml", "run.json")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split of two folds, small enough to be learnt in moments."""
    out = tmp_path_factory.mktemp("folds") / "out"
    write_learnable(out, people=12)
    split(out, settings=read_settings({"strategy": "kfold", "folds": 2}))
    return out


@pytest.fixture
def _one_cpu() -> Iterator[None]:
    """One thread, and a Ray of one CPU: one fold at a time, and one process for both."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with connected(None, cpus=1):
        yield
    torch.set_num_threads(threads)


def trainers() -> list[psutil.Process]:
    """Return the processes that train at this moment."""
    below = psutil.Process().children(recursive=True)
    return [process for process in below if "ray::_train" in " ".join(process.cmdline())]


@pytest.mark.usefixtures("_one_cpu")
def test_folds_on_a_cluster_predict_as_one_after_the_other_and_outlive_a_killed_process(
    dataset: Path,
) -> None:
    settings = tiny(model={"pretrained": False, "dropout": 0.3})
    here = trained(dataset, settings, name="here", folds="all").run
    killed: list[int] = []
    seen: set[str] = set()

    def report(progress: Progress) -> None:
        seen.add(progress.member)
        if not killed and progress.ended is not None:
            for process in trainers():
                process.kill()
                killed.append(process.pid)

    afar = trained(dataset, settings, name="afar", folds="all", engine="ray", report=report).run
    assert killed
    assert seen == {"fold0", "fold1"}
    for fold in ("fold0", "fold1"):
        for name in EACH:
            assert (here / fold / name).read_bytes() == (afar / fold / name).read_bytes(), name
    for name in SAME:
        assert (here / name).read_bytes() == (afar / name).read_bytes(), name


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"engine": "serial"}, "no engine named 'serial'; choose from: local, ray"),
        ({"address": "head:6379"}, "--address head:6379 needs --engine ray"),
        ({"engine": "ray"}, "this is one training: give --folds all or --repeats"),
        ({"engine": "ray", "folds": "1"}, "this is one training"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_a_run_is_begun(
    dataset: Path, options: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        trained(dataset, name="refused", **options)
    assert not (dataset / "runs" / "refused").exists()


def test_what_a_launcher_started_does_not_start_a_cluster(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="leave torchrun or accelerate out"):
        trained(dataset, folds="all", engine="ray")
