"""A training may end at any moment, and goes on as if it had not."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from made_trainings import best, differences, last, tiny, trained, weights, write_learnable
from program import PROGRAM, environment, facecrop

from facecrop.commands.relabel.command import relabel
from facecrop.config import plain, toml_text
from facecrop.errors import ConfigError, StoreError, TableError
from facecrop.training import state
from facecrop.training.progress import Progress
from facecrop.training.runs import Run, locked
from facecrop.training.settings import TrainSettings
from facecrop.training.state import Checkpoints, Place, read_checkpoint, write_checkpoint

TABLES = ("metrics.csv", "predictions.parquet", "result.json", "curves.png", "confusion.png")


class StoppedError(Exception):
    """What a test stops a training with."""


class Stop:
    """Stops a training after so many reports of training steps."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, progress: Progress) -> None:
        self.left -= progress.stage == "train"
        if self.left < 0:
            raise StoppedError


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every step report and nothing depend on the number of cores."""
    torch.set_num_threads(1)
    monkeypatch.setattr("facecrop.training.progress._EVERY_S", 0.0)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_learnable(tmp_path / "out")


def everything() -> TrainSettings:
    """Settings with all that has a state of its own, and chance wherever there can be any."""
    return tiny(
        model={"pretrained": False, "dropout": 0.3, "drop_path": 0.1},
        optim={
            "epochs": 4,
            "ema": 0.9,
            "accumulate": 2,
            "clip": 1.0,
            "schedule": {"name": "plateau", "patience": 0, "factor": 0.5},
        },
        augment={
            "transforms": ({"name": "flip"}, {"name": "noise"}, {"name": "color-jitter"}),
            "mix": ({"name": "mixup"},),
        },
        loss={"then": [{"from_epoch": 2, "terms": [{"name": "focal"}]}]},
        select={"metric": "loss"},
    )


KINDS = {
    "everything": everything(),
    "averaged epochs": tiny(optim={"swa": {"start": 1}, "epochs": 3}),
    "adam and one cycle": tiny(
        optim={"name": "adam", "schedule": {"name": "one-cycle"}, "epochs": 2}
    ),
    "sgd that stops early": tiny(optim={"name": "sgd", "lr": 1e-9, "epochs": 9, "stop_after": 2}),
    "thawing": tiny(model={"freeze_epochs": 1, "pretrained": False}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_that_was_stopped_again_and_again_ends_the_same(
    dataset: Path, kind: str
) -> None:
    whole = trained(dataset, KINDS[kind], name="whole").run
    stopped = Stop(3)
    with pytest.raises(StoppedError):
        trained(dataset, KINDS[kind], name="parts", save_every=0, report=stopped)
    stops = 0
    while not Run(dataset / "runs" / "parts").finished:
        try:
            options: dict[str, Any] = {"resume": "parts", "report": Stop(3)}
            trained_on(dataset, **options)
        except StoppedError:
            stops += 1
    parts = dataset / "runs" / "parts"
    assert stops >= 2
    assert differences(weights(whole), weights(parts)) == []
    assert differences(best(whole)["weights"], best(parts)["weights"]) == []
    for name in TABLES:
        assert (whole / name).read_bytes() == (parts / name).read_bytes(), name
    for epoch in sorted((whole / "epochs.parquet").iterdir()):
        assert epoch.read_bytes() == (parts / "epochs.parquet" / epoch.name).read_bytes()


def trained_on(out: Path, resume: str, **options: Any) -> None:
    from facecrop.commands.train.command import train  # noqa: PLC0415 - as in made_trainings

    train(out, resume=resume, device="cpu", save_every=0, **options)


def test_a_killed_training_goes_on_to_the_same_weights(dataset: Path, tmp_path: Path) -> None:
    preset = tmp_path / "preset.toml"
    settings = plain(everything())
    assert isinstance(settings, dict)
    preset.write_text("# for a test\n" + toml_text(settings))
    arguments = [str(dataset), "--preset", str(preset), "--device", "cpu", "--save-every", "0"]
    threads = environment(OMP_NUM_THREADS="1")
    whole = facecrop("train", *arguments, "--name", "whole", env=threads)
    assert whole.returncode == 0, whole.stderr

    killed = subprocess.Popen(
        [*PROGRAM, "train", *arguments, "--name", "killed"],
        env=threads,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    place = _wait_for(dataset / "runs" / "killed", killed)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not Run(dataset / "runs" / "killed").finished
    assert place.epoch >= 1
    assert place.step > 0, "killed between epochs"

    gone_on = facecrop("train", dataset, "--resume", "killed", "--device", "cpu", env=threads)
    assert gone_on.returncode == 0, gone_on.stderr
    assert "epoch 1/" not in gone_on.stdout, "the first epoch was done again"
    runs = dataset / "runs"
    assert differences(weights(runs / "whole"), weights(runs / "killed")) == []
    assert differences(best(runs / "whole")["weights"], best(runs / "killed")["weights"]) == []
    for name in TABLES:
        assert (runs / "whole" / name).read_bytes() == (runs / "killed" / name).read_bytes(), name


def test_an_interrupted_training_says_how_to_go_on(dataset: Path) -> None:
    process = subprocess.Popen(
        [
            *PROGRAM, "train", str(dataset), "--set", "input.size=[32, 32]", "--epochs", "50",
            "--set", "optim.batch_size=8", "--device", "cpu", "--name", "stopped",
            "--save-every", "0",
        ],
        env=environment(OMP_NUM_THREADS="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    _wait_for(dataset / "runs" / "stopped", process)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"go on with: facecrop train {dataset} --resume stopped" in said.decode()


def test_an_interrupt_while_a_checkpoint_is_written_is_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What torch makes of it is a RuntimeError about its writer: a traceback for a Ctrl-C."""

    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    file = tmp_path / "last.pt"
    state.write_checkpoint(file, {"a": torch.zeros(3)})
    monkeypatch.setattr("facecrop.training.state._Remembering.write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        state.write_checkpoint(file, {"a": torch.ones(100_000)})
    assert read_checkpoint(file)["a"].sum() == 0


def _wait_for(run: Path, process: subprocess.Popen[bytes]) -> Place:
    """Wait until a training is in the middle of its second epoch or later; return where."""
    while True:
        assert process.poll() is None, process.communicate()[1].decode()
        if (run / "checkpoints" / "last.pt").exists():
            place = Place(**read_checkpoint(run / "checkpoints" / "last.pt")["place"])
            if place.epoch >= 1 and place.step > 0:
                return place
        time.sleep(0.01)


def test_a_full_disk_leaves_the_last_checkpoint_whole(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(dataset, name="whole").run
    run = dataset / "runs" / "full"

    def full(progress: Progress) -> None:
        if progress.stage == "train" and progress.epoch == 1:
            monkeypatch.setattr(state, "_Remembering", _FullDisk)

    with pytest.raises(StoreError, match="cannot be written: No space left on device"):
        trained(dataset, name="full", report=full)
    place, _ = last(run)
    assert (place.epoch, place.step) == (1, 0)
    assert [path.name for path in (run / "checkpoints").glob(".*")] == []
    monkeypatch.undo()
    torch.set_num_threads(1)
    trained_on(dataset, "full")
    assert differences(weights(whole), weights(run)) == []
    assert differences(best(whole)["weights"], best(run)["weights"]) == []


class _FullDisk(state._Remembering):  # noqa: SLF001 - the disk is below it
    """A file on a disk with room for a few bytes only."""

    room = 10_000

    def write(self, data: Any, /) -> int:
        if len(data) > self.room:
            self.error = OSError(28, "No space left on device")
            raise self.error
        self.room -= len(data)
        return super().write(data)


def test_a_disk_that_is_really_full_is_named_as_such() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no device that is always full")
    with pytest.raises(OSError, match="No space left on device"):
        state._save({"tensor": torch.zeros(100_000)}, full)  # noqa: SLF001 - write_atomic renames


@pytest.mark.parametrize("said", [1, 2])
def test_a_best_checkpoint_is_the_one_that_the_last_one_names(tmp_path: Path, said: int) -> None:
    """Killed between the two: epoch 2 was better, and `last.pt` says so, or does not yet."""
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(Place(epoch=2, best_epoch=1), {}, {"epoch": 1, "weights": {}})
    if said == 2:
        checkpoints.save(Place(epoch=3, best_epoch=2), {}, None)
    write_checkpoint(tmp_path / "best.next.pt", {"epoch": 2, "weights": {}})
    loaded = Checkpoints(tmp_path).load()
    assert loaded is not None
    assert loaded[0].best_epoch == said
    assert read_checkpoint(checkpoints.best)["epoch"] == said
    assert not (tmp_path / "best.next.pt").exists()


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(TableError, match=r"last\.pt cannot be read"):
        Checkpoints(tmp_path).load()


def test_a_checkpoint_never_runs_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"format": 1, "evil": Evil()}, tmp_path / "last.pt")
    with pytest.raises(TableError):
        Checkpoints(tmp_path).load()
    assert not (tmp_path / "owned").exists()


