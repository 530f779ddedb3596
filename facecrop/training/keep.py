"""What a training writes while it goes on: checkpoints, the table of epochs, curves, events."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from torch import Tensor

from facecrop.index import write_table
from facecrop.training.answer_tables import Said, epoch_table
from facecrop.training.curves import draw_curves
from facecrop.training.events import Events
from facecrop.training.job import Job
from facecrop.training.state import Checkpoints, Place

_DRAW_EVERY_S = 30.0


class Keeper:
    """Writes what a run keeps; only the first of several processes writes anything.

    Args:
        job: What is learnt, and where it is written.
        checkpoints: Of the run.
        events: Where metrics go besides.
        save_every: Minutes between checkpoints within an epoch.
        writes: Whether this process writes.
    """

    def __init__(
        self,
        job: Job,
        checkpoints: Checkpoints,
        events: Events,
        save_every: float,
        *,
        writes: bool,
    ) -> None:
        self._job, self._writes, self._events = job, writes, events
        self.checkpoints = checkpoints
        self._every_s = save_every * 60
        self._saved = self._drawn = time.monotonic()

    def note_start(self, words: str) -> None:
        """Write down where the first weights came from."""
        if self._writes:
            run = self._job.run
            run.write_facts({**run.facts(), "start": words})

    def due(self) -> bool:
        """Tell whether it is time for a checkpoint within the epoch."""
        return self._writes and time.monotonic() - self._saved >= self._every_s

    def save(
        self, place: Place, tensors: Mapping[str, Any], best: Mapping[str, Any] | None = None
    ) -> None:
        """Write a checkpoint, and the best one if this is it."""
        if self._writes:
            self.checkpoints.save(place, tensors, best)
            self._saved = time.monotonic()

    def end_epoch(
        self,
        place: Place,
        tensors: Mapping[str, Any],
        *,
        weights: Mapping[str, Tensor] | None,
        said: Sequence[Said],
    ) -> None:
        """Write all that an epoch leaves.

        What belongs to the epoch alone comes first, then the checkpoint that says that the epoch is
        over: whoever is killed in between does the epoch again, and writes the same.

        Args:
            place: After the epoch.
            tensors: Likewise.
            weights: Of the network that was judged, if they are worth keeping.
            said: Of the records, validation and training.
        """
        if not self._writes:
            return
        run, epoch = self._job.run, place.epoch - 1
        run.epochs_folder.mkdir(parents=True, exist_ok=True)
        tables = [epoch_table(self._job.records, one, epoch=epoch) for one in said]
        write_table(pa.concat_tables(tables), run.epochs_folder / f"{epoch:04d}.parquet")
        best = None if weights is None else {"epoch": epoch, "weights": dict(weights)}
        self.save(place, tensors, best)
        run.write_metrics(place.history)
        if time.monotonic() - self._drawn >= _DRAW_EVERY_S:  # drawing takes about half a second
            draw_curves(place.history, place.best_epoch, run.curves_file)
            self._drawn = time.monotonic()
        self._events.epoch(place.history[-1])
