"""Class-balanced loss: the right way up."""

import pytest
import torch
from made_batch import COUNTS, LABELS, LOGITS, MIXED, ONE_HOT, close
from torch import Tensor
from torch.nn import functional

from facecrop.training.losses.class_balanced import class_balanced_loss
from facecrop.training.losses.cross_entropy import cross_entropy
from facecrop.training.losses.focal import focal_loss
from facecrop.training.losses.rows import weights_by_class


def test_class_balanced_with_beta_zero_is_cross_entropy() -> None:
    for rows in (ONE_HOT, MIXED):
        close(class_balanced_loss(LOGITS, rows, counts=COUNTS, beta=0), cross_entropy(LOGITS, rows))


@pytest.mark.parametrize("gamma", [0, 2])
def test_class_balanced_is_weighted_by_the_effective_number(gamma: float) -> None:
    effective = (1 - 0.999) / (1 - 0.999 ** COUNTS.double())
    theirs = focal_loss(LOGITS, ONE_HOT, gamma=gamma, by_class=effective)
    ours = class_balanced_loss(LOGITS, ONE_HOT, counts=COUNTS, beta=0.999, gamma=gamma)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)


def test_class_balanced_near_one_is_the_inverse_of_the_count() -> None:
    ours = class_balanced_loss(LOGITS, ONE_HOT, counts=COUNTS, beta=1 - 1e-9)
    theirs = functional.cross_entropy(LOGITS, LABELS, weight=1 / COUNTS.double())
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=0)


def test_class_balanced_makes_rare_classes_count_more_never_less() -> None:
    """A version in use among the teams has it upside down, and counts in the batch."""
    weights = weights_by_class(COUNTS, "effective", 0.95)
    assert weights is not None
    assert (weights.diff() >= 0).all()
    assert weights[-1] > 10 * weights[0]
    upside_down = (1 - 0.95**COUNTS) / (1 - 0.95)
    assert (upside_down.diff() <= 0).all()


def test_class_balanced_depends_on_training_not_on_what_else_is_in_the_batch() -> None:
    def pull_of_first(others: Tensor) -> Tensor:
        z = torch.cat([LOGITS[:1], LOGITS[1:].detach()]).requires_grad_()
        rows = torch.cat([ONE_HOT[:1], others])
        weight = torch.tensor([1, 0, 0, 0, 0, 0]).double()
        class_balanced_loss(z, rows, weight, counts=COUNTS).backward()
        assert z.grad is not None
        return z.grad[0]

    torch.testing.assert_close(pull_of_first(ONE_HOT[1:]), pull_of_first(ONE_HOT[:1].expand(5, 4)))
