"""What every loss of the table must do, whoever wrote it; each one's own promises are beside."""

from collections.abc import Callable
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from facecrop.training.losses import LOSSES, Loss
from facecrop.training.settings.loss import (
    ClassBalanced,
    CrossEntropy,
    Focal,
    Ldam,
    Ordinal,
    SmoothL1,
    SoftF1,
    SymmetricCE,
    Term,
)

COUNTS = torch.tensor([400.0, 100.0, 20.0, 5.0, 60.0])
CLASSES = len(COUNTS)
RECORDS = 7

TERMS: dict[str, Term] = {
    "cross-entropy": CrossEntropy(),
    "cross-entropy-smoothed": CrossEntropy(smoothing=0.1),
    "cross-entropy-weighted": CrossEntropy(classes="inverse", smoothing=0.1),
    "focal": Focal(),
    "focal-5": Focal(gamma=5),
    "focal-half": Focal(gamma=0.5, classes="effective", smoothing=0.1),
    "soft-f1": SoftF1(),
    "ldam": Ldam(),
    "ldam-reweighted": Ldam(reweight_from=0, scale=10),
    "class-balanced": ClassBalanced(),
    "class-balanced-focal": ClassBalanced(beta=0.9, gamma=2),
    "symmetric-ce": SymmetricCE(),
    "smooth-l1": SmoothL1(),
    "smooth-l1-wide": SmoothL1(beta=5),
    "ordinal": Ordinal(),
}
Make = Callable[[str], Tensor]

SMOOTHED = ("cross-entropy-smoothed", "cross-entropy-weighted", "focal-half")


def the_loss(name: str) -> Loss:
    return LOSSES.load(TERMS[name].name)(TERMS[name], COUNTS, 0)


def hard(name: str, records: int = RECORDS, seed: int = 0) -> Tensor:
    """Targets of records that are what they are: one-hot rows, years, or thresholds passed."""
    chance = torch.Generator().manual_seed(seed)
    if name.startswith("smooth-l1"):
        return torch.randint(18, 61, (records, 1), generator=chance).double()
    classes = torch.randint(0, CLASSES, (records,), generator=chance)
    if name == "ordinal":
        return (classes.unsqueeze(1) > torch.arange(CLASSES - 1)).double()
    return torch.eye(CLASSES, dtype=torch.float64)[classes]


def mixed(name: str, records: int = RECORDS) -> Tensor:
    """Targets as mixup and cutmix make them."""
    share = torch.rand((records, 1), generator=torch.Generator().manual_seed(3)).double()
    return share * hard(name, records) + (1 - share) * hard(name, records, seed=1)


def unknown(name: str, records: int = 1) -> Tensor:
    nothing = torch.nan if TERMS[name].name in ("smooth-l1", "ordinal") else 0.0
    return torch.full_like(hard(name, records), nothing)


def said(target: Tensor, seed: int = 2) -> Tensor:
    """Logits that mean little."""
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(target.shape, generator=chance, dtype=torch.float64)


def right(name: str, target: Tensor, sureness: float) -> Tensor:
    """Logits that say what hard targets say; the opposite, if the sureness is negative."""
    if name.startswith("smooth-l1"):
        return target if sureness > 0 else target + sureness
    return sureness * (2 * target - 1)


