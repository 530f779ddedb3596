"""Two processes train as one does: the same order, the same numbers, the same weights."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from made_trainings import best, furthest, tiny, trained, weights, write_learnable
from program import environment

from facecrop.config import plain, toml_text
from facecrop.training.runs import Run
from facecrop.training.settings import TrainSettings

LAUNCHERS = {
    "torchrun": ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"],
    "accelerate": [
        "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
        "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "-m",
    ],
}  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_learnable(tmp_path / "out")


def without_norm(**optim: Any) -> TrainSettings:
    """A net whose pictures know nothing of each other, with all else that a batch has in common.

    The loss is a soft F1, which is no mean over records, the last batch of an epoch is odd, and
    pictures are mixed with those of the other process's part.
    """
    return tiny(
        model={"backbone": "test_convnext", "pretrained": False},
        loss={"terms": ({"name": "soft-f1"}, {"name": "cross-entropy", "classes": "inverse"})},
        augment={
            "transforms": ({"name": "flip"}, {"name": "color-jitter"}, {"name": "noise"}),
            "mix": ({"name": "mixup", "p": 0.5}, {"name": "cutmix", "p": 0.5}),
        },
        optim={"epochs": 2, "batch_size": 9, "ema": 0.5, "clip": 1.0, **optim},
    )


def launched(launcher: str, dataset: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Train by two processes on the CPU, each with one thread."""
    command = [
        sys.executable, *LAUNCHERS[launcher], "facecrop", "train", str(dataset),
        "--device", "cpu", *arguments,
    ]  # fmt: skip
    return subprocess.run(
        command,
        env=environment(OMP_NUM_THREADS="1", GLOO_SOCKET_IFNAME="lo"),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def preset(dataset: Path, settings: TrainSettings) -> tuple[str, str]:
    """The option that begins with settings."""
    file = dataset.parent / "preset.toml"
    data = plain(settings)
    assert isinstance(data, dict)
    file.write_text("# for a test\n" + toml_text(data))
    return "--preset", str(file)


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_processes_train_a_net_without_batch_norm_as_one_does(
    dataset: Path, launcher: str
) -> None:
    one = trained(dataset, without_norm(), name="one").run
    said = launched(launcher, dataset, *preset(dataset, without_norm()), "--name", "two")
    assert said.returncode == 0, said.stderr
    assert said.stdout.count("look at it") == 1, "only one of them speaks"
    two = dataset / "runs" / "two"
    assert Run(two).facts()["processes"] == 2
    assert furthest(weights(one), weights(two)) < 1e-5
    assert furthest(best(one)["weights"], best(two)["weights"]) < 1e-5
    for mine, theirs in zip(Run(one).metrics(), Run(two).metrics(), strict=True):
        assert mine == pytest.approx(theirs, abs=1e-4)
    # The same pictures went through both, in the same order: what was said of each is alike.
    tables = [pq.read_table(run / "epochs.parquet").sort_by("path") for run in (one, two)]
    assert tables[0].select(["path", "epoch", "part"]) == tables[1].select(
        ["path", "epoch", "part"]
    )
    gap = pc.max(pc.abs(pc.subtract(tables[0]["loss"], tables[1]["loss"]))).as_py()
    assert gap < 1e-3


def test_two_processes_judge_a_checkpoint_as_one_does(dataset: Path) -> None:
    """The checkpoint is of a net with batch norm; no epoch is left to train."""
    settings = tiny(optim={"epochs": 2})
    one = trained(dataset, settings, name="one").run
    before = pq.read_table(one / "predictions.parquet")
    result = Run(one).result()
    (one / "result.json").unlink()
    (one / "predictions.parquet").unlink()
    said = launched("torchrun", dataset, "--resume", "one")
    assert said.returncode == 0, said.stderr
    after = pq.read_table(one / "predictions.parquet")
    assert _differing(before, after) == []
    assert Run(one).result() == result


def test_two_processes_train_a_net_with_batch_norm_to_one_set_of_weights(dataset: Path) -> None:
    """Batch statistics are each process's own, so the weights are others than one process's."""
    settings = tiny(optim={"epochs": 2}, select={"last": True})
    said = launched("torchrun", dataset, *preset(dataset, settings), "--name", "two")
    assert said.returncode == 0, said.stderr
    run = dataset / "runs" / "two"
    assert furthest(weights(run), best(run)["weights"]) == 0.0
    metrics = Run(run).metrics()
    assert metrics[1]["train_loss"] < metrics[0]["train_loss"]


def test_a_mistake_ends_all_processes_with_its_message(dataset: Path) -> None:
    said = launched("torchrun", dataset, *preset(dataset, tiny()), "--folds", "7")
    assert said.returncode != 0
    assert "error: --folds must be 0 with this split" in said.stderr
    ours = [line for line in said.stderr.splitlines() if 'File "' in line and "facecrop/" in line]
    assert ours == [], "the launcher has a traceback of its own, but there is none of ours"


def _differing(one: pa.Table, other: pa.Table) -> list[str]:
    assert one.column_names == other.column_names
    return [name for name in one.column_names if not one[name].equals(other[name])]
