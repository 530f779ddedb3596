"""Classes that a split's validation lacks, and what the age policy takes away."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facecrop.checks.check import Check, Issue, issue_key
from facecrop.checks.material import Material
from facecrop.labels.certificate import read_split
from facecrop.labels.current import AGE_POLICY
from facecrop.labels.space import MASK_TASK

_LARGE = 0.1
"""Share of records that a policy drops which is worth a sentence."""


def _missing(material: Material) -> Iterator[Issue]:
    classes = MASK_TASK.encode_table(material.labels)
    kept = material.labels["kept"].to_numpy()
    there = set(np.unique(classes[kept & (classes >= 0)]).tolist())
    for name in material.splits:
        part = read_split(material.out, name).table["part"]
        for side in ("train", "val"):
            rows = pc.fill_null(pc.equal(part, side), False).to_numpy() & kept
            for number in sorted(there - set(np.unique(classes[rows]).tolist())):
                words = " ".join(MASK_TASK.decode(number).values())
                yield Issue(
                    MISSING.name,
                    MISSING.severity,
                    "",
                    (),
                    f"nobody of class {words!r} is in {side} of split {name!r}",
                    1.0,
                    issue_key(MISSING.name, name, side, words),
                )


def _dropped(material: Material) -> Iterator[Issue]:
    by_policy = pc.fill_null(pc.equal(material.labels["kept_reason"], AGE_POLICY), False)
    share = float(pc.mean(by_policy.cast(pa.float64())).as_py() or 0.0)
    if share > _LARGE:
        yield Issue(
            DROPPED.name,
            DROPPED.severity,
            "",
            (),
            f"age policy {material.policy.name!r} leaves out {share:.0%} of the records",
            min(1.0, share),
            issue_key(DROPPED.name, material.policy.name),
        )


MISSING = Check(
    name="missing-class",
    title="classes that training or validation of a split has none of",
    severity="warning",
    cure="make the split stratified, or with fewer folds; or find more people of the class",
    needs=("split",),
    find=_missing,
)
DROPPED = Check(
    name="dropped-ages",
    title="how much the age policy leaves out",
    severity="warning",
    cure="look at facecrop stats OUT; another policy: facecrop relabel OUT --set-policy NAME",
    needs=(),
    find=_dropped,
)
