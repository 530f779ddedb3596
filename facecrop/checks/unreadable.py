"""Files that are no picture any more: they have a row with a reason, and no crop."""

from collections.abc import Iterator

import numpy as np
import pyarrow.compute as pc

from facecrop.checks.check import Check, Issue
from facecrop.checks.material import Material
from facecrop.checks.rows import row_issues
from facecrop.index import REASONS, Status

_ABOUT_CONTENT = frozenset({"no-person", "no-face", "face-too-small", "blank"})
"""Reasons that other checks tell: the file is whole, what it shows is not."""


def _find(material: Material) -> Iterator[Issue]:
    index = material.index
    rejected = pc.equal(index["status"], Status.REJECT).to_numpy()
    reasons = np.array([reason or "" for reason in index["reason"].to_pylist()])
    hit = rejected & ~np.isin(reasons, list(_ABOUT_CONTENT))
    return row_issues(
        material,
        CHECK.name,
        CHECK.severity,
        hit,
        score=np.ones(len(hit)),
        reason=lambda row: (
            f"{row['reason']}: {REASONS.get(str(row['reason']), 'no crop was made')}"
        ),
        columns=("reason",),
    )


CHECK = Check(
    name="unreadable",
    title="files that cannot be read as a picture, or only in part",
    severity="error",
    cure="copy the file from its source again, or set it aside; then run preprocess again",
    needs=(),
    find=_find,
)
