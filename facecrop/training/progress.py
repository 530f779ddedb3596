"""What a training tells while it goes on."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Stage = Literal["crops", "train", "validate", "predict"]

_EVERY_S = 0.2
"""Seconds between two reports of one stage: reading the loss makes a GPU wait."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training is.

    Args:
        run: Name of the run.
        member: Which of its trainings (`fold2`), empty for the only one.
        stage: What it does: decode crops, train, validate, or predict at the end.
        done: Images of the stage that are done; in an epoch, when training.
        total: Images of the stage.
        epoch: Counted from 0.
        epochs: Of the whole training.
        images_per_second: While training; 0 before it is known.
        seconds_left: To the end of the last epoch; None before it is known.
        loss: Mean of the epoch so far; None before the first step.
        best: Metrics of the best epoch so far, a row of `metrics.csv`; empty before the first.
        ended: Metrics of the epoch that has just ended, at that moment alone.
    """

    run: str
    member: str
    stage: Stage
    done: int
    total: int
    epoch: int = 0
    epochs: int = 0
    images_per_second: float = 0.0
    seconds_left: float | None = None
    loss: float | None = None
    best: Mapping[str, float] = field(default_factory=dict)
    ended: Mapping[str, float] | None = None


Report = Callable[[Progress], None]


class Clock:
    """Knows how fast a training is, and when it is time to report again.

    Args:
        images: That a whole training shows.
        shown: Of these, what was shown before this process began.
    """

    def __init__(self, images: int, shown: int) -> None:
        self._images, self._shown = images, shown
        self._began = time.perf_counter()
        self._first = shown
        self._training = 0.0
        self._reported = 0.0

    def due(self) -> bool:
        """Tell whether it is time for a report; at most a few times a second."""
        now = time.perf_counter()
        if now - self._reported < _EVERY_S:
            return False
        self._reported = now
        return True

    def show(self, images: int, seconds: float) -> None:
        """Note that images were learnt from."""
        self._shown += images
        self._training += seconds

    @property
    def rate(self) -> float:
        """Images learnt from in a second of training; 0 before the first."""
        return (self._shown - self._first) / self._training if self._training else 0.0

    @property
    def left(self) -> float | None:
        """Seconds to the end, validation included; None before the first step."""
        done = self._shown - self._first
        if not done:
            return None
        passed = time.perf_counter() - self._began
        return passed / done * (self._images - self._shown)
