"""The network and everything that moves its weights, as one thing that can be saved."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from facecrop.training.augment import Augment, Batch
from facecrop.training.averaging import Ema, Swa, refresh_norms
from facecrop.training.hardware import Ranks, seed_of
from facecrop.training.job import Job
from facecrop.training.losses.build import Criterion
from facecrop.training.models.build import build_model
from facecrop.training.models.network import Model
from facecrop.training.optim import Rate, build_optimizer


class Learner:
    """A network with its criterion, optimiser, learning rate and averages.

    Args:
        job: What is learnt.
        accelerator: Where.
        steps: Optimiser steps in an epoch.
    """

    def __init__(self, job: Job, accelerator: Accelerator, steps: int) -> None:
        self._job, self._accelerator, self._steps = job, accelerator, steps
        self.ranks = Ranks(accelerator)
        self.device: torch.device = accelerator.device
        self.rate = Rate(job.settings.optim, steps)
        self.criterion = Criterion(
            job.settings.loss,
            job.task,
            {output: counts.to(self.device) for output, counts in job.counts.items()},
        )
        self.augment = Augment(job.settings.augment, job.mean, job.std)
        self.model: Model
        self.average: Ema | Swa | None

    def start(self, warm_start: Mapping[str, Tensor] | None, *, fresh: bool) -> None:
        """Build the network, and all that moves its weights.

        Args:
            warm_start: Weights of the run that the settings name, or None.
            fresh: Whether the trunk gets its first weights; not where saved ones are about to come.
        """
        settings, optim = self._job.settings, self._job.settings.optim
        torch.manual_seed(seed_of("weights", settings.seed))
        self.model = build_model(
            settings.model,
            self._job.task.outputs,
            self._job.size,
            warm_start=warm_start,
            start=fresh,
        )
        layout = torch.channels_last if optim.channels_last else torch.contiguous_format
        self.model.to(self.device).to(memory_format=layout)
        if not settings.model.freeze:
            self.model.set_frozen(False)  # what copies or wraps it must see all that will learn
        self.average = self._new_average()
        optimizer = build_optimizer(self.model, optim)
        self._wrapped, self.optimizer = self._accelerator.prepare(self.model, optimizer)
        self._forward = torch.compile(self._wrapped) if optim.compile else self._wrapped

    def _new_average(self) -> Ema | Swa | None:
        optim = self._job.settings.optim
        if optim.ema is not None:
            return Ema(self.model, optim.ema)
        return Swa(self.model) if optim.swa is not None else None

    @property
    def judged(self) -> Model:
        """The network whose answers count: the average, once there is one."""
        if self.average is not None and self.average.updates:
            return self.average.model
        return self.model

    def begin_epoch(self, epoch: int) -> None:
        """Freeze or thaw the trunk, and go into training mode."""
        model = self._job.settings.model
        self.model.set_frozen(model.freeze or epoch < model.freeze_epochs)
        self.model.train()

    def go_back(self, weights: Mapping[str, Tensor]) -> None:
        """Go on from other weights; what optimiser and average remember of the way is forgotten."""
        self.model.load_state_dict(weights)
        self.optimizer.optimizer.state.clear()
        if self.average is not None:
            self.average.load_state_dict({"model": weights, "updates": 0})

    def learn(self, group: Sequence[Batch], epoch: int, number: int) -> list["Shown"]:
        """Make one optimiser step from one or a few batches.

        Args:
            group: Whole batches, on the CPU; each process works on its part of each.
            epoch: Counted from 0.
            number: Place of the first batch in the epoch.
        """
        settings = self._job.settings
        step = epoch * self._steps + number // settings.optim.accumulate
        self.rate.set(self.optimizer, step)
        done = []
        for place, batch in enumerate(group):
            last = place == len(group) - 1
            with nullcontext() if last else self._accelerator.no_sync(self._wrapped):
                shown = self._show(batch, epoch, number + place)
                # Each process knows the loss of all, and DDP takes the mean of the gradients.
                self._accelerator.backward(shown.loss * self.ranks.count / len(group))
            done.append(shown.detached())
        if settings.optim.clip is not None:
            self._accelerator.clip_grad_norm_(self.model.parameters(), settings.optim.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if isinstance(self.average, Ema):
            self.average.update(self.model)
        return done

    def _show(self, batch: Batch, epoch: int, number: int) -> "Shown":
        """Show a batch to the network; the loss is that of the whole batch in every process."""
        seed, size = self._job.settings.seed, len(batch)
        part = self._augmented(batch, epoch, number)
        torch.manual_seed(seed_of("dropout", seed, epoch, number, self.ranks.rank))
        logits = {
            output: self.ranks.whole(values, size)
            for output, values in self._forward(part.images).items()
        }
        targets, weight = (
            {
                output: self.ranks.whole(rows.to(self.device), size)
                for output, rows in part.targets.items()
            },
            self.ranks.whole(part.weight.to(self.device), size),
        )
        loss, by_output = self.criterion(logits, targets, weight, epoch)
        return Shown(batch.rows, logits, targets, loss, by_output)

    def _augmented(self, batch: Batch, epoch: int, number: int) -> Batch:
        seed = seed_of("augment", self._job.settings.seed, epoch, number)
        images = batch.images.to(self.device, non_blocking=True)
        return self.augment(replace(batch, images=images), seed, self.ranks.part(len(batch)))

    def end_epoch(self, epoch: int, batches: Iterable[Batch]) -> None:
        """Take the weights into the average, where it is one of epochs.

        Args:
            epoch: The one that is over, counted from 0.
            batches: Those of an epoch, for the statistics of batch norm.
        """
        swa = self._job.settings.optim.swa
        if isinstance(self.average, Swa) and swa is not None and epoch >= swa.start:
            if (epoch - swa.start) % swa.every == 0:
                self.average.update(self.model)
            pictures = (
                self._augmented(batch, epoch, number).images for number, batch in enumerate(batches)
            )
            refresh_norms(self.average.model, pictures)
        averages = [] if self.average is None else [self.average.model]
        self.ranks.share_buffers([self.model, *averages])

    def tensors(self) -> dict[str, Any]:
        """Return all that a resumed training must know of this."""
        scaler = self._accelerator.scaler
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rate": self.rate.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
        }

    def load(self, tensors: Mapping[str, Any]) -> None:
        """Go on from what `tensors` returned."""
        self.model.load_state_dict(tensors["model"])
        self.optimizer.load_state_dict(tensors["optimizer"])
        self.rate.load_state_dict(tensors["rate"])
        if self._accelerator.scaler is not None:
            self._accelerator.scaler.load_state_dict(tensors["scaler"])
        if self.average is not None:
            self.average.load_state_dict(tensors["average"])


@dataclass(frozen=True, slots=True)
class Shown:
    """What came of showing a batch of N pictures to the network.

    Args:
        rows: (N,) places of the records.
        logits: By output, (N, width).
        targets: By output, (N, width): what was taught, after mixing.
        loss: () of the whole batch.
        by_output: () of each output, before the labels' weights.
    """

    rows: Tensor
    logits: dict[str, Tensor]
    targets: dict[str, Tensor]
    loss: Tensor
    by_output: dict[str, Tensor]

    def detached(self) -> "Shown":
        """Return the same without the way back."""
        logits = {output: values.detach().float() for output, values in self.logits.items()}
        return replace(self, logits=logits, loss=self.loss.detach())
