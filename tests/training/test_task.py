"""What is learnt, and how what a network says becomes an answer."""

import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_tasks import AT_58, AXES, HOW_AGE_IS_LEARNT, a_task, some_labels, what_a_net_says
from torch.nn import functional

from facecrop.errors import ConfigError
from facecrop.labels.ages import OFFICIAL, AgePolicy
from facecrop.labels.space import MASK_TASK
from facecrop.training.answer import record_loss
from facecrop.training.settings import TrainSettings
from facecrop.training.task import Task

years = pytest.mark.parametrize("age", HOW_AGE_IS_LEARNT)

EVERY_TASK = [
    ("one-way", "classes"),
    *(
        (heads, age)
        for heads in ("three-way", "separate")
        for age in ("classes", *HOW_AGE_IS_LEARNT)
    ),
]
every_task = pytest.mark.parametrize(("heads", "age"), EVERY_TASK)


# Outputs and targets


def test_outputs_have_the_widths_of_what_they_say() -> None:
    assert a_task().outputs == {"joint": 18}
    three = {"mask": 3, "gender": 2}
    assert a_task("three-way").outputs == {**three, "age_group": 3}
    assert a_task("three-way", "regression").outputs == {**three, "age": 1}
    assert a_task("three-way", "coral").outputs == {**three, "age": 100}
    assert a_task("separate", "distribution").outputs == {**three, "age": 101}


def test_labels_that_a_dataset_lacks_are_left_out() -> None:
    assert a_task(axes=("gender", "age_group")).outputs == {"joint": 6}
    assert a_task("three-way", "coral", axes=("mask",)).outputs == {"mask": 3}
    assert (
        a_task("three-way", "coral", axes=("mask",)).answer({"mask": torch.zeros(2, 3)}).age is None
    )


def test_joint_classes_are_numbered_as_the_tasks_whatever_the_order_of_the_settings() -> None:
    task = a_task(axes=("age_group", "mask", "gender"))
    assert task.space == MASK_TASK
    labels = some_labels()
    assert task.truth(labels)["joint"].tolist() == MASK_TASK.encode_table(labels).tolist()


@pytest.mark.parametrize("axes", [(), ("mask", "race")])
def test_a_task_needs_labels_that_exist(axes: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="axes must be some of mask, gender, age_group"):
        Task(TrainSettings(), OFFICIAL, axes)


@pytest.mark.parametrize("heads", ["one-way", "three-way"])
def test_targets_of_classes_are_one_at_the_true_class(heads: str) -> None:
    task = a_task(heads)
    labels = some_labels()
    for output, rows in task.targets(labels).items():
        assert rows.dtype == torch.float32
        assert rows.shape == (3, task.outputs[output])
        assert rows.argmax(dim=1).tolist() == task.truth(labels)[output].tolist()
        assert torch.equal(rows.sum(dim=1), torch.ones(3))


def test_an_unknown_label_is_a_row_of_zeros_and_makes_the_joint_row_unknown() -> None:
    policy = AgePolicy(name="dropped", drop=(58,))
    labels = some_labels(policy, (20, 58, None))
    assert a_task(policy=policy).targets(labels)["joint"].sum(dim=1).tolist() == [1, 0, 0]
    apart = a_task("three-way", policy=policy).targets(labels)
    assert apart["age_group"].sum(dim=1).tolist() == [1, 0, 0]
    assert apart["mask"].sum(dim=1).tolist() == [1, 1, 1]
    truth = a_task(policy=policy).truth(labels)
    assert truth["age_group"].tolist() == [0, -1, -1]
    assert truth["joint"].tolist()[1:] == [-1, -1]


@years
def test_of_whom_only_the_group_is_known_the_age_is_that_of_the_others_in_it(age: str) -> None:
    labels = some_labels(ages=(20, 24, 60, None, None))
    groups = pa.array(["young", "young", "old", "young", "middle"])
    labels = labels.set_column(labels.schema.get_field_index("age_group"), "age_group", groups)
    task = a_task("three-way", age)
    rows = task.targets(labels)["age"]
    torch.testing.assert_close(rows[3], rows[:2].mean(dim=0))
    unknown = a_task("three-way", age).targets(some_labels(ages=(20, None)))["age"][1]
    torch.testing.assert_close(rows[4], unknown, equal_nan=True)  # nobody else is of that group


def test_the_official_truth_has_the_official_groups() -> None:
    labels = some_labels(AT_58)
    task = a_task(policy=AT_58)
    assert task.truth(labels)["age_group"].tolist() == [0, 2, 2]
    assert task.truth(labels, official=True)["age_group"].tolist() == [0, 1, 2]
    assert task.truth(labels, official=True)["mask"].tolist() == [0, 1, 2]


