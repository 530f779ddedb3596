from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facecrop.labels.balance import deal, deviation

COUNTS = st.integers(2, 5).flatmap(
    lambda k: st.tuples(
        st.just(k),
        st.tuples(st.integers(k, 25), st.integers(1, 6)).flatmap(
            lambda shape: arrays(np.int64, shape, elements=st.integers(0, 30))
        ),
    )
)


def dealt(counts: Any, shares: Any, ranks: Any = None) -> Any:
    ranks = np.arange(len(counts)) if ranks is None else ranks
    folds = deal(counts, np.asarray(shares, float), ranks)
    return folds, np.stack([counts[folds == k].sum(axis=0) for k in range(len(shares))])


@given(COUNTS)
def test_every_group_gets_a_fold_and_no_fold_is_empty(case: Any) -> None:
    k, counts = case
    counts[counts.sum(axis=1) == 0, 0] = 1
    folds, _ = dealt(counts, np.full(k, 1 / k))
    assert set(folds.tolist()) == set(range(k))


@given(COUNTS, st.randoms(use_true_random=False))
def test_the_order_of_groups_does_not_matter(case: Any, random: Random) -> None:
    k, counts = case
    order = list(range(len(counts)))
    random.shuffle(order)
    shares = np.full(k, 1 / k)
    folds, _ = dealt(counts, shares)
    again, _ = dealt(counts[order], shares, np.array(order))
    assert folds[order].tolist() == again.tolist()


def test_classes_of_single_groups_are_dealt_within_one_of_their_due() -> None:
    rng = np.random.default_rng(0)
    counts = np.eye(6, dtype=np.int64)[rng.choice(6, 2700, p=[0.2, 0.15, 0.03, 0.27, 0.3, 0.05])]
    for shares in ([0.2, 0.8], [0.05, 0.95], [0.2] * 5):
        _, held = dealt(counts, shares)
        due = np.array(shares)[:, None] * counts.sum(axis=0)
        assert np.abs(held - due).max() < 1
        assert np.abs(held.sum(axis=1) - np.array(shares) * 2700).max() <= 1


def test_a_class_of_as_many_groups_as_folds_is_in_every_fold() -> None:
    rng = np.random.default_rng(1)
    common = rng.integers(1, 60, (40, 1)) * np.array([[1, 0]])
    rare = np.column_stack([rng.integers(1, 9, 5), np.ones(5, int)])
    _, held = dealt(np.concatenate([common, rare]), [0.2] * 5)
    assert held[:, 1].tolist() == [1] * 5


def test_a_giant_does_not_empty_the_other_folds() -> None:
    giant = np.array([[900, 300]])
    _, held = dealt(np.concatenate([giant, np.tile([[9, 3]], (12, 1))]), [0.25] * 4)
    off = deviation(held, np.full(4, 0.25))
    assert (held > 0).all()
    assert off.share == 0
    assert sorted(held[:, 0].tolist()) == [36, 36, 36, 900]


def test_what_folds_hold_already_counts() -> None:
    held = np.array([[0, 10], [40, 0]])
    counts = np.array([[1, 0]] * 10 + [[0, 1]] * 40)
    folds = deal(counts, np.array([0.2, 0.8]), np.arange(50), held)
    assert (folds[:10] == 0).all()
    assert (folds[10:] == 1).all()


def test_deviation_tells_missing_classes_shares_and_sizes() -> None:
    off = deviation(np.array([[1, 0], [2, 1]]), np.array([0.5, 0.5]))
    assert off.missing == 1
    assert off.share == pytest.approx(0.25, abs=1e-5)
    assert off.size == pytest.approx(0.25, abs=1e-5)
