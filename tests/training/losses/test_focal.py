"""Focal loss: cross-entropy, less what is easy."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_batch import BY_CLASS, LABELS, LOGITS, MIXED, ONE_HOT, close
from torch import Tensor
from torch.nn import functional

from facecrop.training.losses.cross_entropy import cross_entropy
from facecrop.training.losses.focal import focal_loss


def test_focal_with_gamma_zero_is_cross_entropy() -> None:
    for rows in (ONE_HOT, MIXED):
        for options in ({}, {"smoothing": 0.1}, {"by_class": BY_CLASS}):
            ours = focal_loss(LOGITS, rows, gamma=0, **options)
            close(ours, cross_entropy(LOGITS, rows, **options))


@pytest.mark.parametrize("gamma", [0.5, 2, 5])
@pytest.mark.parametrize("by_class", [None, BY_CLASS])
def test_focal_of_labels_is_the_formula_of_the_baseline(
    gamma: float, by_class: Tensor | None
) -> None:
    log_p = LOGITS.log_softmax(dim=1)
    theirs = functional.nll_loss((1 - log_p.exp()) ** gamma * log_p, LABELS, by_class)
    close(focal_loss(LOGITS, ONE_HOT, gamma=gamma, by_class=by_class), theirs)


def test_focal_of_two_classes_is_that_of_the_paper() -> None:
    z = LOGITS[:, :1]
    p_t = torch.where(LABELS.unsqueeze(1) > 1, z.sigmoid(), 1 - z.sigmoid())
    paper = -((1 - p_t) ** 2 * p_t.log()).mean()
    rows = functional.one_hot((LABELS > 1).long(), 2).double()
    close(focal_loss(torch.cat([torch.zeros_like(z), z], dim=1), rows, gamma=2), paper)


@given(st.floats(0, 5), st.floats(0, 5))
def test_the_larger_gamma_the_smaller_the_loss(one: float, other: float) -> None:
    low, high = sorted((one, other))
    values = [focal_loss(LOGITS, ONE_HOT, gamma=gamma) for gamma in (low, high)]
    assert values[0] >= values[1] - 1e-12


def test_focal_takes_more_from_easy_records_than_from_hard_ones() -> None:
    easy, difficult = 4 * ONE_HOT[:1], -4 * ONE_HOT[:1]
    kept = [focal_loss(z, ONE_HOT[:1]) / cross_entropy(z, ONE_HOT[:1]) for z in (easy, difficult)]
    assert kept[0] < 0.01
    assert kept[1] > 0.9