def stopped(dataset: Path) -> Path:
    """A run that was stopped in its first epoch."""
    with pytest.raises(StoppedError):
        trained(dataset, name="stopped", report=Stop(1))
    return dataset / "runs" / "stopped"


def test_other_labels_than_it_began_with_end_a_training(dataset: Path) -> None:
    stopped(dataset)
    relabel(dataset, set_policy="threshold-58")
    with pytest.raises(TableError, match="'stopped' cannot go on: the labels changed"):
        trained_on(dataset, "stopped")


def test_a_finished_run_is_not_trained_again(dataset: Path) -> None:
    run = trained(dataset, name="done").run
    before = (run / "checkpoints" / "last.pt").stat().st_mtime_ns

    def nobody(progress: Progress) -> None:
        raise AssertionError(f"trained again: {progress}")

    trained_on(dataset, "done", report=nobody)
    assert (run / "checkpoints" / "last.pt").stat().st_mtime_ns == before


def test_a_run_is_trained_by_one_process_at_a_time(dataset: Path) -> None:
    run = stopped(dataset)
    with locked(Run(run)), pytest.raises(StoreError, match="another process"):
        trained_on(dataset, "stopped")


def test_what_is_resumed_is_not_given_anew(dataset: Path) -> None:
    stopped(dataset)
    with pytest.raises(ConfigError, match="--resume goes on as the run was begun"):
        trained(dataset, resume="stopped")
    with pytest.raises(ConfigError, match=r"no run 'stoped' to resume.*runs: stopped"):
        trained_on(dataset, "stoped")


def test_folds_go_on_where_they_were(tmp_path: Path) -> None:
    out = write_learnable(tmp_path, strategy="kfold", folds=3, val_fraction=None)
    whole = trained(out, name="whole", folds="all")
    with pytest.raises(StoppedError):
        trained(out, name="parts", folds="all", report=Stop(25))
    folder = out / "runs" / "parts"
    assert Run(folder / "fold0").finished
    assert not Run(folder / "fold2").finished
    trained_on(out, "parts")
    for name in ("predictions.parquet", "result.json"):
        assert (whole.run / name).read_bytes() == (folder / name).read_bytes()
