"""The settings of choose: which face is the subject, which faces count, what stands in for one."""

from typing import Literal

from pydantic import Field

from facecrop.config import Settings

Compare = Literal["strength", "chance"]
Subject = Literal["largest", "most-central", "weighed"]


class Choose(Settings):
    """Who is the subject of a picture, and what stands in where no face was seen.

    Changing any of these runs no model. Votes count how sure the detectors are together: 1 is one
    detector at its own `min_score`.
    """

    subject: Subject = "weighed"
    """Which of several faces: the `largest` (the side being the root of the box's area); the
    `most-central` of those with at least half of the best one's votes; or `weighed`: as `largest`,
    with the side times (1 - `centre` * d), d being the distance of the face from the middle of the
    picture, 1 in its corners."""
    compare: Compare = Field(default="strength", json_schema_extra={"neutral": "strength"})
    """How `largest` and `weighed` find the largest: by `strength`, side times votes; or by the
    `chance` of each to be it: the mean score of all looks at it, times the chance that none of the
    others is a face and larger, where each side is known to a tenth of it only."""
    centre: float = Field(default=0.5, ge=0, le=1)
    """How much being off the middle counts against a face, if `subject` is `weighed`."""
    same_face: float = Field(default=0.3, gt=0, le=1)
    """Intersection over union from which boxes of several detectors are one face."""
    min_votes: float = Field(default=1.0, ge=0)
    """Votes that a face needs."""
    min_pixels: float = Field(default=16, ge=0)
    """Side that a face needs, in pixels of the source; smaller ones are `face-too-small`."""
    min_fraction: float = Field(default=0, ge=0, le=1)
    """Side that a face needs, as part of the picture's shorter side; likewise."""
    max_offset: float = Field(default=1, ge=0, le=1)
    """Distance from the middle, 1 in the corners, beyond which a face is no subject."""
    min_alpha: float = Field(default=0, ge=0, le=1)
    """Part of a face's box that the matte must cover, where there is a matte."""
    min_inside: float = Field(default=0.5, ge=0, le=1)
    """Part of a face's box that must lie in some person's box, where persons were seen."""
    min_person_score: float = Field(default=0.25, ge=0, le=1)
    """Score from which a person counts; 0.25 is ultralytics' own default."""
    siblings: bool = True
    """Without a face, use the median face of the person's other pictures of equal size."""
    prior: bool = True
    """Without that too, guess where the face is from where the person is."""
    min_coverage: float = Field(default=0.02, ge=0, le=1)
    """Part of the picture that the matte must cover for somebody to be there."""
