"""Focal loss."""

from functools import partial

from torch import Tensor

from facecrop.training.losses import Loss
from facecrop.training.losses.rows import known, mean, spread, weigh_classes, weights_by_class
from facecrop.training.settings.loss import Focal

_LEAST_MISS = 1e-12
"""Below this, 1 - p counts as this: a power below 1 has an infinite slope at 0, and not every torch
takes nought times infinity for nought."""


def focal_loss(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    gamma: float = 2.0,
    smoothing: float = 0.0,
    by_class: Tensor | None = None,
) -> Tensor:
    """Return cross-entropy that gives less weight to what the model already gets right.

        r[n, c] = a[c] y[n, c]
        L = sum over n, c of  -w[n] r'[n, c] (1 - p[n, c])**gamma log p[n, c]
            / sum over n, c of  w[n] r[n, c]

    With p the softmax of the logits and r' the smoothed r. With gamma = 0 this is cross-entropy.
    With gamma > 0 it is no proper score: the p that minimises it is less sure than the truth, so
    that probabilities come out too timid and calibration suffers (the class that wins is the same).

    Args:
        logits: (N, C) float, before softmax.
        target: y, (N, C) float, rows that sum to 1; all zero: unknown.
        weight: w, (N,) float, >= 0.
        gamma: How strongly easy records are discounted, >= 0.
        smoothing: Share of each row that is spread over the other classes, in [0, 1).
        by_class: a, (C,) float, >= 0, how much a record of each class counts.

    Returns:
        () float, in nats.

    Source:
        Lin et al. 2017, "Focal Loss for Dense Object Detection", eq. 4 and 5, arXiv:1708.02002, for
        softmax in place of sigmoid, as in the task's baseline. Theirs divides by the number of
        foreground boxes; here every record is foreground.
    """
    rows, weight = known(target, weight)
    weighed = weigh_classes(rows, by_class)
    log_p = logits.log_softmax(dim=1)
    miss = -log_p.expm1()  # 1 - p, exact also where p is close to 1
    discount = miss.clamp_min(_LEAST_MISS) ** gamma
    losses = -(spread(weighed, smoothing) * discount * log_p).sum(dim=1)
    return mean(losses, weight, weighed.sum(dim=1))


def build(term: Focal, counts: Tensor, epoch: int) -> Loss:  # noqa: ARG001 - as all builds
    """Return the loss of the settings; classes are weighed by their training counts."""
    by_class = weights_by_class(counts, term.classes, term.beta)
    return partial(focal_loss, gamma=term.gamma, smoothing=term.smoothing, by_class=by_class)
