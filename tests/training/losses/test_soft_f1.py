"""Soft F1: the teams' loss without its flaws."""

import pytest
import torch
from made_batch import LABELS, LOGITS, MIXED, ONE_HOT, close
from sklearn.metrics import f1_score
from torch import Tensor
from torch.nn import functional

from facecrop.training.losses.soft_f1 import soft_f1_loss


def the_teams_f1(logits: Tensor, labels: Tensor) -> Tensor:
    """The loss as the task's teams have it, per class, without its clamp."""
    p = logits.softmax(dim=1)
    y = functional.one_hot(labels, logits.shape[1]).to(p)
    hits, false, missed = (y * p).sum(0), ((1 - y) * p).sum(0), (y * (1 - p)).sum(0)
    precision, recall = hits / (hits + false + 1e-7), hits / (hits + missed + 1e-7)
    return 2 * precision * recall / (precision + recall + 1e-7)


def test_soft_f1_is_the_teams_where_all_classes_are_there() -> None:
    theirs = 1 - the_teams_f1(LOGITS, LABELS).mean()
    torch.testing.assert_close(soft_f1_loss(LOGITS, ONE_HOT), theirs, rtol=1e-6, atol=1e-6)


def test_soft_f1_of_sure_answers_is_macro_f1() -> None:
    chosen = torch.tensor([0, 1, 2, 1, 1, 3])
    sure = 100 * functional.one_hot(chosen, 4).double()
    score = f1_score(LABELS, chosen, average="macro")
    torch.testing.assert_close(
        soft_f1_loss(sure, ONE_HOT), torch.tensor(1 - score).double(), atol=1e-6, rtol=0
    )


def test_classes_absent_from_the_batch_are_left_out_of_soft_f1() -> None:
    labels = torch.tensor([0, 1, 1])
    rows = functional.one_hot(labels, 4).double()
    logits = LOGITS[:3].clone().requires_grad_()
    ours = soft_f1_loss(logits, rows)
    per_class = the_teams_f1(logits, labels)
    close(ours, 1 - per_class[:2].mean())
    (gradient,) = torch.autograd.grad(ours, logits, retain_graph=True)
    (theirs,) = torch.autograd.grad(1 - per_class.mean(), logits)
    # The absent ones only flatten: half of the classes there, half of the slope.
    torch.testing.assert_close(gradient / 2, theirs, rtol=1e-5, atol=1e-8)
    assert soft_f1_loss(100 * rows, rows) == pytest.approx(0, abs=1e-6)
    assert soft_f1_loss(100 * functional.one_hot(labels + 2, 4).double(), rows) == 1


def test_soft_f1_pushes_down_what_is_wrongly_given_to_an_absent_class() -> None:
    rows = functional.one_hot(torch.tensor([0, 1]), 3).double()
    logits = torch.tensor([[0.0, 0.0, 3.0], [0.0, 0.0, 3.0]]).double().requires_grad_()
    soft_f1_loss(logits, rows).backward()
    assert logits.grad is not None
    assert (logits.grad[:, 2] > 0).all()


def test_soft_f1_of_a_mixed_row_is_least_where_the_model_says_the_row() -> None:
    assert soft_f1_loss(MIXED.clamp_min(1e-30).log(), MIXED) == pytest.approx(0, abs=1e-6)
    sure_of_the_larger = 100 * functional.one_hot(MIXED.argmax(dim=1), 4).double()
    assert soft_f1_loss(sure_of_the_larger, MIXED) > 0.2


def test_soft_f1_still_learns_a_class_that_is_entirely_wrong() -> None:
    """The teams' clamp to [eps, 1 - eps] has no gradient there."""
    rows = functional.one_hot(torch.tensor([0, 1]), 2).float()
    logits = torch.tensor([[-20.0, 0.0], [0.0, 20.0]], requires_grad=True)
    soft_f1_loss(logits, rows).backward()
    assert logits.grad is not None
    assert logits.grad[0, 0] < 0
    clamped = logits.detach().requires_grad_()
    (1 - the_teams_f1(clamped, torch.tensor([0, 1])).clamp(1e-7, 1 - 1e-7)[0]).backward()
    assert clamped.grad is not None
    assert clamped.grad[0, 0] == 0


def test_soft_f1_of_two_batches_is_not_the_mean_of_theirs() -> None:
    halves = [soft_f1_loss(LOGITS[part], ONE_HOT[part]) for part in (slice(3), slice(3, 6))]
    assert abs(sum(halves) / 2 - soft_f1_loss(LOGITS, ONE_HOT)) > 1e-3
