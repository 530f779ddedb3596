"""Agreement of members: scores, and what agreement with others tells of an unknown one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from made_votes import said
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from facecrop.errors import ConfigError, TableError
from facecrop.training.agreement import (
    accuracy,
    agreement,
    agreements,
    bounds,
    estimate,
    macro_f1,
)
from facecrop.training.predictions import Predictions


def test_agreement_is_the_share_of_equal_answers_in_common_labels() -> None:
    one, other = said([0, 1, 2, 3]), said([0, 1, 2, 9])
    assert agreement(one, other) == 0.75
    assert agreement(one.of_axis("age_group"), other) == 1  # 3 and 9 are both young
    assert np.isnan(agreement(one.of_axis("age_group"), other.of_axis("mask")))
    np.testing.assert_array_equal(agreements([one, other]), [[1, 0.75], [0.75, 1]])


@given(hnp.arrays(np.int64, (2, 30), elements=st.integers(0, 17)))
def test_macro_f1_is_that_of_scikit_learn(pair: NDArray[np.int64]) -> None:
    true, answered = pair
    ours = macro_f1(said(answered.tolist()), said(true.tolist()))
    assert ours == pytest.approx(f1_score(true, answered, average="macro", zero_division=0))


def test_scores_leave_out_pictures_without_a_truth() -> None:
    truth = said([1, -1, 3])
    assert accuracy(said([1, 2, 4]), truth) == 0.5
    assert macro_f1(said([1, 9, 3]), truth) == 1
    with pytest.raises(TableError, match="no picture with a known label in common"):
        accuracy(said([1, 2, 4]), said([-1, -1, -1]))


@given(
    hnp.arrays(np.int64, (3, 20), elements=st.integers(0, 3)),
)
def test_a_true_accuracy_is_always_within_the_bounds(triple: NDArray[np.int64]) -> None:
    true, known, new = (said(row.tolist()) for row in triple)
    low, high = bounds(accuracy(known, true), agreement(known, new))
    assert low - 1e-9 <= accuracy(new, true) <= high + 1e-9


def test_bounds_are_reached() -> None:
    true, known = said([0, 0, 0, 0]), said([0, 0, 1, 1])
    low, high = bounds(accuracy(known, true), 0.75)
    assert accuracy(said([1, 0, 1, 1]), true) == low
    assert accuracy(said([0, 0, 0, 1]), true) == high


def test_an_estimate_is_score_times_agreement_where_nothing_more_is_known() -> None:
    """Report 004's rule with its correction left at one."""
    best_one, other = said([1] * 10, "best"), said([1] * 8 + [2] * 2, "other")
    (found,) = estimate([best_one, other], {"best": 0.795})
    assert found.value == pytest.approx(0.795 * 0.8)
    assert found.error is None
    assert (found.reference, found.agreement) == ("best", 0.8)


def test_a_copy_of_the_best_is_estimated_at_its_score_whatever_was_fitted() -> None:
    some = [said([1] * 10, "best"), said([1] * 5 + [2] * 5, "half"), said([1] * 10, "copy")]
    (found,) = estimate(some, {"best": 0.8, "half": 0.7})
    assert found.value == pytest.approx(0.8)


def test_an_estimate_follows_scores_that_follow_its_rule_without_error() -> None:
    def one(same: int, name: str) -> Predictions:
        return said([1] * same + [2] * (10 - same), name)

    some = [one(10, "best"), one(8, "a"), one(5, "b"), one(6, "new")]
    rule = {"best": 0.8, "a": 0.8 * 0.8 + 0.3 * 0.2, "b": 0.8 * 0.5 + 0.3 * 0.5}
    (found,) = estimate(some, rule)
    assert found.value == pytest.approx(0.8 * 0.6 + 0.3 * 0.4)
    assert found.error == pytest.approx(0, abs=1e-12)
    (worse,) = estimate(some, rule | {"b": 0.2})
    assert worse.error is not None
    assert worse.error > 0.1


def test_an_estimate_needs_a_score() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        estimate([said([1])], {})
    with pytest.raises(ConfigError, match=r"\[0, 1\]"):
        estimate([said([1])], {"one": 79.5})
