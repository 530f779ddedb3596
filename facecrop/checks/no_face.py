"""Pictures in which nobody, no face, or nothing at all was found."""

from collections.abc import Iterator

import numpy as np
import pyarrow.compute as pc

from facecrop.checks.check import Check, Issue
from facecrop.checks.material import Material
from facecrop.checks.rows import row_issues
from facecrop.index import REASONS, Status

_REASONS = ("no-person", "no-face", "face-too-small", "blank")


def _find(material: Material) -> Iterator[Issue]:
    index = material.index
    reasons = np.array([reason or "" for reason in index["reason"].to_pylist()])
    hit = pc.equal(index["status"], Status.REJECT).to_numpy() & np.isin(reasons, _REASONS)
    return row_issues(
        material,
        CHECK.name,
        CHECK.severity,
        hit,
        score=np.ones(len(hit)),
        reason=lambda row: REASONS[str(row["reason"])],
        columns=("reason",),
    )


CHECK = Check(
    name="no-face",
    title="pictures without a face that could be cropped",
    severity="error",
    cure="look at them on the contact sheet; set them aside, or try other detectors in the recipe",
    needs=(),
    find=_find,
)
