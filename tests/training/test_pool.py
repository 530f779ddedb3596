"""What the pictures of one person say together."""

import numpy as np
import pytest
import torch
from made_tasks import AXES, a_task, what_a_net_says

from facecrop.training.answer import Answer
from facecrop.training.pool import pool


def an_answer(heads: str = "one-way", records: int = 6, seed: int = 0) -> Answer:
    age = "classes" if heads == "one-way" else "regression"
    task = a_task(heads, age)
    return task.answer(what_a_net_says(task, records, seed=seed))


@pytest.mark.parametrize("heads", ["one-way", "three-way"])
def test_a_person_with_one_picture_is_answered_as_the_picture(heads: str) -> None:
    answer = an_answer(heads)
    pooled = pool(answer, np.arange(6))
    for axis in AXES:
        torch.testing.assert_close(pooled.probabilities[axis], answer.probabilities[axis])
    assert (pooled.age is None) == (answer.age is None)


@pytest.mark.parametrize("heads", ["one-way", "three-way"])
def test_pictures_of_a_person_agree_about_the_person_and_keep_their_masks(heads: str) -> None:
    answer = an_answer(heads)
    pooled = pool(answer, ["a", "b", "a", "a", "b", "a"])
    for one, other in ((0, 2), (0, 5), (1, 4)):
        for axis in ("gender", "age_group"):
            torch.testing.assert_close(
                pooled.probabilities[axis][one], pooled.probabilities[axis][other]
            )
    torch.testing.assert_close(pooled.probabilities["mask"], answer.probabilities["mask"])
    torch.testing.assert_close(pooled.log_joint.exp().sum(dim=1), torch.ones(6))
    if answer.age is not None:
        assert pooled.age is not None
        torch.testing.assert_close(pooled.age[0], answer.age[[0, 2, 3, 5]].mean())


def test_pooling_of_separate_heads_is_the_geometric_mean() -> None:
    answer = an_answer("three-way", 4)
    pooled = pool(answer, np.array([0, 0, 0, 0]))
    for axis in ("gender", "age_group"):
        p = answer.probabilities[axis].log().mean(dim=0).exp()
        torch.testing.assert_close(pooled.probabilities[axis][0], p / p.sum())


def test_pooling_of_copies_of_a_picture_changes_nothing_about_the_person() -> None:
    answer = an_answer().take(torch.tensor([2, 2, 2]))
    pooled = pool(answer, ["x", "x", "x"])
    torch.testing.assert_close(pooled.probabilities["age_group"], answer.probabilities["age_group"])


def test_pooling_twice_is_pooling_once_and_the_order_of_pictures_does_not_matter() -> None:
    answer, persons = an_answer("three-way"), np.array([0, 1, 1, 0, 2, 1])
    once = pool(answer, persons)
    torch.testing.assert_close(pool(once, persons).log_joint, once.log_joint)
    order = torch.tensor([5, 3, 0, 1, 4, 2])
    shuffled = pool(answer.take(order), persons[order.numpy()])
    torch.testing.assert_close(shuffled.log_joint, once.log_joint[order])


def test_pooling_keeps_the_correction() -> None:
    task = a_task(tau=1)
    counts = {"joint": torch.arange(1.0, 19)}
    answer = task.answer(what_a_net_says(task), counts)
    pooled = pool(answer, np.zeros(5, np.int64))
    assert torch.equal(pooled.joint, (pooled.log_joint - answer.correction).argmax(dim=1))


@pytest.mark.parametrize("axes", [("mask",), ("gender",), ("mask", "age_group")])
def test_pooling_knows_datasets_with_fewer_labels(axes: tuple[str, ...]) -> None:
    task = a_task(axes=axes)
    answer = task.answer(what_a_net_says(task, 4))
    pooled = pool(answer, np.zeros(4, np.int64))
    torch.testing.assert_close(pooled.log_joint.exp().sum(dim=1), torch.ones(4))
    for axis in axes:
        same = (pooled.probabilities[axis].diff(dim=0).abs() < 1e-6).all()
        assert same == (axis != "mask")


def test_nobody_can_be_pooled() -> None:
    assert len(pool(an_answer().take(torch.zeros(0, dtype=torch.int64)), [])) == 0
