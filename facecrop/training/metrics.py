"""How good answers are, over a whole validation set: on the active policy and the official bins.

Never the mean of batches: macro-F1 of a batch is not a part of macro-F1 of a set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score, confusion_matrix
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

from facecrop.labels.ages import OFFICIAL
from facecrop.training.answer import Answer, record_loss
from facecrop.training.pool import pool
from facecrop.training.task import JOINT, Task, ages_of

BINS = 15
"""Of the calibration error, as in Guo et al. 2017."""

Truth = Mapping[str, Tensor]
"""By axis and `joint`, (N,) int64, -1 where unknown, as `Task.truth` returns it."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """How good the chosen classes are, against one truth.

    Args:
        records: With all labels known: what `f1`, `accuracy` and `confusion` are of.
        f1: Macro-F1 of the joint classes.
        accuracy: Share of records with all labels right.
        axis_f1: By axis, macro-F1 of its classes, over the records whose label is known.
        age_kappa: Quadratic-weighted kappa of the age groups; None without ages, or where one group
            is all there is.
        confusion: (P, P) int64, records of each joint class (row) by the chosen one (column).
    """

    records: int
    f1: float
    accuracy: float
    axis_f1: dict[str, float]
    age_kappa: float | None
    confusion: NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """Everything that is reported of one evaluation.

    Args:
        active: On the active age policy, over the records that it keeps.
        official: On the official bins, over all records whose age group is known there.
        by_person: As `active`, after the pictures of each person have been pooled.
        loss: Mean of `record_loss` over the records of `active`, nats.
        calibration_error: Of the most probable joint class, in [0, 1]; see `calibration_error`.
        age_mae: Mean absolute error in years; None where the network does not know years.
    """

    active: Quality
    official: Quality | None
    by_person: Quality | None
    loss: float
    calibration_error: float
    age_mae: float | None

    def row(self) -> dict[str, float]:
        """Return the numbers by name, for tables; what is unknown is left out.

        `f1`, `accuracy`, `loss` and `official_f1` are the names in `SelectSettings.metric`.
        """
        row = {"loss": self.loss, "calibration_error": self.calibration_error}
        if self.age_mae is not None:
            row["age_mae"] = self.age_mae
        parts = {"": self.active, "official_": self.official, "person_": self.by_person}
        for prefix, quality in parts.items():
            if quality is None:
                continue
            row |= {f"{prefix}f1": quality.f1, f"{prefix}accuracy": quality.accuracy}
            row |= {f"{prefix}f1_{axis}": f1 for axis, f1 in quality.axis_f1.items()}
            if quality.age_kappa is not None:
                row[f"{prefix}age_kappa"] = quality.age_kappa
            row[f"{prefix}records"] = float(quality.records)
        return row


def evaluate(
    task: Task,
    logits: Mapping[str, Tensor],
    labels: pa.Table,
    *,
    kept: NDArray[np.bool_] | None = None,
    priors: Mapping[str, Tensor] | None = None,
    persons: Sequence[str] | NDArray[np.str_] | NDArray[np.int64] | None = None,
) -> Scores:
    """Judge what a network says of a whole validation set.

    Args:
        task: What was learnt.
        logits: By output, (N, width) float, of all records.
        labels: (N,) rows with the axes, `age`, and `official_group` where there are ages.
        kept: (N,) bool, the records that the active policy is judged on; None: all. Those that it
            drops are judged on the official bins alone.
        priors: `Task.counts` of the training records, for the prior correction.
        persons: (N,) name of each record's person, to judge pooled answers too.
    """
    keep = torch.ones(len(labels), dtype=torch.bool) if kept is None else torch.from_numpy(kept)
    logits = {output: values.cpu() for output, values in logits.items()}
    answer = task.answer(logits, priors)
    truth = {name: torch.where(keep, classes, -1) for name, classes in task.truth(labels).items()}
    official = None
    if "official_group" in labels.column_names and "age_group" in task.axes:
        by_official_cuts = task.answer(logits, priors, OFFICIAL.cuts)
        official = quality(by_official_cuts, task.truth(labels, official=True))
    ages = torch.where(keep, ages_of(labels), torch.nan) if answer.age is not None else None
    known = truth[JOINT] >= 0
    return Scores(
        active=quality(answer, truth),
        official=official,
        by_person=None if persons is None else quality(pool(answer, persons), truth),
        loss=_mean(record_loss(answer, truth)[known]),
        calibration_error=calibration_error(answer.log_joint.exp()[known], truth[JOINT][known]),
        age_mae=None if ages is None or answer.age is None else age_error(answer.age, ages),
    )


def quality(answer: Answer, truth: Truth) -> Quality:
    """Judge the chosen classes of N records."""
    joint = confusion(truth[JOINT], answer.joint, len(answer.space))
    by_axis = {
        axis: confusion(truth[axis], answer.classes[axis], len(words))
        for axis, words in answer.space.axes
    }
    kappa = None
    if "age_group" in by_axis:
        groups = len(by_axis["age_group"])
        kappa = ordered_agreement(truth["age_group"], answer.classes["age_group"], groups)
    return Quality(
        records=int(joint.sum()),
        f1=float(macro_f1(joint)),
        accuracy=float(accuracy(joint)),
        axis_f1={axis: float(macro_f1(table)) for axis, table in by_axis.items()},
        age_kappa=kappa,
        confusion=joint,
    )


def confusion(truth: Tensor, chosen: Tensor, n_classes: int) -> NDArray[np.int64]:
    """Count records by true class (row) and chosen class (column); unknown ones (-1) are left out.

    Args:
        truth: (N,) int64, -1 where unknown.
        chosen: (N,) int64.
        n_classes: C.

    Returns:
        (C, C) int64.
    """
    known = truth >= 0
    if not known.any():
        return np.zeros((n_classes, n_classes), np.int64)
    pairs = truth[known].numpy(), chosen[known].cpu().numpy()
    return np.asarray(confusion_matrix(*pairs, labels=range(n_classes)), np.int64)


def macro_f1(table: NDArray[np.int64]) -> Floats:
    """Return the mean F1 of the classes that occur in the truth or among the chosen ones.

    A class that is in neither is left out: it has no F1, and counting it as 0 (or 1) would make the
    score of a small validation set depend on what it happens to lack. A class without true records
    that is chosen once counts, with 0.

    Args:
        table: (…, C, C) int64, as `confusion` makes them.

    Returns:
        (…) float64 in [0, 1]; NaN where there is no record.

    Source:
        The task's metric: `sklearn.metrics.f1_score(average="macro")`, which leaves the same
        classes out if it is not given a list of labels.
    """
    hits = np.diagonal(table, axis1=-2, axis2=-1)
    seen = table.sum(axis=-1) + table.sum(axis=-2)
    there = seen > 0
    f1 = 2 * hits / np.where(there, seen, 1)
    classes = there.sum(axis=-1)
    mean = f1.sum(axis=-1) / np.maximum(classes, 1)
    return np.asarray(np.where(classes > 0, mean, np.nan))


def accuracy(table: NDArray[np.int64]) -> Floats:
    """Return the share of right records of (…, C, C) confusion tables; NaN without records."""
    records = table.sum(axis=(-2, -1))
    right = np.diagonal(table, axis1=-2, axis2=-1).sum(axis=-1)
    return np.asarray(np.where(records > 0, right / np.maximum(records, 1), np.nan))


def calibration_error(probabilities: Tensor, truth: Tensor) -> float:
    """Return the expected calibration error of the most probable class.

        sum over 15 equal bins of confidence of  share of records * |accuracy - mean confidence|

    It is of the network's own probabilities, whatever the prior correction then chooses.

    Args:
        probabilities: (N, C) float, rows that sum to 1.
        truth: (N,) int64, in [0, C).

    Returns:
        In [0, 1]; NaN without records. Small sets have large errors by chance: each bin's accuracy
        is that of a few records.

    Source:
        Guo et al. 2017, "On Calibration of Modern Neural Networks", eq. 3, arXiv:1706.04599.
    """
    if not len(truth):
        return float("nan")
    # Beyond [0, 1], be it by rounding, torchmetrics takes rows for logits.
    rows = probabilities.clamp(0, 1)
    error = multiclass_calibration_error(rows, truth, num_classes=rows.shape[1], n_bins=BINS)
    return float(error)


def age_error(said: Tensor, ages: Tensor) -> float | None:
    """Return the mean absolute error in years of (N,) ages, NaN where unknown; None if all are."""
    known = ~ages.isnan()
    return float((said[known] - ages[known]).abs().mean()) if known.any() else None


def ordered_agreement(truth: Tensor, chosen: Tensor, n_classes: int) -> float | None:
    """Return the quadratic-weighted kappa of ordered classes: a far miss costs more than a near.

    Args:
        truth: (N,) int64, -1 where unknown.
        chosen: (N,) int64.
        n_classes: All of them, in order: old is two steps from young though nobody be between.

    Returns:
        In [-1, 1], 0 for chance; None where all records have one class and are said to: there is
        nothing that chance could miss.

    Source:
        Cohen 1968, "Weighted Kappa", by `sklearn.metrics.cohen_kappa_score`.
    """
    known = truth >= 0
    pair = truth[known].numpy(), chosen[known].cpu().numpy()
    if len(np.unique(np.concatenate(pair))) < 2:  # noqa: PLR2004 - two classes at least
        return None
    return float(cohen_kappa_score(*pair, labels=range(n_classes), weights="quadratic"))


def _mean(values: Tensor) -> float:
    return float(values.mean()) if len(values) else float("nan")
