"""Gates: which of the things that detectors saw can be the subject at all."""

from collections.abc import Sequence

import numpy as np

from facecrop.images.choose.rules import Choose
from facecrop.images.faces import Face
from facecrop.images.findings import Alpha, Candidate, Findings
from facecrop.images.frames import Box


def believable(faces: Sequence[Face], findings: Findings, rules: Choose) -> list[Face]:
    """Return the faces that have votes enough and stand where a face can be."""
    return [face for face in faces if _believable(face, findings, rules)]


def big_enough(face: Face, height: int, width: int, rules: Choose) -> bool:
    """Tell whether a face is as large as the rules ask."""
    return face.side >= max(rules.min_pixels, rules.min_fraction * min(height, width))


def persons_of(findings: Findings, rules: Choose) -> tuple[Candidate, ...]:
    """Return the persons that count."""
    seen = findings.persons.candidates if findings.persons else ()
    return tuple(person for person in seen if person.score >= rules.min_person_score)


def offset(box: Box, height: int, width: int) -> float:
    """Return how far a box lies from the middle of the picture: 0 there, 1 in the corners."""
    x, y = box.center
    return float(np.hypot(x / width - 0.5, y / height - 0.5) / np.hypot(0.5, 0.5))


def alpha_cover(alpha: Alpha, box: Box) -> float:
    """Return which part of a box the matte covers, in [0, 1]."""
    if box.area == 0:
        return 0.0
    x0, y0, x1, y1 = _in_alpha(alpha, box).outward()
    values = alpha.values[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    whole = (x1 - x0) * (y1 - y0)
    return float(values.sum(dtype=np.int64)) / (255 * whole)


def somebody(findings: Findings, rules: Choose) -> Box | None:
    """Return where somebody is, by the best person box, else by the matte; None if nobody is."""
    persons = persons_of(findings, rules)
    if persons:
        return max(persons, key=lambda person: person.box.area * person.score).box
    if findings.alpha is None:
        return None
    return _alpha_box(findings.alpha, findings, rules)


def _believable(face: Face, findings: Findings, rules: Choose) -> bool:
    source = findings.source
    if source.height is None or source.width is None:
        return False
    if face.votes < rules.min_votes:
        return False
    if offset(face.box, source.height, source.width) > rules.max_offset:
        return False
    persons = persons_of(findings, rules)
    if persons and not any(
        face.box.overlap(person.box) >= rules.min_inside * face.box.area for person in persons
    ):
        return False
    return findings.alpha is None or alpha_cover(findings.alpha, face.box) >= rules.min_alpha


def _in_alpha(alpha: Alpha, box: Box) -> Box:
    """Move a box from pixels of the source to those of the matte."""
    height, width = alpha.values.shape
    region = alpha.region
    moved = box.shift(-region.x0, -region.y0)
    return moved.scale(width / region.width, height / region.height)


def _alpha_box(alpha: Alpha, findings: Findings, rules: Choose) -> Box | None:
    """Return the box around the part of the picture that is more person than not."""
    source = findings.source
    if source.height is None or source.width is None:
        return None
    height, width = alpha.values.shape
    there = alpha.values > 127  # noqa: PLR2004 - half of 255
    scale_x, scale_y = alpha.region.width / width, alpha.region.height / height
    if there.sum() * scale_x * scale_y < rules.min_coverage * source.height * source.width:
        return None
    columns, rows = np.flatnonzero(there.any(axis=0)), np.flatnonzero(there.any(axis=1))
    if not columns.size:
        return None
    box = Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
    return box.scale(scale_x, scale_y).shift(alpha.region.x0, alpha.region.y0)
