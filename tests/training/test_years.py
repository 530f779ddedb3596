"""Age in years: what each kind of head is taught, and the age groups that follow."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tasks import AT_58, HOW_AGE_IS_LEARNT, a_task, some_labels, what_a_net_says
from scipy.stats import norm

from facecrop.errors import ConfigError
from facecrop.index import AGE_GROUPS
from facecrop.labels.ages import OFFICIAL, AgePolicy

years = pytest.mark.parametrize("age", HOW_AGE_IS_LEARNT)

ages = st.integers(0, 100)
cuts = st.tuples(st.integers(2, 98), st.integers(2, 98)).filter(lambda c: c[0] + 4 < c[1])


def test_targets_of_years_are_what_their_heads_say() -> None:
    labels = some_labels(ages=(20, 60))
    assert a_task("three-way", "regression").targets(labels)["age"].tolist() == [[20.0], [60.0]]
    thresholds = a_task("three-way", "coral").targets(labels)["age"]
    assert thresholds.sum(dim=1).tolist() == [20, 60]
    assert (thresholds.diff(dim=1) <= 0).all()
    shares = a_task("three-way", "distribution").targets(labels)["age"]
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2))
    curve = norm.pdf(np.arange(101), 60, 2)
    torch.testing.assert_close(
        shares[1].double(), torch.tensor(curve / curve.sum()), atol=1e-6, rtol=0
    )


@years
def test_an_unknown_age_is_unknown_to_every_head_of_years(age: str) -> None:
    rows = a_task("three-way", age).targets(some_labels(ages=(20, None)))["age"]
    nothing = rows[1] == 0 if age == "distribution" else rows[1].isnan()
    assert nothing.all()
    assert torch.isfinite(rows[0]).all()
    assert rows[0].sum() > 0


def test_ages_beyond_the_range_count_as_its_ends() -> None:
    labels = some_labels(ages=(0, 116))
    assert a_task("three-way", "coral").targets(labels)["age"].sum(dim=1).tolist() == [0, 100]
    shares = a_task("three-way", "distribution").targets(labels)["age"]
    assert shares.argmax(dim=1).tolist() == [0, 100]


@years
def test_groups_without_years_are_refused_by_heads_of_years(age: str) -> None:
    labels = some_labels()
    labels = labels.set_column(2, "age", pa.nulls(3, pa.int32()))
    with pytest.raises(ConfigError, match=r"no age in years: set model\.age to 'classes'"):
        a_task("three-way", age).targets(labels)
    nobody_has_any = labels.set_column(3, "age_group", pa.nulls(3, pa.string()))
    assert len(a_task("three-way", age).targets(nobody_has_any)["age"]) == 3


@years
@settings(max_examples=60)
@given(age_in_years=ages, at=cuts)
def test_the_group_of_an_age_that_is_said_is_the_policys(
    age: str, age_in_years: int, at: tuple[int, int]
) -> None:
    policy = AgePolicy(name="any", cuts=at)
    task = a_task("three-way", age, policy=policy)
    target = task.targets(some_labels(policy, (age_in_years,)))["age"]
    said = {
        "regression": target,
        "coral": 40 * target - 20,
        "distribution": target.clamp_min(1e-30).log(),
    }[age]
    rest = {"mask": torch.zeros(1, 3), "gender": torch.zeros(1, 2)}
    for answer in (
        task.answer({**rest, "age": said}),
        a_task("three-way", age).answer({**rest, "age": said}, cuts=at),
    ):
        assert AGE_GROUPS[answer.classes["age_group"][0]] == policy.group(age_in_years)


@years
@pytest.mark.parametrize("age_range", [(0, 100), (10, 90)])
def test_the_age_is_the_expected_one(age: str, age_range: tuple[int, int]) -> None:
    task = a_task("three-way", age, age_range=age_range)
    target = task.targets(some_labels(ages=(20, 47, 60)))["age"]
    said = {
        "regression": target,
        "coral": 60 * target - 30,
        "distribution": target.clamp_min(1e-30).log(),
    }[age]
    answer = task.answer({"mask": torch.zeros(3, 3), "gender": torch.zeros(3, 2), "age": said})
    assert answer.age is not None
    torch.testing.assert_close(answer.age, torch.tensor([20.0, 47.0, 60.0]), atol=1e-3, rtol=0)
    assert answer.classes["age_group"].tolist() == [0, 1, 2]


def test_a_regression_gives_the_mass_of_a_normal_error_between_the_cuts() -> None:
    task = a_task("three-way", "regression")
    said = torch.tensor([[28.0], [59.2], [75.0], [-300.0]])
    answer = task.answer({"mask": torch.zeros(4, 3), "gender": torch.zeros(4, 2), "age": said})
    young, not_old = norm.cdf(29.5, said[:, 0], 2), norm.cdf(59.5, said[:, 0], 2)
    wanted = np.stack([young, not_old - young, 1 - not_old], axis=1)
    torch.testing.assert_close(
        answer.probabilities["age_group"].double(), torch.tensor(wanted), atol=1e-6, rtol=1e-4
    )


def test_a_distribution_gives_the_sum_of_the_years_between_the_cuts() -> None:
    task = a_task("three-way", "distribution")
    said = what_a_net_says(task)
    p = said["age"].softmax(dim=1)
    for at in ((30, 60), (58, 60), (0, 101), (120, 130)):
        wanted = [p[:, : at[0]], p[:, at[0] : at[1]], p[:, at[1] :]]
        answer = task.answer(said, cuts=at)
        torch.testing.assert_close(
            answer.probabilities["age_group"], torch.stack([w.sum(1) for w in wanted], 1)
        )


def test_thresholds_give_the_differences_of_their_probabilities_at_the_cuts() -> None:
    task = a_task("three-way", "coral")
    said = what_a_net_says(task) | {"age": torch.linspace(6, -6, 100).repeat(5, 1)}
    s = said["age"].sigmoid()
    wanted = torch.stack([1 - s[:, 29], s[:, 29] - s[:, 59], s[:, 59]], dim=1)
    torch.testing.assert_close(task.answer(said).probabilities["age_group"], wanted)
    for at, sure in (((0, 120), 1), ((110, 120), 0)):
        groups = task.answer(said, cuts=at).probabilities["age_group"]
        torch.testing.assert_close(groups, torch.eye(3)[[sure] * 5])


def test_thresholds_that_contradict_themselves_still_give_probabilities() -> None:
    task = a_task("three-way", "coral")
    said = what_a_net_says(task, 20, scale=5)
    assert (said["age"].diff(dim=1) > 0).any()
    groups = task.answer(said).probabilities["age_group"]
    assert (groups >= 0).all()
    torch.testing.assert_close(groups.sum(dim=1), torch.ones(20))


@years
def test_the_official_bins_are_answered_by_a_network_of_years_that_learnt_others(age: str) -> None:
    task = a_task("three-way", age, policy=AT_58)
    target = task.targets(some_labels(AT_58, (58,)))["age"]
    said = 40 * target - 20 if age == "coral" else target.clamp_min(1e-30).log()
    said = target if age == "regression" else said
    logits = {"mask": torch.zeros(1, 3), "gender": torch.zeros(1, 2), "age": said}
    assert task.answer(logits).classes["age_group"].tolist() == [2]
    assert task.answer(logits, cuts=OFFICIAL.cuts).classes["age_group"].tolist() == [1]