def slope(loss: Loss, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    logits = logits.clone().requires_grad_()
    loss(logits, target, weight).backward()
    assert logits.grad is not None
    return logits.grad


each = pytest.mark.parametrize("name", TERMS)
each_softmax = pytest.mark.parametrize(
    "name", [name for name, term in TERMS.items() if term.name not in ("smooth-l1", "ordinal")]
)
each_target = pytest.mark.parametrize("make", [hard, mixed])


def test_every_kind_of_term_has_a_loss_and_is_tested_here() -> None:
    kinds = {term.model_fields["name"].default for term in get_args(get_args(Term)[0])}
    assert set(LOSSES) == kinds == {term.name for term in TERMS.values()}


@each
@each_target
def test_a_loss_is_one_finite_number_that_is_not_negative(name: str, make: Make) -> None:
    target = make(name)
    value = the_loss(name)(said(target), target, None)
    assert value.shape == ()
    assert torch.isfinite(value)
    assert value >= 0


@each
@each_target
@pytest.mark.parametrize("scale", [0, 1, 1e4, -1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradient_are_finite_however_sure_the_model_is(
    name: str, make: Make, scale: float, dtype: torch.dtype
) -> None:
    target = make(name).to(dtype)
    for logits in (scale * said(target).to(dtype), scale * (2 * hard(name).to(dtype) - 1)):
        assert torch.isfinite(the_loss(name)(logits, target, None))
        assert slope(the_loss(name), logits, target).isfinite().all()


@each
@settings(max_examples=20)
@given(order=st.permutations(range(RECORDS)))
def test_the_order_of_the_batch_does_not_matter(name: str, order: list[int]) -> None:
    target = mixed(name)
    logits, weight, loss = said(target), torch.rand(RECORDS).double(), the_loss(name)
    shuffled = loss(logits[order], target[order], weight[order])
    torch.testing.assert_close(shuffled, loss(logits, target, weight))


@each
@each_target
def test_a_record_of_weight_zero_is_absent(name: str, make: Make) -> None:
    target = make(name)
    logits, loss = said(target), the_loss(name)
    logits[0] = 1e4 * logits[0]
    weight = torch.tensor([0, 1, 2, 1, 1, 0.5, 1]).double()
    gradient = slope(loss, logits, target, weight)
    assert (gradient[0] == 0).all()
    without = loss(logits[1:], target[1:], weight[1:])
    torch.testing.assert_close(loss(logits, target, weight), without)
    torch.testing.assert_close(gradient[1:], slope(loss, logits[1:], target[1:], weight[1:]))


@each
@each_target
@pytest.mark.parametrize("weight", [None, torch.tensor([1, 2, 1, 1, 0.5, 1, 3]).double()])
def test_a_record_of_unknown_label_is_absent(name: str, make: Make, weight: Tensor | None) -> None:
    known = make(name, RECORDS - 1)
    target = torch.cat([unknown(name), known])
    logits, loss = said(target), the_loss(name)
    gradient = slope(loss, logits, target, weight)
    assert (gradient[0] == 0).all()
    rest = None if weight is None else weight[1:]
    torch.testing.assert_close(loss(logits, target, weight), loss(logits[1:], known, rest))


@each
@pytest.mark.parametrize("weight", [None, torch.zeros(3).double()])
def test_a_batch_that_knows_nothing_costs_nothing_and_moves_nothing(
    name: str, weight: Tensor | None
) -> None:
    target = unknown(name, 3) if weight is None else hard(name, 3)
    logits = said(target)
    assert the_loss(name)(logits, target, weight) == 0
    assert (slope(the_loss(name), logits, target, weight) == 0).all()


@each
def test_a_batch_of_no_records_costs_nothing(name: str) -> None:
    target = hard(name, 2)[:0]
    assert the_loss(name)(target, target, None) == 0


@each
@each_target
def test_only_the_ratio_of_weights_matters(name: str, make: Make) -> None:
    target = make(name)
    logits, loss = said(target), the_loss(name)
    weight = torch.tensor([1, 2, 3, 1, 0.5, 1, 1]).double()
    for times in (1e-8, 100):
        torch.testing.assert_close(
            loss(logits, target, times * weight), loss(logits, target, weight)
        )
    even = torch.full((RECORDS,), 7.0).double()
    torch.testing.assert_close(loss(logits, target, even), loss(logits, target, None))


@each
@each_target
def test_a_record_of_weight_two_is_the_same_record_twice(name: str, make: Make) -> None:
    target = make(name)
    logits, loss = said(target), the_loss(name)
    weight = torch.tensor([2, 1, 1, 1, 1, 1, 1]).double()
    twice = loss(torch.cat([logits[:1], logits]), torch.cat([target[:1], target]), None)
    torch.testing.assert_close(loss(logits, target, weight), twice, rtol=1e-6, atol=1e-6)


@each_softmax
def test_a_label_half_mixed_with_an_unknown_one_counts_half(name: str) -> None:
    target, loss = hard(name), the_loss(name)
    logits, half = said(target), target.clone()
    half[0] /= 2
    weight = torch.tensor([0.5, 1, 1, 1, 1, 1, 1]).double()
    torch.testing.assert_close(loss(logits, half, None), loss(logits, target, weight))


@each
def test_it_prefers_the_right_answer_to_the_opposite(name: str) -> None:
    target = hard(name)
    good, bad = right(name, target, 2), right(name, target, -2)
    assert the_loss(name)(good, target, None) < the_loss(name)(bad, target, None)


@each
@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), sureness=st.floats(0.01, 30))
def test_nothing_is_better_than_to_be_right_and_sure(name: str, seed: int, sureness: float) -> None:
    if name in SMOOTHED:
        return  # smoothed targets want some doubt
    target = hard(name)
    best = the_loss(name)(right(name, target, 60), target, None)
    assert best <= the_loss(name)(sureness * said(target, seed), target, None) + 1e-12
    torch.testing.assert_close(best, torch.zeros_like(best), atol=1e-6, rtol=0)


@each
def test_following_the_gradient_leads_to_the_right_classes(name: str) -> None:
    target = hard(name)
    logits, loss = torch.zeros_like(target), the_loss(name)
    for _ in range(300):
        logits -= 2 * slope(loss, logits, target)
    if name.startswith("smooth-l1"):
        assert loss(logits, target, None) < loss(torch.zeros_like(target), target, None) / 2
    elif name == "ordinal":
        assert ((logits > 0) == (target > 0)).all()
    else:
        assert (logits.argmax(dim=1) == target.argmax(dim=1)).all()


@each
@each_target
def test_the_gradient_is_that_of_the_value(name: str, make: Make) -> None:
    target = make(name)
    weight = torch.tensor([1, 2, 3, 1, 0.5, 1, 1]).double()
    logits = said(target).requires_grad_()
    loss = the_loss(name)
    assert torch.autograd.gradcheck(lambda z: loss(z, target, weight), (logits,))


@each
def test_inputs_stay_as_they_are(name: str) -> None:
    target = torch.cat([mixed(name, 4), unknown(name)])
    logits, weight = said(target), torch.rand(5).double()
    before = [tensor.clone() for tensor in (logits, target, weight)]
    slope(the_loss(name), logits, target, weight)
    for old, new in zip(before, (logits, target, weight), strict=True):
        torch.testing.assert_close(old, new, rtol=0, atol=0, equal_nan=True)


@each_softmax
def test_a_constant_added_to_all_logits_changes_no_softmax_loss(name: str) -> None:
    target = mixed(name)
    logits, loss = said(target), the_loss(name)
    torch.testing.assert_close(loss(logits + 13, target, None), loss(logits, target, None))
