"""A drawn picture shows what was found, where it was found."""

from dataclasses import replace

import numpy as np

from facecrop.images.choose.plan import Plan
from facecrop.images.findings import Alpha, Boxes, Candidate, Findings, Source
from facecrop.images.frames import Box, Image
from facecrop.images.render.draw import draw

GREY = np.full((400, 300, 3), 128, np.uint8)
FACE = Candidate(Box(100, 80, 180, 180), 0.9, ((125, 110), (155, 110), (140, 130), (140, 155)))
PERSON = Candidate(Box(40, 40, 260, 390), 0.8)
NOTHING = Findings(Source(width=300, height=400))


def altered(drawn: Image) -> np.ndarray:
    return (drawn != GREY).any(axis=2)


def test_nothing_found_leaves_the_picture_as_it_is() -> None:
    assert np.array_equal(draw(GREY, Plan("reject", "no-face"), NOTHING), GREY)


def test_a_confirmed_face_is_green_and_a_guessed_one_amber() -> None:
    confirmed = draw(GREY, Plan("ok", face=FACE), NOTHING)
    guessed = draw(GREY, Plan("fallback", "face-by-sibling", face=FACE), NOTHING)
    red, green, blue = (confirmed[130, 100].astype(int)[k] for k in range(3))
    assert green > max(red, blue)
    red, green, blue = (guessed[130, 100].astype(int)[k] for k in range(3))
    assert red > green > blue
    assert altered(confirmed)[110, 125]


def test_lines_are_on_the_boxes_and_nowhere_else() -> None:
    lines = altered(draw(GREY, Plan("ok", person=PERSON), NOTHING))
    assert lines[200, 40]
    assert lines[200, 260]
    assert not lines[50:380, 50:250].any()
    assert not lines[:, :35].any()


def test_others_that_were_seen_are_drawn_thinner() -> None:
    seen = replace(NOTHING, persons=Boxes((PERSON,)), faces=(("a", Boxes((FACE,))),))
    thin, thick = (
        draw(GREY, Plan("reject"), seen),
        draw(GREY, Plan("ok", FACE, FACE, person=PERSON), seen),
    )
    assert 0 < altered(thin).sum() < altered(thick).sum()


def test_the_cut_is_dashed_and_turned_with_the_plan() -> None:
    straight = altered(draw(GREY, Plan("ok", crop=Box(100, 100, 200, 200)), NOTHING))
    turned = altered(draw(GREY, Plan("ok", crop=Box(100, 100, 200, 200), rotation=45), NOTHING))
    assert straight[100, 100]
    assert not turned[100, 100]
    assert turned[150, 80:84].any()  # a corner, 70.7 px from the middle


def test_the_matte_is_outlined() -> None:
    values = np.zeros((40, 30), np.uint8)
    values[10:30, 10:20] = 255
    lines = altered(
        draw(GREY, Plan("ok"), replace(NOTHING, alpha=Alpha(values, Box(0, 0, 300, 400))))
    )
    assert lines[200, 98:103].any()
    assert not lines[150:250, 110:190].any()


def test_the_source_is_not_altered_and_large_ones_are_reduced() -> None:
    large = np.full((3000, 2000, 3), 128, np.uint8)
    drawn = draw(large, Plan("ok", crop=Box(500, 500, 1500, 1500)), NOTHING)
    assert drawn.shape == (1200, 800, 3)
    assert (large == 128).all()
    assert (drawn[200] != 128).any()
