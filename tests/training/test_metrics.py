"""Scores over a whole set: equal to the libraries', and honest where something is missing."""

from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tasks import AT_58, a_task, some_labels
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score
from torch import Tensor
from torchmetrics.classification import MulticlassF1Score

from facecrop.labels.ages import OFFICIAL, AgePolicy
from facecrop.training.metrics import (
    Scores,
    accuracy,
    calibration_error,
    confusion,
    evaluate,
    macro_f1,
    ordered_agreement,
)
from facecrop.training.settings import TrainSettings
from facecrop.training.settings.train import SelectSettings
from facecrop.training.task import Task

DROPS = AgePolicy(name="drop-57-59", drop=(57, 58, 59))

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


def both(pairs: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    true, chosen = zip(*pairs, strict=True)
    return torch.tensor(true), torch.tensor(chosen)


# Macro-F1 and accuracy


@given(pairs)
def test_macro_f1_and_accuracy_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    true, chosen = both(pairs)
    table = confusion(true, chosen, 5)
    assert macro_f1(table) == pytest.approx(f1_score(true, chosen, average="macro"))
    assert accuracy(table) == pytest.approx(accuracy_score(true, chosen))


@given(pairs)
@settings(max_examples=30)
def test_macro_f1_is_that_of_torchmetrics(pairs: list[tuple[int, int]]) -> None:
    true, chosen = both(pairs)
    theirs = MulticlassF1Score(num_classes=5, average="macro")(chosen, true)
    assert macro_f1(confusion(true, chosen, 5)) == pytest.approx(float(theirs))


def test_a_class_that_neither_is_true_nor_chosen_is_left_out_of_macro_f1() -> None:
    right = confusion(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 1]), 18)
    assert macro_f1(right) == 1


def test_a_class_that_is_only_chosen_or_only_true_counts_with_zero() -> None:
    table = confusion(torch.tensor([0, 0, 1]), torch.tensor([0, 2, 1]), 3)
    assert macro_f1(table) == pytest.approx((2 / 3 + 1 + 0) / 3)
    table = confusion(torch.tensor([0, 0, 2]), torch.tensor([0, 0, 0]), 3)
    assert macro_f1(table) == pytest.approx((4 / 5 + 0) / 2)


def test_macro_f1_of_a_set_is_not_the_mean_of_its_batches() -> None:
    """As several of the task's teams had it."""
    true, chosen = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([0, 1, 1, 1, 2, 0])
    batches = [macro_f1(confusion(true[i : i + 2], chosen[i : i + 2], 3)) for i in (0, 2, 4)]
    assert abs(np.mean(batches) - macro_f1(confusion(true, chosen, 3))) > 0.1


def test_nothing_to_score_has_no_score() -> None:
    nothing = torch.tensor([], dtype=torch.int64)
    table = confusion(nothing, nothing, 3)
    assert table.shape == (3, 3)
    assert np.isnan(macro_f1(table))
    assert np.isnan(accuracy(table))


def test_many_tables_are_scored_at_once() -> None:
    tables = np.random.default_rng(0).integers(0, 9, (2, 7, 4, 4))
    assert macro_f1(tables).shape == (2, 7)
    assert macro_f1(tables)[1, 3] == macro_f1(tables[1, 3])
    assert accuracy(tables)[0, 5] == accuracy(tables[0, 5])


@given(pairs)
def test_confusion_counts_each_known_record_once(pairs: list[tuple[int, int]]) -> None:
    true, chosen = both(pairs)
    table = confusion(torch.where(true == 4, -1, true), chosen, 5)
    assert table.sum() == (true != 4).sum()
    assert table[4].sum() == 0
    for row in range(4):
        for column in range(5):
            assert table[row, column] == ((true == row) & (chosen == column)).sum()


# Calibration


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    p = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    truth = torch.tensor([0, 1, 1, 1])
    assert calibration_error(p, truth) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)


def test_calibration_error_is_that_of_its_formula() -> None:
    chance = torch.Generator().manual_seed(0)
    p = (2 * torch.randn((300, 6), generator=chance)).softmax(dim=1)
    truth = torch.randint(0, 6, (300,), generator=chance)
    sure, chosen = (values.numpy() for values in p.max(dim=1))
    wanted = 0.0
    for low in range(15):
        inside = (sure > low / 15) & (sure <= (low + 1) / 15)
        if inside.any():
            right = (chosen[inside] == truth.numpy()[inside]).mean()
            wanted += inside.mean() * abs(right - sure[inside].mean())
    assert calibration_error(p, truth) == pytest.approx(wanted, abs=1e-6)


