"""Class-balanced loss: classes count by the inverse of their effective number."""

from functools import partial

from torch import Tensor

from facecrop.training.losses import Loss
from facecrop.training.losses.focal import focal_loss
from facecrop.training.losses.rows import weights_by_class
from facecrop.training.settings.loss import ClassBalanced


def class_balanced_loss(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    counts: Tensor,
    beta: float = 0.999,
    gamma: float = 0.0,
) -> Tensor:
    """Return focal loss (gamma = 0: cross-entropy) with classes weighed by their effective number.

        a[c] = (1 - beta) / (1 - beta**n[c])

    With beta = 0 all classes that have records count alike; towards 1 they count as 1 / n[c].

    Args:
        logits: (N, C) float, before softmax.
        target: (N, C) float, rows that sum to 1; all zero: unknown.
        weight: (N,) float, >= 0.
        counts: n, (C,) float, *training* records of each class. A class without any has weight 0.
        beta: In [0, 1); (N - 1) / N for a class of about N records that are not repeats.
        gamma: Of the focal loss, >= 0.

    Returns:
        () float, in nats.

    Source:
        Cui et al. 2019, "Class-Balanced Loss Based on Effective Number of Samples", section 4,
        arXiv:1901.05555. Theirs scales the weights to a sum of C and divides by N; ours divides by
        the weights in the batch, so that a batch of rare classes has no larger step. A version that
        is in use among the task's teams has (1 - beta**n) / (1 - beta) with n counted in the
        *batch*: upside down, it favours what is frequent; a test here asserts that ours does not.
    """
    by_class = weights_by_class(counts, "effective", beta)
    return focal_loss(logits, target, weight, gamma=gamma, by_class=by_class)


def build(term: ClassBalanced, counts: Tensor, epoch: int) -> Loss:  # noqa: ARG001 - as all builds
    """Return the loss of the settings, with the weights worked out once."""
    by_class = weights_by_class(counts, "effective", term.beta)
    return partial(focal_loss, gamma=term.gamma, by_class=by_class)
