"""Scores of tables of predictions: of one model, or of several with people of their own each."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from facecrop.labels.space import WORDS, LabelSpace
from facecrop.training.intervals import interval
from facecrop.training.metrics import accuracy, confusion, macro_f1


def space_of_table(table: pa.Table) -> LabelSpace:
    """Return the space of the labels that a table of predictions answers."""
    return LabelSpace(
        tuple(
            (axis, words) for axis, words in WORDS.items() if f"pred_{axis}" in table.schema.names
        )
    )


def joint_classes(table: pa.Table, prefix: str, *, official: bool = False) -> Tensor:
    """Return the class of each row, (M,) int64, -1 where a label is unknown.

    Args:
        table: Of predictions.
        prefix: `target` or `pred`.
        official: Age groups are those of the official bins.
    """
    space = space_of_table(table)
    columns = {axis: table[f"{prefix}_{axis}"] for axis, _ in space.axes}
    if official and "age_group" in columns:
        columns["age_group"] = table[f"{prefix}_official_group"]
    return torch.from_numpy(space.encode_table(pa.table(columns)).astype(np.int64))


def confusion_of(table: pa.Table) -> tuple[NDArray[np.int64], list[str]]:
    """Return the confusion matrix of the validation rows, and the names of its classes."""
    rows = _val(table)
    space = space_of_table(rows)
    names = [" ".join(space.decode(number).values()) for number in range(len(space))]
    truth, chosen = joint_classes(rows, "target"), joint_classes(rows, "pred")
    return confusion(truth, chosen, len(space)), names


def table_scores(table: pa.Table) -> dict[str, Any]:
    """Judge the validation rows of a table of predictions.

    Returns:
        `scores`: f1, accuracy, val_loss, `f1_<label>`, and official_f1 and official_accuracy, to
        which records that the age policy leaves out belong too. `intervals`: (low, high) of 95 % of
        resampled persons, for f1, official_f1 and each label's.
    """
    rows = _val(table)
    space = space_of_table(rows)
    persons = np.asarray(rows["profile"].combine_chunks().dictionary_encode().indices, np.int64)
    scores: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    kinds = {"": False} | ({"official_": True} if "age_group" in dict(space.axes) else {})
    for prefix, official in kinds.items():
        truth = joint_classes(rows, "target", official=official)
        chosen = joint_classes(rows, "pred", official=official)
        counts = confusion(truth, chosen, len(space))
        scores |= {f"{prefix}f1": float(macro_f1(counts))}
        scores |= {f"{prefix}accuracy": float(accuracy(counts))}
        if counts.any():
            found = interval(truth, chosen, persons, len(space))
            intervals[f"{prefix}f1"] = found.low, found.high
    for axis, words in space.axes:
        of_axis = LabelSpace(((axis, words),))
        truth, chosen = (
            torch.from_numpy(
                of_axis.encode_table(pa.table({axis: rows[f"{kind}_{axis}"]})).astype(np.int64)
            )
            for kind in ("target", "pred")
        )
        counts = confusion(truth, chosen, len(words))
        scores[f"f1_{axis}"] = float(macro_f1(counts))
        if counts.any():
            found = interval(truth, chosen, persons, len(words))
            intervals[f"f1_{axis}"] = found.low, found.high
    known = pc.and_(rows["kept"], pc.is_valid(rows["loss"]))
    loss = pc.mean(rows["loss"].filter(known)).as_py()
    return {
        "scores": scores | ({} if loss is None else {"val_loss": loss}),
        "intervals": intervals,
        "people": len(np.unique(persons)),
        "records": rows.num_rows,
    }


def _val(table: pa.Table) -> pa.Table:
    return table.filter(pc.equal(table["part"], "val"))
