"""Soft F1: the metric of the task as a loss."""

from functools import partial

import torch
from torch import Tensor

from facecrop.training.losses import Loss
from facecrop.training.losses.rows import known
from facecrop.training.settings.loss import SoftF1


def soft_f1_loss(
    logits: Tensor, target: Tensor, weight: Tensor | None = None, *, eps: float = 1e-7
) -> Tensor:
    """Return 1 - macro-F1 of the batch, counted with probabilities in place of decisions.

        t[c] = sum over n of w[n] min(y[n, c], p[n, c])                       true positives
        F[c] = 2 t[c] / (sum over n of w[n] (p[n, c] + y[n, c]) + eps)
        L = 1 - mean of F[c] over the classes that the batch's targets hold

    It belongs to a batch, not to a record: the loss of two batches is not the mean of their losses.

    **Classes that no target of the batch holds are left out of the mean.** Their F would be 0
    whatever the model says, so they add a constant and no gradient; but with them in the mean, the
    gradient of a batch with 9 of 18 classes would be half as steep. What the model wrongly gives to
    an absent class is missing in a present one, and counted there. A batch with all its records
    right has a loss of 0.

    Args:
        logits: (N, C) float, before softmax.
        target: y, (N, C) float, rows that sum to 1; all zero: unknown.
        weight: w, (N,) float, >= 0; scaled to a mean of 1.
        eps: Keeps the division defined, > 0.

    Returns:
        () float, in [0, 1].

    Source:
        The common soft-F1 of the task's teams is 2 P R / (P + R + eps) with P = t / (t + false
        positives + eps), clamped to [eps, 1 - eps], and averaged over all classes: the same number
        but for eps, the clamp (which has no gradient at a class that is entirely wrong, so that it
        never recovers) and absent classes. Theirs has y * p for min(y, p): equal for one-hot rows,
        but for mixed rows a prediction of p = y would not be the best one. The minimum is that of
        Wang et al. 2023, "Dice Semimetric Losses: Optimizing the Dice Score with Soft Labels",
        arXiv:2303.16296, since min(y, p) = (y + p - |y - p|) / 2.
    """
    rows, weight = known(target, weight)
    counted = (weight > 0).sum()
    scale = counted / torch.where(counted > 0, weight.sum(), 1)
    w = (weight * scale).unsqueeze(1)
    p = logits.softmax(dim=1)
    hits = (w * torch.minimum(rows, p)).sum(dim=0)
    there = (w * rows).sum(dim=0)
    f1 = 2 * hits / ((w * p).sum(dim=0) + there + eps)
    present = there > 0
    return (present * (1 - f1)).sum() / present.sum().clamp_min(1)


def build(term: SoftF1, counts: Tensor, epoch: int) -> Loss:  # noqa: ARG001 - as all builds
    """Return the loss of the settings."""
    return partial(soft_f1_loss, eps=term.eps)
