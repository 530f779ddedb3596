"""Cross-entropy."""

from functools import partial

from torch import Tensor

from facecrop.training.losses import Loss
from facecrop.training.losses.rows import known, mean, spread, weigh_classes, weights_by_class
from facecrop.training.settings.loss import CrossEntropy


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    smoothing: float = 0.0,
    by_class: Tensor | None = None,
) -> Tensor:
    """Return how surprised the model is by the true classes.

        r[n, c] = a[c] y[n, c]
        L = sum over n, c of  -w[n] r'[n, c] log p[n, c]  /  sum over n, c of  w[n] r[n, c]

    With p the softmax of the logits and r' the smoothed r. Classes are weighed before they are
    smoothed: a record counts by the class it has, not by those it lends a share to.

    Args:
        logits: (N, C) float, before softmax.
        target: y, (N, C) float, rows that sum to 1; all zero: unknown.
        weight: w, (N,) float, >= 0.
        smoothing: Share of each row that is spread over the other classes, in [0, 1).
        by_class: a, (C,) float, >= 0, how much a record of each class counts.

    Returns:
        () float, in nats.

    Source:
        For one-hot rows the same number as `torch.nn.functional.cross_entropy(logits, label,
        weight=a)`, which divides by the weights of the true classes too. For rows of probabilities
        torch divides by N instead, so that mixing two pictures of a class would change the scale of
        its loss; ours does not. With weights and smoothing torch weighs what is smoothed: the share
        of a class that weighs 80 times as much then outweighs the true class itself, and the loss
        teaches the rare class for records of the frequent one; ours cannot.
    """
    rows, weight = known(target, weight)
    weighed = weigh_classes(rows, by_class)
    losses = -(spread(weighed, smoothing) * logits.log_softmax(dim=1)).sum(dim=1)
    return mean(losses, weight, weighed.sum(dim=1))


def build(term: CrossEntropy, counts: Tensor, epoch: int) -> Loss:  # noqa: ARG001 - as all builds
    """Return the loss of the settings; classes are weighed by their training counts."""
    by_class = weights_by_class(counts, term.classes, term.beta)
    return partial(cross_entropy, smoothing=term.smoothing, by_class=by_class)
