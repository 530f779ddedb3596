"""Ages that cannot be right, against ages at which a model may well err."""

import numpy as np
import pytest

from facecrop.checks.suspect_years import doubt_years


def people(count: int, error: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Ages, and what a model of that error sees of them: compressed towards the middle."""
    rng = np.random.default_rng(seed)
    ages = rng.integers(18, 61, count)
    return ages, 40 + 0.6 * (ages + error * rng.standard_normal(count) - 40)


def planted(ages: np.ndarray, share: float, far: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    away = far + rng.integers(0, 8, len(ages))
    other = np.where(ages < 40, ages + away, ages - away)
    return np.where(rng.random(len(ages)) < share, other, ages)


@pytest.mark.parametrize("error", [1.0, 3.0, 5.0])
def test_ages_that_are_far_off_are_found_and_little_else(error: float) -> None:
    ages, seen = people(600, error)
    given = planted(ages, 0.05, far=20)
    doubted = doubt_years(seen[:, None], given).wrong > 0.5
    wrong = given != ages
    assert (doubted & wrong).sum() >= 0.85 * wrong.sum()
    assert (doubted & wrong).sum() >= 0.9 * doubted.sum()


def test_an_age_across_a_border_is_no_error_if_it_is_near() -> None:
    ages, seen = people(600, 4.0)
    near = np.isin(ages, (28, 29, 30, 31, 58, 59, 60))
    assert near.sum() > 50
    assert not (doubt_years(seen[:, None], ages).wrong[near] > 0.5).any()


def test_right_ages_are_not_doubted() -> None:
    ages, seen = people(1000, 3.0)
    found = doubt_years(seen[:, None], ages)
    assert (found.wrong > 0.5).sum() <= 2
    assert found.rate < 0.01
    assert np.abs(found.seen - ages).mean() < 3.5


def test_the_unit_of_the_evidence_does_not_matter() -> None:
    ages, seen = people(300, 2.0)
    given = planted(ages, 0.05, far=15)
    years, other = (doubt_years(one[:, None], given) for one in (seen, 7 - 3 * seen * -1))
    np.testing.assert_allclose(years.wrong, other.wrong, atol=1e-6)


def test_the_order_of_people_does_not_matter() -> None:
    ages, seen = people(300, 2.0)
    given = planted(ages, 0.05, far=15)
    order = np.random.default_rng(5).permutation(len(ages))
    np.testing.assert_allclose(
        doubt_years(seen[order, None], given[order]).wrong,
        doubt_years(seen[:, None], given).wrong[order],
        atol=1e-9,
    )


def test_the_same_distance_counts_more_where_the_model_errs_less() -> None:
    rng = np.random.default_rng(0)
    ages = rng.integers(18, 71, 2000)
    error = np.interp(ages, (18, 40, 70), (0.7, 1.0, 9.0))
    seen = ages + error * rng.standard_normal(2000)
    ages[:2], seen[:2] = (34, 55), (20, 69)  # 14 years off, both
    wrong = doubt_years(seen[:, None], ages).wrong
    assert wrong[0] > 0.5 > wrong[1]


def test_a_kind_of_picture_that_somebody_lacks_is_made_up_for_by_the_others() -> None:
    ages, seen = people(400, 2.0)
    given = planted(ages, 0.05, far=20)
    rng = np.random.default_rng(7)
    both = np.stack([seen, seen + rng.standard_normal(400)], axis=1)
    both[::3, 0] = np.nan
    doubted = doubt_years(both, given).wrong > 0.5
    assert ((given != ages) == doubted).mean() > 0.98


@pytest.mark.parametrize("error", [0.0, 15.0, 300.0])
@pytest.mark.parametrize("who", ["all ages", "two crowds"])
def test_a_model_that_sees_little_raises_no_doubt(error: float, who: str) -> None:
    rng = np.random.default_rng(0)
    ages, _ = people(400, 1.0)
    if who == "two crowds":  # as in the mask task: the young and the old, and few between
        ages = np.where(rng.random(400) < 0.5, rng.integers(18, 26, 400), rng.integers(50, 61, 400))
    seen = (ages + error * rng.standard_normal(400)) if error else np.full(400, 40.0)
    found = doubt_years(seen[:, None], planted(ages, 0.05, far=20))
    assert np.isfinite(found.wrong).all()
    assert (found.wrong > 0.5).sum() <= 3


def test_the_score_is_a_probability() -> None:
    ages, seen = people(3000, 3.0)
    given = planted(ages, 0.05, far=18)
    found = doubt_years(seen[:, None], given).wrong
    assert found.sum() == pytest.approx((given != ages).sum(), rel=0.25)
