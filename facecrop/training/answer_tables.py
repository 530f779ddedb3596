"""Tables of answers: what a model says about each record, in the best epoch and in every one."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor

from facecrop.labels.space import WORDS
from facecrop.training.answer import Answer
from facecrop.training.records import Records

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says about M records.

    Args:
        rows: (M,) places in the records.
        part: `train` or `val`.
        answer: Under the active policy.
        official: With the official bins of age; the same where age is not modelled in years.
        loss: (M,) float32, nats; nan where no label is known (`record_loss`).
    """

    rows: Rows
    part: str
    answer: Answer
    official: Answer
    loss: Tensor


def prediction_table(
    records: Records, said: Said, *, repeat: int, fold: int, epoch: int
) -> pa.Table:
    """Return the rows of `predictions.parquet` for one part of one model's records.

    Columns: path, profile, repeat, fold (the one that the model did not learn from), part, epoch,
    kept, loss; for each label `target_<label>`, `pred_<label>`, `p_<label>_<word>`; `p_class_<k>`
    of the 18 classes where all three labels are learnt; `target_official_group` and
    `pred_official_group`; `target_age` and `pred_age`, years, where the model knows years. A record
    with `kept` false is one that the age policy leaves out: it has no `target_age_group` and counts
    on the official bins alone.
    """
    rows, answer = pa.array(said.rows), said.answer
    count = len(said.rows)
    labels = records.labels.take(rows)
    columns: dict[str, pa.Array] = {
        "path": records.paths.take(rows),
        "profile": records.profiles.take(rows),
        "repeat": pa.array(np.full(count, repeat, np.int32)),
        "fold": pa.array(np.full(count, fold, np.int32)),
        "part": pa.array([said.part] * count, pa.string()),
        "epoch": pa.array(np.full(count, epoch, np.int32)),
        "kept": pa.array(records.kept[said.rows]),
        "loss": _floats(said.loss),
    }
    for axis, words in answer.space.axes:
        columns[f"target_{axis}"] = labels[axis]
        columns[f"pred_{axis}"] = _words(answer.classes[axis], axis)
        for word, shares in zip(words, answer.probabilities[axis].T, strict=True):
            columns[f"p_{axis}_{word}"] = _floats(shares)
    if len(answer.space.axes) == len(WORDS):
        for number, shares in enumerate(answer.log_joint.exp().T):
            columns[f"p_class_{number}"] = _floats(shares)
    if "age_group" in answer.classes:
        columns["target_official_group"] = labels["official_group"]
        columns["pred_official_group"] = _words(said.official.classes["age_group"], "age_group")
    if answer.age is not None:
        columns["target_age"] = labels["age"]
        columns["pred_age"] = _floats(answer.age)
    return pa.table(columns)


def epoch_table(records: Records, said: Said, *, epoch: int) -> pa.Table:
    """Return the rows of `epochs.parquet` for one part of the records in one epoch.

    Columns: path, epoch, part, loss, and `pred_<label>` for each label. What is said of training
    records was said while they were learnt from: with dropout, augmented, and by the weights of
    that moment. A picture that was mixed with one of another label is not among them.
    """
    count = len(said.rows)
    return pa.table(
        {
            "path": records.paths.take(pa.array(said.rows)),
            "epoch": pa.array(np.full(count, epoch, np.int32)),
            "part": pa.array([said.part] * count, pa.string()),
            "loss": _floats(said.loss),
            **{f"pred_{axis}": _words(one, axis) for axis, one in said.answer.classes.items()},
        }
    )


def _words(classes: Tensor, axis: str) -> pa.Array:
    return pa.array(WORDS[axis], pa.string()).take(pa.array(classes.cpu().numpy()))


def _floats(values: Tensor) -> pa.Array:
    numbers = values.detach().cpu().float().numpy()
    return pa.array(numbers, pa.float32(), mask=np.isnan(numbers))
