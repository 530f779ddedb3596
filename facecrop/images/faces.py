"""Distinct faces out of what several detectors saw: who agrees with whom, and how sure they are.

Detectors differ in three ways that would otherwise decide who is chosen:

- their scores mean different things, so each is counted in *votes*: 1 is the detector's own
  `min_score`, and one detector has at most 2;
- their boxes mean different things, so where a cascade mixes kinds, all are brought to one
  meaning, forehead to chin and temple to temple: that of WIDER FACE, on which most are trained;
- several of them see the same face, so what overlaps is one face, with the votes of all.

Closer looks, each at one of these faces, add to what is known of it: more boxes for the mean, and
more answers to the question whether it is a face at all. They make no face and give no votes, but
they show that two boxes that a coarse look put side by side are the same face.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

from facecrop.images.findings import Boxes, Candidate, Closer
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
        box: Mean of the detectors' boxes, weighted by votes, in pixels of the source; closer
            looks count like further detectors.
        votes: How sure they are together: 1 is one detector at its `min_score`.
        score: Mean score of all looks that could have seen it, 0 for each that did not, in [0, 1].
        best: What the surest detector saw, with its own score and landmarks; its box brought
            to the common meaning.
        source: Label of that detector.
        detectors: How many saw it.
    """

    box: Box
    votes: float
    score: float
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
    seen: Sequence[tuple[str, Boxes]],
    min_scores: Mapping[str, float],
    same_face: float,
    closer: Sequence[Closer] = (),
) -> tuple[Face, ...]:
    """Return the distinct faces, the one with most votes first.

    Args:
        seen: Label and finding of each detector; their order does not matter.
        min_scores: By label, the score that counts as one vote.
        same_face: Intersection over union from which two boxes are the same face, in (0, 1].
        closer: Closer looks at some of the faces; their order does not matter either.
    """
    # A cascade of one kind keeps the boxes that its users know from the detector itself.
    mixed = len({_is_blazeface(label) for label in min_scores}) > 1

    votes = [
        _vote(label, candidate, min_scores[label], mixed=mixed)
        for label, boxes in seen
        for candidate in boxes.candidates
    ]
    # The box breaks ties, so that the order in which detectors were asked does not.
    votes.sort(key=_surest)
    groups = _grouped(votes, same_face)
    places = [_mean_box(group) for group in groups]
    looks: list[list[_Vote | None]] = [[] for _ in groups]
    for look in closer:
        overlaps = [place.iou(look.face) for place in places]
        if max(overlaps, default=0) >= same_face:
            number = overlaps.index(max(overlaps))
            again = (
                _vote(look.label, candidate, min_scores[look.label], mixed=mixed)
                for candidate in look.seen.candidates
            )
            same = (vote for vote in again if vote.candidate.box.iou(places[number]) >= same_face)
            looks[number].append(min(same, key=_surest, default=None))
    faces = (_face(group, more, len(seen)) for group, more in zip(groups, looks, strict=True))
    known = sorted(faces, key=lambda face: -face.votes)
    return tuple(_distinct(known, same_face) if closer else known)


def _grouped(votes: Sequence[_Vote], same_face: float) -> list[list[_Vote]]:
    """Put votes for the same face together, the surest first, one of each detector."""
    groups: list[list[_Vote]] = []
    for vote in votes:
        box = vote.candidate.box
        nearest = max(groups, key=lambda group: group[0].candidate.box.iou(box), default=None)
        if nearest is None or nearest[0].candidate.box.iou(box) < same_face:
            groups.append([vote])
        elif all(vote.label != other.label for other in nearest):
            nearest.append(vote)
    return groups


def _distinct(faces: Sequence[Face], same_face: float) -> list[Face]:
    """Leave out what turned out to be another face, one of higher score."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(face.box.iou(other.box) < same_face for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda face: -face.votes)


def _vote(label: str, candidate: Candidate, min_score: float, *, mixed: bool) -> _Vote:
    score = candidate.score
    votes = _MOST_VOTES if score >= _MOST_VOTES * min_score else score / min_score
    return _Vote(votes, label, _to_face(candidate) if mixed and _is_blazeface(label) else candidate)


def _surest(vote: _Vote) -> tuple[float, str, tuple[float, ...]]:
    return -vote.votes, vote.label, vote.candidate.box.corners


def _is_blazeface(label: str) -> bool:
    return label.startswith("blazeface")


def _to_face(candidate: Candidate) -> Candidate:
    """Bring a BlazeFace box to the meaning forehead to chin, temple to temple."""
    box = candidate.box
    dx, dy = _EARS * box.width, _FOREHEAD * box.height
    return replace(candidate, box=Box(box.x0 + dx, box.y0 - dy, box.x1 - dx, box.y1))


def _face(group: Sequence[_Vote], looks: Sequence[_Vote | None], asked: int) -> Face:
    """Sum up what `asked` detectors and the closer looks (None: did not see it again) say."""
    best = group[0]
    # In one order, so that the order of the looks changes no rounding.
    again = sorted((vote for vote in looks if vote is not None), key=_surest)
    scores = sum(vote.candidate.score for vote in (*group, *again))
    return Face(
        box=_mean_box([*group, *again]),
        votes=sum(vote.votes for vote in group),
        score=scores / (asked + len(looks)),
        best=best.candidate,
        source=best.label,
        detectors=len(group),
    )


def _mean_box(votes: Sequence[_Vote]) -> Box:
    total = sum(vote.votes for vote in votes)
    sides = zip(*(vote.candidate.box.corners for vote in votes), strict=True)
    mean = (
        sum(vote.votes * side for vote, side in zip(votes, column, strict=True)) / total
        for column in sides
    )
    return Box(*mean).quantised()
