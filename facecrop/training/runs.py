"""Runs on disk: what lies in `OUT/runs/<name>/`, written and read without torch.

A run is one training, or several that belong together (folds, repeats): then each of these is a run
of its own in a folder inside, and the outer one holds their predictions and scores together.
"""

import csv
import fcntl
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from typing import Any

from facecrop.config import plain, read_toml, toml_text, validate
from facecrop.errors import ConfigError, StoreError, TableError
from facecrop.index import write_atomic
from facecrop.training.settings import TrainSettings

FOLDER = "runs"
FORMAT = 1

_PACKAGES = ("facecrop", "torch", "torchvision", "timm", "accelerate", "numpy", "pyarrow")


@dataclass(frozen=True, slots=True)
class Run:
    """A run's folder; the names of all files in it stand here."""

    folder: Path

    @property
    def name(self) -> str:
        """What it is called: below `runs/`, with slashes for one inside another."""
        parts = self.folder.parts
        after = len(parts) - parts[::-1].index(FOLDER) if FOLDER in parts else -1
        return "/".join(parts[after:])

    @property
    def settings_file(self) -> Path:
        """The resolved settings."""
        return self.folder / "settings.toml"

    @property
    def facts_file(self) -> Path:
        """What it was trained on and with: `Facts`."""
        return self.folder / "run.json"

    @property
    def result_file(self) -> Path:
        """The scores of the best epoch; there when the run is finished."""
        return self.folder / "result.json"

    @property
    def metrics_file(self) -> Path:
        """A row for each epoch."""
        return self.folder / "metrics.csv"

    @property
    def epochs_folder(self) -> Path:
        """Loss and prediction of each record in each epoch: a Parquet table, a file an epoch."""
        return self.folder / "epochs.parquet"

    @property
    def predictions_file(self) -> Path:
        """What the best epoch says about each record."""
        return self.folder / "predictions.parquet"

    @property
    def curves_file(self) -> Path:
        """Losses and scores over the epochs, drawn."""
        return self.folder / "curves.png"

    @property
    def confusion_file(self) -> Path:
        """The confusion matrix of the best epoch, drawn."""
        return self.folder / "confusion.png"

    @property
    def page_file(self) -> Path:
        """All of it on one page."""
        return self.folder / "index.html"

    @property
    def checkpoints(self) -> Path:
        """`last.pt` and `best.pt`."""
        return self.folder / "checkpoints"

    @property
    def events(self) -> Path:
        """For TensorBoard."""
        return self.folder / "tensorboard"

    @property
    def finished(self) -> bool:
        """Whether it came to its end."""
        return self.result_file.exists()

    @property
    def begun(self) -> bool:
        """Whether there is anything of it."""
        return self.facts_file.exists()

    def settings(self) -> TrainSettings:
        """Read the resolved settings.

        Raises:
            ConfigError: They cannot be read, or make no sense to this version.
        """
        return validate(TrainSettings, read_toml(self.settings_file), str(self.settings_file))

    def facts(self) -> dict[str, Any]:
        """Read what it was trained on and with.

        Raises:
            TableError: This is no run, or one of another version.
        """
        facts = _read_json(self.facts_file)
        if facts.get("format") != FORMAT:
            raise TableError(f"{self.facts_file} is of another version of facecrop; train anew")
        return facts

    def result(self) -> dict[str, Any]:
        """Read its scores.

        Raises:
            TableError: It is not finished, or the file is damaged.
        """
        return _read_json(self.result_file)

    def members(self) -> list["Run"]:
        """Return the runs inside, or the run itself where it is a single training."""
        names = self.facts().get("members", [])
        return [Run(self.folder / name) for name in names] or [self]

    def write_settings(self, settings: TrainSettings) -> None:
        """Write the resolved settings."""
        data = plain(settings)
        assert isinstance(data, dict)  # noqa: S101 - settings are a table
        text = "# The settings of this run, defaults included: facecrop train OUT --preset FILE\n"
        _write_text(self.settings_file, text + toml_text(data))

    def write_facts(self, facts: Mapping[str, Any]) -> None:
        """Write what it is trained on and with."""
        _write_json(self.facts_file, {"format": FORMAT, **facts})

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write its scores: the run is finished."""
        _write_json(self.result_file, result)

    def write_metrics(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Write a row for each epoch; the same rows give the same bytes."""
        columns = list(dict.fromkeys(column for row in rows for column in row))

        def write(temporary: Path) -> None:
            with temporary.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, columns, lineterminator="\n")
                writer.writeheader()
                writer.writerows(
                    {column: _number(value) for column, value in row.items()} for row in rows
                )

        write_atomic(self.metrics_file, write)

    def metrics(self) -> list[dict[str, float]]:
        """Read the rows of the epochs; none before the first is done."""
        if not self.metrics_file.exists():
            return []
        with self.metrics_file.open(encoding="utf-8", newline="") as file:
            return [
                {column: float(value) for column, value in row.items() if value}
                for row in csv.DictReader(file)
            ]


@contextmanager
def locked(run: Run) -> Iterator[None]:
    """Hold a run for one training; the lock goes when the process ends, however it ends.

    Raises:
        StoreError: Another training holds it, or the folder cannot be written.
    """
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        file = os.open(run.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"{run.folder} cannot be written: {error.strerror}") from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"run {run.name!r} is being trained by another process; wait for it, or stop it"
            ) from None
        yield
    finally:
        os.close(file)


def open_run(out: Path, name: str) -> Run:
    """Return a dataset's run of a name, whether it is there or not.

    Raises:
        ConfigError: The name is no plain file name.
    """
    if not name or name.startswith(".") or any(char in name for char in "/\\\0"):
        raise ConfigError(f"a run's name must be a plain file name, got {name!r}")
    return Run(out / FOLDER / name)


def free_name(out: Path, wanted: str) -> str:
    """Return a name that no run of a dataset has: the wanted one, or with a number after it."""
    name, number = wanted, 1
    while open_run(out, name).folder.exists():
        number += 1
        name = f"{wanted}-{number}"
    return name


def list_runs(out: Path) -> list[Run]:
    """Return a dataset's runs by name, without those inside others."""
    return [Run(file.parent) for file in sorted((out / FOLDER).glob("*/run.json"))]


def versions() -> dict[str, str]:
    """Return the versions of what a training depends on, as far as it is installed."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Return the commit of the checkout that facecrop runs from, `-dirty` if changed, else None."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    try:
        said = subprocess.run(  # noqa: S603 - no word of it is a user's
            ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40"],  # noqa: S607 - the user's git
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip()


def _number(value: float) -> str:
    """Write whole numbers as such and others so that reading gives them back."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1 << 53 else repr(value)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TableError(f"{file} does not exist; runs are made by: facecrop train OUT") from None
    except (OSError, ValueError) as error:
        raise TableError(f"{file} cannot be read: {error}") from None
    return data


def _write_json(file: Path, data: Mapping[str, Any]) -> None:
    text = json.dumps(_finite(data), indent=1, ensure_ascii=False, allow_nan=False)
    _write_text(file, text + "\n")


def _finite(value: Any) -> Any:
    """Return plain data with None for what JSON has no word for."""
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _write_text(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, lambda temporary: temporary.write_text(text, encoding="utf-8"))
