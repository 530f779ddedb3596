"""Crops whose place no detector confirmed: borrowed from a sibling, or guessed."""

from collections.abc import Iterator

import numpy as np
import pyarrow.compute as pc

from facecrop.checks.check import Check, Issue
from facecrop.checks.material import Material
from facecrop.checks.rows import row_issues
from facecrop.index import REASONS, Status


def _find(material: Material) -> Iterator[Issue]:
    index = material.index
    hit = pc.equal(index["status"], Status.FALLBACK).to_numpy()
    guessed = pc.fill_null(pc.equal(index["face_source"], "prior"), False).to_numpy()
    return row_issues(
        material,
        CHECK.name,
        CHECK.severity,
        hit,
        score=np.where(guessed, 1.0, 0.5),
        reason=lambda row: REASONS.get(str(row["reason"]), "no detector confirmed the crop"),
        columns=("reason",),
    )


CHECK = Check(
    name="fallback",
    title="crops that no detector confirmed",
    severity="warning",
    cure="look at them on the contact sheet: most are right; set the others aside",
    needs=(),
    find=_find,
)
