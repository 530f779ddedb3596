"""Crops whose matte took too much away: hardly anybody left, holes in the face, torn pieces."""

from collections.abc import Iterator

import numpy as np

from facecrop.checks.check import Check, Issue
from facecrop.checks.material import Material
from facecrop.checks.rows import row_issues


def _find(material: Material) -> Iterator[Issue]:
    looks, limits = material.looks, material.limits
    person, face, pieces = (looks[name] for name in ("person", "face", "pieces"))
    small, open_, torn = (
        person < limits.matte,
        face < limits.matte_face,
        pieces > limits.matte_pieces,
    )
    beyond = np.stack(
        [
            (limits.matte - person) / max(limits.matte, 1e-9),
            (limits.matte_face - face) / max(limits.matte_face, 1e-9),
            (pieces - limits.matte_pieces) / max(1 - limits.matte_pieces, 1e-9),
        ]
    )
    rows = material.rows

    def reason(row: dict[str, object]) -> str:
        here = rows[str(row["path"])]
        said = [
            (small, f"the person is {person[here]:.0%} of the crop"),
            (open_, f"{1 - face[here]:.0%} of the face is missing"),
            (torn, f"{pieces[here]:.0%} of the person lies in loose pieces"),
        ]
        return " and ".join(text for hit, text in said if hit[here])

    return row_issues(
        material,
        CHECK.name,
        CHECK.severity,
        small | open_ | torn,
        score=(1 + np.nan_to_num(beyond).max(axis=0).clip(0, 1)) / 2,
        reason=reason,
        facts={"person": person, "face": face, "pieces": pieces},
    )


CHECK = Check(
    name="matte",
    title="persons that were cut out too small, with holes, or torn",
    severity="warning",
    cure="see the alphas (facecrop preprocess --keep alpha); another matte model in the recipe",
    needs=("crops", "matte"),
    find=_find,
)
