"""Checkpoints: where a training stands, written whole or not at all.

`checkpoints/last.pt` is all that a training needs to go on; `best.pt` is the weights that
validation liked best. Each is one file, moved into place in one step, so that a killed process or
a full disk leaves the one before. They belong together: a new best is written beside the old one,
then `last.pt`, which says which epoch is the best, and only then does the new best take its place.
A training that was killed in between ends that move, or undoes it, when it is resumed.
"""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from facecrop.errors import TableError
from facecrop.index import write_atomic

FORMAT = 1

Weights = dict[str, Tensor]


@dataclass(slots=True)
class Place:
    """Where a training stands; with the weights, all that changes while it goes on.

    Nothing random is in here: every random number is a pure function of seed, epoch and step.

    Args:
        epoch: The one to go on with, counted from 0.
        step: Batches of it that are done.
        best_epoch: The best so far, -1 before the first.
        best: Its metric and its tie-break, both the higher the better.
        waited: Epochs since then.
        history: What each epoch measured, a row of `metrics.csv` each.
        done: Whether the training has ended.
    """

    epoch: int = 0
    step: int = 0
    best_epoch: int = -1
    best: tuple[float, float] = (-float("inf"), -float("inf"))
    waited: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    done: bool = False


class Checkpoints:
    """The checkpoints of a run.

    Args:
        folder: `checkpoints` of the run; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.last = folder / "last.pt"
        self.best = folder / "best.pt"
        self._next = folder / "best.next.pt"

    def load(self) -> tuple[Place, dict[str, Any]] | None:
        """Return where the training stands and its tensors, or None if it has not begun.

        Raises:
            TableError: The checkpoint is damaged or of another version.
        """
        if not self.last.exists():
            self._next.unlink(missing_ok=True)
            return None
        data = read_checkpoint(self.last)
        place = Place(**data["place"] | {"best": tuple(data["place"]["best"])})
        if self._next.exists():
            if read_checkpoint(self._next)["epoch"] == place.best_epoch:
                self._next.replace(self.best)
            else:
                self._next.unlink()
        return place, data["tensors"]

    def save(
        self, place: Place, tensors: Mapping[str, Any], best: Mapping[str, Any] | None
    ) -> None:
        """Write where the training stands.

        Args:
            place: Likewise.
            tensors: States of model, optimiser and so on: nested dicts of tensors and numbers.
            best: What `best.pt` shall hold, with its `epoch`, if the one just done is the best.

        Raises:
            StoreError: The disk is full; the checkpoints from before are whole.
        """
        self.last.parent.mkdir(parents=True, exist_ok=True)
        if best is not None:
            write_checkpoint(self._next, best)
        write_checkpoint(self.last, {"place": asdict(place), "tensors": dict(tensors)})
        if best is not None:
            self._next.replace(self.best)


def write_checkpoint(path: Path, data: Mapping[str, Any]) -> None:
    """Write a checkpoint whole or not at all.

    Raises:
        StoreError: The disk is full, or the folder cannot be written.
    """
    write_atomic(path, lambda temporary: _save({"format": FORMAT, **data}, temporary))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; only tensors and plain values, never code.

    Raises:
        TableError: It is not there, damaged, or of another version.
    """
    try:
        data: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise TableError(f"{path} does not exist; the run has no such checkpoint") from None
    except Exception as error:  # noqa: BLE001 - torch raises whatever its unpickler met
        raise TableError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    if data.get("format") != FORMAT:
        raise TableError(f"{path} is of another version of facecrop; train anew")
    return data


def _save(data: dict[str, Any], path: Path) -> None:
    raw = _Remembering(path, "wb")
    try:
        with io.BufferedWriter(raw) as file:
            torch.save(data, file)
    except RuntimeError as error:
        # torch says where its writer failed, not that the disk is full or somebody pressed Ctrl-C.
        if raw.error is not None:
            raise raw.error from None
        if _interrupted(error):
            raise KeyboardInterrupt from None
        raise


def _interrupted(error: BaseException | None) -> bool:
    """Tell whether an error came of an interrupt."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


class _Remembering(io.FileIO):
    """A file that keeps the error it could not be written for."""

    error: OSError | KeyboardInterrupt | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except (OSError, KeyboardInterrupt) as error:
            self.error = error
            raise
