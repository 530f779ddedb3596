"""LDAM: wider margins for rarer classes."""

from functools import partial

import torch
from torch import Tensor

from facecrop.training.losses import Loss
from facecrop.training.losses.cross_entropy import cross_entropy
from facecrop.training.losses.rows import known, weights_by_class
from facecrop.training.settings.loss import Ldam


def ldam_margins(counts: Tensor, max_margin: float = 0.5, exponent: float = 0.25) -> Tensor:
    """Return the margin of each class, wider for rarer ones.

        m[c] = max_margin n[c]**-exponent / max over k of n[k]**-exponent

    Args:
        counts: n, (C,) float, *training* records of each class.
        max_margin: Margin of the rarest class that has records, >= 0; also of those without any.
        exponent: 1/4 in the paper, 1/2 in a variant of the task's teams, 0 for equal margins.

    Returns:
        (C,) float, in [0, max_margin].

    >>> ldam_margins(torch.tensor([16.0, 1.0, 0.0])).tolist()
    [0.25, 0.5, 0.5]
    """
    there = counts > 0
    rarest = torch.where(there, counts, torch.inf).min() if there.any() else counts.new_ones(())
    return max_margin * (counts.maximum(rarest) / rarest) ** -exponent


def ldam_loss(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    margins: Tensor,
    scale: float = 30.0,
    by_class: Tensor | None = None,
) -> Tensor:
    """Return cross-entropy that asks the true class to win by a margin.

        L = cross-entropy of  scale * (z[n, c] - y[n, c] m[c])  with y, weighted by w and a

    For one-hot rows the margin is taken from the true logit alone, as in the paper; in a mixed row
    each class has its share of its margin. With margins 0 and scale 1 this is cross-entropy.

    Args:
        logits: z, (N, C) float, before softmax.
        target: y, (N, C) float, rows that sum to 1; all zero: unknown.
        weight: w, (N,) float, >= 0.
        margins: m, (C,) float, >= 0, as `ldam_margins` makes them.
        scale: How sharp the softmax is, > 0.
        by_class: a, (C,) float, >= 0, how much a record of each class counts.

    Returns:
        () float, in nats.

    Source:
        Cao et al. 2019, "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
        section 3.2, arXiv:1906.07413. The scale is from the authors' code, where logits are cosines
        of normalised features and weights, in [-1, 1]; ours, as those of the task's teams, are
        plain, and the network learns to make them small: use a lower scale where training is rough.
        Counts are those of the training records, never written into the code.
    """
    rows, _ = known(target, None)
    z = scale * (logits - rows * margins.to(logits))
    return cross_entropy(z, target, weight, by_class=by_class)


def build(term: Ldam, counts: Tensor, epoch: int) -> Loss:
    """Return the loss of the settings, re-weighted from `term.reweight_from` on (section 3.3)."""
    late = term.reweight_from is not None and epoch >= term.reweight_from
    return partial(
        ldam_loss,
        margins=ldam_margins(counts, term.max_margin, term.exponent),
        scale=term.scale,
        by_class=weights_by_class(counts, "effective" if late else "none", term.beta),
    )
