"""The training loop, from top to bottom.

Every random number is a pure function of the training's seed, the epoch and the batch (the order of
the records, what augmentation draws, what dropout drops), so that a training can be killed at any
moment and goes on to the weights that it would have had: on a CPU, with as many threads, bit by
bit.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from math import ceil, inf, isfinite, isnan, nan
from typing import Any, TypeVar

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from facecrop.errors import ConfigError
from facecrop.training.batches import Loader, batches, epoch_order
from facecrop.training.evaluate import Judge
from facecrop.training.events import Events
from facecrop.training.hardware import repeatable
from facecrop.training.job import Job
from facecrop.training.keep import Keeper
from facecrop.training.learner import Learner
from facecrop.training.progress import Clock, Progress, Report, Stage
from facecrop.training.seen import Seen
from facecrop.training.settings.train import SelectSettings
from facecrop.training.state import Checkpoints, Place, read_checkpoint

T = TypeVar("T")


def train(
    job: Job,
    accelerator: Accelerator,
    *,
    warm_start: Mapping[str, Tensor] | None = None,
    save_every: float = 10.0,
    wandb: str | None = None,
    report: Report | None = None,
) -> Place:
    """Train a network, or go on with one, to the last epoch or until it does not improve.

    Args:
        job: What is learnt, and where it is written.
        accelerator: Where it runs, in this process and others.
        warm_start: Weights of the run that the settings name.
        save_every: Minutes between checkpoints within an epoch.
        wandb: Project of Weights & Biases to report to as well.
        report: Called as it goes on.

    Raises:
        ConfigError: The loss is no number any more, or the network cannot be built.
        StoreError: The disk is full; the last checkpoint is whole.
    """
    if accelerator.num_processes > min(job.settings.optim.batch_size, len(job.fold.train)):
        raise ConfigError(
            f"optim.batch_size is shared by all {accelerator.num_processes} processes, and must "
            f"give each a record, got {job.settings.optim.batch_size}"
        )
    checkpoints = Checkpoints(job.run.checkpoints)
    with repeatable(accelerator.device.type):
        with accelerator.main_process_first():
            saved = checkpoints.load()
        place, tensors = saved or (Place(), None)
        if place.done:
            return place
        with Events(
            job.run,
            job.settings,
            begins=place.epoch,
            project=wandb,
            writes=accelerator.is_main_process,
        ) as events:
            keeper = Keeper(
                job, checkpoints, events, save_every, writes=accelerator.is_main_process
            )
            training = _Training(job, accelerator, keeper, place, report or (lambda _: None))
            training.begin(tensors, warm_start)
            training.run()
    return place


class _Training:
    """A training under way: the network, what it learns from, and where it stands."""

    def __init__(
        self, job: Job, accelerator: Accelerator, keeper: Keeper, place: Place, report: Report
    ) -> None:
        self.job, self.settings, self.optim = job, job.settings, job.settings.optim
        self.keeper, self.place, self.report = keeper, place, report
        self.n_batches = len(self.order(0))
        self.batch_size = min(self.optim.batch_size, len(job.fold.train))
        self.learner = Learner(job, accelerator, ceil(self.n_batches / self.optim.accumulate))
        self.judge = Judge(job, self.learner.ranks, self.learner.device)
        self.seen = Seen(job, self.learner.device)
        self.clock = Clock(
            self.n_batches * self.batch_size * self.optim.epochs,
            (place.epoch * self.n_batches + place.step) * self.batch_size,
        )

    def begin(
        self, tensors: Mapping[str, Any] | None, warm_start: Mapping[str, Tensor] | None
    ) -> None:
        """Give the network its first weights, or those it had."""
        self.learner.start(warm_start, fresh=tensors is None)
        if tensors is None:
            self.keeper.note_start(self.learner.model.start)
        else:
            self.learner.load(tensors["learner"])
            self.seen.load(tensors["seen"])

    def run(self) -> None:
        """Go through the epochs that are left."""
        while not self.place.done:
            self.begin_epoch()
            self.learn()
            self.end_epoch()

    def order(self, epoch: int) -> list[NDArray[np.int64]]:
        """Return the batches of an epoch, rows of the records each."""
        train = self.job.fold.train
        order = epoch_order(len(train), self.settings.seed, epoch, self.job.draws)
        return batches(train[order], self.optim.batch_size, drop_last=True)

    def begin_epoch(self) -> None:
        """Go back to the best weights where a stage of the loss begins with them."""
        epoch = self.place.epoch
        if self.place.step == 0:
            stages = {stage.from_epoch: stage for stage in self.settings.loss.then}
            if epoch in stages and stages[epoch].from_best:
                self.learner.go_back(read_checkpoint(self.keeper.checkpoints.best)["weights"])
            self.seen.clear()
        self.learner.begin_epoch(epoch)

    def learn(self) -> None:
        """Go through the batches of the epoch that are left, a group to each optimiser step."""
        place = self.place
        pin = self.learner.device.type == "cuda"
        loader = Loader(self.job.examples, self.order(place.epoch)[place.step :], pin=pin)
        began = time.perf_counter()
        for group in _groups(loader, self.optim.accumulate):
            for shown in self.learner.learn(group, place.epoch, place.step):
                self.seen.note(shown)
            place.step += len(group)
            began, last = time.perf_counter(), began
            self.clock.show(sum(map(len, group)), began - last)
            if self.clock.due():
                self.check_loss()
                self.tell("train", place.step * self.batch_size, self.n_batches * self.batch_size)
            if self.keeper.due() and place.step < self.n_batches:
                self.keeper.save(place, self.tensors())
        self.check_loss()

    def end_epoch(self) -> None:
        """Judge the network, keep what is worth keeping, and decide whether to go on."""
        place, epoch = self.place, self.place.epoch
        self.learner.end_epoch(epoch, Loader(self.job.examples, self.order(epoch)))
        judged, rows = self.learner.judged, self.judge.rows
        logits = self.judge.logits(judged, rows, self.tell_validation)
        scores = {
            "val_loss" if name == "loss" else name: value
            for name, value in self.judge.scores(logits).row().items()
        }
        row = {"epoch": float(epoch), "lr": self.lr(epoch), **self.seen.losses(), **scores}
        merit = merit_of(row, self.settings.select)
        improved = place.best_epoch < 0 or merit > place.best
        kept = improved or self.settings.select.last
        place.history.append(row)
        place.best = merit if improved else place.best
        place.best_epoch = epoch if kept else place.best_epoch
        place.waited = 0 if improved else place.waited + 1
        place.epoch, place.step = epoch + 1, 0
        patience = self.optim.stop_after or self.optim.epochs
        place.done = place.epoch == self.optim.epochs or place.waited >= patience
        self.learner.rate.epoch_ended(improved=improved)
        said = [self.judge.said(rows, logits, "val"), self.seen.said(self.judge)]
        self.keeper.end_epoch(
            place,
            self.tensors(),
            weights=judged.state_dict() if kept else None,
            said=[one for one in said if one is not None],
        )
        self.learner.ranks.wait()  # whoever reads the best weights next finds them
        self.tell("validate", len(rows), len(rows), row)

    def lr(self, epoch: int) -> float:
        """Return the learning rate of an epoch's last step."""
        return self.learner.rate.at((epoch + 1) * self.learner.rate.steps_per_epoch - 1)

    def check_loss(self) -> None:
        """Stop a training whose loss is no number: no later step can mend its weights.

        Raises:
            ConfigError: It is none.
        """
        loss = self.seen.losses()["train_loss"]
        if not isfinite(loss):
            raise ConfigError(
                f"the loss is {loss} in epoch {self.place.epoch}, by batch {self.place.step}: "
                "lower optim.lr, or limit the gradients with optim.clip"
            )

    def tensors(self) -> dict[str, Any]:
        """Return all that a resumed training must know, but for its place."""
        return {"learner": self.learner.tensors(), "seen": self.seen.tensors()}

    def tell_validation(self, done: int, total: int) -> None:
        """Report how far validation is."""
        if self.clock.due():
            self.tell("validate", done, total)

    def tell(
        self, stage: Stage, done: int, total: int, ended: Mapping[str, float] | None = None
    ) -> None:
        """Report where the training is."""
        place = self.place
        epoch = place.epoch if ended is None else place.epoch - 1
        self.report(
            Progress(
                run=self.job.outer,
                member=self.job.name,
                stage=stage,
                done=done,
                total=total,
                epoch=epoch,
                epochs=self.optim.epochs,
                images_per_second=self.clock.rate,
                seconds_left=self.clock.left,
                loss=self.seen.losses()["train_loss"],
                best=place.history[place.best_epoch] if place.history else {},
                ended=ended,
            )
        )


def merit_of(row: Mapping[str, float], select: SelectSettings) -> tuple[float, float]:
    """Return by what an epoch is chosen, the higher the better: the metric, then the tie-break.

    A metric that is not known (no record with an official group, say) is the worst there is. Of
    epochs that are alike in both the first stays.
    """

    def value(name: str) -> float:
        known = row.get("val_loss" if name == "loss" else name, nan)
        return -inf if isnan(known) else -known if name == "loss" else known

    return value(select.metric), 0.0 if select.tie_break == "earliest" else value(select.tie_break)


def _groups(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut into lists of a size; the last may be shorter."""
    left = iter(items)
    while group := list(islice(left, size)):
        yield group
