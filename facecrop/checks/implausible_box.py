"""Faces that lie far from where this dataset's faces lie, or are far larger or smaller."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from facecrop.checks.check import Check, Issue
from facecrop.checks.material import Material
from facecrop.checks.rows import numbers, row_issues

_NAMES = ("centre to the side", "centre up or down", "size")
_FAR = 4.5
"""Robust deviations from the median: about one in 10^5 of normally spread numbers is beyond."""
_TO_SIGMA = 1.4826
"""Of a normal distribution, the standard deviation over the median absolute deviation."""
_LEAST = (0.02, 0.02, 0.08)
"""Deviations below which a dataset is so regular that everything would stand out."""
_ENOUGH = 50


def _find(material: Material) -> Iterator[Issue]:
    index = material.index
    x0, y0, x1, y1 = (numbers(index[f"face_{side}"]) for side in ("x0", "y0", "x1", "y1"))
    width, height = numbers(index["width"]), numbers(index["height"])
    with np.errstate(divide="ignore", invalid="ignore"):
        where = np.stack(
            [(x0 + x1) / 2 / width, (y0 + y1) / 2 / height, np.log2((x1 - x0) / width)], axis=1
        )
    far = _distances(where)
    worst = np.nan_to_num(far).max(axis=1)
    rows = material.rows

    def reason(row: dict[str, object]) -> str:
        here = far[rows[str(row["path"])]]
        name = _NAMES[int(np.nanargmax(here))]
        return f"the face's {name} is {np.nanmax(here):.1f} deviations from the usual"

    return row_issues(
        material,
        CHECK.name,
        CHECK.severity,
        worst > _FAR,
        score=1 - _FAR / (2 * worst + 1e-9),
        reason=reason,
    )


def _distances(where: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far each number is from the median of its column, in robust deviations."""
    known = np.isfinite(where).all(axis=1)
    if known.sum() < _ENOUGH:
        return np.zeros_like(where)
    median = np.median(where[known], axis=0)
    spread = _TO_SIGMA * np.median(np.abs(where[known] - median), axis=0)
    return np.asarray(np.abs(where - median) / np.maximum(spread, _LEAST))


CHECK = Check(
    name="implausible-box",
    title="faces far from where the others lie, or of another size",
    severity="warning",
    cure="look at them on the contact sheet; tighten the gates of the recipe if the box is wrong",
    needs=(),
    find=_find,
)
