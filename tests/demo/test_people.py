from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facecrop.demo.faults import wrong_age_for
from facecrop.demo.observer import (
    age_gender_posterior,
    expected_scores,
    macro_f1,
    posteriors,
    scores,
)
from facecrop.demo.people import (
    AGES,
    COUNTS,
    CUE_NAMES,
    CUES,
    FILES,
    Wear,
    age_group,
    cue_means,
    draw_person,
)


def test_the_histogram_is_the_published_one() -> None:
    assert COUNTS.sum() == 2700
    assert COUNTS.sum(axis=1).tolist() == [1042, 1658]
    cells = [
        int(COUNTS[gender, [age_group(int(age)) == group for age in AGES]].sum())
        for gender in (0, 1)
        for group in ("young", "middle", "old")
    ]
    assert cells == [549, 410, 83, 732, 817, 109]


def test_people_follow_the_histogram() -> None:
    people = [draw_person(5, number) for number in range(3000)]
    drawn = Counter((person.gender, age_group(person.age)) for person in people)
    for gender, row in zip(("male", "female"), COUNTS, strict=True):
        for group in ("young", "middle", "old"):
            share = row[[age_group(int(age)) == group for age in AGES]].sum() / COUNTS.sum()
            spread = np.sqrt(share * (1 - share) / len(people))
            assert abs(drawn[gender, group] / len(people) - share) < 4 * spread


def test_cues_have_the_stated_means_and_noise() -> None:
    people = [draw_person(6, number) for number in range(3000)]
    means = cue_means()
    noise = np.array(
        [p.cues - means[("male", "female").index(p.gender), p.age - AGES[0]] for p in people]
    )
    assert np.all(np.abs(noise.mean(axis=0)) < 4 / np.sqrt(len(people)))
    assert np.all(np.abs(noise.std(axis=0) - 1) < 0.06)


@given(st.integers(0, 1000), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_ids_never_meet(one: int, other: int) -> None:
    first, second = draw_person(1, one), draw_person(1, other)
    assert (first.id == second.id) == (one == other)
    assert len(first.id) == 6


def test_the_ideal_observer_lies_in_the_band() -> None:
    expected = expected_scores()
    assert 0.75 <= expected.picture <= expected.person <= 0.92
    here = scores([draw_person(0, number) for number in range(2000)])
    assert abs(here.picture - expected.picture) < 0.05


def test_posteriors_sum_to_one_and_know_more_with_more_cues() -> None:
    people = [draw_person(2, number) for number in range(500)]
    beliefs = posteriors(people)
    np.testing.assert_allclose(beliefs.picture.sum(axis=1), 1)
    np.testing.assert_allclose(beliefs.person.sum(axis=1), 1)
    rows = np.arange(len(beliefs.true))
    surprise = [-np.log(p[rows, beliefs.true]).mean() for p in (beliefs.picture, beliefs.person)]
    assert surprise[1] < surprise[0]


def test_the_posterior_is_calibrated() -> None:
    beliefs = posteriors([draw_person(3, number) for number in range(1500)])
    p = beliefs.person.max(axis=1)
    hit = beliefs.person.argmax(axis=1) == beliefs.true
    assert abs(p.mean() - hit.mean()) < 0.02


def test_without_any_cue_the_posterior_is_the_histogram() -> None:
    p = age_gender_posterior(np.zeros((1, len(CUES))), np.zeros((1, len(CUES)), bool))
    np.testing.assert_allclose(p[0], COUNTS / COUNTS.sum(), atol=1e-6)


def test_age_is_hardest_just_below_sixty() -> None:
    people = [draw_person(4, number) for number in range(2500)]
    cues = np.array([person.cues for person in people])
    p = age_gender_posterior(cues, np.ones_like(cues, bool)).sum(axis=1)
    old = p[:, AGES >= 60].sum(axis=1)
    doubt = np.minimum(old, 1 - old)
    ages = np.array([person.age for person in people])
    near, far = doubt[ages >= 57].mean(), doubt[ages < 55].mean()
    assert near > 4 * far


def test_a_mask_hides_what_lies_under_it() -> None:
    lips = CUES[CUE_NAMES.index("lips")]
    brow = CUES[CUE_NAMES.index("brow")]
    assert Wear("worn", 0.2, 1.1).hides(lips)
    assert not Wear("incorrect", 0.9, 1.2).hides(lips)
    assert not Wear("none").hides(lips)
    assert not Wear("worn", 0.2, 1.1).hides(brow)


def test_files_have_five_worn_masks_one_wrong_and_none() -> None:
    assert Counter(FILES.values()) == {"worn": 5, "incorrect": 1, "none": 1}


def test_macro_f1_is_one_for_the_truth_and_ignores_absent_classes() -> None:
    true = np.array([0, 3, 3, 17])
    assert macro_f1(true, true) == 1
    assert macro_f1(true, np.array([0, 3, 0, 17])) < 1


@given(st.integers(18, 60), st.integers(0, 100))
def test_a_wrong_age_is_never_at_the_border(age: int, seed: int) -> None:
    wrong = wrong_age_for(age, np.random.default_rng(seed))
    assert age_group(wrong) != age_group(age)
    assert abs(wrong - age) >= 10
