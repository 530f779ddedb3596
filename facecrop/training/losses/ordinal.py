"""Ordinal loss: a question of yes or no at each threshold."""

from torch import Tensor
from torch.nn import functional

from facecrop.training.losses import Loss
from facecrop.training.losses.rows import known_values, mean
from facecrop.training.settings.loss import Ordinal


def ordinal_loss(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the binary cross-entropies of all thresholds, summed.

        l[n] = sum over k of  -y[n, k] log s(z[n, k]) - (1 - y[n, k]) log(1 - s(z[n, k]))
        L = sum of w[n] l[n] / sum of w[n],  with s the logistic function

    It is a sum over thresholds: with 100 of them a new network starts at 69 nats, and beside other
    heads its label needs a lower weight.

    Args:
        logits: z, (N, K) float: how surely the value is above threshold k.
        target: y, (N, K) float, in [0, 1]; NaN in a row: unknown.
        weight: w, (N,) float, >= 0.

    Returns:
        () float, in nats.

    Source:
        Cao, Mirjalili and Raschka 2020, "Rank Consistent Ordinal Regression for Neural Networks
        with Application to Age Estimation", eq. 4, arXiv:1901.07884; all thresholds count
        alike. That the thresholds share one weight vector is the head's affair, not the loss's.
    """
    values, weight = known_values(target, weight)
    losses = functional.binary_cross_entropy_with_logits(logits, values, reduction="none")
    return mean(losses.sum(dim=1), weight)


def build(term: Ordinal, counts: Tensor, epoch: int) -> Loss:  # noqa: ARG001 - as all builds
    """Return the loss of the settings, which have no option."""
    return ordinal_loss
