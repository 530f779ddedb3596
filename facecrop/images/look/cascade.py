"""The face cascade: several detectors, each asked only where those before it leave a doubt.

Where several faces of similar size are left, closer looks may follow: each of these faces is cut
out with a border, which brings all of them to the same few sizes in front of the same detectors.
A masked face in the back row then has the same chance to be seen, and is measured in the same way,
as a bare one in front.
"""

from collections.abc import Mapping
from math import atan2, degrees, inf
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from facecrop.config import Settings
from facecrop.images.faces import Face, merge
from facecrop.images.findings import Findings
from facecrop.images.frames import Box
from facecrop.images.look.settings import AnyFinder

_HEARD = 0.5
"""Votes from which another face is a rival at all: half of what makes a face."""

_FACE = 1.0
"""Votes that make a face: one detector at its own `min_score`."""

Border = Annotated[float, Field(ge=0, le=8)]
"""Of a closer look; at 8 the face has a seventeenth of what is shown."""


class CloserLooks(Settings):
    """How to look again at each of several faces: all detectors, with each of the borders."""

    detectors: tuple[AnyFinder, ...] = Field(min_length=1)
    """The detectors."""
    borders: tuple[Border, ...] = Field(default=(0.5, 1.0), min_length=1)
    """Borders around a face, as parts of its side."""


class Faces(Settings):
    """Face detectors in the order in which they are asked, and what leaves a doubt.

    Votes count how sure detectors are: 1 is one detector at its own `min_score`, and what
    several detectors say of one face is added up. Whatever these settings say, the faces that
    were seen are weighed again by `choose`; they only decide how many detectors are paid for.
    """

    detectors: tuple[AnyFinder, ...] = Field(min_length=1)
    """The detectors, cheapest first."""
    view: Literal["source", "cutout"] = "source"
    """What they see: the picture as it is, or with its background painted black."""
    sure: float = Field(default=1.5, ge=1, le=2)
    """Votes of the first detector that are enough alone."""
    agreed: float = Field(default=2.5, ge=1)
    """Votes of several detectors that are enough together."""
    same_face: float = Field(default=0.3, gt=0, le=1)
    """Intersection over union from which two boxes are the same face."""
    small: float = Field(default=0.2, ge=0, le=1)
    """A face whose side is a smaller part of the picture's shorter side is doubtful."""
    rival: float = Field(default=0.6, ge=0, le=1)
    """Another face with so large a part of the first one's side is a doubt: who is the subject?"""
    edge: float = Field(default=0.1, ge=0, le=0.5)
    """A face whose centre is nearer to the border, as part of the picture's sides, is doubtful."""
    tilt: float = Field(default=30, ge=0, le=180)
    """A face whose eyes-to-mouth line leans further from upright is doubtful (degrees)."""
    turn: float = Field(default=0.5, ge=0)
    """A face whose nose is further from the middle of its eyes, in distances of the eyes, is
    doubtful: it is turned away, and boxes of turned faces are the least exact ones. At 0.5 the
    nose is below an eye."""
    closer: CloserLooks | None = Field(default=None, json_schema_extra={"neutral": None})
    """Closer looks at each of several faces: at the surest one and at those with at least `rival`
    of its side."""

    @model_validator(mode="after")
    def _are_face_detectors(self) -> Self:
        closer = self.closer.detectors if self.closer else ()
        for finder in (*self.detectors, *closer):
            if finder.finds != "faces":
                raise ValueError(
                    f"{finder.name!r} cannot be a face detector: it finds {finder.finds}"
                )
        for finders in (self.detectors, closer):
            labels = [finder.label for finder in finders]
            if len(set(labels)) < len(labels):
                raise ValueError(f"a detector is named twice: {', '.join(labels)}")
        same = {finder.label: finder for finder in self.detectors}
        for finder in closer:
            if same.get(finder.label, finder) != finder:
                raise ValueError(f"{finder.label} has other settings in closer than in detectors")
        return self

    @property
    def finders(self) -> tuple[AnyFinder, ...]:
        """All detectors, each once."""
        closer = self.closer.detectors if self.closer else ()
        return tuple({finder.label: finder for finder in (*self.detectors, *closer)}.values())

    @property
    def min_scores(self) -> Mapping[str, float]:
        """By label, the score from which a detector's candidate counts as a face."""
        return {finder.label: _min_score(finder) for finder in self.finders}


