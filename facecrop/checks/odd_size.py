"""Pictures whose size is not one of those that nearly all others have."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from facecrop.checks.check import Check, Issue
from facecrop.checks.material import Material
from facecrop.checks.rows import row_issues

_RARE = 0.01
"""Share of the records below which a size is odd."""
_USUAL = 0.5
"""Share that the commonest size must have for others to be odd at all."""


def _find(material: Material) -> Iterator[Issue]:
    index = material.index
    sizes = list(zip(index["width"].to_pylist(), index["height"].to_pylist(), strict=True))
    counts = Counter(size for size in sizes if None not in size)
    total = sum(counts.values())
    if not total or counts.most_common(1)[0][1] < _USUAL * total:
        return iter(())
    usual = counts.most_common(1)[0][0]
    hit = np.array([None not in size and counts[size] < _RARE * total for size in sizes])
    return row_issues(
        material,
        CHECK.name,
        CHECK.severity,
        hit,
        score=np.full(len(hit), 0.5),
        reason=lambda row: f"{row['width']}x{row['height']}, where most are {usual[0]}x{usual[1]}",
        columns=("width", "height"),
    )


CHECK = Check(
    name="odd-size",
    title="pictures of another size than nearly all",
    severity="warning",
    cure="see where they come from: a thumbnail, a screenshot, another camera",
    needs=(),
    find=_find,
)
