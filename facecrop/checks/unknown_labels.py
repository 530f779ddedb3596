"""Records whose folder or table says nothing that can be used about gender, age or mask."""

from collections.abc import Iterator

import numpy as np
import pyarrow.compute as pc

from facecrop.checks.check import Check, Issue
from facecrop.checks.material import Material
from facecrop.checks.rows import Row, row_issues

_AXES = ("gender", "age_group", "mask")


def _find(material: Material) -> Iterator[Issue]:
    labels, index = material.labels, material.index
    unknown = {axis: pc.is_null(labels[axis]).to_numpy() for axis in _AXES}
    # An age group that the policy leaves out is known well enough.
    unknown["age_group"] &= pc.is_null(labels["age"]).to_numpy()
    # What no record has was never claimed, as in a folder of unlabelled test pictures.
    wanted = [axis for axis in _AXES if len(index) and not unknown[axis].all()]
    hit = np.zeros(len(index), bool)
    for axis in wanted:
        hit |= unknown[axis]
    rows = material.rows

    def reason(row: Row) -> str:
        here = rows[str(row["path"])]
        names = [axis.replace("_", " ") for axis in wanted if unknown[axis][here]]
        return f"{' and '.join(names)} cannot be read from {row['path']!r}"

    ones = np.ones(len(hit))
    return row_issues(material, CHECK.name, CHECK.severity, hit, score=ones, reason=reason)


CHECK = Check(
    name="unknown-labels",
    title="labels that cannot be read from folder, file name or table",
    severity="warning",
    cure="say them in a manifest: facecrop relabel OUT --manifest FILE",
    needs=(),
    find=_find,
)
