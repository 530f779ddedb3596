"""What a network says of records, without anything random: for validation and prediction."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facecrop.labels.ages import OFFICIAL
from facecrop.training.answer import record_loss
from facecrop.training.answer_tables import Said
from facecrop.training.augment import normalise
from facecrop.training.hardware import Ranks, autocast
from facecrop.training.job import Job
from facecrop.training.metrics import Scores, evaluate
from facecrop.training.models.network import Model
from facecrop.training.views import View, as_they_are

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Judge:
    """Judges networks by the validation rows of a job.

    Args:
        job: What is learnt.
        ranks: The processes that share the work.
        device: Where the networks are.
    """

    job: Job
    ranks: Ranks
    device: torch.device

    @property
    def rows(self) -> Rows:
        """(M,) the records that are judged: of validation, then those left out by age alone."""
        return np.concatenate([self.job.fold.val, self.job.fold.left_out])

    def logits(
        self,
        model: Model,
        rows: Rows,
        report: Callable[[int, int], None] | None = None,
        view: View = as_they_are,
    ) -> dict[str, Tensor]:
        """Return what a network says of a view of records: by output, (M, width) float32, CPU.

        The processes take batches in turn, each of which is one that a single process would have
        formed: the numbers do not depend on how many there are.
        """
        job, size = self.job, self.job.settings.optim.batch_size
        said = {
            output: torch.zeros(len(rows), width, device=self.device)
            for output, width in job.task.outputs.items()
        }
        starts = range(0, len(rows), size)[self.ranks.rank :: self.ranks.count]
        parts = (view(job.examples.pictures(rows[start : start + size])) for start in starts)
        answers = forward(
            model,
            parts,
            job.mean,
            job.std,
            device=self.device,
            precision=job.settings.optim.precision,
        )
        for start, logits in zip(starts, answers, strict=True):
            for output, values in logits.items():
                said[output][start : start + size] = values
            if report is not None:
                report(min(start + size * self.ranks.count, len(rows)), len(rows))
        return {output: self.ranks.added(values).cpu() for output, values in said.items()}

    def said(self, rows: Rows, logits: Mapping[str, Tensor], part: str) -> Said:
        """Return logits as answers, with how surprising the labels were."""
        task, priors = self.job.task, self.job.counts
        answer = task.answer(logits, priors)
        official = task.answer(logits, priors, OFFICIAL.cuts)
        truth = {name: classes[torch.from_numpy(rows)] for name, classes in self.job.truth.items()}
        return Said(rows, part, answer, official, record_loss(answer, truth))

    def scores(self, logits: Mapping[str, Tensor]) -> Scores:
        """Judge what was said of `rows`."""
        job, rows = self.job, self.rows
        persons = job.records.persons[rows] if job.settings.select.by_person else None
        return evaluate(
            job.task,
            logits,
            job.records.labels.take(rows),
            kept=job.records.kept[rows],
            priors=job.counts,
            persons=persons,
        )


@torch.no_grad()
def forward(
    model: Model,
    batches: Iterator[NDArray[np.uint8]],
    mean: Tensor,
    std: Tensor,
    *,
    device: torch.device,
    precision: str,
) -> Iterator[dict[str, Tensor]]:
    """Yield what a network says of pictures, batch by batch.

    Args:
        model: On the device; in evaluation mode while this runs.
        batches: (N, H, W, 3) uint8 RGB each.
        mean: (3,) float32 of RGB in [0, 1].
        std: (3,) float32 likewise.
        device: Where the network is.
        precision: `float32`, `bf16` or `fp16`.

    Yields:
        By output, (N, width) float32 on the device.
    """
    training = model.training
    model.eval()
    try:
        for pictures in batches:
            images = torch.from_numpy(np.ascontiguousarray(pictures)).to(device)
            with autocast(device, precision):
                logits = model(normalise(images.permute(0, 3, 1, 2), mean, std))
            yield {output: values.float() for output, values in logits.items()}
    finally:
        model.train(training)
