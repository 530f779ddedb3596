"""Ages that nobody has at all, or nobody in this dataset."""

from collections.abc import Iterator

import numpy as np

from facecrop.checks.check import Check, Issue
from facecrop.checks.material import Material
from facecrop.checks.rows import numbers, row_issues

_OLDEST = 120
"""Years: the oldest people on record."""
_FENCE = 3.0
"""Quartile distances beyond the quartiles: far outside (Tukey 1977)."""
_ENOUGH = 50
"""People below which a dataset has no distribution to be far from."""


def _find(material: Material) -> Iterator[Issue]:
    ages = numbers(material.labels["age"])
    known = ages[np.isfinite(ages)]
    hit = (ages < 0) | (ages > _OLDEST)
    low, high = -np.inf, np.inf
    if len(known) >= _ENOUGH:
        first, third = np.quantile(known, (0.25, 0.75))
        low, high = first - _FENCE * (third - first), third + _FENCE * (third - first)
    odd = hit | (ages < low) | (ages > high)
    score = np.where(hit, 1.0, 0.5)
    rows = material.rows
    return row_issues(
        material,
        CHECK.name,
        CHECK.severity,
        odd,
        score=score,
        reason=lambda row: f"an age of {ages[rows[str(row['path'])]]:.0f} years",
    )


CHECK = Check(
    name="impossible-labels",
    title="ages that cannot be, or lie far from all others",
    severity="warning",
    cure="correct them in a manifest: facecrop relabel OUT --manifest FILE",
    needs=(),
    find=_find,
)