def next_detector(faces: Faces, findings: Findings) -> int | None:
    """Return the number of the detector to ask next, or None if what is known is enough.

    It depends on `findings.faces` and the size of the picture only, so that the same picture is
    looked at in the same way whatever folder it lies in.

    Args:
        faces: The cascade.
        findings: What is known about the picture; its source has a size.
    """
    asked = {label for label, _ in findings.faces}
    left = [number for number, finder in enumerate(faces.detectors) if finder.label not in asked]
    if not left or (asked and not _in_doubt(faces, findings)):
        return None
    return left[0]


def closer_faces(faces: Faces, findings: Findings) -> tuple[Box, ...]:
    """Return the faces that ask for closer looks: none if there is no doubt whose picture it is.

    Like `next_detector` it depends on `findings.faces` and the size of the picture only.

    Args:
        faces: The cascade.
        findings: What is known about the picture when all detectors have been asked.
    """
    # Most pictures end here: two faces take two candidates.
    if faces.closer is None or sum(len(seen.candidates) for _, seen in findings.faces) <= 1:
        return ()
    merged = merge(findings.faces, faces.min_scores, faces.same_face)
    seen = [face for face in merged if face.votes >= _FACE]
    if not seen:
        return ()
    # Not the strongest: what is mistaken for a face is often huge, and would hide all real ones.
    first = max(seen, key=lambda face: face.score)
    rivals = tuple(face.box for face in seen if face.side >= faces.rival * first.side)
    return rivals if len(rivals) > 1 else ()


def closer_view(face: Box, border: float, width: int, height: int) -> Box:
    """Return the part of a picture to show in a closer look: a square, moved inside if it must be.

    Args:
        face: In pixels of the picture.
        border: On every side of the square that has the face's area, as a part of its side.
        width: Of the picture, pixels.
        height: Likewise.

    Returns:
        Whole pixels; shorter where the picture is.
    """
    side = (1 + 2 * border) * face.area**0.5
    across, down = (min(max(round(side), 1), length) for length in (width, height))
    x, y = face.center
    x0 = min(max(round(x - across / 2), 0), width - across)
    y0 = min(max(round(y - down / 2), 0), height - down)
    return Box(x0, y0, x0 + across, y0 + down)


def _in_doubt(faces: Faces, findings: Findings) -> bool:
    width, height = findings.source.width, findings.source.height
    if width is None or height is None:
        raise ValueError("a picture without a size has no faces to look for")
    seen = merge(findings.faces, faces.min_scores, faces.same_face)
    if not seen:
        return True
    first = max(seen, key=lambda face: face.strength)
    enough = faces.sure if len(findings.faces) == 1 else faces.agreed
    return (
        first.votes < enough
        or first.side < faces.small * min(width, height)
        or any(_is_rival(face, first, faces.rival) for face in seen if face is not first)
        or not _central(first, faces.edge, width, height)
        or _lean(first) > faces.tilt
        or _turn(first) > faces.turn
    )


def _is_rival(face: Face, first: Face, rival: float) -> bool:
    return face.votes >= _HEARD and face.side >= rival * first.side


def _central(face: Face, edge: float, width: int, height: int) -> bool:
    x, y = face.box.center
    return edge <= x / width <= 1 - edge and edge <= y / height <= 1 - edge


def _lean(face: Face) -> float:
    """Return how far the line from eyes to mouth leans, in degrees; 0 if unknown."""
    if not face.best.landmarks:
        return 0.0
    left, right, _, mouth = face.best.landmarks
    x, y = (left[0] + right[0]) / 2, (left[1] + right[1]) / 2
    return abs(degrees(atan2(mouth[0] - x, mouth[1] - y)))


def _turn(face: Face) -> float:
    """Return how far the nose is from the middle of the eyes, along their line; 0 if unknown."""
    if not face.best.landmarks:
        return 0.0
    left, right, nose, _ = face.best.landmarks
    x, y = right[0] - left[0], right[1] - left[1]
    apart = x * x + y * y
    if apart == 0:
        return inf
    return abs(((nose[0] - left[0]) * x + (nose[1] - left[1]) * y) / apart - 0.5)


def _min_score(finder: AnyFinder) -> float:
    score: float = getattr(finder, "min_score", 0.5)
    return score
