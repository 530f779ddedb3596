"""LDAM: its authors' numbers, and margins from training counts."""

import numpy as np
import pytest
import torch
from made_batch import BY_CLASS, COUNTS, LABELS, LOGITS, MIXED, ONE_HOT, close
from torch import Tensor
from torch.nn import functional

from facecrop.training.losses import LOSSES
from facecrop.training.losses.cross_entropy import cross_entropy
from facecrop.training.losses.ldam import ldam_loss, ldam_margins
from facecrop.training.settings.loss import Ldam


def the_authors_ldam(
    logits: Tensor, labels: Tensor, counts: Tensor, weight: Tensor | None = None
) -> Tensor:
    """LDAM with max_m 0.5 and s 30, written after its authors' published code."""
    margins = 1.0 / np.sqrt(np.sqrt(counts.numpy()))
    margins = torch.tensor(margins * (0.5 / margins.max())).to(logits)
    true = functional.one_hot(labels, logits.shape[1]).bool()
    shifted = torch.where(true, logits - margins[labels].unsqueeze(1), logits)
    return functional.cross_entropy(30 * shifted, labels, weight=weight)


@pytest.mark.parametrize("by_class", [None, BY_CLASS])
def test_ldam_of_labels_is_its_authors(by_class: Tensor | None) -> None:
    ours = ldam_loss(LOGITS, ONE_HOT, margins=ldam_margins(COUNTS.double()), by_class=by_class)
    close(ours, the_authors_ldam(LOGITS, LABELS, COUNTS.double(), by_class))


def test_ldam_without_margin_and_scale_is_cross_entropy() -> None:
    for rows in (ONE_HOT, MIXED):
        ours = ldam_loss(LOGITS, rows, margins=torch.zeros(4), scale=1, by_class=BY_CLASS)
        close(ours, cross_entropy(LOGITS, rows, by_class=BY_CLASS))


def test_ldam_takes_the_share_of_the_margin_that_a_class_has_in_a_mixed_row() -> None:
    margins = torch.tensor([0.1, 0.2, 0.3, 0.5]).double()
    rows = torch.tensor([[0.25, 0, 0, 0.75]]).double()
    shifted = LOGITS[:1] - torch.tensor([[0.025, 0, 0, 0.375]]).double()
    close(ldam_loss(LOGITS[:1], rows, margins=margins, scale=7), cross_entropy(7 * shifted, rows))


def test_ldam_margins_are_wider_for_rarer_classes() -> None:
    margins = ldam_margins(COUNTS, max_margin=0.4, exponent=0.5)
    assert margins.tolist() == sorted(margins.tolist())
    assert margins[3] == pytest.approx(0.4)
    assert margins[2] == pytest.approx(0.4 / 20**0.5)
    assert ldam_margins(COUNTS, 0.4, 0).tolist() == pytest.approx([0.4] * 4)
    assert (ldam_margins(COUNTS, 0, 0.25) == 0).all()


def test_ldam_margins_of_classes_without_records_are_the_widest_and_move_no_other() -> None:
    margins = ldam_margins(torch.tensor([16.0, 0.0, 81.0]))
    assert margins.tolist() == pytest.approx([0.5, 0.5, 0.5 * 2 / 3])
    assert ldam_margins(torch.zeros(2)).tolist() == [0.5, 0.5]


def test_ldam_asks_for_more_than_being_right() -> None:
    barely = 0.1 * ONE_HOT
    without = ldam_loss(barely, ONE_HOT, margins=torch.zeros(4))
    assert ldam_loss(barely, ONE_HOT, margins=ldam_margins(COUNTS)) > without


def test_ldam_is_reweighted_from_the_epoch_that_is_set_on() -> None:
    term = Ldam(reweight_from=5, beta=0.99)
    before, after = (LOSSES.load("ldam")(term, COUNTS, epoch) for epoch in (4, 5))
    plain = the_authors_ldam(LOGITS, LABELS, COUNTS)
    effective = 0.01 / (1 - 0.99 ** COUNTS.double())
    weighted = the_authors_ldam(LOGITS, LABELS, COUNTS, effective)
    torch.testing.assert_close(before(LOGITS, ONE_HOT, None), plain, rtol=1e-6, atol=0)
    torch.testing.assert_close(after(LOGITS, ONE_HOT, None), weighted, rtol=1e-6, atol=0)
