"""Smooth L1, for an age in years."""

from functools import partial

from torch import Tensor
from torch.nn import functional

from facecrop.training.losses import Loss
from facecrop.training.losses.rows import known_values, mean
from facecrop.training.settings.loss import SmoothL1


def smooth_l1_loss(
    logits: Tensor, target: Tensor, weight: Tensor | None = None, *, beta: float = 1.0
) -> Tensor:
    """Return the distance from the true value, squared where it is short.

        l[n] = d**2 / (2 beta)  where d = |z[n] - y[n]| < beta,  else  d - beta / 2
        L = sum of w[n] l[n] / sum of w[n]

    Args:
        logits: z, (N, C) float, the values themselves: years for the age head, where C is 1.
        target: y, (N, C) float; NaN in a row: unknown.
        weight: w, (N,) float, >= 0.
        beta: Distance below which it is squared, > 0.

    Returns:
        () float, in years, summed over C.

    Source:
        Girshick 2015, "Fast R-CNN", eq. 3, arXiv:1504.08083, with `beta` as in
        `torch.nn.functional.smooth_l1_loss`, which does not know unknown targets.
    """
    values, weight = known_values(target, weight)
    distance = functional.smooth_l1_loss(logits, values, reduction="none", beta=beta)
    return mean(distance.sum(dim=1), weight)


def build(term: SmoothL1, counts: Tensor, epoch: int) -> Loss:  # noqa: ARG001 - as all builds
    """Return the loss of the settings."""
    return partial(smooth_l1_loss, beta=term.beta)
