"""Symmetric cross-entropy, for noisy labels."""

from functools import partial

from torch import Tensor

from facecrop.training.losses import Loss
from facecrop.training.losses.cross_entropy import cross_entropy
from facecrop.training.losses.rows import known, mean
from facecrop.training.settings.loss import SymmetricCE


def symmetric_ce_loss(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    alpha: float = 0.1,
    beta: float = 1.0,
    log_zero: float = -4.0,
) -> Tensor:
    """Return cross-entropy plus reverse cross-entropy, which a wrong label cannot pull far.

        L = alpha CE + beta RCE
        RCE = sum over n of w[n] sum over c of -p[n, c] max(log y[n, c], A)  /  sum over n of w[n]

    For one-hot rows RCE is -A (1 - p of the true class): bounded, and half of -A times the absolute
    error. With beta = 0 this is alpha times cross-entropy.

    Args:
        logits: (N, C) float, before softmax.
        target: y, (N, C) float, rows that sum to 1; all zero: unknown.
        weight: w, (N,) float, >= 0.
        alpha: Of the cross-entropy, >= 0.
        beta: Of the reverse cross-entropy, >= 0.
        log_zero: A, what log 0 is taken to be, < 0; no logarithm of a target is below it.

    Returns:
        () float, in nats.

    Source:
        Wang et al. 2019, "Symmetric Cross Entropy for Robust Learning with Noisy Labels", section
        3, arXiv:1908.06112. The paper has A = -4; the code that is commonly copied clamps y at 1e-4
        instead, which is A = -9.2.
    """
    rows, counted = known(target, weight)
    log_y = rows.log().clamp_min(log_zero)
    reverse = mean(-(logits.softmax(dim=1) * log_y).sum(dim=1), counted)
    return alpha * cross_entropy(logits, target, weight) + beta * reverse


def build(term: SymmetricCE, counts: Tensor, epoch: int) -> Loss:  # noqa: ARG001 - as all builds
    """Return the loss of the settings."""
    return partial(symmetric_ce_loss, alpha=term.alpha, beta=term.beta, log_zero=term.log_zero)