# Answers


@every_task
@pytest.mark.parametrize("scale", [1, 1e4])
def test_probabilities_sum_to_one_and_logarithms_are_finite(
    heads: str, age: str, scale: float
) -> None:
    task = a_task(heads, age)
    answer = task.answer(what_a_net_says(task, scale=scale))
    assert answer.log_joint.shape == (len(answer), 18)
    assert answer.log_joint.isfinite().all()
    for p in (answer.log_joint.exp(), *answer.probabilities.values()):
        torch.testing.assert_close(p.sum(dim=1), torch.ones(5))
        assert (p >= 0).all()
    assert set(answer.probabilities) == set(answer.classes) == set(AXES)


@every_task
def test_the_probability_of_a_word_is_the_sum_of_its_joint_classes(heads: str, age: str) -> None:
    task = a_task(heads, age)
    answer = task.answer(what_a_net_says(task))
    for number in range(18):
        words = MASK_TASK.decode(number)
        answer_sums = {axis: torch.zeros(5) for axis in AXES}
        for other in range(18):
            for axis in AXES:
                if MASK_TASK.decode(other)[axis] == words[axis]:
                    answer_sums[axis] += answer.log_joint[:, other].exp()
        for axis, of_words in MASK_TASK.axes:
            p = answer.probabilities[axis][:, of_words.index(words[axis])]
            torch.testing.assert_close(answer_sums[axis], p)


def test_separate_heads_choose_each_label_by_itself() -> None:
    task = a_task("three-way")
    said = what_a_net_says(task, 50)
    answer = task.answer(said)
    for axis in AXES:
        assert torch.equal(answer.classes[axis], said[axis].argmax(dim=1))
        torch.testing.assert_close(answer.probabilities[axis], said[axis].softmax(dim=1))


def test_a_joint_head_chooses_the_joint_class_even_where_the_labels_alone_say_otherwise() -> None:
    task = a_task(axes=("mask", "gender"))
    p = torch.tensor([[0.35, 0.0, 0.0, 0.33, 0.0, 0.32]])  # female in sum, worn-male in one
    answer = task.answer({"joint": p.clamp_min(1e-6).log()})
    assert answer.joint.tolist() == [0]
    assert answer.classes["gender"].tolist() == [0]
    assert answer.probabilities["gender"].argmax(dim=1).tolist() == [1]


@given(st.lists(st.integers(0, 17), min_size=1, max_size=6))
def test_a_network_that_says_the_truth_is_answered_with_it(numbers: list[int]) -> None:
    labels = pa.Table.from_pylist([MASK_TASK.decode(number) for number in numbers])
    for heads in ("one-way", "three-way"):
        task = a_task(heads)
        answer = task.answer({o: 9 * rows for o, rows in task.targets(labels).items()})
        assert answer.joint.tolist() == numbers
        for axis, words in MASK_TASK.axes:
            assert [words[c] for c in answer.classes[axis]] == labels[axis].to_pylist()


def test_groups_that_were_learnt_stay_whatever_cuts_are_asked_for() -> None:
    task = a_task("three-way", policy=AT_58)
    said = what_a_net_says(task)
    assert torch.equal(task.answer(said, cuts=(20, 30)).log_joint, task.answer(said).log_joint)


def test_some_of_the_answers_are_those_of_some_of_the_records() -> None:
    task = a_task("three-way", "regression", tau=1)
    labels = some_labels()
    said = what_a_net_says(task)
    rows = torch.tensor([3, 0])
    part = task.answer(said, task.counts(labels)).take(rows)
    alone = task.answer(
        {output: values[rows] for output, values in said.items()}, task.counts(labels)
    )
    assert torch.equal(part.joint, alone.joint)
    assert part.age is not None
    assert torch.equal(part.age, alone.age)


# Prior correction


def test_counts_are_of_classes_by_output_and_of_joint_and_official_classes() -> None:
    policy = AgePolicy(name="dropped", cuts=(30, 58), drop=(59,))
    labels = some_labels(policy, (20, 58, 59, 60, 25, None))
    counts = a_task("three-way", policy=policy).counts(labels)
    assert counts["mask"].tolist() == [2, 2, 2]
    assert counts["age_group"].tolist() == [2, 0, 2]
    assert counts["joint"].sum() == 4
    assert counts["official"].sum() == 5
    weight = torch.tensor([3.0, 1, 1, 1, 1, 1])
    assert a_task(policy=policy).counts(labels, weight)["joint"].sum() == 6


