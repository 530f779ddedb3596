"""Files of another kind than nearly all: format, channels, depth, a turn by EXIF, a longer tail."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from facecrop.checks.check import Check, Issue
from facecrop.checks.headers import ALWAYS
from facecrop.checks.material import Material
from facecrop.checks.rows import row_issues

_RARE = 0.05
"""Share of the files below which a trait is odd."""


def _find(material: Material) -> Iterator[Issue]:
    traits = [header.traits for header in material.headers]
    # A file that is no picture is told by another check, and no measure of what is usual.
    known = sum(bool(own) for own in traits)
    counts = Counter(trait for own in traits for trait in own)
    always = set(ALWAYS.values())
    odd = [
        [trait for trait in own if trait in always or counts[trait] < _RARE * known]
        for own in traits
    ]
    rows = material.rows
    yield from row_issues(
        material,
        CHECK.name,
        CHECK.severity,
        np.array([bool(own) for own in odd], bool),
        score=np.array([0.7 if always & set(own) else 0.3 for own in odd]),
        reason=lambda row: ", ".join(odd[rows[str(row["path"])]]),
    )


CHECK = Check(
    name="odd-format",
    title="files of another format than nearly all, or with more in them than a picture",
    severity="warning",
    cure="nothing here minds; make sure that no class comes from another source than the rest",
    needs=("raw",),
    find=_find,
)
