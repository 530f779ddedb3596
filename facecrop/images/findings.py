"""What models say about one image: the values that look keeps and choose decides upon."""

import json
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from facecrop.images.frames import Box

Point = tuple[float, float]

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth")
"""A face's landmarks, in order; left and right as the viewer sees them, `mouth` its middle."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One object a detector saw.

    Args:
        box: In pixels of the upright source image; may reach beyond its border.
        score: The detector's confidence, in [0, 1].
        landmarks: One point for each of `LANDMARKS`, in pixels of the source; empty if unknown.
    """

    box: Box
    score: float
    landmarks: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class Boxes:
    """All objects of one kind (faces, persons) that one detector saw, best score first."""

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Alpha:
    """Where the person is.

    Args:
        values: (h, w) uint8 at the model's own resolution, 255 on the person.
        region: The part of the upright source that `values` covers, in source pixels;
            outside it there is nobody.
    """

    values: NDArray[np.uint8]
    region: Box


@dataclass(frozen=True, slots=True)
class Source:
    """What the pixels alone tell: size, hash, quality, or why they could not be read.

    Args:
        width: Of the upright source, pixels.
        height: Likewise.
        phash: 64-bit perceptual hash, as an unsigned number.
        sharpness: Variance of the Laplacian of the picture reduced to a fixed size.
        brightness: Mean luma, in [0, 255].
        reason: Slug of the fault that makes the picture a reject, or None.
        note: Slug of something worth telling about a usable picture, or None.
        reduced: By what the sides were divided before models looked at it; None for not at all.
    """

    width: int | None = None
    height: int | None = None
    phash: int | None = None
    sharpness: float | None = None
    brightness: float | None = None
    reason: str | None = None
    note: str | None = None
    reduced: int | None = None


Finding = Boxes | Alpha | Source


@dataclass(frozen=True, slots=True)
class Closer:
    """What one detector saw when it was shown one face with a border around it.

    Args:
        label: Of the detector.
        face: Where the face was seen before, in pixels of the source.
        seen: What it saw there, in pixels of the source; neighbours may be cut off.
    """

    label: str
    face: Box
    seen: Boxes


@dataclass(frozen=True, slots=True)
class Findings:
    """All that is known about one record when choose decides.

    Args:
        source: Size, quality, or why there is nothing else.
        persons: What the person detector saw; None if the recipe asks for none.
        faces: What each face detector of the cascade saw, in the order they were asked; detectors
            that the cascade did not need are absent; empty if the recipe asks for none.
        alpha: The person matte; None if the recipe asks for none, or not made yet.
        closer: What was seen in closer looks at each of several faces; empty where there was no
            doubt whose picture it is, or the recipe asks for none.
    """

    source: Source
    persons: Boxes | None = None
    faces: tuple[tuple[str, Boxes], ...] = ()
    alpha: Alpha | None = None
    closer: tuple[Closer, ...] = ()


def pack(finding: Finding) -> tuple[str, bytes | None]:
    """Return a finding as the store keeps it: facts as JSON, alpha as zstd bytes or None."""
    if isinstance(finding, Boxes):
        rows = [
            [*one.box.corners, one.score, *(c for p in one.landmarks for c in p)]
            for one in finding.candidates
        ]
        return json.dumps({"boxes": rows}), None
    if isinstance(finding, Source):
        known = {name: value for name, value in asdict(finding).items() if value is not None}
        return json.dumps({"source": known}), None
    facts = json.dumps({"alpha": finding.values.shape, "region": finding.region.corners})
    return facts, pa.compress(finding.values.tobytes(), "zstd", asbytes=True)


def unpack(facts: str, alpha: bytes | None) -> Finding:
    """Return the finding that `pack` was given; the values of an alpha cannot be written to."""
    known = json.loads(facts)
    if "boxes" in known:
        return Boxes(tuple(_candidate(row) for row in known["boxes"]))
    if "source" in known:
        return Source(**known["source"])
    height, width = known["alpha"]
    data = pa.decompress(alpha, height * width, "zstd", asbytes=True)
    return Alpha(np.frombuffer(data, np.uint8).reshape(height, width), Box(*known["region"]))


def _candidate(row: list[float]) -> Candidate:
    points = tuple(zip(row[5::2], row[6::2], strict=True))
    return Candidate(Box(*row[:4]), row[4], points)
