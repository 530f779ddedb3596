from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecrop.config import validate
from facecrop.errors import ConfigError
from facecrop.images.backends.blazeface import BlazeFaceShort
from facecrop.images.backends.yunet import YuNet
from facecrop.images.findings import Boxes, Candidate, Findings, Point, Source
from facecrop.images.frames import Box
from facecrop.images.look.cascade import Faces, closer_faces, closer_view, next_detector

THREE: list[dict[str, Any]] = [
    {"name": "blazeface-short"},
    {"name": "yunet", "scale": 320},
    {"name": "yunet", "scale": 640},
]
UPRIGHT = ((170.0, 180.0), (220.0, 180.0), (195.0, 210.0), (195.0, 235.0))


def cascade(**settings: Any) -> Faces:
    return validate(Faces, {"detectors": THREE, **settings}, "test")


def face(
    score: float = 0.9,
    box: Box = Box(140, 140, 250, 260),  # noqa: B008 - never written
    landmarks: tuple[Point, ...] = UPRIGHT,
) -> Candidate:
    return Candidate(box, score, landmarks)


def findings(*looks: tuple[Candidate, ...]) -> Findings:
    labels = ("blazeface-short", "yunet-320", "yunet-640")
    seen = tuple((label, Boxes(look)) for label, look in zip(labels, looks, strict=False))
    return Findings(Source(width=384, height=512), faces=seen)


def test_the_first_detector_is_asked_first() -> None:
    assert next_detector(cascade(), findings()) == 0


def test_a_clear_portrait_costs_one_detector() -> None:
    assert next_detector(cascade(), findings((face(0.8),))) is None


