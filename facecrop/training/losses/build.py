"""The criterion: all terms of all outputs, added up, by stage of training."""

from bisect import bisect_right
from collections.abc import Mapping

import torch
from torch import Tensor

from facecrop.training.losses import LOSSES, Loss
from facecrop.training.settings.loss import LossSettings, Term
from facecrop.training.task import AGE, JOINT, Task


class Criterion:
    """What a training minimises.

        total = sum over outputs o of  W[label of o]  sum over terms t of  weight[t] L[t](o)

    Args:
        settings: Terms, weights of the labels, stages.
        task: Its outputs.
        class_counts: By output, (C,) float, training records of each class: `Task.counts` of the
            rows that this training draws, never of validation, and never of a batch.
    """

    def __init__(
        self, settings: LossSettings, task: Task, class_counts: Mapping[str, Tensor]
    ) -> None:
        self._settings = settings
        self._outputs = tuple(task.outputs)
        self._counts = dict(class_counts)
        self._starts = [stage.from_epoch for stage in settings.then]
        self._built: tuple[int, dict[str, list[tuple[float, Loss]]]] = (-1, {})

    def stage(self, epoch: int) -> int:
        """Return which stage an epoch, counted from 0, belongs to: 0, or i for `then[i - 1]`."""
        return bisect_right(self._starts, epoch)

    def terms(self, output: str, epoch: int) -> tuple[Term, ...]:
        """Return the terms of an output in an epoch; a later stage's are those of all outputs."""
        stage = self.stage(epoch)
        if stage:
            return self._settings.then[stage - 1].terms
        own: tuple[Term, ...] | None = (
            None if output == JOINT else getattr(self._settings, _axis(output))
        )
        return self._settings.terms if own is None else own

    def __call__(
        self,
        logits: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        weight: Tensor | None,
        epoch: int,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and that of each output.

        Args:
            logits: By output, (N, width) float of any precision; losses are float32 or better.
            targets: By output, (N, width) float32, as `Task.targets` makes them, mixed or not.
            weight: (N,) float32, how much each record counts; None: all alike.
            epoch: Counted from 0.

        Returns:
            () float with gradient, and by output () float without, before the labels' weights.
        """
        losses = {
            output: torch.stack(
                [
                    times * loss(_at_least_float32(logits[output]), targets[output], weight)
                    for times, loss in terms
                ]
            ).sum()
            for output, terms in self._losses(epoch).items()
        }
        total = torch.stack([self._weight(output) * loss for output, loss in losses.items()]).sum()
        return total, {output: loss.detach() for output, loss in losses.items()}

    def _weight(self, output: str) -> float:
        return 1.0 if output == JOINT else float(getattr(self._settings.weights, _axis(output)))

    def _losses(self, epoch: int) -> dict[str, list[tuple[float, Loss]]]:
        if self._built[0] != epoch:
            self._built = epoch, {output: self._build(output, epoch) for output in self._outputs}
        return self._built[1]

    def _build(self, output: str, epoch: int) -> list[tuple[float, Loss]]:
        # Years and thresholds are no classes: nothing is counted, and their losses ask for nothing.
        counts = self._counts.get(output, torch.zeros(0))
        return [
            (term.weight, LOSSES.load(term.name)(term, counts, epoch))
            for term in self.terms(output, epoch)
        ]


def _axis(output: str) -> str:
    return "age_group" if output == AGE else output


def _at_least_float32(logits: Tensor) -> Tensor:
    """Half precision has too few digits for logarithms and sums over a batch."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
