"""Cross-entropy: torch's, and where it must differ."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_batch import BY_CLASS, COUNTS, LABELS, LOGITS, MIXED, ONE_HOT, close
from torch import Tensor
from torch.nn import functional

from facecrop.training.losses import LOSSES
from facecrop.training.losses.cross_entropy import cross_entropy
from facecrop.training.losses.focal import focal_loss
from facecrop.training.losses.rows import spread, weights_by_class
from facecrop.training.settings.loss import CrossEntropy


def test_cross_entropy_of_labels_is_torchs() -> None:
    close(cross_entropy(LOGITS, ONE_HOT), functional.cross_entropy(LOGITS, LABELS))


def test_cross_entropy_of_rows_is_torchs() -> None:
    close(cross_entropy(LOGITS, MIXED), functional.cross_entropy(LOGITS, MIXED))


def test_weighted_cross_entropy_of_labels_is_torchs() -> None:
    theirs = functional.cross_entropy(LOGITS, LABELS, weight=BY_CLASS)
    close(cross_entropy(LOGITS, ONE_HOT, by_class=BY_CLASS), theirs)


def test_class_weights_are_the_records_weights_of_that_class() -> None:
    by_record = cross_entropy(LOGITS, ONE_HOT, BY_CLASS[LABELS])
    close(cross_entropy(LOGITS, ONE_HOT, by_class=BY_CLASS), by_record)


def test_mixing_two_records_of_one_class_changes_no_weighted_loss() -> None:
    same = 0.3 * ONE_HOT + 0.7 * ONE_HOT
    mixed = cross_entropy(LOGITS, same, by_class=BY_CLASS)
    close(mixed, cross_entropy(LOGITS, ONE_HOT, by_class=BY_CLASS))
    # That of torch for rows is on another scale: divided by N, not by the weights.
    assert abs(mixed - functional.cross_entropy(LOGITS, same, weight=BY_CLASS)) > 0.1


def test_cross_entropy_of_a_mixed_row_is_the_mix_of_cross_entropies() -> None:
    apart = 0.3 * cross_entropy(LOGITS, ONE_HOT) + 0.7 * cross_entropy(LOGITS, ONE_HOT.roll(1, 0))
    close(cross_entropy(LOGITS, MIXED), apart)


@pytest.mark.parametrize("width", [2, 3, 18])
def test_smoothing_gives_the_other_classes_equal_shares_whatever_their_number(width: int) -> None:
    row = spread(torch.eye(width)[1:2], 0.1)[0]
    assert row[1] == pytest.approx(0.9)
    assert row[0] == pytest.approx(0.1 / (width - 1))
    assert row.sum() == pytest.approx(1)


def test_no_smoothing_changes_nothing() -> None:
    assert torch.equal(spread(MIXED, 0), MIXED)


@given(st.floats(0, 0.99), st.floats(0, 1))
def test_smoothing_a_mix_is_mixing_what_is_smoothed(smoothing: float, share: float) -> None:
    one, other = ONE_HOT, ONE_HOT.roll(1, 0)
    mix = share * spread(one, smoothing) + (1 - share) * spread(other, smoothing)
    torch.testing.assert_close(spread(share * one + (1 - share) * other, smoothing), mix)


def test_smoothed_cross_entropy_is_torchs_with_its_share_of_all_classes() -> None:
    theirs = functional.cross_entropy(LOGITS, LABELS, label_smoothing=0.15 * 4 / 3)
    close(cross_entropy(LOGITS, ONE_HOT, smoothing=0.15), theirs)


@pytest.mark.parametrize("loss", [cross_entropy, focal_loss])
def test_a_smoothed_record_counts_by_its_own_class(loss: Callable[..., Tensor]) -> None:
    by_class = loss(LOGITS, ONE_HOT, smoothing=0.15, by_class=BY_CLASS)
    close(by_class, loss(LOGITS, ONE_HOT, BY_CLASS[LABELS], smoothing=0.15))


def test_no_weight_of_a_rare_class_turns_a_smoothed_record_into_one_of_it() -> None:
    """As torch's does, with the same weights and smoothing."""
    label, rows = torch.tensor([0]), torch.tensor([[1.0, 0, 0]]).double()
    weights = torch.tensor([1, 1, 80]).double()
    zeros = torch.zeros((1, 3), dtype=torch.float64, requires_grad=True)
    ours = cross_entropy(zeros, rows, smoothing=0.1, by_class=weights)
    (gradient,) = torch.autograd.grad(ours, zeros)
    assert gradient.argmin() == 0
    theirs = functional.cross_entropy(zeros, label, weight=weights, label_smoothing=0.15)
    (gradient,) = torch.autograd.grad(theirs, zeros)
    assert gradient.argmin() == 2


def test_smoothed_cross_entropy_is_least_where_the_model_says_the_smoothed_row() -> None:
    best = spread(ONE_HOT, 0.2).log()
    least = cross_entropy(best, ONE_HOT, smoothing=0.2)
    for sureness in (0.5, 0.9, 1.1, 2.0):
        assert cross_entropy(sureness * best, ONE_HOT, smoothing=0.2) > least


def test_classes_are_weighed_by_the_counts_of_training() -> None:
    loss = LOSSES.load("cross-entropy")(CrossEntropy(classes="inverse"), COUNTS, 0)
    theirs = functional.cross_entropy(LOGITS, LABELS, weight=1 / COUNTS.double())
    torch.testing.assert_close(loss(LOGITS, ONE_HOT, None), theirs, rtol=1e-6, atol=0)


def test_a_class_that_is_drawn_less_than_once_keeps_a_weight() -> None:
    weights = weights_by_class(torch.tensor([10.0, 0.3, 0.0]), "inverse", 0.9)
    assert weights is not None
    assert weights[1] > weights[0] > weights[2] == 0
