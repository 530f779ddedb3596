"""Smooth L1 and ordinal loss: ages in years, where they are known."""

import pytest
import torch
from made_batch import LABELS, LOGITS, close
from torch.nn import functional

from facecrop.training.losses.cross_entropy import cross_entropy
from facecrop.training.losses.ordinal import ordinal_loss
from facecrop.training.losses.smooth_l1 import smooth_l1_loss


@pytest.mark.parametrize("beta", [1.0, 5.0])
def test_smooth_l1_of_known_ages_is_torchs(beta: float) -> None:
    said, ages = torch.tensor([[30.2], [58.0], [20.0]]), torch.tensor([[30.0], [60.0], [60.0]])
    theirs = functional.smooth_l1_loss(said, ages, beta=beta)
    close(smooth_l1_loss(said, ages, beta=beta), theirs)


def test_smooth_l1_with_a_tiny_beta_is_the_absolute_error() -> None:
    said, ages = torch.tensor([[30.25], [58.0]]), torch.tensor([[30.0], [60.0]])
    close(smooth_l1_loss(said, ages, beta=1e-12), 1.125)


def test_an_unknown_age_is_absent_and_makes_no_gradient_undefined() -> None:
    said = torch.tensor([[30.0], [40.0]], requires_grad=True)
    ages = torch.tensor([[torch.nan], [45.0]])
    loss = smooth_l1_loss(said, ages, torch.tensor([5.0, 1.0]))
    loss.backward()
    assert loss == 4.5
    assert said.grad is not None
    assert said.grad.tolist() == [[0.0], [-1.0]]


def test_ordinal_is_the_sum_of_binary_cross_entropies() -> None:
    rows = torch.tensor([[1.0, 1, 0], [1, 0, 0]]).double()
    z = LOGITS[:2, :3]
    p = z.sigmoid()
    paper = -(rows * p.log() + (1 - rows) * (1 - p).log()).sum(dim=1).mean()
    close(ordinal_loss(z, rows), paper)


def test_ordinal_of_one_threshold_is_cross_entropy_of_two_classes() -> None:
    z = LOGITS[:, :1]
    above = (LABELS > 1).double().unsqueeze(1)
    two = cross_entropy(
        torch.cat([torch.zeros_like(z), z], dim=1), torch.cat([1 - above, above], 1)
    )
    close(ordinal_loss(z, above), two)


def test_a_new_ordinal_head_of_100_thresholds_starts_at_69_nats() -> None:
    """As its docstring says, so that whoever weighs labels knows."""
    assert ordinal_loss(torch.zeros(2, 100), torch.ones(2, 100)) == pytest.approx(69.3, abs=0.1)
