"""What choose decides for a record."""

from dataclasses import dataclass

from facecrop.images.findings import Candidate
from facecrop.images.frames import Box


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make of one record: the subject, and the part of the picture to cut out.

    Args:
        status: `ok`, `fallback` (no detector confirmed the box) or `reject`.
        reason: Slug of `facecrop.index.REASONS` where the status is not `ok`.
        face: The subject's face, or None; a sibling's or the prior's box has score 0.
        face_source: Label of the detector that saw it, `sibling` or `prior`.
        faces: How many different faces were seen.
        person: The subject's person box, or None.
        persons: How many persons were seen.
        crop: What to cut out, whole numbers, in pixels of the upright source turned by
            `rotation` about the centre of the crop; may reach outside if the recipe pads.
            None for a reject.
        rotation: Degrees, counter-clockwise as seen, by which the picture is turned before cutting.
    """

    status: str
    reason: str | None = None
    face: Candidate | None = None
    face_source: str | None = None
    faces: int = 0
    person: Candidate | None = None
    persons: int = 0
    crop: Box | None = None
    rotation: float = 0.0
