"""Symmetric cross-entropy: the paper's formula and what it promises."""

from collections.abc import Callable

import pytest
import torch
from made_batch import LABELS, LOGITS, MIXED, ONE_HOT, close
from torch import Tensor
from torch.nn import functional

from facecrop.training.losses.cross_entropy import cross_entropy
from facecrop.training.losses.symmetric import symmetric_ce_loss


def test_symmetric_without_its_reverse_is_cross_entropy() -> None:
    for rows in (ONE_HOT, MIXED):
        ours = symmetric_ce_loss(LOGITS, rows, alpha=1, beta=0)
        close(ours, cross_entropy(LOGITS, rows))


@pytest.mark.parametrize("log_zero", [-4.0, -2.0])
def test_the_reverse_of_a_label_is_the_absolute_error(log_zero: float) -> None:
    p = LOGITS.softmax(dim=1)
    ours = symmetric_ce_loss(LOGITS, ONE_HOT, alpha=0, beta=1, log_zero=log_zero)
    close(ours, -log_zero / 2 * (p - ONE_HOT).abs().sum(dim=1).mean())


def test_symmetric_of_labels_is_the_formula_of_the_paper() -> None:
    p = LOGITS.softmax(dim=1)
    log_y = torch.where(ONE_HOT > 0, 0.0, -4.0).double()
    paper = 0.1 * functional.cross_entropy(LOGITS, LABELS) - (p * log_y).sum(dim=1).mean()
    close(symmetric_ce_loss(LOGITS, ONE_HOT, alpha=0.1, beta=1, log_zero=-4), paper)


def test_no_target_however_small_costs_more_than_log_zero() -> None:
    rows = torch.tensor([[1 - 1e-9, 1e-9]]).double()
    wrong = torch.tensor([[-50.0, 50.0]]).double()
    close(symmetric_ce_loss(wrong, rows, alpha=0, log_zero=-4), 4.0)


def test_a_wrong_label_pulls_the_symmetric_loss_less_the_surer_the_model_is() -> None:
    def pull(sureness: float, loss: Callable[[Tensor, Tensor], Tensor]) -> float:
        z = (sureness * ONE_HOT[:1]).requires_grad_()
        loss(z, ONE_HOT[1:2]).backward()
        return float(z.grad.abs().sum())

    def reverse(z: Tensor, rows: Tensor) -> Tensor:
        return symmetric_ce_loss(z, rows, alpha=0)

    assert pull(10, reverse) < pull(2, reverse) / 100
    assert pull(10, cross_entropy) > pull(2, cross_entropy)
