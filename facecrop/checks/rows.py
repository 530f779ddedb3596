"""Issues made of rows of the index: most checks are a condition on some columns and a sentence."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from facecrop.checks.check import Issue, Severity, issue_key
from facecrop.checks.material import Material

Row = dict[str, object]


def row_issues(
    material: Material,
    check: str,
    severity: Severity,
    hit: NDArray[np.bool_],
    *,
    score: NDArray[np.float64],
    reason: Callable[[Row], str],
    columns: Sequence[str] = (),
    facts: Mapping[str, NDArray[np.float64]] | None = None,
) -> Iterator[Issue]:
    """Yield an issue for each record that a condition hits.

    Args:
        material: The dataset.
        check: Slug of the check.
        severity: Of all of them.
        hit: (N,) which records.
        score: (N,) in [0, 1].
        reason: Says what is wrong, from a row's values of those columns.
        columns: Of the index, that the reason speaks of.
        facts: Name -> (N,) numbers that an issue carries; unknown ones, NaN, are left out.
    """
    rows = np.flatnonzero(hit)
    wanted = list(dict.fromkeys(("path", "profile", "digest", *columns)))
    table = material.index.select(wanted).take(pa.array(rows))
    for row, values in zip(rows.tolist(), table.to_pylist(), strict=True):
        known = {
            name: round(float(column[row]), 4)
            for name, column in (facts or {}).items()
            if np.isfinite(column[row])
        }
        yield Issue(
            check,
            severity,
            str(values["profile"]),
            (str(values["path"]),),
            reason(values),
            round(float(np.clip(score[row], 0, 1)), 4),
            issue_key(check, values["digest"] or str(values["path"])),
            (),
            known or None,
        )


def numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return a column as numbers, (N,), NaN where it is null."""
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
