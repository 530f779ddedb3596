"""Splits that leak, or whose proof that they do not no longer holds."""

from collections.abc import Iterator

from facecrop.checks.check import Check, Issue, issue_key
from facecrop.checks.material import Material
from facecrop.errors import TableError
from facecrop.labels.certificate import verify_split


def _find(material: Material) -> Iterator[Issue]:
    for name in material.splits:
        try:
            for warning in verify_split(material.out, name):
                yield Issue(
                    CHECK.name, "warning", "", (), warning, 0.5, issue_key(CHECK.name, warning)
                )
        except TableError as error:
            yield Issue(
                CHECK.name, "error", "", (), str(error), 1.0, issue_key(CHECK.name, str(error))
            )


CHECK = Check(
    name="certificate",
    title="splits that leak people, or are no longer proved not to",
    severity="error",
    cure="facecrop split OUT --extend NAME --name NAME, or make the split anew",
    needs=("split",),
    find=_find,
)
