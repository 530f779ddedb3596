"""How probable a wrong label is: found when planted, and a probability that can be believed."""

import sys

import numpy as np
import pytest
from hypothesis import given as random_cases
from hypothesis import settings
from hypothesis import strategies as st

from facecrop.checks.suspects import FEWEST, OF_PERSONS, Doubt, doubt, evidence, pool
from facecrop.errors import MissingExtraError

DISTANCE = 5.0


def made_up(
    people: int, rate: float, seed: int = 0, distance: float = DISTANCE
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Evidence of people of two kinds, labels of which some are wrong, and which are."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, people)
    wrong = rng.random(people) < rate
    odds = distance * rng.standard_normal(people) + np.where(truth == 1, 1, -1) * distance**2 / 2
    features = np.stack([-odds, odds], axis=1)[:, None, :] / 2
    return features, np.where(wrong, 1 - truth, truth), wrong


def test_planted_errors_are_found_and_little_else() -> None:
    features, given, wrong = made_up(1000, 0.05)
    doubted = doubt(features, given).wrong > 0.5
    assert (doubted & wrong).sum() >= 0.9 * wrong.sum()
    assert (doubted & wrong).sum() >= 0.9 * doubted.sum()


def test_right_labels_are_hardly_doubted() -> None:
    features, given, _ = made_up(1000, 0.0)
    assert (doubt(features, given).wrong > 0.5).sum() <= 3


@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_the_score_is_a_probability_however_sure_the_model_is_of_itself(
    scale: float, rate: float
) -> None:
    features, given, wrong = made_up(6000, rate, distance=3.0)
    found = doubt(features * scale, given).wrong
    assert found.sum() == pytest.approx(wrong.sum(), rel=0.2)
    sure = found > 0.5
    assert wrong[sure].mean() == pytest.approx(found[sure].mean(), abs=0.1)


def test_a_lean_of_the_model_towards_one_class_is_seen_through() -> None:
    features, given, _ = made_up(800, 0.05)
    leaning = features + np.array([1.5, -1.5])
    doubted = doubt(leaning, given).wrong > 0.5
    assert (doubted != (doubt(features, given).wrong > 0.5)).mean() < 0.005


def fooled(people: int, rate: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Evidence of a model that takes one in twenty for the other kind, and is half as sure then."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, people)
    wrong, errs = rng.random(people) < rate, rng.random(people) < 0.05
    odds = np.abs(2.5 + 1.5 * rng.standard_normal(people)) * np.where(truth == 1, 1, -1)
    odds *= np.where(errs, -0.5, 1)
    return np.stack([-odds, odds], axis=1)[:, None, :] / 2, np.where(wrong, 1 - truth, truth), wrong


def test_what_a_model_errs_in_of_persons_is_not_all_taken_for_wrong_labels() -> None:
    hits, found, claimed = np.zeros(2), np.zeros(2), np.zeros(2)
    all_wrong = 0
    for seed in range(12):
        features, given, wrong = fooled(300, 0.05, seed)
        all_wrong += int(wrong.sum())
        for way, said in enumerate((doubt(features, given), doubt(features, given, OF_PERSONS))):
            sure = said.wrong > 0.5
            hits[way] += (sure & wrong).sum()
            found[way] += sure.sum()
            claimed[way] += said.wrong.sum()
    free, held = hits / found
    assert held > free + 0.05
    assert abs(claimed[1] - all_wrong) < 0.6 * abs(claimed[0] - all_wrong)


def test_noise_is_told_apart_by_class() -> None:
    rng = np.random.default_rng(1)
    features, given, _ = made_up(4000, 0.0)
    struck = (given == 0) & (rng.random(len(given)) < 0.2)
    noise = doubt(features, np.where(struck, 1, given)).noise
    np.testing.assert_allclose(noise.sum(axis=1), 1)
    assert noise[0, 1] == pytest.approx(0.2, abs=0.03)
    assert noise[1, 0] < 0.02


def test_the_names_of_classes_do_not_matter() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, 600)
    features = (2.5 * np.eye(3)[truth] + rng.standard_normal((600, 3)))[:, None, :]
    given = np.where(rng.random(600) < 0.06, (truth + 1) % 3, truth)
    order = np.array([2, 0, 1])
    one, other = doubt(features, given), doubt(features[:, :, order], np.argsort(order)[given])
    np.testing.assert_allclose(one.wrong, other.wrong, atol=1e-6)
    np.testing.assert_allclose(one.truth[:, order], other.truth, atol=1e-6)


def test_a_class_that_nobody_is_labelled_as_is_proposed_to_nobody() -> None:
    features, given, _ = made_up(200, 0.05)
    third = np.concatenate([features, np.full((200, 1, 1), 50.0)], axis=2)
    found = doubt(third, given)
    np.testing.assert_allclose(found.wrong, doubt(features, given).wrong, atol=1e-9)
    assert (found.truth[:, 2] == 0).all()


@pytest.mark.parametrize(
    "given",
    [np.zeros(0, np.int64), np.zeros(100, np.int64), np.arange(FEWEST - 1) % 2],
    ids=["nobody", "one class", "few people"],
)
def test_nothing_is_claimed_where_nothing_can_be_learnt(given: np.ndarray) -> None:
    features = np.random.default_rng(0).standard_normal((len(given), 2, 2)) * 5
    found = doubt(features, given)
    assert isinstance(found, Doubt)
    assert not found.wrong.any()


def test_a_kind_of_picture_that_shows_nothing_has_no_say() -> None:
    features, given, wrong = made_up(1500, 0.05, distance=4.0)
    rng = np.random.default_rng(3)
    chatter = np.stack([-(noise := 20 * rng.standard_normal(1500)), noise], axis=1)[:, None, :]
    alone = doubt(features, given).wrong > 0.5
    both = doubt(np.concatenate([features, chatter], axis=1), given).wrong > 0.5
    assert (alone != both).mean() < 0.01
    assert (both & wrong).sum() >= 0.9 * (alone & wrong).sum()


def test_without_cleanlab_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab.count", None)
    features, given, _ = made_up(100, 0.05)
    with pytest.raises(MissingExtraError, match=r"label suspects need cleanlab.*facecrop\[audit\]"):
        doubt(features, given)


def pictures(people: int, each: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    given = rng.integers(0, 2, people).repeat(each)
    odds = rng.standard_normal(people * each) + 2.0 * given
    person = np.arange(people).repeat(each)
    return np.stack([-odds, odds], axis=1), given, person


@settings(deadline=None, max_examples=30)
@random_cases(st.integers(2, 30), st.integers(2, 4), st.integers(0, 100))
def test_a_picture_that_is_there_twice_says_nothing_new(
    people: int, copies: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    log_p, given, person = pictures(people, 1, seed)
    kind = np.zeros(len(given), np.int64)
    # Everybody has another number of copies of one picture.
    times = rng.integers(1, copies + 1, people)
    again = np.repeat(np.arange(people), times)
    alone = evidence(log_p, given, person, kind)
    copied = evidence(log_p[again], given[again], person[again], kind[again])
    np.testing.assert_allclose(copied, alone, atol=1e-9)


def test_more_independent_pictures_say_more() -> None:
    log_p, given, person = pictures(400, 6, 0)
    keep = (person >= 200) | (np.arange(len(person)) % 6 < 2)  # of some, two pictures
    kind = np.zeros(len(person), np.int64)
    found = evidence(log_p[keep], given[keep], person[keep], kind[keep])
    few, many = (np.abs(part).mean() for part in (found[:200], found[200:]))
    assert 2 < many / few < 4.5


def test_pictures_are_pooled_by_person_and_kind() -> None:
    values = np.array([[1.0], [3.0], [10.0], [7.0]])
    means, sizes = pool(values, np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]))
    np.testing.assert_array_equal(means[:, :, 0], [[2, 10], [0, 7]])
    np.testing.assert_array_equal(sizes, [[2, 1], [0, 1]])


def test_a_rare_class_of_a_large_dataset_is_learnt_from_too() -> None:
    features, given, wrong = made_up(120_000, 0.05)
    third = np.concatenate([features, np.full((120_000, 1, 1), -9.0)], axis=2)
    third[77_777, 0] = (-9, -9, 9)
    labels = given.copy()
    labels[77_777] = 2
    found = doubt(third, labels)
    assert found.wrong[77_777] < 0.5
    assert ((found.wrong > 0.5) == wrong).mean() > 0.99
