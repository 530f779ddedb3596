from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from facecrop.images.faces import merge
from facecrop.images.findings import Boxes, Candidate
from facecrop.images.frames import Box

MIN_SCORES = {"yunet-320": 0.6, "yunet-640": 0.6, "deepface-yunet": 0.5}


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x, y = draw(st.integers(0, 300)), draw(st.integers(0, 300))
    return Box(x, y, x + draw(st.integers(8, 200)), y + draw(st.integers(8, 200)))


candidates = st.builds(Candidate, box=boxes(), score=st.integers(20, 100).map(lambda n: n / 100))
Seen = Sequence[tuple[str, Boxes]]
looks = st.lists(candidates, max_size=5).map(lambda seen: Boxes(tuple(seen)))
several = st.fixed_dictionaries({}, optional=dict.fromkeys(MIN_SCORES, looks)).map(
    lambda seen: list(seen.items())
)


def one(box: Box, score: float) -> Boxes:
    return Boxes((Candidate(box, score),))


@given(several, st.randoms(use_true_random=False))
def test_the_order_in_which_detectors_were_asked_does_not_matter(
    seen: Seen, random: Random
) -> None:
    other = list(seen)
    random.shuffle(other)
    assert merge(seen, MIN_SCORES, 0.3) == merge(other, MIN_SCORES, 0.3)


@given(several)
def test_every_candidate_is_part_of_some_face(seen: Seen) -> None:
    faces = merge(seen, MIN_SCORES, 0.3)
    for _, found in seen:
        for candidate in found.candidates:
            best = max(face.best.box.iou(candidate.box) for face in faces)
            assert best >= 0.3


@given(several)
def test_distinct_faces_do_not_share_a_box(seen: Seen) -> None:
    faces = merge(seen, MIN_SCORES, 0.3)
    for number, face in enumerate(faces):
        for other in faces[:number]:
            assert face.best.box.iou(other.best.box) < 0.3


def test_two_detectors_that_agree_add_up() -> None:
    box = Box(10, 10, 50, 60)
    (face,) = merge([("yunet-320", one(box, 0.6)), ("yunet-640", one(box, 0.9))], MIN_SCORES, 0.3)
    assert face.votes == 2.5
    assert face.source == "yunet-640"
    assert face.box == box
    assert face.detectors == 2


def test_one_detector_votes_once_for_a_face() -> None:
    twice = Boxes((Candidate(Box(0, 0, 40, 40), 0.6), Candidate(Box(2, 0, 42, 40), 0.6)))
    (face,) = merge([("yunet-320", twice)], MIN_SCORES, 0.3)
    assert face.votes == 1


def test_one_detector_has_two_votes_at_most() -> None:
    (face,) = merge([("a", one(Box(0, 0, 9, 9), 1.0))], {"a": 0.1}, 0.3)
    assert face.votes == 2


def test_blazeface_boxes_grow_to_the_forehead_where_other_kinds_are_asked_too() -> None:
    seen = [("blazeface-short", one(Box(100, 100, 200, 200), 0.9))]
    (alone,) = merge(seen, {"blazeface-short": 0.5}, 0.3)
    (mixed,) = merge(seen, {"blazeface-short": 0.5, "yunet-320": 0.6}, 0.3)
    assert alone.box == Box(100, 100, 200, 200)
    assert mixed.box == Box(105, 85, 195, 200)
