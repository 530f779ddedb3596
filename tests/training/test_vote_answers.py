"""Voting: what an ensemble answers, and who is in it."""

from random import Random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from made_votes import CLASSES, certain, members, said

from facecrop.errors import ConfigError, TableError
from facecrop.labels.space import MASK_TASK
from facecrop.training.predictions import Predictions
from facecrop.training.vote import best, closest, distance, vote

# What a vote answers


@given(members(most=1), st.integers(1, 4), st.sampled_from(["hard", "soft"]))
def test_an_ensemble_of_copies_is_the_copy(one: list[Predictions], n: int, how: str) -> None:
    outcome = vote(one * n, how)  # type: ignore[arg-type]  # one of the two words it takes
    assert outcome.classes.tolist() == one[0].classes.tolist()
    if how == "soft":
        np.testing.assert_allclose(outcome.distribution(), one[0].distribution(), atol=1e-12)


@given(members(), st.randoms(use_true_random=False), st.sampled_from(["hard", "soft"]))
def test_the_order_of_members_matters_in_ties_alone(
    some: list[Predictions], random: Random, how: str
) -> None:
    shuffled = list(some)
    random.shuffle(shuffled)
    first, second = vote(some, how), vote(shuffled, how)  # type: ignore[arg-type]  # as above
    np.testing.assert_allclose(first.distribution(), second.distribution(), atol=1e-12)
    ranked = np.sort(first.distribution(), axis=1)
    clear = ranked[:, -1] - ranked[:, -2] > 1e-6
    assert (first.classes == second.classes)[clear].all()


@given(
    st.lists(st.lists(st.integers(0, 17), min_size=4, max_size=4), min_size=1, max_size=5),
    st.data(),
)
def test_soft_is_hard_for_members_that_are_certain(
    rows: list[list[int]], data: st.DataObject
) -> None:
    some = [said(row, f"m{n}", np.eye(CLASSES)[row]) for n, row in enumerate(rows)]
    weights = data.draw(
        st.lists(st.sampled_from([0.1, 0.2, 0.3, 1.0]), min_size=len(some), max_size=len(some))
    )
    hard, soft = vote(some, "hard", weights), vote(some, "soft", weights)
    assert hard.classes.tolist() == soft.classes.tolist()
    np.testing.assert_allclose(hard.distribution(), soft.distribution(), atol=1e-12)


def test_the_majority_wins() -> None:
    outcome = vote([said([1, 2, 3]), said([1, 5, 4]), said([0, 5, 3])])
    assert outcome.classes.tolist() == [1, 5, 3]
    assert outcome.distribution()[0, [0, 1]].tolist() == pytest.approx([1 / 3, 2 / 3])


def test_a_tie_goes_to_the_highest_weight_then_to_the_member_named_first() -> None:
    assert vote([said([7]), said([3])]).classes.tolist() == [7]
    assert vote([said([3]), said([7])]).classes.tolist() == [3]
    # 3 has the weights 1 + 1 = 2 and 7 has 2: the single heavier member decides.
    assert vote([said([3]), said([7]), said([3])], weights=[1, 2, 1]).classes.tolist() == [7]


def test_weights_that_do_not_add_up_exactly_still_tie() -> None:
    """0.1 + 0.2 is not 0.3 in floating point."""
    outcome = vote([said([9]), said([9]), said([4])], weights=[0.1, 0.2, 0.3])
    assert outcome.classes.tolist() == [4]


def test_a_member_without_weight_has_no_say() -> None:
    assert vote([said([1]), said([2]), said([2])], weights=[1, 0, 0]).classes.tolist() == [1]


def test_soft_voting_hears_how_sure_members_are() -> None:
    sure, unsure = np.full(CLASSES, 0.1 / 17), np.full(CLASSES, 0.01)
    sure[4], unsure[8], unsure[4] = 0.9, 0.5, 0.34
    some = [certain(row[None] / row.sum()) for row in (sure, unsure, unsure)]
    assert vote(some, "hard").classes.tolist() == [8]
    assert vote(some, "soft").classes.tolist() == [4]


