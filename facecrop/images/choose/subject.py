"""The subject: which of several faces, or of several persons, a picture is about."""

from collections.abc import Sequence

from facecrop.images.choose.gates import offset
from facecrop.images.choose.rules import Choose
from facecrop.images.faces import Face
from facecrop.images.findings import Candidate
from facecrop.images.frames import Box

_CENTRAL_SHARE = 0.5
"""Faces with fewer votes than this part of the best one's do not compete for the middle."""


def subject_face(faces: Sequence[Face], height: int, width: int, rules: Choose) -> Face:
    """Return the face that a picture is about; there must be one at least."""
    if rules.subject == "most-central":
        least = _CENTRAL_SHARE * max(face.votes for face in faces)
        known = [face for face in faces if face.votes >= least]
        return min(known, key=lambda face: offset(face.box, height, width))
    return max(faces, key=lambda face: face.strength * _weight(face.box, height, width, rules))


def subject_person(
    persons: Sequence[Candidate], face: Box | None, height: int, width: int, rules: Choose
) -> Candidate | None:
    """Return the person that has the face, else the one that the picture is about, if any.

    Args:
        persons: Those that count.
        face: The subject's face, if it is known.
        height: Of the source, pixels.
        width: Likewise.
        rules: The rule of the subject; the largest person has most area times score.
    """
    if not persons:
        return None
    if face is not None:
        # A face lies at the top of its own person: of several around it, the tightest.
        return max(persons, key=lambda one: (round(face.overlap(one.box), 3), -one.box.area))
    if rules.subject == "most-central":
        return min(persons, key=lambda one: offset(one.box, height, width))
    return max(
        persons,
        key=lambda one: one.box.area**0.5 * one.score * _weight(one.box, height, width, rules),
    )


def _weight(box: Box, height: int, width: int, rules: Choose) -> float:
    return 1 - rules.centre * offset(box, height, width) if rules.subject == "weighed" else 1.0
