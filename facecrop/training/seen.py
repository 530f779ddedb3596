"""What the network said of training records while it learnt from them, epoch by epoch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facecrop.training.answer_tables import Said
from facecrop.training.evaluate import Judge
from facecrop.training.job import Job
from facecrop.training.learner import Shown


class Seen:
    """Remembers the last answer on each training record of an epoch, and the mean losses.

    Only what was shown as itself counts: a picture that was mixed with one of another label has
    another truth. Nothing here makes a GPU wait.

    Args:
        job: What is learnt.
        device: Where the network is.
    """

    def __init__(self, job: Job, device: torch.device) -> None:
        self._job, self._device = job, device
        train = job.fold.train
        place = np.zeros(len(job.records), np.int64)
        place[train] = np.arange(len(train))
        self._place = torch.from_numpy(place).to(device)
        self._targets = {
            output: rows[torch.from_numpy(train)].to(device)
            for output, rows in job.examples.targets.items()
        }
        self.clear()

    def clear(self) -> None:
        """Forget everything: a new epoch begins."""
        count = len(self._job.fold.train)
        self._there = torch.zeros(count, dtype=torch.bool, device=self._device)
        self._logits = {
            output: torch.zeros(count, width, device=self._device)
            for output, width in self._job.task.outputs.items()
        }
        self._sums = torch.zeros(1 + len(self._logits), dtype=torch.float64, device=self._device)
        self._batches = 0

    def note(self, shown: Shown) -> None:
        """Take in a batch."""
        place = self._place[shown.rows.to(self._device)]
        pure = torch.ones_like(place, dtype=torch.bool)
        for output, taught in shown.targets.items():
            own = self._targets[output][place]
            pure &= ((taught == own) | (taught.isnan() & own.isnan())).all(dim=1)
        for output, logits in shown.logits.items():
            kept = self._logits[output]
            kept[place] = torch.where(pure.unsqueeze(1), logits, kept[place])
        self._there[place] |= pure
        self._sums += torch.stack([shown.loss, *shown.by_output.values()])
        self._batches += 1

    def losses(self) -> dict[str, float]:
        """Return the mean loss of the epoch so far, and of each output where there are several."""
        means = (self._sums / max(self._batches, 1)).tolist()
        names = [f"train_loss_{output}" for output in self._logits]
        parts = dict(zip(names, means[1:], strict=True)) if len(names) > 1 else {}
        return {"train_loss": means[0], **parts}

    def said(self, judge: Judge) -> Said | None:
        """Return what was said of the records that were shown as themselves; None: of none."""
        if not self._there.any():
            return None
        there = self._there.cpu()
        rows = self._job.fold.train[there.numpy()]
        logits: dict[str, Tensor] = {
            output: values.cpu()[there] for output, values in self._logits.items()
        }
        return judge.said(rows, logits, "train")

    def tensors(self) -> dict[str, Any]:
        """Return what a training that is resumed within an epoch must know."""
        return {
            "there": self._there,
            "logits": self._logits,
            "sums": self._sums,
            "batches": self._batches,
        }

    def load(self, tensors: Mapping[str, Any]) -> None:
        """Go on from what `tensors` returned."""
        self._there = tensors["there"].to(self._device)
        self._logits = {
            output: values.to(self._device) for output, values in tensors["logits"].items()
        }
        self._sums = tensors["sums"].to(self._device)
        self._batches = tensors["batches"]
