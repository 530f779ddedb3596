from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from facecrop.images.faces import merge
from facecrop.images.findings import Boxes, Candidate, Closer
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


AT = Box(100, 100, 140, 150)
FIRST = [("yunet-320", one(AT, 0.6)), ("yunet-640", Boxes(()))]


def test_the_score_is_the_mean_of_all_who_were_asked() -> None:
    (face,) = merge(FIRST, MIN_SCORES, 0.3)
    assert face.score == 0.3


def test_a_closer_look_moves_the_box_and_the_score_but_gives_no_votes() -> None:
    (before,) = merge(FIRST, MIN_SCORES, 0.3)
    look = Closer("yunet-640", AT, one(AT.shift(10, 0), 0.9))
    (face,) = merge(FIRST, MIN_SCORES, 0.3, [look])
    assert face.score == (0.6 + 0 + 0.9) / 3
    assert face.box == AT.shift(6, 0), "0.9 / 0.6 of the weight"
    assert (face.votes, face.best, face.detectors) == (before.votes, before.best, before.detectors)


def test_a_closer_look_that_sees_nothing_there_lowers_the_score() -> None:
    neighbour = Closer("yunet-640", AT, one(AT.shift(60, 0), 0.9))
    (face,) = merge(FIRST, MIN_SCORES, 0.3, [neighbour, Closer("yunet-320", AT, Boxes(()))])
    assert face.score == 0.6 / 4
    assert face.box == AT


def test_closer_looks_make_no_face() -> None:
    elsewhere = Closer("yunet-640", AT.shift(300, 0), one(AT.shift(300, 0), 0.9))
    assert merge(FIRST, MIN_SCORES, 0.3, [elsewhere]) == merge(FIRST, MIN_SCORES, 0.3)
    assert merge([], MIN_SCORES, 0.3, [elsewhere]) == ()


def test_closer_looks_show_that_two_boxes_are_one_face() -> None:
    beside = AT.shift(25, 0)
    first = [("yunet-320", one(AT, 0.9)), ("yunet-640", one(beside, 0.6))]
    assert AT.iou(beside) < 0.3
    assert len(merge(first, MIN_SCORES, 0.3)) == 2
    between = one(AT.shift(12, 0), 0.9)
    again = [Closer(label, box, between) for label in MIN_SCORES for box in (AT, beside)]
    (face,) = merge(first, MIN_SCORES, 0.3, again)
    assert face.best.box == AT


closer_looks = st.lists(
    st.builds(Closer, label=st.sampled_from(list(MIN_SCORES)), face=boxes(), seen=looks), max_size=6
)


@given(several, closer_looks, st.randoms(use_true_random=False))
def test_the_order_of_closer_looks_does_not_matter(
    seen: Seen, closer: list[Closer], random: Random
) -> None:
    other = list(closer)
    random.shuffle(other)
    faces = merge(seen, MIN_SCORES, 0.3, closer)
    assert faces == merge(seen, MIN_SCORES, 0.3, other)
    assert all(0 <= face.score <= 1 for face in faces)