def test_a_probability_that_rounding_put_above_one_is_still_a_probability() -> None:
    p = torch.tensor([[1 + 1e-6, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert calibration_error(p, torch.tensor([0, 1])) == pytest.approx(0, abs=1e-5)


def test_no_records_have_no_calibration_error() -> None:
    assert np.isnan(calibration_error(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)))


# Ordered agreement


@given(pairs)
def test_agreement_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    true, chosen = both(pairs)
    ours = ordered_agreement(true, chosen, 5)
    if len(set(true.tolist()) | set(chosen.tolist())) < 2:
        assert ours is None
    else:
        theirs = cohen_kappa_score(true, chosen, weights="quadratic", labels=range(5))
        assert ours == pytest.approx(theirs)


def test_a_far_miss_costs_more_than_a_near_one() -> None:
    true = torch.tensor([0, 0, 1, 1, 2, 2, -1])
    near, far = torch.tensor([0, 1, 1, 1, 2, 2, 0]), torch.tensor([0, 2, 1, 1, 2, 2, 0])
    agreements = [ordered_agreement(true, chosen, 3) for chosen in (near, far)]
    assert agreements[0] == pytest.approx(1 - (1 / 6) / weighted_chance([2, 2, 2], [1, 3, 2]))
    assert agreements[1] == pytest.approx(1 - (4 / 6) / weighted_chance([2, 2, 2], [1, 2, 3]))


def weighted_chance(true: list[int], chosen: list[int]) -> float:
    """The mean squared distance of records whose classes were dealt out by chance."""
    distance = np.subtract.outer(np.arange(3), np.arange(3)) ** 2
    return float((np.outer(true, chosen) / sum(true) ** 2 * distance).sum())


def test_a_class_that_nobody_is_in_still_lies_between_the_others() -> None:
    """Numbering only the classes that occur makes a miss by two one by one."""
    true, chosen = torch.tensor([0, 1]), torch.tensor([0, 3])
    assert ordered_agreement(true, chosen, 4) == pytest.approx(3 / 7)


# The whole evaluation


AGES = (20, 25, 40, 57, 58, 59, 60, 20, 45, 58, 22, 60)


def test_a_network_that_is_right_and_sure_has_perfect_scores() -> None:
    task, labels = a_task(policy=OFFICIAL), some_labels(OFFICIAL, AGES)
    logits = {"joint": 50 * task.targets(labels)["joint"]}
    row = evaluate(task, logits, labels, persons=np.arange(12) // 3).row()
    for name in ("f1", "accuracy", "official_f1", "f1_mask", "f1_age_group", "age_kappa"):
        assert row[name] == pytest.approx(1), name
    assert row["loss"] == pytest.approx(0, abs=1e-6)
    assert row["calibration_error"] == pytest.approx(0, abs=1e-6)
    assert row["records"] == 12
    assert all(type(value) is float for value in row.values())


def test_scores_are_those_of_the_chosen_classes() -> None:
    task, labels = a_task(policy=OFFICIAL), some_labels(OFFICIAL, AGES)
    logits = {"joint": torch.randn((12, 18), generator=torch.Generator().manual_seed(0))}
    scores = evaluate(task, logits, labels)
    true, chosen = task.truth(labels)["joint"], logits["joint"].argmax(dim=1)
    assert scores.active.f1 == pytest.approx(f1_score(true, chosen, average="macro"))
    assert scores.active.axis_f1["gender"] == pytest.approx(
        f1_score(true // 3 % 2, chosen // 3 % 2, average="macro")
    )
    assert scores.loss == pytest.approx(
        float(torch.nn.functional.cross_entropy(logits["joint"], true))
    )
    assert scores.active.confusion.sum() == 12


def test_every_metric_that_can_choose_the_best_epoch_is_in_the_row() -> None:
    task, labels = a_task(policy=OFFICIAL), some_labels(OFFICIAL, AGES)
    row = evaluate(task, {"joint": torch.zeros(12, 18)}, labels).row()
    names = get_args(SelectSettings.model_fields["metric"].annotation)
    assert names
    assert set(names) <= set(row)


def test_dropped_ages_are_judged_on_the_official_bins_alone() -> None:
    task, labels = a_task(policy=DROPS), some_labels(DROPS, AGES)
    kept = np.array([age not in DROPS.drop for age in AGES])
    # Right about all who are kept; says "young" of all who are dropped.
    said = 50 * a_task(policy=OFFICIAL).targets(some_labels(OFFICIAL, AGES))["joint"]
    said[~torch.from_numpy(kept)] = 50 * torch.eye(18)[0]
    scores = evaluate(task, {"joint": said}, labels, kept=kept)
    assert (scores.active.records, scores.active.f1) == (8, 1)
    assert scores.active.axis_f1["mask"] == 1
    assert scores.official is not None
    assert scores.official.records == 12
    assert scores.official.accuracy == pytest.approx(8 / 12)


def test_the_error_in_years_is_that_of_the_records_that_the_policy_keeps() -> None:
    task, labels = a_task("three-way", "regression", policy=DROPS), some_labels(DROPS, AGES)
    kept = np.array([age not in DROPS.drop for age in AGES])
    off = torch.where(torch.from_numpy(kept), 1.0, 10.0)
    logits = {"mask": torch.zeros(12, 3), "gender": torch.zeros(12, 2)}
    logits["age"] = (torch.tensor(AGES) + off).unsqueeze(1)
    assert evaluate(task, logits, labels, kept=kept).age_mae == pytest.approx(1)


def test_an_easier_policy_does_not_make_the_official_score_better() -> None:
    """Of report 003: without those of 57 to 59 the validation set is easier too."""
    labels = some_labels(AT_58, AGES)
    task = a_task(policy=AT_58)
    logits = {"joint": 50 * task.targets(labels)["joint"]}
    scores = evaluate(task, logits, labels)
    assert scores.active.accuracy == 1
    assert scores.official is not None
    assert scores.official.accuracy == pytest.approx(9 / 12)


def test_a_network_of_years_answers_both_policies() -> None:
    task, labels = a_task("three-way", "regression", policy=AT_58), some_labels(AT_58, AGES)
    logits = {output: 50 * rows for output, rows in task.targets(labels).items()}
    logits["age"] = torch.tensor(AGES).float().unsqueeze(1) - 0.25
    scores = evaluate(task, logits, labels)
    assert scores.active.accuracy == 1
    assert scores.official is not None
    assert scores.official.accuracy == 1
    assert scores.row()["age_mae"] == pytest.approx(0.25)


def test_an_unknown_age_is_not_an_error_of_years() -> None:
    labels = some_labels(OFFICIAL, AGES)
    years = pa.array([None, *AGES[1:]], pa.int32())
    task = a_task("three-way", "regression", policy=OFFICIAL)
    logits = {"mask": torch.zeros(12, 3), "gender": torch.zeros(12, 2)}
    logits["age"] = torch.tensor(AGES).float().unsqueeze(1) + 2
    scores = evaluate(task, logits, labels.set_column(2, "age", years))
    assert scores.age_mae == pytest.approx(2)


def test_pictures_that_are_pooled_correct_each_other() -> None:
    task = a_task(policy=OFFICIAL)
    labels = some_labels(OFFICIAL, (20, 20, 20, 60, 60, 60))
    said = 6 * task.targets(labels)["joint"]
    said[0] = 4 * torch.eye(18)[2]  # worn, male, old: wrong about the age, and less sure
    scores = evaluate(task, {"joint": said}, labels, persons=["a", "a", "a", "b", "b", "b"])
    assert scores.active.accuracy == pytest.approx(5 / 6)
    assert scores.by_person is not None
    assert scores.by_person.accuracy == 1
    assert scores.row()["person_accuracy"] == 1


def test_the_prior_correction_moves_scores_but_neither_loss_nor_calibration() -> None:
    task, labels = a_task(policy=OFFICIAL, tau=2), some_labels(OFFICIAL, AGES)
    logits = {"joint": torch.randn((12, 18), generator=torch.Generator().manual_seed(1))}
    priors = {"joint": 10.0 ** torch.arange(18) / 1e6, "official": torch.ones(18)}
    plain, moved = evaluate(task, logits, labels), evaluate(task, logits, labels, priors=priors)
    assert not np.array_equal(plain.active.confusion, moved.active.confusion)
    assert plain.loss == moved.loss
    assert plain.calibration_error == moved.calibration_error


def test_a_dataset_without_ages_has_no_official_score() -> None:
    labels = some_labels(OFFICIAL, AGES).select(["mask", "gender"])
    task = Task(TrainSettings(), OFFICIAL, ("mask", "gender"))
    scores: Scores = evaluate(task, {"joint": torch.zeros(12, 6)}, labels)
    assert scores.official is None
    assert scores.active.age_kappa is None
    assert not [name for name in scores.row() if name.startswith(("official", "age"))]


def test_a_validation_set_that_the_policy_drops_entirely_has_no_active_score() -> None:
    labels = some_labels(DROPS, (57, 58, 59))
    scores = evaluate(a_task(policy=DROPS), {"joint": torch.zeros(3, 18)}, labels)
    assert scores.active.records == 0
    assert np.isnan(scores.active.f1)
    assert np.isnan(scores.loss)
    assert scores.official is not None
    assert scores.official.records == 3