@pytest.mark.parametrize(
    ("look", "doubt"),
    [
        ((), "no face"),
        ((face(0.6),), "a low score"),
        ((face(0.9, Box(180, 180, 220, 220)),), "a small face"),
        ((face(), face(0.8, Box(10, 150, 110, 260))), "a second face as large"),
        ((face(0.9, Box(-60, 140, 60, 260)),), "a face at the border"),
        (
            (face(0.9, landmarks=((195, 150), (195, 230), (165, 190), (145, 190))),),
            "a face that lies on its side",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_doubtful_answer_is_asked_again(look: tuple[Candidate, ...], doubt: str) -> None:
    assert next_detector(cascade(), findings(look)) == 1, doubt


def test_two_that_agree_are_enough() -> None:
    assert next_detector(cascade(), findings((face(0.65),), (face(0.8),))) is None


def test_two_that_disagree_are_not() -> None:
    elsewhere = face(0.8, Box(10, 150, 110, 260))
    assert next_detector(cascade(), findings((face(0.65),), (elsewhere,))) == 2


def test_the_cascade_ends_when_all_were_asked() -> None:
    assert next_detector(cascade(), findings((), (), ())) is None


def test_a_stricter_first_answer_costs_more() -> None:
    seen = findings((face(0.8),))
    assert next_detector(cascade(sure=1.5), seen) is None
    assert next_detector(cascade(sure=1.7), seen) == 1


def test_a_detector_named_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a detector is named twice: yunet-640, yunet-640"):
        validate(Faces, {"detectors": [{"name": "yunet"}, {"name": "yunet"}]}, "test")


def test_a_cascade_without_detectors_is_refused() -> None:
    with pytest.raises(ConfigError, match="detectors"):
        validate(Faces, {"detectors": []}, "test")


def test_an_unknown_detector_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'yunet'\?"):
        validate(Faces, {"detectors": [{"name": "yunett"}]}, "test")


def test_minimum_scores_are_those_of_the_detectors() -> None:
    faces = cascade(detectors=[{"name": "blazeface-short", "min_score": 0.4}, {"name": "yunet"}])
    assert faces.min_scores == {"blazeface-short": 0.4, "yunet-640": 0.6}


def turned(share: float) -> Boxes:
    """Return one sure face whose nose is this far from the middle of its eyes."""
    box = Box(200, 200, 400, 400)
    nose = (300 + 80 * share, 310.0)
    points = ((260.0, 270.0), (340.0, 270.0), nose, (300.0, 360.0))
    return Boxes((Candidate(box, 0.95, points),))


def test_a_turned_head_is_a_doubt_and_a_facing_one_is_not() -> None:
    known = Findings(Source(width=600, height=600), faces=(("blazeface-short", turned(0.2)),))
    away = Findings(Source(width=600, height=600), faces=(("blazeface-short", turned(0.7)),))
    faces = Faces(detectors=(BlazeFaceShort(), YuNet()))
    assert next_detector(faces, known) is None
    assert next_detector(faces, away) == 1


def test_another_face_of_similar_size_is_a_doubt_however_faint() -> None:
    sure = turned(0.0).candidates[0]
    other = Candidate(Box(420, 200, 560, 340), 0.3)
    small = Candidate(Box(420, 200, 460, 240), 0.3)
    faces = Faces(detectors=(BlazeFaceShort(), YuNet()))
    for second, expected in ((other, 1), (small, None)):
        known = Findings(
            Source(width=600, height=600), faces=(("blazeface-short", Boxes((sure, second))),)
        )
        assert next_detector(faces, known) == expected


LARGE, SIMILAR, SMALL = Box(140, 140, 250, 260), Box(10, 150, 100, 250), Box(300, 20, 350, 80)
HUGE = Box(0, 0, 384, 512)


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        ((), ()),
        ((face(),), ()),
        ((face(), face(0.8, SMALL)), ()),
        ((face(), face(0.3, SIMILAR)), ()),
        ((face(0.2),), ()),
        ((face(), face(0.8, SIMILAR), face(0.9, SMALL)), (LARGE, SIMILAR)),
        ((face(), face(0.8, SIMILAR), face(0.65, HUGE)), (LARGE, SIMILAR, HUGE)),
    ],
    ids=["no face", "one", "a small", "a faint", "none believable", "two of three", "a huge"],
)
def test_faces_of_similar_size_get_closer_looks(
    look: tuple[Candidate, ...], expected: tuple[Box, ...]
) -> None:
    faces = cascade(
        detectors=[{"name": "yunet"}], closer={"detectors": [{"name": "yunet", "scale": 128}]}
    )
    known = Findings(Source(width=384, height=512), faces=(("yunet-640", Boxes(look)),))
    assert closer_faces(faces, known) == expected
    assert closer_faces(cascade(detectors=[{"name": "yunet"}]), known) == ()


@given(
    st.builds(
        lambda x, y, width, height: Box(x, y, x + width, y + height),
        *(st.floats(-50, 400),) * 2,
        *(st.floats(1, 300),) * 2,
    ),
    st.floats(0, 2),
    *(st.integers(1, 500),) * 2,
)
def test_a_closer_view_is_a_square_where_the_picture_has_room_for_one(
    seen: Box, border: float, width: int, height: int
) -> None:
    view = closer_view(seen, border, width, height)
    assert view.outward() == view.corners
    assert view.clip(width, height) == view
    side = max(round((1 + 2 * border) * seen.area**0.5), 1)
    assert (view.width, view.height) == (min(side, width), min(side, height))


def test_a_closer_view_has_the_face_in_its_middle() -> None:
    assert closer_view(Box(200, 180, 240, 220), 0.5, 400, 300) == Box(180, 160, 260, 240)
    assert closer_view(Box(0, 180, 40, 220), 0.5, 400, 300) == Box(0, 160, 80, 240)


@pytest.mark.parametrize(
    ("detectors", "message"),
    [
        ([{"name": "selfie"}], "'selfie' cannot be a face detector: it finds alpha"),
        ([{"name": "yunet"}, {"name": "yunet"}], "a detector is named twice"),
        (
            [{"name": "yunet", "min_score": 0.5}],
            "yunet-640 has other settings in closer than in detectors",
        ),
        ([], "detectors"),
    ],
)
def test_closer_looks_that_make_no_sense_are_refused(
    detectors: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        cascade(closer={"detectors": detectors})


@pytest.mark.parametrize("borders", [[], [0.5, -1], [9]])
def test_borders_that_make_no_sense_are_refused(borders: list[float]) -> None:
    with pytest.raises(ConfigError, match="borders"):
        cascade(closer={"detectors": [{"name": "yunet"}], "borders": borders})


def test_a_detector_may_look_twice_and_is_one_finder() -> None:
    again: list[dict[str, Any]] = [{"name": "yunet", "scale": 320}, {"name": "yunet", "scale": 128}]
    faces = cascade(closer={"detectors": again})
    labels = [finder.label for finder in faces.finders]
    assert labels == ["blazeface-short", "yunet-320", "yunet-640", "yunet-128"]
    assert set(faces.min_scores) == set(labels)
