from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecrop.config import validate
from facecrop.images.choose import Choose, Plan, choose
from facecrop.images.findings import Alpha, Boxes, Candidate, Closer, Findings, Source
from facecrop.images.frames import Box
from facecrop.images.look.cascade import Faces

FACES = validate(Faces, {"detectors": [{"name": "yunet"}]}, "test")
SIZES = ((384, 512), (300, 300))


def seen(*faces: tuple[Box, float], size: tuple[int, int] = (384, 512), **more: Any) -> Findings:
    candidates = tuple(Candidate(box, score) for box, score in faces)
    source = Source(width=size[0], height=size[1])
    return Findings(source, faces=(("yunet-640", Boxes(candidates)),), **more)


def broken(reason: str = "truncated") -> Findings:
    return Findings(Source(reason=reason))


def alpha(box: tuple[int, int, int, int] | None, size: tuple[int, int] = (384, 512)) -> Alpha:
    values = np.zeros((size[1], size[0]), np.uint8)
    if box is not None:
        x0, y0, x1, y1 = box
        values[y0:y1, x0:x1] = 255
    return Alpha(values, Box(0, 0, *size))


def one(findings: Findings, need: Any = "face", **rules: Any) -> Plan:
    (plan,) = choose([findings], Choose(**rules), FACES, need)
    return plan


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x, y = draw(st.integers(0, 250)), draw(st.integers(0, 250))
    return Box(x, y, x + draw(st.integers(20, 120)), y + draw(st.integers(20, 120)))


@st.composite
def records(draw: st.DrawFn) -> Findings:
    if draw(st.integers(0, 5)) == 0:
        return broken()
    faces = draw(st.lists(st.tuples(boxes(), st.sampled_from([0.3, 0.6, 0.8, 0.9])), max_size=3))
    person = draw(st.none() | st.builds(lambda box: Boxes((Candidate(box, 0.8),)), boxes()))
    return seen(*faces, size=draw(st.sampled_from(SIZES)), persons=person)


profiles = st.lists(records(), max_size=6)
needs = st.sampled_from(["face", "person", "none"])
subjects = st.sampled_from(["largest", "most-central", "weighed"])


@given(profiles, needs, subjects)
def test_every_record_gets_one_plan_in_order(
    profile: list[Findings], need: Any, subject: Any
) -> None:
    rules = Choose(subject=subject)
    plans = choose(profile, rules, FACES, need)
    assert len(plans) == len(profile)
    for findings, plan in zip(profile, plans, strict=True):
        assert (plan.status == "ok") == (plan.reason is None)
        assert plan.status in ("ok", "fallback", "reject")
        if findings.source.reason is not None:
            assert plan == Plan("reject", findings.source.reason)
        if need == "face" and plan.status != "reject":
            assert plan.face is not None


@given(profiles, needs, st.randoms(use_true_random=False))
def test_the_order_of_siblings_does_not_matter(
    profile: list[Findings], need: Any, random: Any
) -> None:
    order = list(range(len(profile)))
    random.shuffle(order)
    plans = choose(profile, Choose(), FACES, need)
    shuffled = choose([profile[number] for number in order], Choose(), FACES, need)
    assert shuffled == [plans[number] for number in order]


@given(profiles, needs)
def test_a_broken_sibling_changes_nobody_elses_plan(profile: list[Findings], need: Any) -> None:
    plans = choose(profile, Choose(), FACES, need)
    assert choose([*profile, broken()], Choose(), FACES, need)[:-1] == plans


@given(profiles, records())
def test_a_sibling_can_only_help(profile: list[Findings], other: Findings) -> None:
    before = choose(profile, Choose(), FACES, "face")
    after = choose([*profile, other], Choose(), FACES, "face")[:-1]
    for old, new in zip(before, after, strict=True):
        if old.status == "ok":
            assert new == old
        else:
            assert new == old or new.reason == "face-by-sibling"


@given(profiles)
def test_without_siblings_and_prior_every_record_stands_alone(profile: list[Findings]) -> None:
    rules = Choose(siblings=False, prior=False)
    together = choose(profile, rules, FACES, "face")
    assert together == [choose([record], rules, FACES, "face")[0] for record in profile]
    assert all(plan.status != "fallback" for plan in together)


