"""What all losses share: rows of targets, their weights, and the mean over records."""

import numpy as np
import torch
from torch import Tensor

from facecrop.labels.sampling import Scheme, class_weights


def known(target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return target rows that sum to 1, and how much each counts.

    Args:
        target: (N, C) float, rows that sum to 1, to 0 (unknown), or to something between (mixed
            with an unknown one).
        weight: (N,) float, >= 0; None: all ones.

    Returns:
        (N, C) rows that sum to 1 (zeros where unknown), and (N,) weight times the former sum.
    """
    mass = target.sum(dim=1)
    rows = target / torch.where(mass > 0, mass, 1).unsqueeze(1)
    return rows, mass if weight is None else mass * weight.to(mass)


def known_values(target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return targets that are no probabilities, such as years, and how much each record counts.

    Args:
        target: (N, C) float; NaN in a row: unknown.
        weight: (N,) float, >= 0; None: all ones.

    Returns:
        (N, C) targets with zeros for unknown rows, and (N,) weights with zeros for them.
    """
    unknown = target.isnan().any(dim=1)
    ones = torch.ones_like(target[:, 0])
    counts = (ones if weight is None else weight.to(ones)).masked_fill(unknown, 0)
    return target.masked_fill(unknown.unsqueeze(1), 0), counts


def spread(rows: Tensor, smoothing: float) -> Tensor:
    """Return rows that give a share of their mass to the other classes, in equal parts.

        y'[c] = (1 - s) y[c] + s / (C - 1) sum of y[k] over all k but c

    It is linear, so that smoothing a mixed row is mixing smoothed rows, and it keeps the sum.

    Args:
        rows: (N, C) float, with any sums.
        smoothing: s, in [0, 1).

    Source:
        Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision", section 7,
        arXiv:1512.00567. There, and in `torch.nn.functional.cross_entropy`, the share goes to all
        C classes, the true one included: the same as ours with s (C - 1) / C for s. The task's
        baseline gave it to the others, and took C to be 3 or 18 whatever the head: C here is the
        width of the head.
    """
    others = rows.sum(dim=1, keepdim=True) - rows
    return (1 - smoothing) * rows + smoothing / (rows.shape[1] - 1) * others


def mean(losses: Tensor, weight: Tensor, share: Tensor | None = None) -> Tensor:
    """Return the mean of (N,) losses: sum(weight * losses) / sum(weight * share).

    Args:
        losses: (N,) float, finite.
        weight: (N,) float, >= 0.
        share: (N,) float, how much a record counts besides, by its class, where that is part of
            `losses` already; None: all ones.

    Returns:
        () float; 0, with a gradient of 0, if nothing counts.
    """
    total = (weight if share is None else weight * share).sum()
    return (weight * losses).sum() / torch.where(total > 0, total, 1)


def weights_by_class(counts: Tensor, scheme: Scheme, beta: float) -> Tensor | None:
    """Return how much a record of each class counts, (C,) float32; None for all alike.

    Args:
        counts: (C,) float, training records of each class.
        scheme: As in `facecrop.labels.sampling.class_weights`.
        beta: Of `effective`.
    """
    if scheme == "none":
        return None
    # Counts may be fractions, where records are drawn by weight; a class that is there stays.
    whole = np.ceil(counts.double().cpu().numpy()).astype(np.int64)
    return torch.from_numpy(class_weights(whole, scheme, beta)).float()


def weigh_classes(rows: Tensor, by_class: Tensor | None) -> Tensor:
    """Return (N, C) a[c] y[n, c]: rows whose sums are how much each record counts by its class."""
    return rows if by_class is None else rows * by_class.to(rows)
