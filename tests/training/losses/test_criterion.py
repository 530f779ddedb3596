"""The criterion: which terms an output has in an epoch, and how they are added up."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from facecrop.labels.ages import OFFICIAL
from facecrop.training.losses.build import Criterion
from facecrop.training.losses.cross_entropy import cross_entropy
from facecrop.training.losses.focal import focal_loss
from facecrop.training.losses.ldam import ldam_loss, ldam_margins
from facecrop.training.losses.ordinal import ordinal_loss
from facecrop.training.losses.smooth_l1 import smooth_l1_loss
from facecrop.training.losses.soft_f1 import soft_f1_loss
from facecrop.training.settings import TrainSettings
from facecrop.training.task import Task

AXES = ("mask", "gender", "age_group")
COUNTS = {
    "joint": torch.arange(1.0, 19),
    "mask": torch.tensor([50.0, 10, 10]),
    "gender": torch.tensor([30.0, 40]),
    "age_group": torch.tensor([40.0, 25, 5]),
}


def a_criterion(**sections: object) -> tuple[Criterion, Task]:
    settings = TrainSettings.model_validate(sections)
    task = Task(settings, OFFICIAL, AXES)
    return Criterion(settings.loss, task, COUNTS), task


def a_batch(task: Task, records: int = 6) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    chance = torch.Generator().manual_seed(0)
    logits, targets = {}, {}
    for output, width in task.outputs.items():
        logits[output] = torch.randn((records, width), generator=chance)
        classes = torch.randint(0, width, (records,), generator=chance)
        targets[output] = torch.eye(width)[classes]
    return logits, targets


THREE_WAY = {"heads": "three-way"}


def test_a_new_training_minimises_cross_entropy_of_the_joint_classes() -> None:
    criterion, task = a_criterion()
    logits, targets = a_batch(task)
    total, parts = criterion(logits, targets, None, 0)
    torch.testing.assert_close(total, cross_entropy(logits["joint"], targets["joint"]))
    torch.testing.assert_close(parts, {"joint": total})


def test_terms_are_added_up_by_their_weights() -> None:
    terms = [{"name": "soft-f1", "weight": 0.4}, {"name": "focal", "weight": 0.6, "gamma": 5}]
    criterion, task = a_criterion(loss={"terms": terms})
    logits, targets = a_batch(task)
    z, y = logits["joint"], targets["joint"]
    total, _ = criterion(logits, targets, None, 0)
    torch.testing.assert_close(total, 0.4 * soft_f1_loss(z, y) + 0.6 * focal_loss(z, y, gamma=5))


def test_labels_are_added_up_by_their_weights_and_reported_without() -> None:
    weights = {"mask": 0.2, "gender": 0.2, "age_group": 0.6}
    criterion, task = a_criterion(model=THREE_WAY, loss={"weights": weights})
    logits, targets = a_batch(task)
    total, parts = criterion(logits, targets, None, 0)
    assert list(parts) == list(AXES)
    for axis in AXES:
        torch.testing.assert_close(parts[axis], cross_entropy(logits[axis], targets[axis]))
    torch.testing.assert_close(total, sum(weights[axis] * parts[axis] for axis in AXES))


def test_a_label_of_weight_zero_has_no_gradient() -> None:
    criterion, task = a_criterion(model=THREE_WAY, loss={"weights": {"mask": 0}})
    logits, targets = a_batch(task)
    logits["mask"].requires_grad_()
    logits["gender"].requires_grad_()
    criterion(logits, targets, None, 0)[0].backward()
    assert logits["mask"].grad is not None
    assert (logits["mask"].grad == 0).all()
    assert logits["gender"].grad is not None
    assert (logits["gender"].grad != 0).any()


def test_a_label_has_terms_of_its_own_and_the_counts_of_its_own_classes() -> None:
    own = [{"name": "ldam", "scale": 10}]
    criterion, task = a_criterion(model=THREE_WAY, loss={"age_group": own})
    logits, targets = a_batch(task)
    _, parts = criterion(logits, targets, None, 0)
    margins = ldam_margins(COUNTS["age_group"])
    ldam = ldam_loss(logits["age_group"], targets["age_group"], margins=margins, scale=10)
    torch.testing.assert_close(parts["age_group"], ldam)
    torch.testing.assert_close(parts["mask"], cross_entropy(logits["mask"], targets["mask"]))


@pytest.mark.parametrize(
    ("age", "terms", "loss"),
    [
        ("regression", "smooth-l1", smooth_l1_loss),
        ("coral", "ordinal", ordinal_loss),
        ("distribution", "cross-entropy", cross_entropy),
    ],
)
def test_the_terms_of_age_are_those_of_its_head_however_it_says_age(
    age: str, terms: str, loss: Callable[..., Tensor]
) -> None:
    sections = {"model": THREE_WAY | {"age": age}, "loss": {"age_group": [{"name": terms}]}}
    criterion, task = a_criterion(**sections, optim={"epochs": 3})
    logits, targets = a_batch(task)
    total, parts = criterion(logits, targets, None, 0)
    torch.testing.assert_close(parts["age"], loss(logits["age"], targets["age"]))
    torch.testing.assert_close(total, parts["mask"] + parts["gender"] + parts["age"])


STAGES = {
    "terms": [{"name": "focal"}],
    "mask": [{"name": "cross-entropy"}],
    "then": [
        {"from_epoch": 30, "terms": [{"name": "soft-f1"}]},
        {"from_epoch": 35, "terms": [{"name": "cross-entropy", "smoothing": 0.1}]},
    ],
}


def test_later_stages_have_their_terms_from_their_epoch_on() -> None:
    criterion, task = a_criterion(model=THREE_WAY, loss=STAGES, optim={"epochs": 40})
    assert [criterion.stage(epoch) for epoch in (0, 29, 30, 34, 35, 39)] == [0, 0, 1, 1, 2, 2]
    logits, targets = a_batch(task)
    z, y = logits["gender"], targets["gender"]
    values = {epoch: criterion(logits, targets, None, epoch)[1]["gender"] for epoch in (29, 30, 35)}
    torch.testing.assert_close(values[29], focal_loss(z, y))
    torch.testing.assert_close(values[30], soft_f1_loss(z, y))
    torch.testing.assert_close(values[35], cross_entropy(z, y, smoothing=0.1))
    # A later stage replaces a label's own terms too, and an earlier epoch has its own again.
    assert [term.name for term in criterion.terms("mask", 29)] == ["cross-entropy"]
    assert [term.name for term in criterion.terms("mask", 30)] == ["soft-f1"]
    torch.testing.assert_close(criterion(logits, targets, None, 29)[1]["gender"], values[29])


def test_deferred_reweighting_comes_with_its_epoch() -> None:
    terms = [{"name": "ldam", "reweight_from": 2}]
    criterion, task = a_criterion(loss={"terms": terms}, optim={"epochs": 4})
    logits, targets = a_batch(task)
    values = [float(criterion(logits, targets, None, epoch)[0]) for epoch in range(4)]
    assert values[0] == values[1] != values[2] == values[3]


def test_what_is_said_in_half_precision_is_judged_in_single() -> None:
    criterion, task = a_criterion()
    logits, targets = a_batch(task)
    rough = {output: values.bfloat16() for output, values in logits.items()}
    total, _ = criterion(rough, targets, None, 0)
    assert total.dtype == torch.float32
    exact, _ = criterion({"joint": rough["joint"].float()}, targets, None, 0)
    assert total == exact


def test_a_loss_that_counts_classes_refuses_an_output_that_was_not_counted() -> None:
    settings = TrainSettings.model_validate({"loss": {"terms": [{"name": "class-balanced"}]}})
    task = Task(settings, OFFICIAL, AXES)
    criterion = Criterion(settings.loss, task, {})
    logits, targets = a_batch(task)
    with pytest.raises(RuntimeError, match="size of tensor"):
        criterion(logits, targets, None, 0)