LARGE_OFF = (Box(0, 0, 120, 120), 0.8)
SMALL_MID = (Box(150, 210, 230, 300), 0.8)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [("largest", LARGE_OFF), ("most-central", SMALL_MID), ("weighed", SMALL_MID)],
)
def test_the_subject_follows_its_rule(subject: str, expected: tuple[Box, float]) -> None:
    plan = one(seen(LARGE_OFF, SMALL_MID), subject=subject)
    assert plan.face is not None
    assert plan.face.box == expected[0]
    assert plan.faces == 2


def test_weighed_still_prefers_a_much_larger_face() -> None:
    plan = one(seen((Box(0, 0, 200, 200), 0.8), (Box(170, 230, 210, 280), 0.8)))
    assert plan.face is not None
    assert plan.face.box.width == 200


def test_weighed_without_centre_is_largest() -> None:
    findings = seen(LARGE_OFF, SMALL_MID)
    assert one(findings, subject="weighed", centre=0) == one(findings, subject="largest")


def chosen(findings: Findings, **rules: Any) -> Box:
    plan = one(findings, compare="chance", **rules)
    assert plan.face is not None
    return plan.face.box


def test_the_chance_to_be_the_largest_needs_no_more_votes_than_others() -> None:
    large, small = (Box(0, 0, 120, 120), 0.62), (Box(150, 210, 240, 300), 0.95)
    assert chosen(seen(large, small), subject="largest") == large[0]
    plan = one(seen(large, small), subject="largest")
    assert plan.face is not None
    assert plan.face.box == small[0], "by strength the surer one wins"


def test_what_closer_looks_do_not_see_again_is_not_the_largest() -> None:
    large, small = Box(0, 0, 120, 120), Box(150, 210, 240, 300)
    findings = seen((large, 0.8), (small, 0.8))
    looks = [Closer("yunet-640", large, Boxes(())), Closer("yunet-640", small, one_box(small))]
    assert chosen(findings, subject="largest") == large
    assert chosen(replace(findings, closer=tuple(looks)), subject="largest") == small


def test_the_chance_counts_what_lies_in_the_picture() -> None:
    cut, whole = Box(-80, 100, 70, 250), Box(150, 100, 270, 220)
    assert chosen(seen((cut, 0.8), (whole, 0.8)), subject="largest") == whole


def test_the_chance_is_that_of_the_weighed_side() -> None:
    sides = {"largest": LARGE_OFF[0], "weighed": SMALL_MID[0]}
    for subject, expected in sides.items():
        assert chosen(seen(LARGE_OFF, SMALL_MID), subject=subject) == expected
    assert chosen(seen((Box(0, 0, 9, 9), 0.9)), centre=1, min_pixels=0) == Box(0, 0, 9, 9)


def one_box(box: Box) -> Boxes:
    return Boxes((Candidate(box, 0.9),))


def test_a_doubtful_face_in_the_middle_is_not_the_most_central() -> None:
    plan = one(seen(LARGE_OFF, (SMALL_MID[0], 0.3)), subject="most-central", min_votes=0.5)
    assert plan.face is not None
    assert plan.face.box in (LARGE_OFF[0], SMALL_MID[0])
    plan = one(
        seen((LARGE_OFF[0], 0.9), (SMALL_MID[0], 0.4)), subject="most-central", min_votes=0.5
    )
    assert plan.face is not None
    assert plan.face.box == LARGE_OFF[0]


def test_a_face_below_its_minimum_score_does_not_count() -> None:
    plan = one(seen((SMALL_MID[0], 0.55)))
    assert (plan.status, plan.reason, plan.faces) == ("reject", "no-face", 0)


def test_a_face_that_is_too_small_is_told_apart_from_none() -> None:
    tiny = (Box(190, 250, 200, 262), 0.9)
    assert one(seen(tiny)).reason == "face-too-small"
    assert one(seen(tiny), min_pixels=8).status == "ok"
    assert one(seen(SMALL_MID), min_fraction=0.5).reason == "face-too-small"


def test_a_face_too_far_from_the_middle_does_not_count() -> None:
    assert one(seen(LARGE_OFF), max_offset=0.5).reason == "no-face"
    assert one(seen(SMALL_MID), max_offset=0.5).status == "ok"


def test_a_face_outside_every_person_does_not_count() -> None:
    person = Boxes((Candidate(Box(200, 200, 380, 500), 0.9),))
    assert one(seen(LARGE_OFF, persons=person), prior=False).reason == "no-face"
    assert one(seen(LARGE_OFF, persons=person), min_inside=0).status == "ok"
    assert one(seen(LARGE_OFF, persons=Boxes(()))).status == "ok"


