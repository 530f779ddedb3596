"""Pictures with more than one person or face: the label may be the other one's."""

from collections.abc import Iterator

import numpy as np

from facecrop.checks.check import Check, Issue
from facecrop.checks.material import Material
from facecrop.checks.rows import Row, numbers, row_issues


def _find(material: Material) -> Iterator[Issue]:
    index = material.index
    faces, persons = (np.nan_to_num(numbers(index[name])) for name in ("faces", "persons"))
    most = np.maximum(faces, persons)

    def reason(row: Row) -> str:
        seen = [f"{row[name]} {name}" for name in ("faces", "persons") if (row[name] or 0) != 0]
        return f"{' and '.join(seen)} in one picture"

    return row_issues(
        material,
        CHECK.name,
        CHECK.severity,
        most > 1,
        score=1 - 1 / np.maximum(most, 1),
        reason=reason,
        columns=("faces", "persons"),
    )


CHECK = Check(
    name="several-people",
    title="pictures with more than one person or face",
    severity="warning",
    cure="see on the contact sheet whose face was cropped; change choose.subject, or set it aside",
    needs=(),
    find=_find,
)