def test_years_are_counted_where_they_are_classes() -> None:
    labels = some_labels(ages=(20, 20, 60, None))
    counts = a_task("three-way", "distribution").counts(labels)["age"]
    assert counts[20] == 2
    assert counts[60] == 1
    assert counts.sum() == 3
    assert "age" not in a_task("three-way", "coral").counts(labels)
    assert "age" not in a_task("three-way", "regression").counts(labels)


@pytest.mark.parametrize("heads", ["one-way", "three-way"])
def test_without_power_the_correction_is_nothing(heads: str) -> None:
    task = a_task(heads, tau=0)
    said = what_a_net_says(task)
    assert torch.equal(task.answer(said, task.counts(some_labels())).joint, task.answer(said).joint)


@pytest.mark.parametrize("heads", ["one-way", "three-way"])
def test_the_correction_divides_by_the_share_of_the_class_to_a_power(heads: str) -> None:
    task = a_task(heads, tau=0.7)
    said = what_a_net_says(task, 200)
    counts = {
        "joint": torch.randint(1, 500, (18,), generator=torch.Generator().manual_seed(1)).float()
    }
    answer = task.answer(said, counts)
    by_hand = answer.log_joint.exp() / (counts["joint"] / counts["joint"].sum()) ** 0.7
    assert torch.equal(answer.joint, by_hand.argmax(dim=1))
    assert not torch.equal(answer.joint, task.answer(said).joint)
    # Only the choice moves: what the network believes stays.
    for axis in AXES:
        assert torch.equal(answer.probabilities[axis], task.answer(said).probabilities[axis])


def test_the_correction_of_a_network_that_knows_nothing_chooses_the_rarest_class_that_it_saw() -> (
    None
):
    task = a_task(tau=1)
    counts = torch.full((18,), 100.0)
    counts[7] = 2
    assert task.answer({"joint": torch.zeros(1, 18)}, {"joint": counts}).joint.tolist() == [7]


def test_a_class_without_training_records_does_not_win_by_the_correction_alone() -> None:
    task = a_task(tau=1)
    counts = torch.full((18,), 100.0)
    counts[3] = 0
    said = torch.zeros(1, 18)
    said[0, 3] = -5  # less likely than the rest by more than the 100 records that it lacks
    assert task.answer({"joint": said}, {"joint": counts}).joint.tolist() != [3]


@years
def test_the_correction_follows_the_cuts_or_stays_away(age: str) -> None:
    task = a_task("three-way", age, tau=1, policy=AT_58)
    priors = task.counts(some_labels(AT_58, (20, 58, 58, 60, 25) * 6))
    said = what_a_net_says(task)
    official = task.answer(said, priors, OFFICIAL.cuts).correction
    active = task.answer(said, priors).correction
    assert official is not None
    assert active is not None
    assert not torch.equal(official, active)
    assert task.answer(said, priors, (18, 40)).correction is None


# The loss of a record


@every_task
def test_the_loss_of_a_record_is_the_surprise_at_its_joint_class(heads: str, age: str) -> None:
    task = a_task(heads, age)
    answer = task.answer(what_a_net_says(task, 3))
    truth = task.truth(some_labels())
    surprise = functional.nll_loss(answer.log_joint, truth["joint"], reduction="none")
    torch.testing.assert_close(record_loss(answer, truth), surprise)


def test_the_loss_of_a_record_with_separate_heads_is_the_sum_of_theirs() -> None:
    task = a_task("three-way")
    said, truth = what_a_net_says(task, 3), task.truth(some_labels())
    apart = [functional.cross_entropy(said[axis], truth[axis], reduction="none") for axis in AXES]
    torch.testing.assert_close(record_loss(task.answer(said), truth), sum(apart))


@pytest.mark.parametrize("heads", ["one-way", "three-way"])
def test_unknown_labels_surprise_nobody(heads: str) -> None:
    task = a_task(heads)
    answer = task.answer(what_a_net_says(task, 4))
    truth = {
        "mask": torch.tensor([0, 1, -1, -1]),
        "gender": torch.tensor([1, 0, 1, -1]),
        "age_group": torch.tensor([2, -1, -1, -1]),
        "joint": torch.tensor([5, -1, -1, -1]),
    }
    loss = record_loss(answer, truth)
    p = answer.grid().exp()
    wanted = torch.stack([p[0, 0, 1, 2], p[1, 1, 0].sum(), p[2, :, 1].sum()]).log()
    torch.testing.assert_close(loss[:3], -wanted)
    assert loss[3].isnan()


def test_no_records_have_no_losses() -> None:
    task = a_task()
    answer = task.answer({"joint": torch.zeros(0, 18)})
    assert record_loss(answer, task.truth(some_labels().slice(0, 0))).shape == (0,)