def test_a_face_off_the_matte_does_not_count_if_the_gate_is_set() -> None:
    findings = seen(LARGE_OFF, alpha=alpha((200, 200, 380, 500)))
    assert one(findings).status == "ok"
    assert one(findings, min_alpha=0.1, prior=False).reason == "no-face"
    whole = seen(LARGE_OFF, alpha=alpha((0, 0, 384, 512)))
    assert one(whole, min_alpha=1).status == "ok"


def test_siblings_of_equal_size_lend_the_median_of_their_faces() -> None:
    faces = [Box(100 + d, 100, 200 + d, 220) for d in (0, 4, 90)]
    profile = [seen(), *(seen((box, 0.9)) for box in faces)]
    plan = choose(profile, Choose(), FACES, "face")[0]
    assert (plan.status, plan.reason, plan.face_source) == (
        "fallback",
        "face-by-sibling",
        "sibling",
    )
    assert plan.face is not None
    assert plan.face.box.x0 == median(box.x0 for box in faces)
    assert plan.face.score == 0


def test_siblings_of_another_size_lend_nothing() -> None:
    profile = [seen(size=(512, 384)), seen((SMALL_MID[0], 0.9), size=(384, 512))]
    assert choose(profile, Choose(), FACES, "face")[0].reason == "no-face"


def test_a_sibling_is_not_borrowed_from_where_nobody_is() -> None:
    profile = [seen(alpha=alpha(None)), seen((SMALL_MID[0], 0.9))]
    assert choose(profile, Choose(), FACES, "face")[0].reason == "no-face"


@pytest.mark.parametrize(
    "more",
    [
        {"alpha": alpha((92, 100, 292, 512))},
        {"persons": Boxes((Candidate(Box(92, 100, 292, 512), 0.9),))},
    ],
    ids=["matte", "person"],
)
def test_the_prior_puts_a_face_at_the_top_of_whoever_is_there(more: dict[str, Any]) -> None:
    plan = one(seen(**more))
    assert (plan.status, plan.reason, plan.face_source) == ("fallback", "face-by-prior", "prior")
    assert plan.face is not None
    assert plan.face.box.center[0] == 192
    assert plan.face.box.y0 == pytest.approx(120)
    assert plan.face.box.y1 == pytest.approx(200)


def test_there_is_no_prior_where_nobody_is() -> None:
    assert one(seen(alpha=alpha(None))).reason == "no-face"
    assert one(seen(alpha=alpha((0, 0, 10, 10)))).reason == "no-face"
    assert one(seen(persons=Boxes(()))).reason == "no-face"
    assert one(seen()).reason == "no-face"


def test_a_matte_of_a_part_of_the_picture_is_put_in_its_place() -> None:
    part = Alpha(np.full((10, 10), 255, np.uint8), Box(100, 200, 300, 400))
    plan = one(seen(alpha=part))
    assert plan.face is not None
    assert plan.face.box.center[0] == 200
    assert plan.face.box.y0 == 220


def test_the_person_with_the_face_is_the_subjects() -> None:
    large, own = Box(150, 0, 384, 512), Box(0, 0, 140, 300)
    persons = Boxes((Candidate(large, 0.9), Candidate(own, 0.6)))
    plan = one(seen((Box(20, 10, 100, 110), 0.9), persons=persons), subject="largest")
    assert plan.person == Candidate(own, 0.6)
    assert plan.persons == 2


def test_a_recipe_that_needs_a_person_takes_the_largest() -> None:
    small, large = Candidate(Box(0, 0, 60, 90), 0.9), Candidate(Box(100, 0, 384, 512), 0.8)
    plan = one(seen(persons=Boxes((small, large))), "person", subject="largest")
    assert (plan.status, plan.person) == ("ok", large)


def test_a_recipe_that_needs_a_person_rejects_a_picture_without_one() -> None:
    assert one(seen(persons=Boxes(())), "person").reason == "no-person"
    doubtful = Boxes((Candidate(Box(0, 0, 90, 90), 0.1),))
    assert one(seen(persons=doubtful), "person").reason == "no-person"


def test_without_a_person_detector_the_matte_is_the_person() -> None:
    plan = one(seen(alpha=alpha((92, 100, 292, 512))), "person")
    assert plan.status == "ok"
    assert plan.person is not None
    assert plan.person.box == Box(92, 100, 292, 512)


def test_a_recipe_that_needs_nobody_takes_every_picture() -> None:
    assert one(seen(), "none") == Plan("ok")
    assert choose([replace(seen(), faces=())], Choose(), None, "none") == [Plan("ok")]
