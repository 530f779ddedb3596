from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecrop.errors import ConfigError
from facecrop.index import AGE_GROUPS, CARD_FILE
from facecrop.labels.ages import (
    OFFICIAL,
    AgePolicy,
    active_policy,
    load_policy,
    set_active_policy,
    shipped_policies,
)

ages = st.integers(0, 150)
policies = st.builds(
    lambda cuts, drop: AgePolicy(name="any", cuts=tuple(sorted(cuts)), drop=tuple(drop)),
    st.sets(ages, min_size=2, max_size=2),
    st.lists(ages, max_size=5),
)


@given(policies, ages, ages)
def test_who_is_older_is_never_in_a_younger_group(policy: AgePolicy, one: int, other: int) -> None:
    younger, older = (policy.group(age) for age in sorted((one, other)))
    if younger is not None and older is not None:
        assert AGE_GROUPS.index(younger) <= AGE_GROUPS.index(older)


@given(policies, st.lists(st.none() | ages))
def test_groups_of_a_column_are_the_groups_of_its_ages(
    policy: AgePolicy, years: list[int | None]
) -> None:
    column = pa.array(years, pa.int32())
    assert policy.groups(column).to_pylist() == [policy.group(age) for age in years]


def test_shipped_policies_are_those_the_reports_used() -> None:
    policies = shipped_policies()
    assert policies["official"] == OFFICIAL
    assert {name: (one.cuts, one.drop) for name, one in policies.items()} == {
        "official": ((30, 60), ()),
        "threshold-59": ((30, 59), ()),
        "threshold-58": ((30, 58), ()),
        "threshold-57": ((30, 57), ()),
        "drop-57-59": ((30, 60), (57, 58, 59)),
        "drop-17-20-and-57-59": ((30, 60), (17, 18, 19, 20, 57, 58, 59)),
    }


def test_a_policy_can_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("cuts = [25, 55]\ndrop = [40]\n")
    assert load_policy(str(file)) == AgePolicy(name="mine", cuts=(25, 55), drop=(40,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cuts = [60, 30]", "cuts must increase"),
        ("cut = [30, 60]", "no setting 'cut'. Did you mean 'cuts'"),
        ("cuts = [30, 60, 70]", "cuts"),
        ("drop = [-1]", "drop.0"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_policy(str(file))


def test_an_unknown_policy_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'threshold-58'"):
        load_policy("treshold-58")


def test_a_dataset_without_a_card_has_the_official_policy(tmp_path: Path) -> None:
    assert active_policy(tmp_path) == OFFICIAL


def test_setting_the_policy_leaves_the_rest_of_the_card_alone(tmp_path: Path) -> None:
    card = tmp_path / CARD_FILE
    card.write_text('# mine\nlayout = "profiles"\n\n[recipe]\nmargin = 0.25\n')
    set_active_policy(tmp_path, load_policy("threshold-58"))
    set_active_policy(tmp_path, load_policy("drop-57-59"))
    assert active_policy(tmp_path) == load_policy("drop-57-59")
    assert card.read_text().endswith('# mine\nlayout = "profiles"\n\n[recipe]\nmargin = 0.25\n')
    assert card.read_text().count("age_policy") == 1


def test_a_policy_written_by_hand_as_a_table_is_not_lost(tmp_path: Path) -> None:
    card = tmp_path / CARD_FILE
    text = '[age_policy]\nname = "x"\ncuts = [20, 40]\n'
    card.write_text(text)
    with pytest.raises(ConfigError, match="must be one line"):
        set_active_policy(tmp_path, OFFICIAL)
    assert card.read_text() == text
