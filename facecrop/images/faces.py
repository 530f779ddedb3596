"""Distinct faces out of what several detectors saw: who agrees with whom, and how sure they are.

Detectors differ in three ways that would otherwise decide who is chosen:

- their scores mean different things, so each is counted in *votes*: 1 is the detector's own
  `min_score`, and one detector has at most 2;
- their boxes mean different things, so where a cascade mixes kinds, all are brought to one
  meaning, forehead to chin and temple to temple: that of WIDER FACE, on which most are trained;
- several of them see the same face, so what overlaps is one face, with the votes of all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

from facecrop.images.findings import Boxes, Candidate
from facecrop.images.frames import Box

_MOST_VOTES = 2.0
"""Votes of one detector for one face; no single one may outvote all others."""

_FOREHEAD = 0.15
"""BlazeFace boxes begin at the brows; so much of their height is missing up to the forehead."""

_EARS = 0.05
"""BlazeFace boxes are squares; so much of their width lies beyond the temples, on either side."""


@dataclass(frozen=True, slots=True)
class Face:
    """One face, as all detectors together see it.

    Args:
        box: Mean of the detectors' boxes, weighted by votes, in pixels of the source.
        votes: How sure they are together: 1 is one detector at its `min_score`.
        best: What the surest detector saw, with its own score and landmarks; its box brought
            to the common meaning.
        source: Label of that detector.
        detectors: How many saw it.
    """

    box: Box
    votes: float
    best: Candidate
    source: str
    detectors: int

    @property
    def side(self) -> float:
        """Side of the square that has the box's area, in pixels."""
        return sqrt(self.box.area)

    @property
    def strength(self) -> float:
        """Side times votes: large faces come first, but not ones that few believe in."""
        return self.side * self.votes


@dataclass(frozen=True, slots=True)
class _Vote:
    votes: float
    label: str
    candidate: Candidate


def merge(
    seen: Sequence[tuple[str, Boxes]], min_scores: Mapping[str, float], same_face: float
) -> tuple[Face, ...]:
    """Return the distinct faces, the one with most votes first.

    Args:
        seen: Label and finding of each detector; their order does not matter.
        min_scores: By label, the score that counts as one vote.
        same_face: Intersection over union from which two boxes are the same face, in (0, 1].
    """
    # A cascade of one kind keeps the boxes that its users know from the detector itself.
    mixed = len({_is_blazeface(label) for label in min_scores}) > 1
    votes = [
        _Vote(
            _votes(candidate.score, min_scores[label]),
            label,
            _to_face(candidate) if mixed and _is_blazeface(label) else candidate,
        )
        for label, boxes in seen
        for candidate in boxes.candidates
    ]
    # The box breaks ties, so that the order in which detectors were asked does not.
    votes.sort(key=lambda vote: (-vote.votes, vote.label, vote.candidate.box.corners))
    groups: list[list[_Vote]] = []
    for vote in votes:
        box = vote.candidate.box
        nearest = max(groups, key=lambda group: group[0].candidate.box.iou(box), default=None)
        if nearest is None or nearest[0].candidate.box.iou(box) < same_face:
            groups.append([vote])
        elif all(vote.label != other.label for other in nearest):
            nearest.append(vote)
    return tuple(sorted(map(_face, groups), key=lambda face: -face.votes))


def _votes(score: float, min_score: float) -> float:
    return _MOST_VOTES if score >= _MOST_VOTES * min_score else score / min_score


def _is_blazeface(label: str) -> bool:
    return label.startswith("blazeface")


def _to_face(candidate: Candidate) -> Candidate:
    """Bring a BlazeFace box to the meaning forehead to chin, temple to temple."""
    box = candidate.box
    dx, dy = _EARS * box.width, _FOREHEAD * box.height
    return replace(candidate, box=Box(box.x0 + dx, box.y0 - dy, box.x1 - dx, box.y1))


def _face(group: Sequence[_Vote]) -> Face:
    best = group[0]
    total = sum(vote.votes for vote in group)
    sides = zip(*(vote.candidate.box.corners for vote in group), strict=True)
    mean = (
        sum(vote.votes * side for vote, side in zip(group, column, strict=True)) / total
        for column in sides
    )
    return Face(Box(*mean).quantised(), total, best.candidate, best.label, len(group))