@given(members(most=3))
def test_voting_by_label_is_voting_on_each_label(some: list[Predictions]) -> None:
    whole = vote(some, by_label=True)
    for axis in whole.axes:
        alone = vote([one.of_axis(axis) for one in some])
        assert whole.of_axis(axis).classes.tolist() == alone.classes.tolist()


def test_members_that_answer_one_label_each_make_the_18_classes() -> None:
    truth = said([0, 5, 8, 17])
    outcome = vote([truth.of_axis("age_group"), truth.of_axis("mask"), truth.of_axis("gender")])
    assert outcome.space == MASK_TASK
    assert outcome.classes.tolist() == truth.classes.tolist()


def test_a_label_that_few_answer_has_these_as_voters() -> None:
    some = [said([0]), said([0]), said([17]).of_axis("age_group")]
    assert vote(some).classes.tolist() == [0]
    assert vote(some, weights=[1, 1, 3]).classes.tolist() == [2]  # worn male old
    with pytest.raises(ConfigError, match="nobody whose weight is positive answers mask"):
        vote(some, weights=[0, 0, 1])


def test_members_may_list_their_pictures_in_any_order() -> None:
    one = said([1, 2, 3])
    other = one.take(np.array([2, 0, 1]))
    assert vote([one, other]).classes.tolist() == [1, 2, 3]
    assert vote([other, one]).keys == other.keys


def test_members_that_know_other_pictures_are_refused() -> None:
    few = said([1], "few")
    with pytest.raises(TableError, match=r"'one' knows 1 pictures that 'few' does not.*1\.jpg"):
        vote([said([1, 2]), few])
    with pytest.raises(TableError, match="'one' knows 1 pictures that 'few' does not"):
        vote([few, said([1, 2])])


@pytest.mark.parametrize(
    "weights", [[1.0], [0.0, 0.0], [-1.0, 2.0], [float("inf"), 1.0], [float("nan"), 1.0]]
)
def test_weights_that_make_no_sense_are_refused(weights: list[float]) -> None:
    with pytest.raises(ConfigError, match="weights"):
        vote([said([1]), said([2])], weights=weights)


def test_a_vote_of_nobody_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one member"):
        vote([])


def test_a_prior_correction_of_one_member_answers_as_its_training_does() -> None:
    """Menon 2021: the largest p(y | x) / p(y)."""
    rng = np.random.default_rng(1)
    rows, prior = rng.dirichlet(np.ones(CLASSES), 50), rng.dirichlet(np.ones(CLASSES))
    corrected = (rows / prior).argmax(axis=1)
    assert vote([certain(rows)], "soft", divisor=prior).classes.tolist() == corrected.tolist()
    assert vote([certain(rows)], "soft").classes.tolist() != corrected.tolist()


@given(members(most=3))
def test_a_vote_outside_ties_never_answers_what_nobody_answered(some: list[Predictions]) -> None:
    outcome = vote(some, "hard")
    assume(len(some) > 0)
    for row, answer in enumerate(outcome.classes):
        assert answer in {one.classes[row] for one in some}


# Who votes


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.data())
def test_the_best_are_not_worse_than_the_rest(scores: list[float], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(scores)))
    chosen = best(scores, count)
    left = [score for number, score in enumerate(scores) if number not in chosen]
    assert len(set(chosen)) == count
    assert min(scores[number] for number in chosen) >= max(left, default=0)


def test_the_closest_is_the_one_with_the_known_shares() -> None:
    known = said([0, 0, 1, 2]).shares()
    some = [said([0, 0, 0, 0]), said([2, 1, 0, 0]), said([0, 0, 1, 1]), said([5, 6, 7, 8])]
    assert [distance(one, known) for one in some] == pytest.approx([0.5, 0, 0.25, 1])
    assert closest(some, known, 3) == [1, 2, 0]
    with pytest.raises(ConfigError, match="cannot choose 5 of 4"):
        closest(some, known, 5)
    with pytest.raises(ConfigError, match="gender alone"):
        closest([some[0].of_axis("gender")], known, 1)
