"""The subject: which of several faces, or of several persons, a picture is about."""

from collections.abc import Sequence
from math import erf, log, prod

from facecrop.images.choose.gates import offset
from facecrop.images.choose.rules import Choose
from facecrop.images.faces import Face
from facecrop.images.findings import Candidate
from facecrop.images.frames import Box

_CENTRAL_SHARE = 0.5
"""Faces with fewer votes than this part of the best one's do not compete for the middle."""

_SIDE_ERROR = 0.1
"""Standard error of a face's side, as a part of it: boxes of one face by several detectors, and by
people, differ by about so much."""


def subject_face(faces: Sequence[Face], height: int, width: int, rules: Choose) -> Face:
    """Return the face that a picture is about; there must be one at least."""
    if rules.subject == "most-central":
        least = _CENTRAL_SHARE * max(face.votes for face in faces)
        known = [face for face in faces if face.votes >= least]
        return min(known, key=lambda face: offset(face.box, height, width))
    if rules.compare == "chance":
        chances = _chances(faces, height, width, rules)
        return faces[chances.index(max(chances))]
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


def _chances(faces: Sequence[Face], height: int, width: int, rules: Choose) -> list[float]:
    """Return the chance of each face to be one and to have no larger one beside it.

    What lies outside the picture counts for nobody.
    """
    sides = [
        face.box.clip(width, height).area ** 0.5 * _weight(face.box, height, width, rules)
        for face in faces
    ]
    logs = [log(max(side, 1)) for side in sides]
    return [
        face.score
        * prod(
            1 - other.score * _chance_larger(theirs - own)
            for other, theirs in zip(faces, logs, strict=True)
            if other is not face
        )
        for face, own in zip(faces, logs, strict=True)
    ]


def _chance_larger(by: float) -> float:
    """Return the chance that a face is larger than another, if it seems so by this log ratio."""
    # Each side is uncertain by itself, so that the difference of two is by sqrt(2) times as much.
    return 0.5 * (1 + erf(by / (2 * _SIDE_ERROR)))


def _weight(box: Box, height: int, width: int, rules: Choose) -> float:
    return 1 - rules.centre * offset(box, height, width) if rules.subject == "weighed" else 1.0
